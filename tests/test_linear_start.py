"""Nets of few rows: they start as the linear model of these rows, and held-out rows tell how far they leave it."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.estimators import linear_start
from sklearn_vectorflow.training.held_out import HeldOutCurve

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NET = {"hidden_layer_sizes": (16,), "random_state": 0}


def linear_truth(n_rows, signal, seed, n_columns=20, n_classes=0):
    """Training and test rows that follow a linear model."""
    rng = np.random.default_rng([seed, n_rows])
    X = rng.normal(size=(n_rows + 2000, n_columns))
    scores = X @ rng.normal(size=(n_columns, max(1, n_classes))) * signal / np.sqrt(n_columns)
    noise = rng.gumbel(size=scores.shape) if n_classes else rng.normal(size=scores.shape)
    y = (scores + noise).argmax(axis=1) if n_classes else (scores + noise)[:, 0]
    return X[:n_rows], y[:n_rows], X[n_rows:], y[n_rows:]


def left(model, X, y):
    return np.mean((model.predict(X) - y) ** 2)


def is_plane(X, values):
    with_intercept = np.column_stack([X, np.ones(len(X))])
    remains = values - with_intercept @ np.linalg.lstsq(with_intercept, values, rcond=None)[0]
    return np.abs(remains).max() < 1e-3 * values.std()


@pytest.mark.parametrize("n_rows", [40, 300])
def test_nets_are_as_good_as_linear_models_where_few_rows_follow_one(n_rows):
    losses = []
    for seed in range(3):
        X, y, *test = linear_truth(n_rows, 5.0, seed)
        models = VectorFlowRegressor(random_state=0), VectorFlowRegressor(**NET)
        losses.append([left(model.fit(X, y), *test) for model in models])
    linear, net = np.mean(losses, axis=0)
    assert net < 1.05 * linear


def test_nets_are_as_good_as_linear_models_of_classes():
    X, y, X_test, y_test = linear_truth(300, 3.0, 0, n_classes=3)
    models = VectorFlowClassifier(random_state=0), VectorFlowClassifier(**NET)
    linear, net = (log_loss(y_test, model.fit(X, y).predict_proba(X_test)) for model in models)
    assert net < 1.05 * linear


def test_nets_learn_more_than_a_plane_from_few_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2300, 2))
    y = (np.square(X).sum(axis=1) + 0.3 * rng.normal(size=2300) > 1.4).astype(int)
    loss = [
        log_loss(
            y[300:], VectorFlowClassifier(**NET, early_stopping=stops).fit(X[:300], y[:300]).predict_proba(X[300:])
        )
        for stops in ("auto", False)
    ]
    assert loss[0] < 0.85 * loss[1]


@pytest.mark.parametrize("sizes", [(2,), (7,), 16, (9, 6), (16, 5, 3)], ids=str)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_net_starts_as_a_linear_model(monkeypatch, sizes, fit_intercept):
    monkeypatch.setattr(HeldOutCurve, "n_after_first", lambda self: 0)
    X, y, X_test, _ = linear_truth(100, 1.0, 0)
    options = {"random_state": 0, "fit_intercept": fit_intercept}
    linear, net = (VectorFlowRegressor(hidden_layer_sizes=one, **options).fit(X, y + 1.0) for one in ((), sizes))
    assert is_plane(X_test, net.predict(X_test))
    # the strength of its penalty is that of the rows without those held out first
    assert np.corrcoef(net.predict(X_test), linear.predict(X_test))[0, 1] > 0.99


def test_a_net_of_several_outputs_starts_as_a_linear_model(monkeypatch):
    monkeypatch.setattr(HeldOutCurve, "n_after_first", lambda self: 0)
    X, y, X_test, _ = linear_truth(300, 3.0, 0, n_classes=3)
    linear, net = (
        VectorFlowClassifier(hidden_layer_sizes=one, random_state=0).fit(X, y).decision_function(X_test)
        for one in ((), (7, 6))
    )
    for k in range(3):
        assert is_plane(X_test, net[:, k])
        assert np.corrcoef(net[:, k], linear[:, k])[0, 1] > 0.98


@pytest.mark.parametrize("change", [{"activation": "tanh"}, {"hidden_layer_sizes": (1,)}], ids=str)
def test_other_nets_start_from_what_is_drawn(monkeypatch, change):
    def fails(self):
        raise AssertionError

    monkeypatch.setattr(HeldOutCurve, "n_after_first", fails)
    X, y, *test = linear_truth(100, 1.0, 0)
    assert left(VectorFlowRegressor(**{**NET, **change}).fit(X, y), *test) < np.var(test[1])


@pytest.mark.parametrize(
    "change",
    [
        *({"alpha": 1e-3}, {"optimizer": "adagrad"}, {"learning_rate": 0.01}, {"batch_size": 8}, {"tol": None}),
        *({"max_iter": 7}, {"early_stopping": False}),
    ],
    ids=str,
)
def test_nets_with_steps_or_strengths_of_their_own_train_on_all_rows(change):
    X, y, *_ = linear_truth(100, 1.0, 0)
    assert not hasattr(VectorFlowRegressor(**{**NET, **change}).fit(X, y), "validation_scores_")
    assert hasattr(VectorFlowRegressor(**NET).fit(X, y), "validation_scores_")


def test_rows_that_are_not_few_train_as_they_did(monkeypatch):
    monkeypatch.setattr(linear_start, "MOST_ROWS", 99)
    X, y, *_ = linear_truth(100, 1.0, 0)
    assert not hasattr(VectorFlowRegressor(**NET).fit(X, y), "validation_scores_")


@pytest.mark.filterwarnings("ignore:The number of unique classes")
@pytest.mark.parametrize("y, change", [(np.arange(30), {}), (np.arange(30) % 2, {"validation_fraction": 0.99})])
def test_rows_that_cannot_be_held_out_are_all_trained_on(y, change):
    X = np.random.default_rng(0).normal(size=(30, 5))
    assert not hasattr(VectorFlowClassifier(**NET, **change).fit(X, y), "validation_scores_")


def test_a_net_leaves_its_linear_start_for_a_clear_gain_only():
    def n_after_first(*losses):
        curve = HeldOutCurve([1.0, 1.0, 1.0])
        for block_losses in losses:
            curve.add(block_losses)
        return curve.n_after_first()

    first = [1.0, 1.0, 1.0]
    assert n_after_first(first, [1.1, 1.0, 1.0], [1.2, 1.1, 1.0]) == 0
    assert n_after_first(first, [0.9, 0.9, 0.9], [0.8, 0.8, 0.8], [0.81, 0.8, 0.8]) == 2
    assert n_after_first(first, [0.5, 1.2, 1.2]) == 0  # better in the mean, by less than a standard error
    assert n_after_first(first, [np.nan, 1.0, 1.0], [0.5, 0.6, 0.5]) == 2
