"""A pickle whose parts do not fit each other is refused, or harmless; the program is mutated_pickles.py."""

import copy
import copyreg
import io
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.layers import Crosses, FactorizationMachine, Input, Linear
from sklearn_vectorflow.network.records import LinearParameters
from sklearn_vectorflow.preprocessing import HashingEncoder, Text

HERE = Path(__file__).parent
N_CASES = 300
X = sparse.random(60, 30, 0.2, format="csr", random_state=0, dtype=np.float32)
Y = np.arange(60) % 3


def test_changed_pickles_are_refused_or_harmless():
    program = [sys.executable, str(HERE / "mutated_pickles.py"), "0", str(N_CASES)]
    ended = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, (ended.stdout[-300:], ended.stderr[-3000:])
    counts = {name: int(n) for name, n in re.findall(r"'([^']+)': (\d+)", ended.stdout)}
    assert counts["used"] > N_CASES / 5
    assert counts["refused: ValueError"] > N_CASES / 5
    assert {name for name in counts if name.startswith("refused: ")} == {"refused: ValueError"}
    assert {name for name in counts if name.startswith("failed: ")} <= {"failed: ValueError", "failed: a parameter"}


class Changing(pickle.Pickler):
    """Pickles a model with some state of its first layer set to something else."""

    reached = False

    def reducer_override(self, item):
        if not isinstance(item, LinearParameters) or self.reached:
            return NotImplemented
        self.reached = True
        state = item.__getstate__()
        return copyreg.__newobj__, (type(item),), {**state, **{name: of(item) for name, of in self.state.items()}}


def changed(model, **state):
    """A pickle of a model with some state of its first layer set to something else."""
    model = copy.deepcopy(model)
    model.network_.keep_state = True
    pickler = Changing(file := io.BytesIO())
    pickler.state = state
    pickler.dump(model)
    return file.getvalue()


def in_place(name, **parts):
    """A sparse form of an array with parts set, as a pickle of a mostly zero one holds it."""

    def of(parameters):
        array = sparse.csc_array(getattr(parameters, name))
        for part, value in parts.items():
            setattr(array, part, value(getattr(array, part)))
        return array

    return of


CASES = {
    "too few records": {"record": lambda p: p.record[:-1]},
    "too many records": {"record": lambda p: np.concatenate([p.record, p.record])},
    "a transposed record": {"record": lambda p: p.record.T},
    "records of one number": {"record": lambda p: p.record[:, :1]},
    "records of one dimension": {"record": lambda p: p.record.ravel()},
    "records of doubles": {"record": lambda p: p.record.astype(np.float64)},
    "no records": {"record": lambda p: None},
    "a list of records": {"record": lambda p: p.record.tolist()},
    "intercepts that are not there": {"bias": lambda p: None},
    "too few intercepts": {"bias": lambda p: p.bias[:0]},
    "records for intercepts": {"bias": lambda p: p.record},
    "values that should not be there": {"values": lambda p: p.record},
    "another number of records": {"n_in": lambda p: 10**9},
    "a negative number of records": {"n_in": lambda p: -1},
    "more outputs": {"layout": lambda p: replace(p.layout, n_out=100)},
    "a wider layout": {"layout": lambda p: replace(p.layout, stride=p.layout.stride + 10**6)},
    "state behind the record": {"layout": lambda p: replace(p.layout, slot1=10**6)},
    "a wild layout": {"layout": lambda p: replace(p.layout, average=2**40)},
    "rows out of range": {"record": in_place("record", indices=lambda indices: indices + 10**8)},
    "columns that end before they begin": {"record": in_place("record", indptr=lambda ends: ends[::-1].copy())},
    "columns that run away": {"record": in_place("record", indptr=lambda ends: np.where(ends > 0, 10**9, 0))},
    "columns that are cut": {"record": in_place("record", indptr=lambda ends: ends[:-1])},
}
MODELS = {
    "plain": VectorFlowClassifier(max_iter=2, random_state=0),
    "adam": VectorFlowClassifier(max_iter=2, random_state=0, optimizer="adam", warm_start=True),
    "hidden": VectorFlowClassifier((4,), max_iter=2, random_state=0),
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("case", CASES)
def test_arrays_that_do_not_fit_are_refused(kind, case):
    model = MODELS[kind].fit(X, Y)
    damaged = changed(model, **CASES[case])
    with pytest.raises(ValueError, match="The pickle is damaged|record is a malformed csc matrix"):
        pickle.loads(damaged)


def test_records_in_fortran_order_are_read_in_order():
    model = MODELS["plain"].fit(X, Y)
    turned = pickle.loads(changed(model, record=lambda p: np.asfortranarray(p.record)))
    np.testing.assert_array_equal(turned.predict_proba(X), model.predict_proba(X))


def test_weights_of_another_net_are_refused():
    one, other = MODELS["plain"].fit(X, Y), copy.deepcopy(MODELS["plain"]).fit(sparse.hstack([X, X], format="csr"), Y)
    one = copy.deepcopy(one)
    one.network_._state = other.network_._state
    with pytest.raises(ValueError, match="do not fit the layers"):
        pickle.loads(pickle.dumps(one))


def test_sparse_weights_that_point_outside_are_refused():
    model = copy.deepcopy(MODELS["plain"]).fit(X, Y).sparsify()
    model.network_._state.sparse_coef.indices[0] = 10**8
    with pytest.raises(ValueError, match="sparse weights is a malformed csr matrix"):
        pickle.loads(pickle.dumps(model))


def test_a_net_does_not_read_rows_of_another_width():
    """What scikit-learn compares X with is an attribute that anyone can set."""
    model = VectorFlowRegressor(max_iter=1, tol=None).fit(X, Y)
    wide = sparse.random(5, 10**6, 1e-4, format="csr", random_state=0)
    model.n_features_in_ = 10**6
    for use in (model.predict, lambda rows: model.partial_fit(rows, np.arange(5.0))):
        with pytest.raises(ValueError, match="X has 1000000 columns, but the net reads 30"):
            use(wide)


@pytest.mark.parametrize(["first", "later"], [("log_loss", "multinomial"), ("multinomial", "hinge")])
def test_a_loss_of_other_outputs_does_not_train_the_net(first, later):
    """It would write gradients of outputs that the net does not have."""
    model = VectorFlowClassifier(loss=first, random_state=0).fit(X, Y > 0)
    before = model.decision_function(X)
    with pytest.raises(ValueError, match="cannot train the fitted net"):
        model.set_params(loss=later).partial_fit(X, Y > 0)
    np.testing.assert_array_equal(model.set_params(loss=first).decision_function(X), before)


def served(model):
    return model.predictor()(X)


@pytest.mark.parametrize(
    "use",
    [VectorFlowRegressor.predict, VectorFlowRegressor.partial_fit, served],
    ids=["predict", "partial_fit", "serve"],
)
@pytest.mark.parametrize(
    ["layer", "name", "value"],
    [
        (lambda: Crosses([("a", "b")], {"a": slice(0, 15), "b": slice(15, 30)}, 64), "n_features", 2**24),
        (lambda: FactorizationMachine(4), "rank", 1),
        (lambda: FactorizationMachine(2), "rank", 64),
    ],
)
def test_a_layer_changed_after_the_fit_does_not_fit_its_weights(use, layer, name, value):
    layer = layer()
    network = layer(Input()) if isinstance(layer, FactorizationMachine) else Linear()(layer(Input()))
    model = VectorFlowRegressor(network=network, max_iter=1, tol=None).fit(X, Y)
    setattr(layer, name, value)
    arguments = (X, Y) if use is VectorFlowRegressor.partial_fit else () if use is served else (X,)
    with pytest.raises(ValueError, match=r"(Set|Reset) (its parameters|it)|could not broadcast"):
        use(model, *arguments)


@pytest.mark.parametrize("shape", [(4, 33), (3, 32), (4, 0), (4, 1), (8, 16)])
def test_a_sketch_of_a_wild_shape_is_refused(shape):
    rows = np.array([["a", "b"], ["a", "c"]], dtype=object)
    encoder = HashingEncoder(min_count=2, sketch_bits=5).fit(rows)
    encoder._learned.sketch = np.zeros(shape, dtype=np.uint32)
    with pytest.raises(ValueError, match="a sketch must have 4 rows and a power of two of columns"):
        pickle.loads(pickle.dumps(encoder)).transform(rows)


def test_kinds_of_a_pickle_are_checked():
    rows = np.array([["some words"]], dtype=object)
    encoder = HashingEncoder(columns={"x0": Text()}).fit(rows)
    object.__setattr__(encoder.kinds_["x0"], "ngram_range", (-3, 1))
    with pytest.raises(ValueError, match=r"ngram_range\[0\] must be at least 1, got -3"):
        pickle.loads(pickle.dumps(encoder)).transform(rows)
