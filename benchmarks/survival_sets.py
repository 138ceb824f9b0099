"""Survival models on real sets: concordance beside scikit-survival's Cox model, and losses on a history of files.

    python benchmarks/survival_sets.py [--data FOLDER] [set ...]

The folder, also by the variable VECTORFLOW_DATA, has the sets and their `load.py`. Concordance is the mean of 5 folds.
The ridge of the Cox model, on dense rows, is the best of a grid by cross-validation within the training rows. The set
`numpy_history`, the days until a file is changed again, is split by time, and the columns are all, the 20 most frequent
or none; losses are those after four epochs with alpha=1e-4. Needs scikit-survival.
"""

import argparse
import os
import sys
import warnings

import numpy as np
from scipy import sparse
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import Surv

from sklearn_vectorflow import VectorFlowSurvivalEstimator

SETS = "veteran", "gbsg2", "rotterdam", "flchain", "support2", "nafld1", "numpy_history"
RIDGES = {"alpha": [0.01, 1.0, 10.0, 100.0]}
FOLDS = KFold(5, shuffle=True, random_state=0)
OURS = {
    "cox": VectorFlowSurvivalEstimator("cox", random_state=0),
    "lognormal": VectorFlowSurvivalEstimator("lognormal", random_state=0),
}
TRAIN_SHARE = 0.8


def concordance(name, X, y):
    """Print the concordance of each model."""
    theirs = GridSearchCV(CoxPHSurvivalAnalysis(), RIDGES, cv=3)
    found = {"CoxPH": cross_val_score(theirs, X.toarray().astype(float), y, cv=FOLDS).mean()}
    found |= {key: cross_val_score(model, X, y, cv=FOLDS).mean() for key, model in OURS.items()}
    print(f"{name:14} {X.shape[0]:>7,} " + "  ".join(f"{key} {score:.3f}" for key, score in found.items()), flush=True)


def history(X, y):
    """Print losses on the last rows with all columns, few of them, and none."""
    n_train = int(TRAIN_SHARE * X.shape[0])
    train, test = slice(None, n_train), slice(n_train, None)
    frequent = np.argsort(-np.bincount(X[train].indices, minlength=X.shape[1]))[:20]
    none = sparse.csr_matrix((X.shape[0], 1), dtype=np.float32)
    for title, columns in {"none": none, "20 columns": X[:, frequent], "all columns": X}.items():
        for distribution in ("discrete", "weibull"):
            model = VectorFlowSurvivalEstimator(distribution, alpha=1e-4, max_iter=4, tol=None, random_state=0)
            model.fit(columns[train], y[train], X_val=columns[test], y_val=y[test])
            print(f"numpy_history, {title:12} {distribution:10} {-model.validation_scores_[-1]:.3f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("VECTORFLOW_DATA"), help="folder of the sets and of load.py")
    parser.add_argument("sets", nargs="*", default=SETS)
    options = parser.parse_args()
    sys.path.insert(0, options.data)
    from load import load

    warnings.simplefilter("ignore")
    for name in options.sets:
        data = load(options.data, f"surv_{name}")
        X, y = sparse.csr_matrix(data["X"]), Surv.from_arrays(data["event"].astype(bool), data["time"])
        if name == "numpy_history":
            history(X, y)
        else:
            concordance(name, X, y)


if __name__ == "__main__":
    main()
