"""
When will a customer leave?
===========================

Customers are sparse rows: each has about twenty of 100,000 possible purchases, clicks and complaints. Some customers
have left after a known time. For the others we know only that they were still there at the last observation. This
example compares four survival models, plots their curves and checks their calibration.
:ref:`sphx_glr_auto_examples_plot_churn.py` shows why a classifier would be biased here.
"""

# %%
# Data
# ----
#
# A customer's risk depends on the row and changes with time. A third of the customers enter late, when they renew
# their contract (``entry``): they were not at risk before.

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
# The exponential distribution has a constant hazard. The Weibull distribution has one more parameter, its shape. The
# piecewise exponential distribution has a free baseline hazard in each interval of time. Cox's likelihood
# estimates the baseline after training.

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
# The curves belong to three test customers of low, middle and high risk. The grey steps are the Kaplan-Meier estimate
# for all test customers. Dots are the medians that the Weibull model predicts.

weibull = models["weibull"]
order = np.argsort(weibull.predict(X[test]))
chosen = X[test][order[[150, 7_500, 14_850]]]
grid = np.linspace(0, 40, 200)
fig, axes = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
axes.step(*kaplan_meier(y_test), where="post", color="0.6", label="all (Kaplan–Meier)")
for name, style in (("weibull", "-"), ("piecewise_exponential", ":")):
    curves = models[name].predict_survival_function(chosen, return_array=True, times=grid)
    for curve, color in zip(curves, ("tab:green", "tab:blue", "tab:red")):
        axes.plot(grid, curve, style, color=color)
    axes.plot([], [], style, color="black", label=name)
medians = weibull.predict_median(chosen)
axes.plot(medians, np.full(3, 0.5), "o", color="black")
axes.set(xlim=(0, 40), ylim=(0, 1), xlabel="months", ylabel="share still there")
axes.legend()
plt.show()

# %%
# Calibration
# -----------
#
# If the model predicts 30 % for some customers, do 30 % of them leave? The observed share is the Kaplan-Meier
# estimate in each of ten groups of customers with similar predictions.

fig, axes = plt.subplots(figsize=(5, 4.6), layout="constrained")
for name, marker in (("exponential", "s"), ("weibull", "o"), ("cox", "^")):
    survival = models[name].predict_survival_function(X[test], return_array=True, times=[12.0])
    predicted, observed = calibration_by_quantile(y_test, survival[:, 0], 12.0)
    axes.plot(predicted, observed, marker=marker, label=name)
axes.plot([0, 1], [0, 1], ":", color="0.6")
axes.set(xlabel="predicted to leave within a year", ylabel="left within a year")
axes.legend()
plt.show()

# %%
# The exponential model sorts customers well, but its constant hazard predicts too many early events. A shape
# parameter or a free baseline corrects this.
