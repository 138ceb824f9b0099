"""
Why will a customer leave?
==========================

A customer may leave for a competitor, or because of moving to where there is no service. Only what
comes first is seen, and for those who are still there nothing has come yet. A model of competing
risks learns a hazard for each cause and predicts each one's **cumulative incidence**: the
probability to have left for that cause by some time.
"""

# %%
# Data
# ----
#
# Customers are sparse rows of what they did, of 20,000 possible things. Some things make them
# prone to leave for a competitor, others to move. Hazards are made constant in time, so that the
# true incidences are known.

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
# An event is the number of its cause, and 0 is censored. A cause has weights of its own, so
# that each thing may hasten one cause and not the other.

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
# The mean over the test rows, beside the truth. Treating the other cause as censored and taking one
# minus Kaplan and Meier's estimate promises too much: those who moved can't go to a competitor any more.

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
# One customer's future: what of the two, and when? The areas and the white above sum to one.

customer = np.argmax(incidence[:, :, 33].min(axis=1))
axes[1].stackplot(grid, incidence[customer], labels=names, colors=("tab:orange", "tab:blue"), alpha=0.6)
axes[1].set(xlim=(0, 36), xlabel="months", title="One who is drawn to both")
axes[1].legend(loc="upper left")
plt.show()

# %%
# And if the customer is still there after a year? The question is then about the year to come.

row = X[test][[customer]]
for months in (0, 12):
    chance = model.predict_cumulative_incidence(row, return_array=True, times=[12.0], conditional_after=months)[0, :, 0]
    print(f"after {months:2d} months: {chance[0]:.0%} to a competitor and {chance[1]:.0%} moved within a year")
