"""Writes small models of each kind, and what they predict, to a folder of this release: tests/saved/VERSION.

Run it once for each release, and commit the folder. Later releases must load these files and predict the same
(test_saved.py). What belongs to a release that is out is never written again.

    python tests/saved/write.py
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
from scipy import sparse

import sklearn_vectorflow
from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRanker, VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.layers import FactorizationMachine, FieldAwareFactorizationMachine, Input
from sklearn_vectorflow.preprocessing import HashingEncoder

N_ROWS, N_FEATURES = 40, 12
X = sparse.csr_matrix((np.arange(N_ROWS * N_FEATURES).reshape(N_ROWS, N_FEATURES) * 7 % 11 < 4).astype(np.float32))
Y = np.arange(N_ROWS) % 3
FIELDS = np.arange(N_FEATURES) // 5
FRAME = np.array([[f"city{k % 5}", f"tag{k % 3} and word{k % 4}"] for k in range(N_ROWS)], dtype=object)
SMALL = {"max_iter": 3, "tol": None, "random_state": 0}


def encoded():
    """The rows of a frame; an encoder that learns nothing is made anew."""
    return HashingEncoder(6).transform(FRAME)


MODELS = {
    "linear": lambda: VectorFlowRegressor(**SMALL).fit(X, Y),
    "classifier": lambda: VectorFlowClassifier(**SMALL).fit(X, np.array(["a", "b", "c"])[Y]),
    "net": lambda: VectorFlowClassifier((4,), **SMALL).fit(X, Y),
    "machine": lambda: VectorFlowRegressor(network=FactorizationMachine(2)(Input()), **SMALL).fit(X, Y),
    "fields": lambda: VectorFlowRegressor(network=FieldAwareFactorizationMachine(FIELDS, 2)(Input()), **SMALL).fit(
        X, Y
    ),
    "survival": lambda: VectorFlowSurvivalEstimator(**SMALL).fit(X, (Y > 0, Y + 1.0)),
    "cox": lambda: VectorFlowSurvivalEstimator("cox", **SMALL).fit(X, (Y > 0, Y + 1.0)),
    "ranker": lambda: VectorFlowRanker(**SMALL).fit(X, Y, qid=np.arange(N_ROWS) // 8),
    "stream": lambda: VectorFlowRegressor(random_state=0).partial_fit(X, Y),
    "ftrl": lambda: VectorFlowClassifier(optimizer="ftrl", **SMALL).fit(X, Y > 0),
    "encoded": lambda: VectorFlowClassifier(**SMALL).fit(encoded(), Y),
}
METHODS = ("predict", "predict_proba", "decision_function", "predict_median")


def rows_of(name):
    """Return the rows that a model predicts."""
    return encoded() if name == "encoded" else X


def predictions(name, model):
    """Return the predictions of all methods, as JSON has them."""
    found = {method: getattr(model, method)(rows_of(name)) for method in METHODS if hasattr(model, method)}
    return {method: values.tolist() for method, values in found.items()}


def main():
    folder = Path(__file__).parent / sklearn_vectorflow.__version__
    if folder.exists():
        sys.exit(f"{folder} is there already.")
    folder.mkdir()
    for name, make in MODELS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of models of so few rows
            model = make()
        model.save(folder / f"{name}.safetensors")
        content = json.dumps(predictions(name, model)) + "\n"
        (folder / f"{name}.json").write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
