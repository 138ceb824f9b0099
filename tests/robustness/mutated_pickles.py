"""Pickles with parts changed: a program, since a fault may end the process.

Usage: python mutated_pickles.py FIRST_SEED LAST_SEED

Prints the seed that it is at, then the counts. A changed pickle raises an error, when it is loaded or used, or its
model predicts, trains and is pickled again.
"""

import collections
import copyreg
import functools
import io
import pickle
import re
import sys
import warnings

import numpy as np
from hostile_doors import limit_memory
from scipy import sparse

from sklearn_vectorflow import (
    VectorFlowClassifier,
    VectorFlowRanker,
    VectorFlowRegressor,
    VectorFlowSurvivalEstimator,
)
from sklearn_vectorflow.layers import (
    Concat,
    Crosses,
    FactorizationMachine,
    FieldAwareFactorizationMachine,
    Input,
    Linear,
    ReLU,
)
from sklearn_vectorflow.preprocessing import Categorical, FeatureCrosser, HashingEncoder, Text

RNG = np.random.default_rng(0)
X = sparse.csr_matrix(RNG.random((80, 24)) < 0.2, dtype=np.float32)
Y = np.arange(80) % 3
ROWS = np.array([[f"w{k % 7} and w{k % 5}", f"c{k % 11}", f"t{k % 4}"] for k in range(80)], dtype=object)
FIELDS = np.arange(24) % 3
GROUPS = {"a": slice(0, 12), "b": np.arange(12, 24)}
NAMED = re.compile(r"^(?!.*iterable).* (must|names) ")  # parameters are checked when they are used
QUICK = {"max_iter": 1, "tol": None, "random_state": 0}


def _wide():
    x = Input()
    deep = Linear(3)(ReLU()(Linear(4)(Input([1, 5, 7]))))
    return Linear(3)(Concat()([Crosses([("a", "b")], GROUPS, 32)(x), x])), deep


MODELS = {
    "linear": lambda: VectorFlowRegressor(**QUICK).fit(X, Y),
    "state": lambda: VectorFlowClassifier(**QUICK, warm_start=True, average=True, optimizer="adam").fit(X, Y),
    "ftrl": lambda: VectorFlowClassifier(**QUICK, warm_start=True, optimizer="ftrl", alpha=0.1).fit(X, Y > 0),
    "sgd": lambda: VectorFlowClassifier(**QUICK, warm_start=True, optimizer="sgd", alpha=0.1, l1_ratio=1).fit(X, Y),
    "sparse": lambda: VectorFlowClassifier(**QUICK).fit(X, Y).sparsify(),
    "hidden": lambda: VectorFlowClassifier((5,), **QUICK, warm_start=True).fit(X, Y),
    "machine": lambda: VectorFlowRegressor(network=FactorizationMachine(3)(Input()), **QUICK).fit(X, Y),
    "fields": lambda: VectorFlowRegressor(network=FieldAwareFactorizationMachine(FIELDS, 2)(Input()), **QUICK).fit(
        X, Y
    ),
    "wide": lambda: VectorFlowClassifier(network=_add(), **QUICK).fit(X, Y),
    "sampled": lambda: VectorFlowClassifier(loss="sampled_softmax", **QUICK, warm_start=True).fit(X, Y),
    "labels": lambda: VectorFlowClassifier(**QUICK).fit(X, np.eye(3, dtype=int)[Y]),
    "survival": lambda: VectorFlowSurvivalEstimator(**QUICK).fit(X, (Y > 0, Y + 1.0)),
    "ranker": lambda: VectorFlowRanker(**QUICK).fit(X, Y, qid=np.repeat(np.arange(8), 10)),
    "stream": lambda: VectorFlowClassifier(**QUICK).partial_fit(X, Y, classes=[0, 1, 2]),
    "encoder": lambda: _encoder().fit(ROWS),
    "crosser": lambda: FeatureCrosser([("a", "b")], GROUPS, 32).fit(X),
}


def _add():
    from sklearn_vectorflow.layers import Add

    return Add()(list(_wide()))


def _encoder():
    kinds = {"x0": Text((1, 2)), "x1": Categorical(), "x2": Categorical("t:")}
    return HashingEncoder(6, columns=kinds, min_count=2, sketch_bits=5, collect_names=20)


@functools.cache
def model(name):
    """Return a fitted model, made once."""
    return MODELS[name]()


# ---- changing -----------------------------------------------------------------------


class Changing(pickle.Pickler):
    """Pickles an object with the n-th of its arrays or states changed.

    Parameters
    ----------
    file : file
    at : int
        Which; -1 changes none.
    rng : Generator
    """

    def __init__(self, file, at, rng):
        super().__init__(file, protocol=5)
        self.at, self.rng = at, rng
        self.n_met, self.others = 0, []

    def reducer_override(self, item):
        if isinstance(item, np.ndarray) and type(item) is np.ndarray:
            self.others.append(item)
            return _changed_array(self.rng, item, self.others).__reduce_ex__(5) if self._is_it() else NotImplemented
        if type(item).__module__.startswith(("sklearn_vectorflow", "scipy.sparse")) and not isinstance(item, type):
            if not self._is_it():
                return NotImplemented
            state = item.__getstate__()
            if not isinstance(state, dict) or not state:
                return NotImplemented
            names, values = zip(*state.items())
            state = dict(zip(names, _changed_items(self.rng, list(values), self.others)))
            return copyreg.__newobj__, (type(item),), state
        return NotImplemented

    def _is_it(self):
        self.n_met += 1
        return self.n_met - 1 == self.at


def _changed_items(rng, items, others):
    items, at = list(items), int(rng.integers(len(items)))
    old = items[at]
    wild = [None, 0, -1, 1, 2, 7, 10**6, 2**31, 2**62, -(2**62), 0.5, np.nan, "ftrl", True, (), (0, 1), [], {}]
    if isinstance(old, (int, float)) and rng.random() < 0.7:
        wild = [old + 1, old - 1, 2 * old, -old, old + 1000, 10**6, 2**31, 2**62]
    if rng.random() < 0.2:
        wild = [*items, *others]
    items[at] = wild[rng.integers(len(wild))]
    return items


def _changed_array(rng, array, others):
    way = int(rng.integers(10))
    if way < 2 and array.size and not array.dtype.hasobject:  # a bit flips
        raw = bytearray(array.tobytes())
        raw[rng.integers(len(raw))] ^= 1 << int(rng.integers(8))
        return np.frombuffer(bytes(raw), array.dtype).reshape(array.shape).copy()
    if way == 2:
        return array[: len(array) // 2].copy() if array.ndim else array
    if way == 3:
        return np.concatenate([array, array]) if array.ndim else array
    if way == 4:
        return np.asfortranarray(array.T.copy())
    if way == 5:
        return np.asfortranarray(array)
    if way == 6:
        return array[None]
    if way == 7:
        return array.astype(["f8", "f4", "i8", "i4", "O", "?"][rng.integers(6)])
    if way == 8 and array.ndim == 2:
        return np.ascontiguousarray(array[:, :-1])
    return others[rng.integers(len(others))]


def n_parts(name):
    """Return how many arrays and states a model's pickle has."""
    counting = Changing(io.BytesIO(), -1, None)
    counting.dump(model(name))
    return counting.n_met


# ---- using ------------------------------------------------------------------------------


def use(name, changed):
    """Do with a model what one does with models."""
    if name in ("encoder", "crosser"):
        given = ROWS if name == "encoder" else X
        changed.transform(given)
        if name == "encoder":
            changed.feature_names_from([0, 5])
            changed.partial_fit(given).transform(given)
        return
    if isinstance(changed.max_iter, int):
        changed.max_iter = min(changed.max_iter, 2)  # as many epochs as one asks for are no fault
    changed.predict(X)
    if hasattr(changed, "predict_proba"):
        changed.predict_proba(X)
    if name not in ("survival", "ranker"):
        changed.predictor()(X[:3])
        changed.predictor()(X[:1] * 0)
    pickle.loads(pickle.dumps(changed)).predict(X)
    if name == "sparse" and hasattr(changed, "densify"):  # not of another network, which is a parameter
        changed.densify()
        changed.predict(X)
    if name == "survival":
        changed.partial_fit(X, (Y > 0, Y + 1.0))
    elif name == "ranker":
        changed.partial_fit(X, Y, qid=np.repeat(np.arange(8), 10))
    else:
        targets = {"labels": np.eye(3, dtype=int)[Y], "ftrl": Y > 0}.get(name, Y)
        changed.partial_fit(X, targets)
        changed.fit(X, targets)
    changed.predict(X)


def case(seed):
    """Run a case; return the model's name and what came of it."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(seed)
    name = str(rng.choice(list(MODELS)))
    buffer = io.BytesIO()
    changing = Changing(buffer, int(rng.integers(n_parts(name))), rng)
    try:
        changing.dump(model(name))
    except TypeError:  # of what it was changed to
        return name, "no pickle"
    buffer.seek(0)
    try:
        changed = pickle.load(buffer)
    except Exception as error:
        return name, f"refused: {type(error).__name__}"
    try:
        use(name, changed)
    except Exception as error:
        return name, f"failed: {'a parameter' if NAMED.search(f'{error}') else type(error).__name__}"
    return name, "used"


def main(first, last):
    counts = collections.Counter()
    for seed in range(first, last):
        print(f"at {seed}", flush=True)
        name, outcome = case(seed)
        counts[outcome] += 1
        counts[f"{name} {outcome.partition(':')[0]}"] += 1
    print("counts", dict(sorted(counts.items())))


if __name__ == "__main__":
    limit_memory()
    main(int(sys.argv[1]), int(sys.argv[2]))
