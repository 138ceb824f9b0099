"""
A stream over days that drifts
==============================

Every day brings new rows, and the model must follow what changes. The example simulates 60 days of clicks. The weights
of the ids drift from day to day, and a campaign changes a third of them at once on day 30. Each day, the model first
predicts the new rows and then learns from them (:meth:`~sklearn_vectorflow.VectorFlowClassifier.partial_fit`). So every
prediction is about rows that it has not seen. We compare three models:

- ``partial_fit`` as it is: the steps of FTRL shrink, so the model adapts more and more slowly;
- ``half_life=20_000``: the past loses half of its influence on the step sizes every 20,000 rows
  (:doc:`/user_guide/streaming`);
- a model that stopped learning on day 20.
"""

# %%
# The stream
# ----------

import matplotlib.pyplot as plt
import numpy as np
from scipy import sparse
from sklearn.metrics import log_loss

from sklearn_vectorflow import VectorFlowClassifier

N_DAYS, N_ROWS, N_IDS, N_IN_ROW = 60, 5_000, 2_000, 15
CAMPAIGN, STOPPED = 30, 20


def days():
    """Yield the rows of each day, whether they were clicked, and the true probabilities."""
    rng = np.random.default_rng(0)
    weights = rng.normal(scale=0.6, size=N_IDS)
    popularity = 1 / np.arange(1, N_IDS + 1) ** 0.8
    popularity /= popularity.sum()
    for day in range(N_DAYS):
        ids = rng.choice(N_IDS, size=(N_ROWS, N_IN_ROW), p=popularity)
        indptr = np.arange(0, ids.size + 1, N_IN_ROW)
        ones = np.ones(ids.size, np.float32)
        X = sparse.csr_array((ones, ids.ravel(), indptr), shape=(N_ROWS, N_IDS))
        probability = 1 / (1 + np.exp(1.5 - X @ weights))
        yield X, rng.random(N_ROWS) < probability, probability
        weights = 0.99 * weights + rng.normal(scale=0.06, size=N_IDS)
        if day == CAMPAIGN:
            changed = rng.random(N_IDS) < 1 / 3
            weights[changed] = rng.normal(scale=0.6, size=changed.sum())


# %%
# Predict, then learn
# -------------------

models = {
    "partial_fit": VectorFlowClassifier(random_state=0),
    "half_life=20_000": VectorFlowClassifier(half_life=20_000, random_state=0),
    "stopped on day 20": VectorFlowClassifier(random_state=0),
}
losses = {name: [] for name in [*models, "true probabilities"]}
for day, (X, y, probability) in enumerate(days()):
    losses["true probabilities"].append(log_loss(y, probability))
    for name, model in models.items():
        if day > 0:
            losses[name].append(log_loss(y, model.predict_proba(X)[:, 1]))
        if day < STOPPED or "stopped" not in name:
            model.partial_fit(X, y, classes=[False, True])

for name, of_days in losses.items():
    print(f"{name:20} mean log loss of the last 30 days {np.mean(of_days[-30:]):.3f}")

# %%
# What each day costs
# -------------------
#
# Without a half-life, the model falls behind as its steps shrink, and takes long to recover from the campaign.

fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
for name, of_days in losses.items():
    style = {"color": "0.4", "linestyle": ":"} if name == "true probabilities" else {}
    ax.plot(np.arange(N_DAYS - len(of_days), N_DAYS), of_days, label=name, **style)
ax.axvline(CAMPAIGN + 1, color="0.8", zorder=0)
ax.annotate("campaign", (CAMPAIGN + 1.5, ax.get_ylim()[1]), va="top", color="0.4")
ax.set(xlabel="day", ylabel="log loss of rows not seen yet", title="Predict, then learn")
ax.legend()
plt.show()
