"""
When will a customer leave?
===========================

Customers are sparse rows: what they bought, looked at and complained about, 100,000 possible
things of which each has some twenty. Some have left, after a known time; for the others we
only know that they were still there when last seen. Leaving them out, or taking them to stay
for ever, would both be wrong: a survival model uses what is known of each.
"""

# %%
# Data
# ----
#
# A customer's risk depends on the things in the row, and changes with time: a third of the
# customers come late, when their contract is renewed (``entry``), and were not at risk before.

import matplotlib.pyplot as plt
import numpy as np
from scipy import sparse

from sklearn_vectorflow import VectorFlowSurvivalEstimator
from sklearn_vectorflow.metrics import calibration_by_quantile, concordance_index_ipcw, kaplan_meier

rng = np.random.default_rng(0)
n_rows, n_features = 60_000, 100_000
things = np.minimum(rng.zipf(1.3, (n_rows, 20)), n_features) - 1
X = sparse.csr_matrix(
    (np.ones(things.size, dtype=np.float32), things.ravel(), np.arange(0, things.size + 1, 20)),
    shape=(n_rows, n_features),
)
effect = 0.25 * rng.standard_normal(n_features)
months = 9 * np.exp(-(X @ effect) / 1.6) * rng.weibull(1.6, n_rows)
seen = rng.uniform(2, 40, n_rows)
left = months <= seen
time = np.maximum(np.minimum(months, seen), 0.01)
entry = np.where(rng.random(n_rows) < 1 / 3, 0.5 * rng.random(n_rows) * time, 0.0)
train, test = slice(0, 45_000), slice(45_000, None)
y_train = {"event": left[train], "time": time[train], "entry": entry[train]}
y_test = {"event": left[test], "time": time[test]}
print(f"{left.mean():.0%} have left")

# %%
# Models
# ------
#
# An exponential distribution has a constant hazard. A Weibull distribution learns one number
# more, its shape. A piecewise exponential one has a free baseline hazard in each interval of time,
# and Cox's likelihood leaves the baseline out until the end.

models = {
    name: VectorFlowSurvivalEstimator(name, alpha=3e-4, n_jobs=2, random_state=0)
    for name in ("exponential", "weibull", "piecewise_exponential", "cox")
}
for name, model in models.items():
    model.fit(X[train], y_train)
    uno = concordance_index_ipcw((left[train], time[train]), y_test, model.predict(X[test]), tau=30.0)
    print(f"{name:<22} concordance {model.score(X[test], y_test):.3f} (Uno's {uno:.3f})")
print(f"shape of the Weibull distribution: {models['weibull'].shape_:.2f}, made with 1.6")

# %%
# Curves
# ------
#
# Three customers of the test rows, of low, middle and high risk, and Kaplan and Meier's estimate
# for all of them together. Quantiles invert the curves: the dots are medians.

weibull = models["weibull"]
order = np.argsort(weibull.predict(X[test]))
chosen = X[test][order[[150, 7_500, 14_850]]]
grid = np.linspace(0, 40, 200)
fig, (left_axes, right_axes) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
left_axes.step(*kaplan_meier(y_test), where="post", color="0.6", label="all (Kaplan–Meier)")
for name, style in (("weibull", "-"), ("piecewise_exponential", ":")):
    curves = models[name].predict_survival_function(chosen, return_array=True, times=grid)
    for curve, color in zip(curves, ("tab:green", "tab:blue", "tab:red")):
        left_axes.plot(grid, curve, style, color=color)
    left_axes.plot([], [], style, color="black", label=name)
medians = weibull.predict_median(chosen)
left_axes.plot(medians, np.full(3, 0.5), "o", color="black")
left_axes.set(xlim=(0, 40), ylim=(0, 1), xlabel="months", ylabel="share still there", title="Survival")
left_axes.legend()

# %%
# Calibration
# -----------
#
# Of those to whom the model gives a probability of leaving within a year, does that share leave?
# What is observed is Kaplan and Meier's estimate in ten groups of like predictions.

for name, marker in (("exponential", "s"), ("weibull", "o"), ("cox", "^")):
    survival = models[name].predict_survival_function(X[test], return_array=True, times=[12.0])[:, 0]
    right_axes.plot(*calibration_by_quantile(y_test, survival, 12.0), marker=marker, label=name)
right_axes.plot([0, 1], [0, 1], ":", color="0.6")
right_axes.set(xlabel="predicted to leave within a year", ylabel="left within a year", title="Calibration")
right_axes.legend()
plt.show()

# %%
# The exponential model orders customers well, but its constant hazard puts too many events early. A
# shape, or a free baseline, mends that.
