"""Losses that read nodes inside the net: gradients of whole nets, doors, tools, errors."""

import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from test_graphs import N_GRAPHS, NO_STEP, STEP, _as_dict, _differences, _near_a_bend, _random_weights, _rows

from sklearn_vectorflow import VectorFlowRegressor, threads
from sklearn_vectorflow.layers import Activation, Add, Input, Linear, Multiply, Tanh, ordered
from sklearn_vectorflow.layers.factorization import Factors
from sklearn_vectorflow.losses import RegressionLoss, check_loss
from sklearn_vectorflow.optimizers import AdaGrad

import graphs
from user_losses import NearCentreNumba, NearCentrePython, TwoTasksNumba, TwoTasksPython

DOORS = [TwoTasksPython, TwoTasksNumba]
N_ROWS = 600


def needs_numba(door):
    if door.__name__.endswith("Numba"):
        pytest.importorskip("numba")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, 12)) * (rng.uniform(size=(N_ROWS, 12)) < 0.4)
    inner = np.tanh(X @ rng.normal(size=(12, 3)))
    y = np.column_stack([inner @ [1.0, -1.0, 0.5], rng.poisson(np.exp(inner @ [0.5, 0.5, -1.0]))])
    return X, y, rng.uniform(0.5, 2.0, N_ROWS)


def two_heads(width=4, name="hidden"):
    hidden = Tanh(name=name)(Linear(width)(Input()))
    return [Linear(1)(hidden), Linear(1, name="count")(hidden)]


# ---- gradients of the whole net -------------------------------------------------------


class Reading(RegressionLoss):
    """Squared errors of raw outputs, and of any nodes from numbers of their own."""

    def __init__(self, reads=()):
        self.reads = reads

    def __call__(self, y, raw, sample_weight=None, nodes=None):
        raw, y, weight = raw.reshape(len(raw), -1), y.reshape(len(y), -1), sample_weight[:, None]
        total, of_nodes = 0.5 * np.sum(weight * (raw - y) ** 2), {}
        for k, name in enumerate(self.reads):
            error = nodes[name] - 0.3 * k
            total += 0.5 * (1 + k) * np.sum(weight * error**2)
            of_nodes[name] = (1 + k) * weight * error
        return (total, weight * (raw - y), of_nodes)[: 2 + bool(self.reads)]


def _one_step(heads, X, Y, reads, seed):
    """Return a model, its random weights, and what one step of descent on all rows took off them."""
    model = VectorFlowRegressor(
        network=heads,
        loss=Reading(reads),
        optimizer=NO_STEP,
        alpha=0.0,
        batch_size=len(X),
        max_iter=1,
        tol=None,
        warm_start=True,
    ).fit(X, Y)
    before = _random_weights(np.random.RandomState(seed), model.network_)
    model.network_.set_weights(*before)
    model.set_params(optimizer=STEP).fit(X, Y)
    steps = [[a.astype(float) - b for a, b in zip(*pair)] for pair in zip(before, (model.coefs_, model.intercepts_))]
    weights = _as_dict(model.network_, *[[a.astype(float) for a in arrays] for arrays in before])
    return model, weights, steps


def _mean_loss(heads, X, Y, read, weights):
    done = {}
    raw = np.hstack([graphs.forward(head, X, weights, done) for head in heads])
    loss = ((raw - Y) ** 2).sum(axis=1)
    for k, node in enumerate(read):
        loss += (1 + k) * ((graphs.forward(node, X, weights, done) - 0.3 * k) ** 2).sum(axis=1)
    return 0.5 * loss.mean()


@settings(max_examples=N_GRAPHS, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_gradients_of_random_graphs(data):
    choose = lambda n: data.draw(st.integers(0, n - 1))  # noqa: E731
    n_outputs = 1 + choose(2)
    heads = graphs.random_graph(choose, n_outputs)
    dense = [node for node in ordered(heads) if isinstance(node.layer, (Linear, Factors, Activation, Add, Multiply))]
    read = [dense.pop(choose(len(dense))) for _ in range(min(len(dense), 1 + choose(3)))]
    for k, node in enumerate(read):
        node.layer.name = f"read {k}"
    seed, n_rows = choose(2**31), (1, 6)[choose(2)]  # a step of one row updates weights directly
    rng = np.random.RandomState(seed)
    X, Y = _rows(rng, n_rows), rng.normal(size=(n_rows, n_outputs))
    names = tuple(node.name for node in read)
    model, weights, steps = _one_step(heads, X, Y[:, 0] if n_outputs == 1 else Y, names, seed)
    X = X.astype(float)
    done = {}
    raw = np.hstack([graphs.forward(head, X, weights, done) for head in heads])
    outputs = [graphs.forward(node, X, weights, done) for node in read]
    assume(max(np.abs(values).max() for values in [raw, *outputs]) < 50 and not _near_a_bend(heads, X, weights))
    expected = []
    for place in model.network_.graph.weighted:
        for array, trained in zip(weights[place.key], (True, place.layer.has_bias)):
            differences = _differences(lambda: _mean_loss(heads, X, Y, read, weights), array)
            expected.append(differences if trained else np.zeros(array.shape))
    scale = max(np.abs(gradient).max() for gradient in expected)
    for own, gradient in zip([part for pair in zip(*steps) for part in pair], expected):
        assert_allclose(own, gradient, rtol=0, atol=1e-4 * scale + 5e-6)


@pytest.mark.parametrize("batch_size", [1, 8])
def test_a_head_read_by_name_is_like_its_raw_output(rows, batch_size):
    X, y, _ = rows

    class ByName(RegressionLoss):
        reads = ("head",)

        def __call__(self, y, raw, sample_weight=None, nodes=None):
            assert_array_equal(nodes["head"][:, 0], raw)
            error = nodes["head"] - y[:, None]
            return 0.5 * np.sum(sample_weight * error[:, 0] ** 2), None, {"head": sample_weight[:, None] * error}

    by_name, by_raw = (
        VectorFlowRegressor(
            network=Linear(name="head")(Input()),
            loss=loss,
            optimizer=AdaGrad(0.1),
            alpha=0.0,
            batch_size=batch_size,
            max_iter=3,
            tol=None,
            random_state=0,
        ).fit(X, y[:, 0])
        for loss in (ByName(), Reading())
    )
    assert_allclose(by_name.coef_, by_raw.coef_, rtol=0, atol=1e-6)


# ---- doors and tools ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"batch_size": 1},
        {"batch_size": 7},
        {"batch_size": 200, "optimizer": "adam"},
        {"early_stopping": True},
    ],
    ids=str,
)
def test_doors_give_the_same(rows, parameters):
    needs_numba(TwoTasksNumba)
    X, y, weight = rows
    python, numba = (
        VectorFlowRegressor(network=two_heads(), loss=door(0.2), max_iter=4, random_state=0, **parameters).fit(
            X, y, weight
        )
        for door in DOORS
    )
    for one, other in zip(python.coefs_, numba.coefs_):
        assert_allclose(one, other, rtol=0, atol=1e-6)
    assert_allclose(python.loss_curve_, numba.loss_curve_)


@pytest.mark.parametrize("batch_size", [1, 60])
def test_nodes_of_groups(rows, batch_size):
    needs_numba(NearCentreNumba)
    X, y, weight = rows
    groups = np.arange(N_ROWS) // 7
    python, numba = (
        VectorFlowRegressor(network=two_heads()[0], loss=loss, batch_size=batch_size, max_iter=3, random_state=0).fit(
            X, y[:, 0], weight, groups=groups
        )
        for loss in (NearCentrePython(), NearCentreNumba())
    )
    assert_allclose(python.coefs_[0], numba.coefs_[0], rtol=0, atol=1e-6)
    assert_allclose(python.loss_curve_, numba.loss_curve_)


@pytest.mark.parametrize("door", [*DOORS, NearCentrePython, NearCentreNumba])
def test_the_checker_passes_them(door):
    needs_numba(door)
    two = np.column_stack([np.linspace(-1, 1, 20), np.arange(20)])
    y = None if door in (NearCentrePython, NearCentreNumba) else two
    check_loss(door(), y, nodes={"hidden": 5, "count": 1})


@pytest.mark.parametrize("node", [0, 1])
def test_the_checker_finds_wrong_gradients_of_nodes(node):
    class Wrong(TwoTasksPython):
        def __call__(self, y, raw, sample_weight=None, nodes=None):
            total, gradient, of_nodes = super().__call__(y, raw, sample_weight, nodes)
            of_nodes[self.reads[node]] = 1.1 * of_nodes[self.reads[node]]
            return total, gradient, of_nodes

    y = np.column_stack([np.linspace(-1, 1, 20), np.arange(20)])
    message = f"output 0 of node '{Wrong.reads[node]}': the gradient is .*, finite diff"
    with pytest.raises(AssertionError, match=message):
        check_loss(Wrong(), y, nodes={"count": 1})


def test_the_price_of_hidden_outputs_makes_them_small(rows):
    X, y, _ = rows
    sizes = [
        np.mean(model.transform(X, node="hidden") ** 2)
        for model in (
            VectorFlowRegressor(
                network=two_heads(), loss=TwoTasksPython(price), batch_size=16, max_iter=20, random_state=0
            ).fit(X, y)
            for price in (0.0, 0.03, 0.3)
        )
    ]
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("door", DOORS)
def test_validation_sees_the_nodes(rows, door):
    needs_numba(door)
    X, y, weight = rows
    model = VectorFlowRegressor(network=two_heads(), loss=door(), max_iter=2, batch_size=8, random_state=0)
    model.fit(X, y, weight, X_val=X[:90], y_val=y[:90], sample_weight_val=weight[:90])
    nodes = {name: model.transform(X[:90], node=name) for name in door.reads}
    loss, gradient, of_nodes = door()(y[:90], model.predict(X[:90]), weight[:90], nodes=nodes)
    assert model.validation_scores_[-1] == pytest.approx(-loss / weight[:90].sum(), rel=1e-5)
    assert gradient.shape == (90, 2) and of_nodes["hidden"].shape == (90, 4)


@pytest.mark.parametrize("door", DOORS)
def test_tools_of_scikit_learn(rows, door):
    needs_numba(door)
    X, y, weight = rows
    model = VectorFlowRegressor(network=two_heads(), loss=door(0.2), batch_size=64, max_iter=2, random_state=0)
    model.set_params(warm_start=True)  # a pickle then holds the optimizer's state too
    fitted, again = model.fit(X, y), clone(model).fit(X, y)
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(fitted.predict(X), again.predict(X))
    assert_array_equal(fitted.predict(X), loaded.predict(X))
    loaded.partial_fit(X, y)
    fitted.partial_fit(X, y)
    assert_array_equal(fitted.predict(X), loaded.predict(X))
    search = GridSearchCV(model.set_params(warm_start=False), {"loss__price": [0.01, 1.0]}, cv=2).fit(X, y)
    assert search.best_params_["loss__price"] == 0.01


@pytest.mark.parametrize("door", DOORS)
def test_two_threads_learn_the_same(rows, door, monkeypatch):
    needs_numba(door)
    monkeypatch.setattr(threads, "WORTHWHILE", 1)
    X, y, _ = rows
    losses = []
    for n_jobs in (1, 2):
        model = VectorFlowRegressor(
            network=two_heads(), loss=door(0.01), batch_size=64, max_iter=60, tol=None, n_jobs=n_jobs, random_state=0
        ).fit(X, y)
        losses.append(model.loss_curve_[-1])
    assert model.loss_curve_[0] > losses[1] + 0.05
    assert losses[1] == pytest.approx(losses[0], abs=0.03)


def test_what_python_is_given(rows):
    X, y, _ = rows
    seen = []

    class Keeps(TwoTasksPython):
        def __call__(self, y, raw, sample_weight=None, nodes=None):
            seen.append((raw, nodes))
            return super().__call__(y, raw, sample_weight, nodes)

    VectorFlowRegressor(network=two_heads(), loss=Keeps(), batch_size=100, max_iter=1).fit(X, y)
    raw, nodes = seen[-1]
    assert list(nodes) == ["hidden", "count"]
    assert nodes["hidden"].shape == (100, 4) and nodes["count"].shape == (100, 1)
    assert not nodes["hidden"].flags.writeable and nodes["hidden"].dtype == np.float64
    assert_array_equal(nodes["count"][:, 0], raw[:, 1])


# ---- errors ------------------------------------------------------------------------------------


def returning(**changes):
    class Returns(TwoTasksPython):
        def __call__(self, y, raw, sample_weight=None, nodes=None):
            total, gradient, of_nodes = super().__call__(y, raw, sample_weight, nodes)
            return total, gradient, changes["of_nodes"](of_nodes)

    return Returns()


def reading(names):
    return type("Reader", (TwoTasksPython,), {"reads": names})()


@pytest.mark.parametrize(
    "loss, error, message",
    [
        (reading(("hiden",)), ValueError, r"Reader reads 'hiden': network has no node 'hiden'; .*\['count', 'hidden'"),
        (
            reading(("x",)),
            ValueError,
            r"loss Reader reads 'x', but .* returns sparse rows; a loss can read only dense nodes",
        ),
        (reading("hidden"), TypeError, r"reads must be a tuple of names of layers, as \('hidden',\), got 'hidden'"),
        (reading((3,)), TypeError, r"reads must be a tuple of names of layers.*got \(3,\)"),
        (reading(("hidden", "hidden")), ValueError, "reads names a layer twice"),
        (returning(of_nodes=lambda g: {"hiden": g["hidden"]}), ValueError, r"among \('hidden', 'count'\).*\['hiden'\]"),
        (returning(of_nodes=lambda g: g["hidden"]), ValueError, r"third a dict .*, got ndarray of shape \(8, 4\)"),
        (
            returning(of_nodes=lambda g: {"hidden": g["hidden"][:, 0]}),
            ValueError,
            r"gradient of node 'hidden' of its shape, \(8, 4\), got dtype float64 and shape \(8,\)",
        ),
        (returning(of_nodes=lambda g: {"hidden": g["hidden"].astype(str)}), ValueError, "got dtype <U"),
        (
            returning(of_nodes=lambda g: {"hidden": g["hidden"] * np.nan}),
            ValueError,
            "returned NaN in the gradient of node 'hidden' of row 0 of 8",
        ),
        (returning(of_nodes=lambda g: {"hidden": np.ones((len(g["hidden"]), 4))}), ValueError, "ignores the weights"),
    ],
)
def test_errors_users_make(rows, loss, error, message):
    x = Input(name="x")
    hidden = Tanh(name="hidden")(Linear(4)(x))
    model = VectorFlowRegressor(network=[Linear(1)(hidden), Linear(1, name="count")(hidden)], loss=loss, batch_size=32)
    with pytest.raises(error, match=message):
        model.fit(*rows)


def test_nodes_are_asked_for_when_a_loss_is_called(rows):
    needs_numba(TwoTasksNumba)
    _, y, weight = rows
    loss, raw = TwoTasksNumba(), np.zeros((N_ROWS, 2))
    with pytest.raises(ValueError, match=r"nodes must give the outputs of \('hidden', 'count'\).*got \(\)"):
        loss(y, raw)
    with pytest.raises(ValueError, match=r"nodes\['hidden'\] must have shape \(600, width\), got \(3, 4\)"):
        loss(y, raw, nodes={"hidden": np.zeros((3, 4)), "count": np.zeros(N_ROWS)})


def test_a_chain_has_no_names(rows):
    X, y, _ = rows
    with pytest.raises(ValueError, match=r"loss TwoTasksPython reads 'hidden': network has no node 'hidden'"):
        VectorFlowRegressor((4,), loss=TwoTasksPython()).fit(X, y)
