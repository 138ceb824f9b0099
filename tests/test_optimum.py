"""Trained long enough, models reach the optimum of their objective that scikit-learn's solvers find."""

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from sklearn.preprocessing import normalize

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.optimizers import SGD, AdaGrad

from datasets import load, needs_data

LARGEST_GAP = 1e-3

pytestmark = needs_data


def penalised(mean_loss, coef, alpha):
    return mean_loss + alpha / 2 * np.sum(np.asarray(coef, dtype=np.float64) ** 2)


def raw_outputs(model, X):
    """In float64, whatever the model's weights are kept in."""
    raw = X.astype(np.float64) @ np.atleast_2d(model.coef_).T.astype(np.float64)
    return raw + np.asarray(model.intercept_, dtype=np.float64)


def log_loss_objective(model, X, y, alpha):
    raw = raw_outputs(model, X)
    if raw.shape[1] == 1:
        raw = np.hstack([np.zeros_like(raw), raw])
    of_class = raw[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    return penalised(np.mean(logsumexp(raw, axis=1) - of_class), model.coef_, alpha)


def poisson_objective(model, X, y, weight, alpha):
    raw = raw_outputs(model, X)[:, 0]
    return penalised(np.average(np.exp(raw) - y * raw, weights=weight), model.coef_, alpha)


def logistic_optimum(X, y, alpha):
    model = LogisticRegression(C=1 / (alpha * X.shape[0]), tol=1e-8, max_iter=10_000)
    return log_loss_objective(model.fit(X.astype(np.float64), y), X, y, alpha)


def assert_reached(objective, optimum):
    gap = objective / optimum - 1
    print(f"gap {gap:.3%}")
    assert -1e-6 < gap < LARGEST_GAP


@pytest.fixture(scope="module", params=["a9a", "phishing"])
def binary(request):
    data = load(request.param)
    return data["X"], data["y"], logistic_optimum(data["X"], data["y"], alpha=1e-4)


def last_half(n_rows, epochs):
    """Rows that a mean of weights leaves out: those of the first half of the epochs."""
    return n_rows * epochs // 2


@pytest.mark.parametrize("optimizer", [AdaGrad(1.0), SGD(0.1, schedule="optimal")], ids=["adagrad", "sgd"])
def test_logistic_regression_with_averaging(binary, optimizer):
    X, y, optimum = binary
    epochs = 40
    model = VectorFlowClassifier(
        optimizer=optimizer,
        alpha=1e-4,
        max_iter=epochs,
        tol=None,
        average=last_half(X.shape[0], epochs),
        random_state=0,
    ).fit(X, y)
    assert_reached(log_loss_objective(model, X, y, alpha=1e-4), optimum)


def test_logistic_regression_with_decreasing_steps(binary):
    X, y, _ = binary
    alpha = 1e-3
    optimizer = SGD(0.1, schedule="optimal")
    model = VectorFlowClassifier(optimizer=optimizer, alpha=alpha, max_iter=40, tol=None, random_state=0).fit(X, y)
    assert_reached(log_loss_objective(model, X, y, alpha), logistic_optimum(X, y, alpha))


def news20():
    """Unit rows of logarithmic counts; words of few texts are left out for the reference's time."""
    data = load("news20")
    X = data["X"].copy()
    X.data = np.log1p(X.data)
    often = np.bincount(X.indices, minlength=X.shape[1]) >= 10
    return normalize(X[:, often]).astype(np.float32), data["y"]


def test_multinomial_logistic_regression():
    X, y = news20()
    alpha = 1e-3
    model = VectorFlowClassifier(
        optimizer=SGD(1.0, schedule="optimal"), alpha=alpha, max_iter=20, tol=None, random_state=0
    ).fit(X, y)
    assert_reached(log_loss_objective(model, X, y, alpha), logistic_optimum(X, y, alpha))


@pytest.mark.parametrize("optimizer", [AdaGrad(0.1), SGD(0.03, schedule="optimal")], ids=["adagrad", "sgd"])
def test_poisson_regression_of_rates(optimizer):
    data = load("ins_bemtpl97")
    X, exposure = data["X"], data["exposure"]
    rate = data["y"] / exposure
    alpha, epochs = 1e-3, 4
    model = VectorFlowRegressor(
        loss="poisson",
        optimizer=optimizer,
        alpha=alpha,
        max_iter=epochs,
        tol=None,
        average=last_half(X.shape[0], epochs),
        random_state=0,
    ).fit(X, rate, sample_weight=exposure)
    reference = PoissonRegressor(alpha=alpha, solver="newton-cholesky", tol=1e-8, max_iter=100)
    reference.fit(X.astype(np.float64), rate, sample_weight=exposure)
    optimum = poisson_objective(reference, X, rate, exposure, alpha)
    assert_reached(poisson_objective(model, X, rate, exposure, alpha), optimum)
