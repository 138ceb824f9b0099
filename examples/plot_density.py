"""
Whole distributions: bins, and a mixture density
================================================

If a target has two likely values, neither its mean nor a quantile shows this. This example predicts the whole
distribution of the target in two ways. The first divides the target into *bins*, which are classes of a softmax. The
second is a *mixture of normal distributions*, whose shares, means and widths are the outputs of a net.
"""

# %%
# A target with two branches
# --------------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.preprocessing import SplineTransformer

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.losses import MixtureDensity

rng = np.random.default_rng(0)
x = rng.uniform(0, 10, size=6000)
branch = rng.uniform(size=x.size) < 0.3 + 0.04 * x
y = np.where(branch, 2 + np.sin(x), -1 - 0.2 * x) + np.where(branch, 0.2, 0.4) * rng.standard_normal(x.size)
X = SplineTransformer(n_knots=15, sparse_output=True).fit_transform(x[:, None])
train, test = slice(0, 4500), slice(4500, None)

# %%
# Bins
# ----
#
# The classifier predicts 40 bins of equal width. The probability of a bin, divided by its width, is a density.

edges = np.linspace(y.min() - 0.1, y.max() + 0.1, 41)
width = edges[1] - edges[0]
classifier = VectorFlowClassifier(loss="multinomial", alpha=1e-4, average=True, max_iter=20, random_state=0)
classifier.fit(X[train], np.digitize(y[train], edges) - 1)


def binned_density(X, y):
    probability = np.full((X.shape[0], 40), 1e-6)
    probability[:, classifier.classes_] += classifier.predict_proba(X)
    return probability[np.arange(X.shape[0]), np.clip(np.digitize(y, edges) - 1, 0, 39)] / width


# %%
# A mixture
# ---------
#
# :class:`~sklearn_vectorflow.losses.MixtureDensity` has nine raw outputs for one target. ``predict_raw`` returns
# them, and ``predict`` returns the mean of the mixture.

mixture = VectorFlowRegressor(
    hidden_layer_sizes=(32,),
    loss=MixtureDensity(n_components=3),
    optimizer="adam",
    learning_rate=0.01,
    batch_size=64,
    max_iter=60,
    random_state=0,
).fit(X[train], y[train])


def mixture_density(X, y):
    return np.exp(mixture.loss.log_density(y, mixture.predict_raw(X)))


# %%
# We compare the mean log density on test rows (higher is better):

one_normal = VectorFlowRegressor(average=True, random_state=0).fit(X[train], y[train])
spread = np.std(y[train] - one_normal.predict(X[train]))
distance = (y[test] - one_normal.predict(X[test])) / spread
print(f"a normal distribution around the mean: {np.mean(-0.5 * distance**2 - np.log(spread * np.sqrt(2 * np.pi))):.3f}")
print(f"40 bins:                               {np.mean(np.log(binned_density(X[test], y[test]))):.3f}")
print(f"mixture of three:                      {np.mean(np.log(mixture_density(X[test], y[test]))):.3f}")

# %%
grid_x, grid_y = np.linspace(0.01, 9.99, 150), np.linspace(edges[0], edges[-1] - 1e-9, 160)
rows = SplineTransformer(n_knots=15, sparse_output=True).fit(x[:, None]).transform(np.repeat(grid_x, 160)[:, None])
targets = np.tile(grid_y, 150)
fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
for ax, density, title in zip(axes, (binned_density, mixture_density), ("40 bins", "Mixture of three")):
    ax.pcolormesh(grid_x, grid_y, density(rows, targets).reshape(150, 160).T, cmap="Blues", vmax=1.2)
    ax.scatter(x[test][:400], y[test][:400], s=3, color="black", alpha=0.4)
    ax.set(xlabel="x", title=title)
axes[0].set_ylabel("y")
plt.show()
