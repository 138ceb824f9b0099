"""Updates of a fitted model by `partial_fit`: what its optimizer knows goes on, and more rows never make it worse."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import log_loss

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.network.records import stamp
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad
from sklearn_vectorflow.penalties import L1, L2, NonNegative


def dense(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(5000, 20))
    return X, (X @ rng.normal(size=20) + rng.normal(size=5000) > 0).astype(int)


def ids(seed, n_rows=6000, n_columns=1000):
    """Rows of ten ones, some columns often and most seldom."""
    rng = np.random.default_rng(seed)
    columns = (n_columns * rng.random((n_rows, 10)) ** 2).astype(np.int32)
    X = sparse.csr_matrix((np.ones(10 * n_rows), columns.ravel(), np.arange(0, 10 * n_rows + 1, 10)))
    X.sum_duplicates()
    return X, (X @ rng.normal(scale=0.6, size=n_columns) + rng.logistic(size=n_rows) > 0).astype(int)


MODELS = {
    "ftrl": {},
    "l1": {"l1_ratio": 0.5},
    "alpha": {"alpha": 1e-3},
    "adagrad": {"optimizer": "adagrad"},
    "averaged": {"average": True},
    "net": {"hidden_layer_sizes": (16,)},
}
COPIES = {
    "itself": lambda model: model,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("rows", [dense, ids])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rows_like_those_of_the_fit_do_no_harm(rows, params, copied):
    before, after = [], []
    for seed in range(3):
        X, y = rows(seed)
        first, more, test = slice(0, 2000), slice(2000, 3000), slice(3000, None)
        model = VectorFlowClassifier(random_state=0, **params).fit(X[first], y[first])
        before.append(log_loss(y[test], model.predict_proba(X[test])))
        updated = copied(model).partial_fit(X[more], y[more])
        after.append(log_loss(y[test], updated.predict_proba(X[test])))
    assert np.mean(after) < 1.001 * np.mean(before)


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize(
    "kind, n_rows",
    [("dense", 200), ("dense", 3000), ("ids", 200), ("ids", 3000), ("scales", 200), ("scales", 3000), ("means", 3000)],
)
def test_models_that_end_at_the_optimum_are_not_led_away_from_it(kind, n_rows, copied):
    """Their optimizer had forgotten its steps: after 200 more rows of ids, the error was 1.8 times as large."""
    before, after = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X = ids(seed)[0] if kind == "ids" else rng.normal(size=(6000, 20))
        y = X @ rng.normal(size=X.shape[1]) + rng.normal(size=6000)
        if kind in ("scales", "means"):
            X = X * 10.0 ** rng.uniform(0, 4, 20) if kind == "scales" else X + 30.0
        first, more, test = slice(0, n_rows), slice(3000, 3200), slice(4000, None)
        model = VectorFlowRegressor(random_state=0).fit(X[first], y[first])
        assert model.optimality_ < 1e-3
        before.append(np.mean((model.predict(X[test]) - y[test]) ** 2))
        updated = copied(model).partial_fit(X[more], y[more])
        after.append(np.mean((updated.predict(X[test]) - y[test]) ** 2))
    assert np.mean(after) < 1.01 * np.mean(before)


@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_copies_of_fitted_models_go_on_as_the_model_does(params):
    X, y = ids(0)
    model = VectorFlowClassifier(random_state=0, **params).fit(X[:2000], y[:2000])
    copies = [copied(model) for copied in COPIES.values()]
    first, *others = [one.partial_fit(X[2000:], y[2000:]).decision_function(X) for one in copies]
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("optimizer", [FTRL(), FTRL(0.5, beta=1.0), AdaGrad(), "adam", "sgd"], ids=repr)
@pytest.mark.parametrize("change", [{"alpha": 0.0}, {"alpha": 1e-2}, {"alpha": 1e-3, "l1_ratio": 0.9}], ids=repr)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_another_penalty_changes_no_weight_by_itself(optimizer, change):
    """Not even where weights follow from sums: untouched ones are as before, but for the penalty of a few steps."""
    X, y = ids(0)
    model = VectorFlowClassifier(optimizer=optimizer, alpha=1e-4, max_iter=3, random_state=0).fit(X[:2000], y[:2000])
    before = model.coef_.copy()
    one = sparse.csr_matrix(([1.0], ([0], [X.shape[1] - 1])), shape=(1, X.shape[1]))
    model.set_params(**change).partial_fit(one, [1])
    np.testing.assert_allclose(model.coef_[0, :-1], before[0, :-1], rtol=0.02, atol=0.01 * np.abs(before).max())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_state_is_left_out_by_choice():
    X, y = ids(0)
    model = VectorFlowClassifier(random_state=0).fit(X, y)
    whole = pickle.dumps(model)
    model.network_.keep_state = False
    small = pickle.dumps(model)
    assert 2 * len(small) < len(whole)
    loaded = pickle.loads(small)
    np.testing.assert_array_equal(loaded.decision_function(X), model.decision_function(X))
    assert all(one.layout.stride == one.layout.n_out for one in loaded.network_.parameters)
    assert len(pickle.dumps(model.fit(X, y))) == pytest.approx(len(whole), rel=0.05)  # the choice is of one net


@pytest.mark.parametrize("hidden_layer_sizes", [(), (20,)])
@pytest.mark.parametrize("penalty", [None, L2(1e-3), L1(1e-4), [NonNegative(), L2(1e-3)]], ids=repr)
@pytest.mark.parametrize("optimizer", [AdaGrad(), AdaGrad(rowwise=True), "adam", "sgd"], ids=repr)
def test_outputs_between_updates_are_those_of_means_without_a_pass_over_all_columns(
    optimizer, penalty, hidden_layer_sizes
):
    X, y = ids(0, n_rows=600)
    model = VectorFlowClassifier(
        hidden_layer_sizes, optimizer=optimizer, penalty=penalty, average=100, batch_size=1, random_state=0
    )
    for rows in (slice(0, 80), slice(80, 300), slice(300, 500)):  # means begin within the second
        model.partial_fit(X[rows], y[rows], [0, 1])
        now = model.decision_function(X)
        assert not model.network_.settled
        settled = copy.deepcopy(model)
        assert len(settled.coefs_) and settled.network_.settled
        np.testing.assert_allclose(now, settled.decision_function(X), rtol=1e-5, atol=1e-6 * np.abs(now).max())


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"hidden_layer_sizes": (8,)}], ids=str)
@pytest.mark.parametrize("n_epochs", [2, 3, 4, 5, 6, 8])
def test_a_row_that_tells_nothing_leaves_means_as_they_are(params, n_epochs):
    """Whether or not they begin anew with it."""
    X, y = ids(0, n_rows=200, n_columns=60)
    options = {"average": True, "max_iter": n_epochs, "tol": None, "random_state": 0, **params}
    empty = sparse.csr_matrix((1, X.shape[1]))
    for model, targets in ((VectorFlowClassifier(**options), y), (VectorFlowRegressor(**options), X @ np.arange(60.0))):
        raw = getattr(model.fit(X, targets), "decision_function", None) or model.predict
        before = raw(X)
        model.partial_fit(empty, targets[:1])
        np.testing.assert_allclose(raw(X), before, atol=0.1 * before.std())


def test_weights_that_are_set_are_those_that_training_goes_on_from():
    X, y = ids(0, n_rows=500)
    model = VectorFlowClassifier(average=True, max_iter=4, tol=None, random_state=0).fit(X, y)
    network = model.network_
    network.set_weights([np.zeros_like(one) for one in network.weights()], network.intercepts())
    model.partial_fit(sparse.csr_matrix((1, X.shape[1])), y[:1])
    assert not np.any(network.parameters[0].weights()) and not np.any(model.coef_)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("taken", [0, 10**8])
def test_sgd_applies_all_of_a_penalty_however_many_steps_it_has_taken(taken, average):
    """Its clocks are sums of rates in single precision, to which a rate adds nothing in the end."""
    n_steps, strength = 20_000, 1e-4
    X, y = sparse.csr_matrix(np.tile([[1.0, 0.0], [1.0, 1.0]], (n_steps // 2, 1))), np.ones(n_steps)
    y[::2] = -1.0
    optimizer = SGD(0.5, schedule="constant")
    params = {"alpha": strength, "average": average, "fit_intercept": False, "batch_size": 1, "random_state": 0}
    model = VectorFlowClassifier(loss="squared_hinge", optimizer=optimizer, **params)
    model.partial_fit(X[:1], [-1.0], [-1.0, 1.0])
    network = model.network_
    network.set_weights([np.array([[-100.0], [200.0]])], network.intercepts())
    network._state = replace(network._state, progress=(taken, 0.5 * taken), average_from=taken)
    stamp(network.parameters[0].record, network.parameters[0].layout, taken, 0.5 * taken)
    before = network.weights()[0].copy()
    model.partial_fit(X, y)  # no row is nearer than its margin, and the penalty alone acts
    left = np.exp(-0.5 * strength * n_steps)
    expected = before * ((1.0 - left) / (0.5 * strength * n_steps) if average else left)
    np.testing.assert_allclose(network.weights()[0], expected, rtol=3e-4)
