"""Layers as users wire them: copies, presets, roots, messages, own rules, nodes as features."""

import copy
import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.layers import (
    Add,
    Concat,
    Constant,
    Crosses,
    Dropout,
    FactorizationMachine,
    Input,
    Linear,
    Logistic,
    Node,
    ReLU,
    Tanh,
    factorization_machine,
    ordered,
    wide_and_deep,
)
from sklearn_vectorflow.optimizers import SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2


def _problem(n_rows=300, n_features=30, seed=0):
    rng = np.random.RandomState(seed)
    X = sparse.random(n_rows, n_features, 0.3, format="csr", dtype=np.float32, random_state=rng)
    return X, (X @ rng.normal(size=n_features) + 0.3 * rng.normal(size=n_rows) > 0).astype(int)


def _fitted(network=None, **options):
    X, y = _problem()
    options = {"max_iter": 3, "tol": None, "random_state": 0, **options}
    return VectorFlowClassifier(network=network, **options).fit(X, y)


def _same_bits(a, b):
    assert len(a.coefs_) == len(b.coefs_)
    for one, other in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_):
        np.testing.assert_array_equal(one, other)
    X, _ = _problem()
    np.testing.assert_array_equal(a.decision_function(X), b.decision_function(X))


def _shared():
    x = Input()
    h = Tanh()(Linear(6)(x))
    return Linear()(Concat()([h, ReLU()(Linear(4)(h)), x]))


def test_parents_keep_their_order_through_pickle_and_clone():
    model = _fitted(_shared())
    X, y = _problem()
    _same_bits(model, pickle.loads(pickle.dumps(model)))
    _same_bits(model, clone(model).fit(X, y))
    _same_bits(model, clone(pickle.loads(pickle.dumps(model))).fit(X, y))
    _same_bits(model, _fitted(copy.deepcopy(model.network)))


def test_several_heads_keep_what_they_share_when_they_are_cloned():
    h = ReLU()(Linear(5)(Input()))
    heads = [Linear(1)(h), Linear(2)(h)]
    X, _ = _problem()
    Y = np.random.RandomState(0).normal(size=(X.shape[0], 3))
    model = VectorFlowRegressor(network=heads, max_iter=2, tol=None, random_state=0).fit(X, Y)
    again = clone(model).fit(X, Y)
    assert len(again.coefs_) == len(model.coefs_) == 3
    _same_bits_of_regressors(model, again, X)
    _same_bits_of_regressors(model, pickle.loads(pickle.dumps(model)), X)


def _same_bits_of_regressors(a, b, X):
    for one, other in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(a.predict(X), b.predict(X))


def test_deep_graphs_of_shared_nodes_survive_pickle_and_clone():
    node = Linear(2)(Input())
    for _ in range(3000):  # paths through it: 2**3000
        node = Add()([node, node])
    for again in (pickle.loads(pickle.dumps(node)), copy.deepcopy(node), clone(node, safe=False)):
        assert len(ordered([again])) == 3002
        assert ordered([again])[-1].inputs[0] is ordered([again])[-1].inputs[1]


def test_the_order_of_construction_is_irrelevant():
    x = Input()
    wide = Linear()(x)
    deep = Linear()(ReLU()(Linear(4)(x)))
    first = _fitted(Add()([wide, deep]))
    x = Input()
    deep = Linear()(ReLU()(Linear(4)(x)))
    wide = Linear()(x)
    _same_bits(first, _fitted(Add()([wide, deep])))


def test_names_change_nothing():
    x = Input(name="rows")
    named = Linear(name="out")(ReLU(name="bend")(Linear(4, name="hidden")(x)))
    _same_bits(_fitted(hidden_layer_sizes=(4,)), _fitted(named))


def test_fitting_leaves_the_description_alone():
    network = _shared()
    before = str(network)
    _fitted(network)
    assert str(network) == before
    assert all(isinstance(node, Node) for node in ordered([network]))


# ---- presets --------------------------------------------------------------------------


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "ftrl", "sgd"])
def test_hidden_layer_sizes_are_a_graph(optimizer, dropout):
    node = Input()
    for size in (6, 4):
        node = Tanh()(Linear(size)(node))
        node = Dropout(dropout)(node) if dropout else node
    options = {"optimizer": optimizer, "learning_rate": 0.01}
    preset = _fitted(hidden_layer_sizes=(6, 4), activation="tanh", dropout=dropout, **options)
    _same_bits(preset, _fitted(Linear()(node), **options))


def test_a_linear_model_is_a_graph():
    model = _fitted(Linear()(Input()))
    _same_bits(_fitted(), model)
    np.testing.assert_array_equal(model.coef_, _fitted().coef_)


def test_wide_and_deep_is_the_graph_of_its_parts():
    x = Input()
    graph = Add()([Linear()(x), Linear()(ReLU()(Linear(5)(x)))])
    _same_bits(_fitted(wide_and_deep((5,))), _fitted(graph))


def test_factorization_machine_is_the_graph_of_its_parts():
    x = Input()
    graph = Add()([Linear()(x), FactorizationMachine(3)(x)])
    _same_bits(_fitted(factorization_machine(3)), _fitted(graph))


# ---- roots ------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [slice(5, 17), slice(None, 9), slice(3, 20, 4), [7, 2, 28], range(4, 9)], ids=repr)
@pytest.mark.parametrize("as_rows", [np.asarray, lambda X: X, lambda X: sparse.csr_array(X.astype(float))])
def test_a_root_of_some_columns_is_a_model_of_those_columns(columns, as_rows):
    X, y = _problem()
    chosen = np.arange(30)[columns] if isinstance(columns, slice) else list(columns)
    options = {"max_iter": 2, "tol": None, "random_state": 0, "learning_rate": 0.1, "alpha": 1e-6}
    given_X = X.toarray() if as_rows is np.asarray else as_rows(X)
    model = VectorFlowClassifier(network=Linear()(ReLU()(Linear(4)(Input(columns)))), **options).fit(given_X, y)
    part = X[:, chosen]
    plain = VectorFlowClassifier((4,), **options).fit(part, y)
    # typical lengths of rows differ, which the default rates see; weights start the same
    np.testing.assert_allclose(model.decision_function(given_X), plain.decision_function(part), rtol=2e-5, atol=2e-5)


def test_roots_by_names_of_features():
    pandas = pytest.importorskip("pandas")
    X, y = _problem()
    frame = pandas.DataFrame(X.toarray(), columns=[f"c{k}" for k in range(30)])
    network = Linear()(Input(["c4", "c11"]))
    by_name = VectorFlowClassifier(network=network, max_iter=2, tol=None, random_state=0).fit(frame, y)
    by_number = _fitted(Linear()(Input([4, 11])), max_iter=2)
    np.testing.assert_array_equal(by_name.coefs_[0], by_number.coefs_[0])
    np.testing.assert_array_equal(by_name.predict(frame), by_number.predict(X))


def test_roots_do_not_copy_rows(monkeypatch):
    X, y = _problem()
    monkeypatch.setattr(type(X), "__getitem__", lambda *_: pytest.fail("X was sliced"))
    monkeypatch.setattr("sklearn_vectorflow.io.matrix.Matrix.sample", lambda *_: X)
    VectorFlowClassifier(network=Linear()(Input([3, 5])), max_iter=1).fit(X, y)


# ---- messages -----------------------------------------------------------------------------


def _cycle():
    h = ReLU()(Linear(3)(Input()))
    end = Linear()(h)
    h.inputs = (end,)
    return end


def _twice():
    layer = Linear(3)
    x = Input()
    return Linear()(Add()([layer(x), layer(x)]))


def _groups():
    return {"a": slice(0, 10), "b": slice(10, 30)}


@pytest.mark.parametrize(
    "make, message",
    [
        (_cycle, r"cycle"),
        (_twice, r"Linear\(n_out=3\) is called twice"),
        (
            lambda: Linear()(Add()([Linear(3)(Input()), Linear(4)(Input())])),
            r"Add\(\) reads nodes of different widths, \[3, 4\]",
        ),
        (lambda: Linear()(ReLU()(Linear()(Input()))), r"Linear\(\) needs n_out"),
        (lambda: Linear(2)(Input()), r"the loss needs 1 output\(s\), but Linear\(n_out=2\) have 2"),
        (lambda: [Linear(1)(Input()), Linear(1)(Input())], r"the loss needs 1 output"),
        (lambda: [Linear(1)(Input()), Linear()(Input())], r"Linear\(\) has no n_out"),
        (lambda: Linear()(Input([])), r"Input\(columns=\[\]\) reads no column"),
        (lambda: Linear()(Input(slice(40, 50))), r"Input\(columns=slice\(.*\) reads columns that X, with 30"),
        (lambda: Linear()(Input([1, 30])), r"reads columns that X, with 30, does not have"),
        (lambda: Linear()(Input([1, 1])), r"reads a column twice"),
        (lambda: Linear()(Input(["a"])), r"X has no feature names"),
        (lambda: Linear(n_out=0)(Input()), r"Linear: n_out must be at least 1"),
        (lambda: Linear(init=np.zeros((3, 1)))(Input()), r"Linear\(.*: init must be of shape \(30, 1\), got \(3, 1\)"),
        (lambda: Linear(optimizer="newton")(Input()), r"Linear: optimizer must be"),
        (lambda: Linear(penalty="l2")(Input()), r"Linear: penalty must be"),
        (lambda: FactorizationMachine(0)(Input()), r"FactorizationMachine: rank must be at least 1"),
        (lambda: Dropout(1.0)(Linear()(Input())), r"Dropout: rate must be in \[0, 1\)"),
        (lambda: Add()([Input([3]), Input([4])]), r"Add\(\) depends on no layer with weights"),
        (lambda: Linear(name="a")(ReLU(name="a")(Linear(3)(Input()))), r"two layers have the name 'a'"),
        (lambda: Linear()(Crosses([("a", "c")], _groups())(Input())), r"crosses 'c', which is not among the groups"),
        (lambda: Linear()(Crosses([("a",), ("a",)], _groups())(Input())), r"occurs twice"),
        (lambda: Linear()(Crosses([("a", "b")], _groups())(Input([1]))), r"Crosses\(.* reads Input\(\) with all"),
        (lambda: Linear()(Crosses([("a", "b")], {"a": [0], "b": [0]})(Input())), r"'b' has columns of another"),
    ],
)
def test_messages_name_the_layer(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        _fitted(make())


@pytest.mark.parametrize("inputs", [3, None, Linear(2), [Input(), 4]])
def test_layers_are_called_on_nodes(inputs):
    with pytest.raises(TypeError, match="must be called on nodes"):
        Concat()(inputs)


def test_a_wide_root_is_not_read_dense():
    X = sparse.csr_matrix(([1.0, 1.0], ([0, 1], [5, 40_000])), shape=(2, 50_000))
    with pytest.raises(ValueError, match=r"ReLU\(\) reads 50000 columns of X as a dense row"):
        VectorFlowClassifier(network=Linear()(ReLU()(Input()))).fit(X, [0, 1])


def test_representations():
    model = _fitted(_shared())
    text = repr(model.network_)
    assert "30 -> 1" in text and "Linear(n_out=6)" in text and "186 parameters" in text
    assert model.network_.n_parameters == 30 * 6 + 6 + 6 * 4 + 4 + 40 + 1
    html = model.network_._repr_html_()
    assert html.startswith("<svg") and html.count("<rect") == 7 and "Concat()" in html
    assert model.network._repr_html_().startswith("<svg")
    assert len(repr(model.network)) < 80


# ---- layers' own optimizers, penalties and weights --------------------------------------


def test_layers_have_their_own_optimizers():
    x = Input()
    network = Linear(optimizer=Adam(0.01))(Tanh()(Linear(4, optimizer=AdaGrad(0.3, rowwise=False))(x)))
    by_layer = _fitted(network, optimizer="ftrl")
    layouts = [p.layout for p in by_layer.network_.parameters]
    assert layouts[0].slot2 == -1 and layouts[1].slot2 >= 0, "AdaGrad keeps one number a weight, Adam two"
    _same_bits(by_layer, pickle.loads(pickle.dumps(by_layer)))
    same = Linear(optimizer="adam")(Tanh()(Linear(4, optimizer=Adam())(Input())))
    _same_bits(_fitted(hidden_layer_sizes=(4,), activation="tanh", optimizer="adam"), _fitted(same, optimizer="sgd"))


def test_layers_have_their_own_penalties():
    def fit(penalty, alpha):
        return _fitted(Linear()(Tanh()(Linear(4, penalty=penalty)(Input()))), alpha=alpha)

    sparse_model = fit(L1(0.05), 0.0)
    assert np.mean(sparse_model.coefs_[0] == 0) > 0.3
    assert np.all(sparse_model.coefs_[1] != 0)
    _same_bits(fit(L2(1e-3), 1e-3), fit(None, 1e-3))
    assert np.abs(fit([], 10.0).coefs_[0]).max() > np.abs(fit(None, 10.0).coefs_[0]).max()


def test_one_net_has_one_schedule_of_sgd():
    network = Linear(optimizer=SGD(0.1))(Tanh()(Linear(4, optimizer=SGD(0.2))(Input())))
    with pytest.raises(ValueError, match=r"Linear\(.*another schedule of SGD than Linear"):
        _fitted(network)


@pytest.mark.parametrize("batch_size", [1, 32])
@pytest.mark.parametrize("options", [{}, {"average": True}, {"l1_ratio": 0.5}, {"alpha": 0.0}], ids=repr)
def test_frozen_layers_stay(options, batch_size):
    embeddings = np.random.RandomState(1).normal(size=(30, 4)).astype(np.float32)
    intercepts = np.arange(4.0)
    layer = Linear(4, init=(embeddings, intercepts), frozen=True, name="embedding")
    model = _fitted(Linear()(Tanh()(layer(Input()))), batch_size=batch_size, **options)
    np.testing.assert_array_equal(model.network_["embedding"][0], embeddings)
    np.testing.assert_array_equal(model.network_["embedding"][1], intercepts)
    assert np.any(model.coefs_[1] != 0)


def test_weights_of_another_model_are_a_start():
    first = _fitted(Linear()(Tanh()(Linear(4, name="hidden")(Input()))))
    start = first.network_["hidden"]
    model = _fitted(Linear()(Tanh()(Linear(4, init=start, name="hidden")(Input()))), optimizer=SGD(1e-30))
    np.testing.assert_array_equal(model.network_["hidden"][0], start[0])
    np.testing.assert_array_equal(model.network_["hidden"][1], start[1])


@pytest.mark.parametrize("init, expected", [("zeros", 0.0), (0.5, 0.5)])
def test_weights_start_where_init_says(init, expected):
    model = _fitted(Linear()(Tanh()(Linear(64, init=init)(Input()))), optimizer=SGD(1e-30), max_iter=1)
    np.testing.assert_allclose(model.coefs_[0].std(), expected, rtol=0.05, atol=1e-20)


@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "ftrl", "sgd"])
def test_graphs_go_on_where_they_were(optimizer):
    X, y = _problem()
    options = {"tol": None, "random_state": 0, "shuffle": False, "optimizer": optimizer, "learning_rate": 0.02}
    once = VectorFlowClassifier(network=_shared(), max_iter=4, **options).fit(X, y)
    twice = VectorFlowClassifier(network=_shared(), max_iter=2, warm_start=True, **options)
    twice.fit(X, y)
    pickle.loads(pickle.dumps(twice)).fit(X, y)
    twice.fit(X, y)
    np.testing.assert_allclose(twice.decision_function(X), once.decision_function(X), rtol=1e-4, atol=1e-5)


def test_another_graph_does_not_go_on():
    X, y = _problem()
    model = _fitted(_shared(), warm_start=True)
    with pytest.raises(ValueError, match="warm_start=True continues from Network"):
        model.set_params(network=wide_and_deep((3,))).fit(X, y)


# ---- nodes as features -----------------------------------------------------------------


def test_outputs_of_any_node_are_features():
    X, _ = _problem()
    x = Input()
    h = Tanh(name="embedding")(Linear(6)(x))
    network = Linear()(Concat()([h, Logistic()(Linear(2)(h))]))
    model = _fitted(network)
    W, b = model.coefs_[0].astype(float), model.intercepts_[0]
    expected = np.tanh(X.toarray() @ W + b)
    for node in ("embedding", h):
        np.testing.assert_allclose(model.transform(X, node=node), expected, atol=1e-5)
        np.testing.assert_allclose(pickle.loads(pickle.dumps(model)).transform(X, node=node), expected, atol=1e-5)
    assert model.transform(X).shape == (300, 8), "by default, what the last layer reads"
    assert model.get_feature_names_out(node="embedding").tolist() == [f"embedding{k}" for k in range(6)]
    assert len(model.get_feature_names_out()) == 8
    with pytest.raises(ValueError, match="network has no node 'missing'"):
        model.transform(X, node="missing")
    with pytest.raises(ValueError, match="returns rows of X, not features"):
        model.transform(X, node=x)


def test_linear_models_have_no_nodes_to_show():
    assert not hasattr(VectorFlowClassifier(), "transform")
    assert hasattr(VectorFlowClassifier((3,)), "transform")


@pytest.mark.parametrize("batch_size", [1, 7])
def test_heads_of_one_output_keep_intercepts_of_their_own(batch_size):
    X, y = _problem()
    Y = np.c_[y, 3.0 - y]
    options = dict(optimizer=SGD(0.01, schedule="constant"), alpha=0.0, batch_size=batch_size, random_state=0)
    both = VectorFlowRegressor(network=[Linear(1)(Input()), Linear(1)(Input())], **options).fit(X, Y)
    np.testing.assert_allclose(both.predict(X).sum(axis=1), 3.0, atol=1e-4)
    np.testing.assert_allclose(sum(both.intercepts_), 3.0, atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_constant_is_learned_without_rows(fit_intercept, batch_size):
    X, y = _problem()
    heads = [Linear(1)(Input()), Constant(1, name="constant")()]
    model = VectorFlowRegressor(
        network=heads,
        fit_intercept=fit_intercept,
        penalty=L2(0.1),
        batch_size=batch_size,
        max_iter=100,
        tol=None,
        random_state=0,
    ).fit(X, np.c_[y, np.full(len(y), 5.0) + 0.1 * (np.arange(len(y)) % 2)])
    weights, intercept = model.network_["constant"]
    assert weights.shape == (0, 1)
    assert intercept[0] == pytest.approx(5.05, abs=0.06)
    assert np.ptp(model.predict(X)[:, 1]) == 0.0
