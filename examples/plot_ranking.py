"""
Ranking within queries
======================

:class:`~sklearn_vectorflow.VectorFlowRanker` learns scores that sort the rows of a query by relevance. Here 500
simulated queries have up to 20 documents each, described by 200 sparse words. The relevance of a document is 0, 1, 2
or 3, and most documents are irrelevant. Some queries have higher relevances than others. A regression of the
relevance must explain this, but a ranking loss compares only documents of the same query.
"""

# %%
# Queries
# -------

import matplotlib.pyplot as plt
import numpy as np
from scipy import sparse

from sklearn_vectorflow import VectorFlowRanker, VectorFlowRegressor
from sklearn_vectorflow.metrics import mean_ndcg

rng = np.random.default_rng(0)
qid = np.repeat(np.arange(500), rng.integers(5, 21, size=500))
X = sparse.random_array((qid.size, 200), density=0.08, rng=0, format="csr", dtype=np.float32)
quality = X @ rng.normal(size=200) + rng.normal(scale=2.0, size=500)[qid] + 0.5 * rng.normal(size=qid.size)
y = np.digitize(quality, np.quantile(quality, [0.7, 0.9, 0.97]))
train, test = qid < 300, qid >= 300

# %%
# Three losses
# ------------
#
# "pairwise_logistic" (RankNet, BPR) gives all pairs of rows the same weight. "lambdarank" weights a pair by the
# change in NDCG if its rows swapped places (smoothed, since ranks are uncertain during training). "warp" emphasises
# relevant rows that rank below many irrelevant ones.

depths = np.arange(1, 11)
curves = {}
for loss in ("lambdarank", "pairwise_logistic", "warp"):
    ranker = VectorFlowRanker(loss=loss, random_state=0).fit(X[train], y[train], qid=qid[train])
    curves[loss] = [ranker.score(X[test], y[test], qid=qid[test], k=k) for k in depths]

regressor = VectorFlowRegressor(random_state=0).fit(X[train], y[train])
curves["squared error"] = [mean_ndcg(y[test], regressor.predict(X[test]), qid[test], k=k) for k in depths]

# %%
# Your own loss
# -------------
#
# A function of a block of whole queries can also be the loss. This one is the listwise softmax (ListNet): the
# cross-entropy between the relevances, scaled to sum to one, and the softmax of the scores.


def listwise(y, raw, sample_weight, starts):
    query = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    e = np.exp(raw - np.maximum.reduceat(raw, starts[:-1])[query])
    predicted = e / np.add.reduceat(e, starts[:-1])[query]
    wanted = y / np.maximum(np.add.reduceat(y, starts[:-1]), 1e-12)[query]
    total = np.add.reduceat(wanted, starts[:-1])[query]
    return -np.sum(sample_weight * wanted * np.log(predicted)), sample_weight * (total * predicted - wanted)


own = VectorFlowRanker(loss=listwise, batch_size=64, random_state=0).fit(X[train], y[train], qid=qid[train])
curves["listwise (a function)"] = [own.score(X[test], y[test], qid=qid[test], k=k) for k in depths]

for name, curve in curves.items():
    print(f"{name:22s} NDCG@10 = {curve[-1]:.3f}")

# %%
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, curve in curves.items():
    ax.plot(depths, curve, marker="o", markersize=4, label=name)
ax.set(xlabel="k", ylabel="NDCG@k on 200 test queries", title="What is ranked first")
ax.legend()
plt.show()
