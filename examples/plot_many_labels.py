"""
A thousand labels
=================

Each article carries about three of 1,000 tags. The labels are a sparse 0/1 matrix, and training keeps them sparse.
A net with 64 hidden units learns all tags together. Its loss computes only a sample of the tags in each step.
``predict_top_k`` returns the most likely tags. The articles are simulated.
"""

# %%
# Articles
# --------
#
# Each tag adds four words of its own to an article. Twelve more words are noise.

import matplotlib.pyplot as plt
import numpy as np
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.losses import SampledLogLoss

rng = np.random.default_rng(0)
n_rows, n_labels, n_words = 12_000, 1_000, 20_000
frequency = 1 / (20 + np.arange(n_labels))
tags = rng.choice(n_labels, (n_rows, 3), p=frequency / frequency.sum())
words_of_tag = rng.integers(n_words, size=(n_labels, 12))
chosen = words_of_tag[tags[:, :, None], rng.integers(12, size=(n_rows, 3, 4))].reshape(n_rows, -1)
words = np.hstack([chosen, rng.integers(n_words, size=(n_rows, 12))])


def indicators(columns, width):
    """A CSR matrix with ones in the columns of each row."""
    starts = np.arange(0, columns.size + 1, columns.shape[1])
    matrix = sparse.csr_array((np.ones(columns.size, np.float32), columns.ravel(), starts), shape=(len(columns), width))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


X, Y = indicators(words, n_words), indicators(tags, n_labels).astype(int)
train, test = slice(0, 10_000), slice(10_000, None)
per_label = np.asarray(Y[train].sum(axis=0)).ravel()
print(f"{Y.nnz / n_rows:.2f} tags an article; {np.sum(per_label < 10)} of {n_labels} tags have fewer than 10 articles")

# %%
# A model
# -------
#
# ``activation="identity"`` makes the net a linear model of rank 64. It has 64 weights for each word and each tag,
# instead of one for each pair of a word and a tag. The learning rate is higher than the default, and needs fewer
# epochs here.

model = VectorFlowClassifier(
    (64,),
    activation="identity",
    loss=SampledLogLoss(n_negatives=50),
    learning_rate=0.05,
    max_iter=6,
    tol=None,
    n_jobs=2,
    random_state=0,
)
model.fit(X[train], Y[train])
truth = Y[test].toarray()
top = model.predict_top_k(X[test], k=10)
most_frequent = np.tile(np.argsort(-per_label)[:10], (top.shape[0], 1))
for article in range(3):
    print(f"tags {np.flatnonzero(truth[article]).tolist()}, predicted {top[article, :3].tolist()}")

# %%
# Recall
# ------
#
# Recall at k is the share of an article's tags that are among its k most likely ones.

ranks = np.arange(1, 11)
fig, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
for name, order in (("net, 64 hidden units", top), ("most frequent tags", most_frequent)):
    hits = np.take_along_axis(truth, order, axis=1).cumsum(axis=1)
    recall = (hits / truth.sum(axis=1, keepdims=True)).mean(axis=0)
    print(f"{name:22} recall at 3: {recall[2]:.2f}, at 10: {recall[9]:.2f}")
    axes.plot(ranks, recall, "o-", label=name)
frequent = per_label >= 30
for name, chosen in (("with 30 articles or more", frequent), ("with fewer", ~frequent)):
    of_tag = truth * chosen
    found = np.take_along_axis(of_tag, top, axis=1).sum()
    print(f"tags {name}: {found / of_tag.sum():.2f} are among the ten most likely")
axes.set(xlabel="k", ylabel="recall at k", ylim=(0, 1))
axes.grid(alpha=0.3)
axes.legend()
plt.show()

# %%
# Three predictions find about two thirds of an article's tags. The model finds tags with many articles nearly always,
# and tags with few articles seldom.
