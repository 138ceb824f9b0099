"""
Prediction intervals with the quantile loss
===========================================

One model with :class:`~sklearn_vectorflow.losses.QuantileLoss` predicts the 5 %, 50 % and 95 % quantiles of a noisy
curve. The noise grows to the right, which a model of the mean cannot show. Each input becomes a sparse row of local
splines with four non-zeros, and the model is linear in these splines.
"""

# %%
# Data
# ----

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from sklearn_vectorflow import VectorFlowRegressor
from sklearn_vectorflow.losses import QuantileLoss

rng = np.random.default_rng(0)
x = rng.uniform(0, 10, size=4000)
y = np.sin(x) + 0.1 * x * rng.standard_normal(x.size)
train, test = slice(0, 3000), slice(3000, None)

# %%
# One model for all quantiles
# ---------------------------
#
# Predictions have a column for each quantile. They increase along every row, so quantiles never cross. The gradient
# of the quantile loss does not shrink near the optimum, so the weights keep moving. ``average=True`` predicts with
# their mean over many steps.

quantiles = [0.05, 0.5, 0.95]
model = make_pipeline(
    SplineTransformer(n_knots=25, sparse_output=True),
    VectorFlowRegressor(loss=QuantileLoss(quantiles), max_iter=60, average=True, random_state=0),
).fit(x[train, None], y[train])

grid = np.linspace(0, 10, 400)
low, middle, high = model.predict(grid[:, None]).T

fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
ax.scatter(x[test], y[test], s=6, color="0.65", label="test rows")
ax.fill_between(grid, low, high, color="tab:blue", alpha=0.2, label="5 % to 95 %")
ax.plot(grid, middle, color="tab:blue", label="median")
ax.plot(grid, np.sin(grid), color="black", linestyle=":", label="true median")
ax.set(xlabel="x", ylabel="y", title="Quantile regression")
ax.legend(loc="lower left", ncols=2)
plt.show()

# %%
# Do the quantiles hold on test rows?

predicted = model.predict(x[test, None])
for quantile, share in zip(quantiles, np.mean(y[test, None] <= predicted, axis=0)):
    print(f"{share:6.1%} of the test rows lie below the {quantile:.0%} quantile")

# %%
# Does the interval have the right coverage where the noise is small and where it is large?

low, high = predicted[:, 0], predicted[:, 2]
inside = (low <= y[test]) & (y[test] <= high)
for start in (0.0, 2.5, 5.0, 7.5):
    here = (start <= x[test]) & (x[test] < start + 2.5)
    width = np.mean((high - low)[here])
    print(f"x from {start} to {start + 2.5}: {inside[here].mean():.1%} of 90 %, mean width {width:.2f}")
