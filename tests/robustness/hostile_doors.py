"""Hostile matrices through every door of the package: a program, since a fault may end the process.

Usage: python hostile_doors.py FIRST_SEED LAST_SEED

Prints the seed that it is at, then the counts. Case by case a matrix is refused with a ValueError or a TypeError, or
its predictions are those of the dense array that `hostile.read` makes of it.
"""

import collections
import contextlib
import sys
import traceback
import warnings

import numpy as np
from hostile import Malformed, make, read

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.io import CSRSource
from sklearn_vectorflow.layers import FactorizationMachine, Input
from sklearn_vectorflow.preprocessing import FeatureCrosser, HashingEncoder

N_COLUMNS = 12
RNG = np.random.default_rng(0)
TRAINING = (RNG.random((60, N_COLUMNS)) < 0.4).astype(np.float32)
LABELS = TRAINING[:, :3].astype(int)
GROUPS = {"a": slice(0, 6), "b": slice(6, N_COLUMNS)}

LINEAR = VectorFlowRegressor(max_iter=1, tol=None, random_state=0).fit(TRAINING, TRAINING @ np.arange(N_COLUMNS))
PAIRS = VectorFlowRegressor(max_iter=1, tol=None, random_state=0, network=FactorizationMachine(2)(Input()))
PAIRS.fit(TRAINING, TRAINING.sum(1))
CROSSER = FeatureCrosser([("a", "b")], GROUPS, 64).fit(TRAINING)


def targets(X):
    return np.arange(X.shape[0], dtype=float) % 3


def fit(X, dense):
    VectorFlowRegressor(max_iter=1, tol=None).fit(X, targets(X))


def fit_pairs(X, dense):
    PAIRS.__class__(max_iter=1, tol=None, network=PAIRS.network).fit(X, targets(X))


def partial_fit(X, dense):
    VectorFlowRegressor().partial_fit(X, targets(X)).partial_fit(X, targets(X))


def validation(X, dense):
    VectorFlowRegressor(max_iter=1, tol=None).fit(TRAINING, TRAINING[:, 0], X_val=X, y_val=targets(X))


def blocks(X, dense):
    VectorFlowRegressor(max_iter=1, tol=None).fit([(X, targets(X)), (X, targets(X))])


def source(X, dense):
    VectorFlowRegressor(max_iter=1, tol=None).fit(CSRSource(X, y=targets(X)))


def predict(X, dense):
    _compare(LINEAR.predict(X), dense, LINEAR)


def predict_blocks(X, dense):
    _compare(LINEAR.predict(iter([(X,)])), dense, LINEAR)


def predict_pairs(X, dense):
    found = PAIRS.predict(X)
    if dense is not None:
        np.testing.assert_allclose(found, PAIRS.predict(dense), rtol=1e-2, atol=1e-2 * (1 + np.abs(dense).max()) ** 2)


def serve(X, dense):
    _compare(LINEAR.predictor()(X), dense, LINEAR)


def cross(X, dense):
    found = CROSSER.transform(X)
    if dense is not None and np.abs(dense).max(initial=0.0) < 1e15:
        np.testing.assert_allclose(found.toarray(), CROSSER.transform(dense).toarray(), rtol=1e-4)


def labels(X, dense):
    VectorFlowClassifier(max_iter=1, tol=None).fit(TRAINING, X)
    assert dense is None or np.all((dense == 0) | (dense == 1)), "other labels than 0 and 1"


def sampled_labels(X, dense):
    VectorFlowClassifier(max_iter=1, tol=None, loss="sampled_log_loss").fit(TRAINING, X)
    assert dense is None or np.all((dense == 0) | (dense == 1)), "other labels than 0 and 1"


def encoder(X, dense):
    """An encoder never takes sparse matrices."""
    HashingEncoder(4).transform(X)
    raise AssertionError("an encoder took a sparse matrix")


DOORS = (
    *(fit, fit_pairs, partial_fit, validation, blocks, source),
    *(predict, predict, predict_blocks, predict_pairs, serve, serve),
    *(cross, labels, sampled_labels, encoder),
)


def _compare(found, dense, model):
    if dense is None:
        return
    with np.errstate(over="ignore"):
        expected = dense @ model.coef_.ravel().astype(float) + float(model.intercept_[0])
    size = np.abs(dense) @ np.abs(model.coef_.ravel().astype(float)) + 1
    assert np.all(np.abs(found - expected) <= 1e-5 * size), (found, expected)


def case(seed):
    """Run a case; return its door, format and outcome."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(seed)
    door = DOORS[rng.integers(len(DOORS))]
    if door in (labels, sampled_labels):
        X = make(rng, 3, len(TRAINING))
        if rng.random() < 0.7 and X.format not in ("dok", "lil") and isinstance(X.data, np.ndarray):
            X.data = np.minimum(X.data, 1) if X.data.dtype.kind in "iuf" else X.data
    else:
        X = make(rng, N_COLUMNS, formats=("csr",) if door is serve else _formats())
    try:
        dense = read(X)
    except (Malformed, TypeError, ValueError, OverflowError, IndexError, MemoryError):
        dense = None
    try:
        door(X, dense)
    except (ValueError, TypeError) as error:
        if not str(error):
            raise
        return door.__name__, X.format, "refused"
    except MemoryError:
        return door.__name__, X.format, "no memory"
    assert dense is not None, "a malformed matrix was taken"
    return door.__name__, X.format, "taken"


def _formats():
    return ("csr", "csr", "csc", "bsr", "coo", "dia", "dok", "lil")


def limit_memory():
    """Make a fault that asks for all memory an error here, not a death of others."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))


def main(first, last):
    counts, faults = collections.Counter(), 0
    for seed in range(first, last):
        print(f"at {seed}", flush=True)
        try:
            door, form, outcome = case(seed)
        except Exception as error:
            faults += 1
            print(f"fault at seed {seed}: {type(error).__name__}: {error}".replace("\n", " ")[:300])
            traceback.print_exc(limit=-3, file=sys.stdout)
            continue
        counts[outcome] += 1
        counts[f"{form} {outcome}"] += 1
        counts[f"{door} {outcome}"] += 1
    print("counts", dict(sorted(counts.items())))
    print("faults", faults)
    return faults


if __name__ == "__main__":
    limit_memory()
    sys.exit(min(1, main(int(sys.argv[1]), int(sys.argv[2]))))
