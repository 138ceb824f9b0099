"""
To which package does a docstring belong?
=========================================

Every Python installation has real texts: the docstrings of the standard library and of the packages that scikit-learn
needs. We hash words and pairs of words to 2**20 sparse columns, and a linear model predicts the package of a
docstring. We remove the names of packages from the texts first.

We compare :class:`~sklearn_vectorflow.VectorFlowClassifier`, on one thread and on all cores, with scikit-learn's
``SGDClassifier``. Nothing is downloaded.

The module :download:`docstring_corpus.py <../../examples/docstring_corpus.py>` reads the texts. Save it beside this
program.
"""

# %%
# The data
# --------

import textwrap
import time

import numpy as np
from docstring_corpus import load_docstrings
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sklearn_vectorflow import VectorFlowClassifier

texts, packages = load_docstrings()
X = HashingVectorizer(n_features=2**20, ngram_range=(1, 2), dtype=np.float32).transform(texts)
X_train, X_test, y_train, y_test = train_test_split(X, packages, stratify=packages, random_state=0)

classes, counts = np.unique(packages, return_counts=True)
print(f"{X.shape[0]:,} docstrings, {X.shape[1]:,} columns, {X.nnz:,} non-zeros")
sizes = ", ".join(f"{name} ({count})" for name, count in zip(classes, counts))
print(textwrap.fill(f"{len(classes)} packages: {sizes}", 100))

# %%
# The models
# ----------
#
# We chose ``alpha`` of both models on a part of the training rows. ``tol=None`` trains for all 20 epochs. All else is
# default.

models = {
    "VectorFlowClassifier, 1 thread": VectorFlowClassifier(alpha=0.0, tol=None, n_jobs=1, random_state=0),
    "VectorFlowClassifier, all cores": VectorFlowClassifier(alpha=0.0, tol=None, n_jobs=-1, random_state=0),
    "SGDClassifier, 1 thread": SGDClassifier(loss="log_loss", alpha=1e-6, random_state=0),
    "SGDClassifier, all cores": SGDClassifier(loss="log_loss", alpha=1e-6, n_jobs=-1, random_state=0),
}

print(f"\n{'':32} {'accuracy':>8} {'log loss':>9} {'seconds':>8} {'epochs':>7}")
for name, model in models.items():
    start = time.perf_counter()
    model.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    probability = model.predict_proba(X_test)
    accuracy = np.mean(model.classes_[probability.argmax(axis=1)] == y_test)
    print(
        f"{name:32} {accuracy:8.3f} {log_loss(y_test, probability, labels=model.classes_):9.3f} "
        f"{seconds:8.2f} {model.n_iter_:7d}"
    )
