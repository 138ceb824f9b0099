"""
Insurance claims: frequency and cost with exposure
==================================================

An insurer observes each policy for a part of a year, its *exposure*. The expected number of claims is a yearly rate
times the exposure, so the logarithm of the exposure is an offset of a Poisson model. The cost per year has many zeros
and a long tail, so we use the Tweedie loss. Here the exposure is a sample weight: the longer we observe a policy, the
more it tells about the cost of a year. The portfolio is simulated.
"""

# %%
# A portfolio
# -----------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import mean_poisson_deviance
from sklearn.preprocessing import OneHotEncoder

from sklearn_vectorflow import VectorFlowRegressor
from sklearn_vectorflow.losses import TweedieLoss

rng = np.random.default_rng(0)
n_rows = 40_000
factors = np.column_stack([rng.integers(0, size, n_rows) for size in (12, 30, 8, 200)])  # age, car, power, region
effects = [rng.normal(scale=scale, size=size) for scale, size in ((0.4, 12), (0.3, 30), (0.2, 8), (0.3, 200))]
rate = 0.15 * np.exp(sum(effect[column] for effect, column in zip(effects, factors.T)))
exposure = rng.uniform(0.1, 1.0, n_rows)
claims = rng.poisson(rate * exposure)
cost = np.array([rng.gamma(2.0, 500.0, size=count).sum() for count in claims])

X = OneHotEncoder(dtype=np.float32).fit_transform(factors)
train, test = slice(0, 30_000), slice(30_000, None)

# %%
# Claims per year
# ---------------

frequency = VectorFlowRegressor(loss="poisson", alpha=1e-4, average=True, max_iter=10, random_state=0)
frequency.fit(X[train], claims[train], exposure=exposure[train])
predicted = frequency.predict(X[test])  # in one year

for name, prediction in (
    ("mean rate", np.full(predicted.size, claims[train].sum() / exposure[train].sum())),
    ("model", predicted),
    ("true rate", rate[test]),
):
    deviance = mean_poisson_deviance(claims[test] / exposure[test], prediction, sample_weight=exposure[test])
    print(f"{name:10s} Poisson deviance {deviance:.4f}")
expected = frequency.predict(X[test], exposure=exposure[test])
print(f"claims on test policies: {claims[test].sum()}, predicted {expected.sum():.0f}")

# %%
# Cost per year
# -------------

premium = VectorFlowRegressor(loss=TweedieLoss(1.5), alpha=1e-4, average=True, max_iter=10, random_state=0)
premium.fit(X[train], cost[train] / exposure[train] / 1000.0, sample_weight=exposure[train])
cheap_first = np.argsort(premium.predict(X[test]))
paid = np.cumsum(cost[test][cheap_first]) / cost[test].sum()
insured = np.cumsum(exposure[test][cheap_first]) / exposure[test].sum()

# %%
# The left plot compares predicted and observed claims. The Lorenz curve on the right shows how well the premium
# separates cheap and expensive policies.

edges = np.quantile(predicted, np.linspace(0, 1, 11))
tenth = np.clip(np.searchsorted(edges, predicted, side="right") - 1, 0, 9)
years = np.bincount(tenth, weights=exposure[test])
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.plot(range(1, 11), np.bincount(tenth, weights=claims[test]) / years, "o", label="observed")
left.plot(range(1, 11), np.bincount(tenth, weights=expected) / years, label="predicted")
left.set(xlabel="tenth of the policies, by predicted rate", ylabel="claims a year", title="Frequency")
left.legend()
right.plot(insured, paid, label="Tweedie premium")
right.plot([0, 1], [0, 1], color="0.5", linestyle="--", label="one premium for all")
right.set(xlabel="share of exposure, low premium first", ylabel="share of cost", title="Lorenz curve")
right.legend()
plt.show()
