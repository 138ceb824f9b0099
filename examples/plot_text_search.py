"""
Text classification: a pipeline with a grid search
==================================================

To which package does a docstring belong? In a pipeline, a vectorizer hashes words to sparse columns, and a linear
model classifies the rows. A grid search tunes both steps together. The texts come with every Python installation, so
nothing is downloaded.
"""

# %%
# Texts
# -----

import ast
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline

from sklearn_vectorflow import VectorFlowClassifier


def docstrings(package):
    """Docstrings of a package's functions and classes, without the name of the package."""
    for file in sorted(Path(find_spec(package).origin).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node):
                yield ast.get_docstring(node).replace(package, " ")


package_of = {
    text: package
    for package in ("asyncio", "email", "http", "importlib", "joblib", "unittest")
    for text in docstrings(package)
}
texts, packages = list(package_of), list(package_of.values())
train_texts, test_texts, y_train, y_test = train_test_split(texts, packages, stratify=packages, random_state=0)
for name, count in zip(*np.unique(packages, return_counts=True)):
    print(f"{name:10} {count:5d}")

# %%
# The search
# ----------
#
# The name of a parameter begins with the name of its step. We search ``alpha`` in factors of 10. The vectorizer
# returns rows of unit length, so the best value is often far below 1 divided by the number of rows.

pipeline = make_pipeline(
    HashingVectorizer(n_features=2**18, dtype=np.float32),
    VectorFlowClassifier(max_iter=100, random_state=0),
)
alphas = [1e-7, 1e-6, 1e-5, 1e-4]
grid = {
    "hashingvectorizer__ngram_range": [(1, 1), (1, 2)],
    "vectorflowclassifier__alpha": alphas,
}
search = GridSearchCV(pipeline, grid, scoring="neg_log_loss", cv=3)
search.fit(train_texts, y_train)
print("best:", search.best_params_)
print(f"accuracy on test texts {search.best_estimator_.score(test_texts, y_test):.3f}")

# %%
# Without a search, ``alpha=None`` chooses the strength by cross-validation inside ``fit``:

pipeline.set_params(hashingvectorizer__ngram_range=search.best_params_["hashingvectorizer__ngram_range"])
print(f"accuracy with the default alpha {pipeline.fit(train_texts, y_train).score(test_texts, y_test):.3f}")

# %%
# Results of the search
# ---------------------

losses = -search.cv_results_["mean_test_score"]
ranges = search.cv_results_["param_hashingvectorizer__ngram_range"]
fig, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
for n_grams, name in (((1, 1), "words"), ((1, 2), "words and pairs of words")):
    axes.semilogx(alphas, losses[[one == n_grams for one in ranges]], "o-", label=name)
axes.set(xlabel="alpha", ylabel="log loss, 3-fold cross-validation", ylim=(0, None))
axes.grid(alpha=0.3)
axes.legend()
plt.show()

# %%
# The loss is nearly flat for small values of ``alpha`` and rises for large ones, so a coarse grid is enough.
