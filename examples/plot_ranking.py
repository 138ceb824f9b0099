"""
Ranking within queries
======================

:class:`~sklearn_vectorflow.VectorFlowRanker` learns scores that put the more relevant rows of a
query first. Here 500 simulated queries have up to 20 documents each, described by 200 sparse
words; the relevance of a document is 0, 1, 2 or 3, and most are irrelevant. Queries differ in
how generous their relevances are, which a regression of the relevance has to guess, and a
ranking loss does not see.
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
# "pairwise_logistic" (RankNet, BPR) treats all pairs alike, "lambdarank" weighs a pair by what
# exchanging its rows would change in the NDCG (and a little more, for ranks are not yet certain),
# "warp" looks at relevant rows with many irrelevant ones above them.

depths = np.arange(1, 11)
curves = {}
for loss in ("lambdarank", "pairwise_logistic", "warp"):
    ranker = VectorFlowRanker(loss=loss, random_state=0).fit(X[train], y[train], qid=qid[train])
    curves[loss] = [ranker.score(X[test], y[test], qid=qid[test], k=k) for k in depths]

regressor = VectorFlowRegressor(random_state=0).fit(X[train], y[train])
curves["squared error"] = [mean_ndcg(y[test], regressor.predict(X[test]), qid[test], k=k) for k in depths]

# %%
# A loss of one's own
# -------------------
#
# A function of a block of whole queries is a loss too. This one is the listwise softmax: the
# relevances, scaled to sum to one, against the softmax of the scores (ListNet).


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
