"""
Sparse weights: how many zeros can a text model afford?
=======================================================

An L1 penalty makes weights exactly zero. We hash docstrings of two packages, numpy and scipy, to 2**18 columns, and a
linear model classifies them. The stronger the penalty, the fewer non-zero weights remain. The plot shows how this
affects the accuracy.

The module :download:`docstring_corpus.py <../../examples/docstring_corpus.py>` reads the texts. Save it beside this
program.
"""

# %%
# Data
# ----

import pickle

import matplotlib.pyplot as plt
import numpy as np
from docstring_corpus import load_docstrings
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.model_selection import train_test_split

from sklearn_vectorflow import VectorFlowClassifier

texts, packages = load_docstrings(only=("numpy", "scipy"))
X = HashingVectorizer(n_features=2**18, ngram_range=(1, 2), dtype=np.float32).transform(texts)
X_train, X_test, y_train, y_test = train_test_split(X, packages, stratify=packages, random_state=0)
print(f"{X_train.shape[0]:,} rows to train on, {len(np.unique(X_train.indices)):,} columns in use")

# %%
# A path of penalties
# -------------------
#
# Of all optimizers, FTRL gives the most exact zeros. ``alpha`` penalises the mean loss, so it does not depend on the
# batch size.

alphas = np.logspace(-5.5, -2.5, 9)
models = [
    VectorFlowClassifier(
        optimizer="ftrl", learning_rate=1.0, alpha=alpha, l1_ratio=1.0, max_iter=100, random_state=0
    ).fit(X_train, y_train)
    for alpha in alphas
]
n_weights = np.array([np.count_nonzero(model.coef_) for model in models])
accuracy = np.array([model.score(X_test, y_test) for model in models])

fig, axes = plt.subplots(2, 1, sharex=True, figsize=(6.4, 5.2), layout="constrained")
axes[0].loglog(alphas, np.maximum(n_weights, 1), "o-", color="tab:blue")
axes[0].set(ylabel="weights that are not zero", title="L1 path of a linear text classifier")
axes[1].semilogx(alphas, accuracy, "o-", color="tab:orange", label="model")
frequent = np.mean(y_test == "scipy")
axes[1].axhline(frequent, color="0.5", linestyle=":", label="always scipy")
axes[1].set(xlabel="alpha (l1_ratio=1)", ylabel="test accuracy")
axes[1].legend()
for ax in axes:
    ax.grid(alpha=0.3)
plt.show()

# %%
# A small pickle
# --------------
#
# ``sparsify`` stores ``coef_`` as a sparse matrix. A pickle then contains only the non-zero weights, instead of
# 2**18.

print(f"{'alpha':>9} {'weights':>8} {'accuracy':>9} {'pickle':>10}")
for model, alpha, n, score in list(zip(models, alphas, n_weights, accuracy))[::2]:
    size = len(pickle.dumps(model.sparsify()))
    print(f"{alpha:9.1e} {n:8,} {score:9.3f} {size / 1000:7.1f} kB")
