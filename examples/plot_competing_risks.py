"""
Why will a customer leave?
==========================

A customer may leave for a competitor, or may move to a place without service. We observe only the first of these
events, and none of them for customers who are still there. A model of competing risks learns a hazard for each cause.
It predicts the **cumulative incidence** of each cause: the probability that the customer has left for this cause by a
given time.
"""

# %%
# Data
# ----
#
# Each customer is a sparse row of actions, of which 20,000 are possible. Some actions raise the risk to leave for a
# competitor, and others the risk to move. The simulated hazards are constant in time, so we know the true incidences.

import matplotlib.pyplot as plt
import numpy as np
from scipy import sparse

from sklearn_vectorflow import VectorFlowSurvivalEstimator
from sklearn_vectorflow.metrics import kaplan_meier

rng = np.random.default_rng(0)
n_rows, n_features = 30_000, 20_000
things = np.minimum(rng.zipf(1.3, (n_rows, 15)), n_features) - 1
X = sparse.csr_matrix(
    (np.ones(things.size, dtype=np.float32), things.ravel(), np.arange(0, things.size + 1, 15)),
    shape=(n_rows, n_features),
)
effects = 0.25 * rng.standard_normal((n_features, 2))
hazards = [0.02, 0.03] * np.exp(X @ effects)
ends = rng.exponential(1 / np.column_stack([hazards, np.full(n_rows, 1 / 40)]))
time = np.maximum(ends.min(axis=1), 0.01)
event = (ends.argmin(axis=1) + 1) % 3  # 0: still there, 1: to a competitor, 2: moved
train, test = slice(0, 24_000), slice(24_000, None)
print("still there, to a competitor, moved:", np.bincount(event))

# %%
# One model for both causes
# -------------------------
#
# The event is the number of its cause, and 0 for a censored row. Each cause has its own weights, so an action can
# raise one risk and not the other.

model = VectorFlowSurvivalEstimator(
    "competing_risks", breakpoints=[6, 12, 24], alpha=3e-4, average=True, random_state=0
)
model.fit(X[train], {"event": event[train], "time": time[train]})
print(f"mean concordance of causes: {model.score(X[test], {'event': event[test], 'time': time[test]}):.3f}")
for cause in (1, 2):
    found = np.corrcoef(model.coef_[cause - 1, :50], effects[:50, cause - 1])[0, 1]
    print(f"cause {cause}: correlation of the 50 most frequent things' weights with the truth {found:.2f}")

# %%
# Incidences
# ----------
#
# The plot shows the mean incidence over the test rows, and the truth. If you treat the other cause as censored, one
# minus the Kaplan-Meier estimate is too high: customers who have moved can no longer go to a competitor.

grid = np.linspace(0, 36, 100)
incidence = model.predict_cumulative_incidence(X[test], return_array=True, times=grid)
total = hazards[test].sum(axis=1)
left = -np.expm1(-total[:, None] * grid)
names = ("to a competitor", "moved")

fig, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
for cause, (name, color) in enumerate(zip(names, ("tab:orange", "tab:blue"))):
    truth = np.mean((hazards[test, cause] / total)[:, None] * left, axis=0)
    axes[0].plot(grid, incidence[:, cause].mean(axis=0), color=color, label=name)
    axes[0].plot(grid, truth, ":", color="black", label="truth" if cause else None)
    months, alone = kaplan_meier((event[test] == cause + 1, time[test]))
    axes[0].step(months, 1 - alone, where="post", color=color, alpha=0.4, label="others censored" if cause else None)
    print(
        f"{name}: mean error of a row's incidence after a year "
        f"{np.mean(np.abs(incidence[:, cause, 33] - (hazards[test, cause] / total) * left[:, 33])):.3f}"
    )
axes[0].set(xlim=(0, 36), ylim=(0, 1), xlabel="months", ylabel="share that has left", title="All test rows")
axes[0].legend()

# %%
# What will happen to one customer, and when? The coloured areas and the white area above them sum to one.

customer = np.argmax(incidence[:, :, 33].min(axis=1))
axes[1].stackplot(grid, incidence[customer], labels=names, colors=("tab:orange", "tab:blue"), alpha=0.6)
axes[1].set(xlim=(0, 36), xlabel="months", title="One who is drawn to both")
axes[1].legend(loc="upper left")
plt.show()

# %%
# If the customer is still there after a year, we can predict the next year:

row = X[test][[customer]]
for months in (0, 12):
    chance = model.predict_cumulative_incidence(row, return_array=True, times=[12.0], conditional_after=months)[0, :, 0]
    print(f"after {months:2d} months: {chance[0]:.0%} to a competitor and {chance[1]:.0%} moved within a year")
