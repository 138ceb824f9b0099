"""
Churn: what censoring does to a classifier
==========================================

Who leaves within a year? Many customers joined too recently to know: they are *censored*. A classifier needs a yes or
a no for each of them. You can count the censored customers as loyal, or drop them. Both choices bias the model. A
survival model uses the time for which we observed each customer. The customers are simulated, so we know the true
probabilities.
"""

# %%
# Customers
# ---------

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowSurvivalEstimator
from sklearn_vectorflow.preprocessing import HashingEncoder

rng = np.random.default_rng(0)
n_rows = 40_000
plan = rng.choice(["basic", "family", "premium"], n_rows, p=[0.5, 0.3, 0.2])
shop = rng.integers(500, size=n_rows)
services = rng.integers(2_000, size=(n_rows, 4))
log_time = (
    np.log(30)
    + np.select([plan == "basic", plan == "premium"], [-0.4, 0.4], 0.0)
    + 0.4 * rng.normal(size=500)[shop]
    + 0.3 * rng.normal(size=2_000)[services].sum(axis=1)
)
shape = 1.5
months = np.exp(log_time) * rng.weibull(shape, n_rows)
seen = rng.uniform(0, 24, n_rows)  # joined within the last two years
left, time = months <= seen, np.maximum(np.minimum(months, seen), 0.01)
truth = 1 - np.exp(-((12 / np.exp(log_time)) ** shape))  # to leave within a year

frame = pd.DataFrame({"plan": plan, "shop": shop.astype(str), "services": services.astype(str).tolist()})
X = HashingEncoder(n_bits=18).fit_transform(frame)
train, test = np.arange(n_rows) < 30_000, np.arange(n_rows) >= 30_000
print(f"{left.mean():.0%} have left; {np.mean(seen >= 12):.0%} joined a year ago or earlier")

# %%
# Three models
# ------------

in_a_year = left & (time <= 12)
known = train & (in_a_year | (time > 12))  # whether they left within a year is known
predicted = {
    "classifier, censored = loyal": VectorFlowClassifier(random_state=0).fit(X[train], in_a_year[train]),
    "classifier, censored dropped": VectorFlowClassifier(random_state=0).fit(X[known], in_a_year[known]),
}
predicted = {name: model.predict_proba(X[test])[:, 1] for name, model in predicted.items()}
survival = VectorFlowSurvivalEstimator("weibull", random_state=0)
survival.fit(X[train], {"event": left[train], "time": time[train]})
stay = survival.predict_survival_function(X[test], times=[12], return_array=True)[:, 0]
predicted["survival model"] = 1 - stay
print(f"{'truth':28} mean {truth[test].mean():.3f}")
for name, probability in predicted.items():
    error = np.abs(probability - truth[test]).mean()
    print(f"{name:28} mean {probability.mean():.3f}, mean error {error:.3f}")

# %%
# Predicted and true
# ------------------
#
# Each dot is a twentieth of the test customers, sorted by their prediction.

fig, axes = plt.subplots(figsize=(6, 5), layout="constrained")
axes.plot([0, 1], [0, 1], "--", color="0.6", label="perfect")
for (name, probability), marker in zip(predicted.items(), "s^o"):
    groups = np.array_split(np.argsort(probability), 20)
    means = [[values[group].mean() for group in groups] for values in (probability, truth[test])]
    axes.plot(*means, marker + "-", label=name)
axes.set(xlabel="predicted to leave within a year", ylabel="true probability", xlim=(0, 1), ylim=(0, 1))
axes.grid(alpha=0.3)
axes.legend()
plt.show()

# %%
# Counting censored customers as loyal makes every probability too low. Dropping them makes most of them too high: of
# the recent customers, only those who left remain. The survival model lies close to the diagonal.
