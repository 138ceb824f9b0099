"""
A loss of your own
==================

A dispatcher promises delivery times. A minute late costs much more than a minute early, and the cost of delays grows
fast. The LINEX loss says so. With the error :math:`d` of a prediction, ``exp(d) - d - 1`` grows almost linearly on one
side of zero and exponentially on the other (Varian, 1975). It is not built in, so we write it in Python
(:doc:`/user_guide/own_losses`).
"""

# %%
# The loss
# --------
#
# A loss returns the weighted sum over a block of rows, and its gradient with respect to the raw outputs. Here :math:`d`
# is the true time minus the prediction, divided by ``scale``. The cost of large errors goes on as a straight line, so
# that an outlier does not overflow.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction import DictVectorizer

from sklearn_vectorflow import VectorFlowRegressor
from sklearn_vectorflow.losses import RegressionLoss, check_loss


class Linex(RegressionLoss):
    """The LINEX loss: being late costs exponentially, being early linearly."""

    convex = True

    def __init__(self, scale=5.0, bend=3.0):
        self.scale, self.bend = scale, bend

    def __call__(self, y, raw, sample_weight=None):
        error = (y - raw) / self.scale
        inside = np.minimum(error, self.bend)
        growth = np.exp(inside)
        loss = growth * (1 + error - inside) - error - 1
        gradient = (1 - growth) / self.scale
        return np.sum(sample_weight * loss), sample_weight * gradient

    def initial_raw(self, y, sample_weight):
        return np.median(y, axis=0)


# %%
# ``check_loss`` compares the gradient with finite differences, and tests what else training relies on.

check_loss(Linex())

# %%
# The data
# --------
#
# Times depend on the depot, the district and the hour. Some districts are far less predictable than others.

rng = np.random.default_rng(0)
n_rows = 20_000
depot, district, hour = (rng.integers(n, size=n_rows) for n in (8, 300, 24))
base, spread = rng.uniform(15, 40, size=300), rng.uniform(1, 8, size=300)
rush = 10 * np.exp(-((np.arange(24) - 17.5) ** 2) / 8)
minutes = base[district] + rush[hour] + rng.normal(size=8)[depot]
minutes += spread[district] * rng.gamma(2.0, 0.7, size=n_rows)
rows = [{"depot": str(a), "district": str(b), "hour": str(c)} for a, b, c in zip(depot, district, hour)]
X = DictVectorizer(dtype=np.float32).fit_transform(rows)
train, test = slice(0, 15_000), slice(15_000, None)

# %%
# Two models
# ----------
#
# Python losses run with the GIL, once per mini-batch, so set ``batch_size`` larger than one.

models = {"squared error": VectorFlowRegressor(random_state=0)}
models["LINEX"] = VectorFlowRegressor(loss=Linex(), batch_size=64, max_iter=60, random_state=0)
late = {}
for name, model in models.items():
    late[name] = minutes[test] - model.fit(X[train], minutes[train]).predict(X[test])
    cost = Linex()(minutes[test], minutes[test] - late[name], np.ones(5_000))[0] / 5_000
    share, mean = np.mean(late[name] > 5), late[name].mean()
    print(f"{name:14} LINEX cost {cost:.2f}, over 5 minutes late {share:5.1%}, mean delay {mean:5.2f}")

# %%
# What it changes
# ---------------
#
# The model trained with LINEX promises later times where they vary more, so fewer deliveries are late.

fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
for name, delay in late.items():
    ax.hist(delay, bins=np.linspace(-20, 25, 91), histtype="step", linewidth=1.5, label=name)
ax.axvline(0, color="0.8", zorder=0)
ax.set(xlabel="minutes late", ylabel="deliveries", title="Delays beyond the promised time")
ax.legend()
plt.show()
