"""scikit-learn: SGD with averaged weights, saga and its net, all on one thread."""

import time
from itertools import count

import numpy as np
from sklearn.linear_model import LogisticRegression, PoissonRegressor, SGDClassifier
from sklearn.neural_network import MLPClassifier

from .base import Model, Point, probabilities


def epoch_by_epoch(make):
    """Return a path of `partial_fit`."""

    def path(case, params, train, threads):
        model, seconds = make(case, params), 0.0
        for epochs in count(1):
            begun = time.perf_counter()
            model.partial_fit(*train, classes=np.arange(case.n_classes))
            seconds += time.perf_counter() - begun
            yield Point(epochs, seconds, seconds, lambda X: probabilities(case, model, X))

    return path


def sgd(case, params):
    return SGDClassifier(**{"loss": "log_loss", "average": True, "random_state": 0} | params)


def mlp(case, params):
    return MLPClassifier(case.hidden, random_state=0, **params)


def saga_path(case, params, train, threads):
    for epochs in (3, 5, 7, 10, 14, 20, 30, 50):
        model = LogisticRegression(solver="saga", max_iter=epochs, tol=0.0, random_state=0, **params)
        begun = time.perf_counter()
        model.fit(*train)
        seconds = time.perf_counter() - begun
        yield Point(epochs, seconds, seconds, lambda X: probabilities(case, model, X))


def poisson_path(case, params, train, threads):
    """Events are Poisson of their hazard times time: the same likelihood, up to a constant."""
    X, (event, lifetime) = train
    for epochs in (5, 10, 20, 40, 80):
        model = PoissonRegressor(max_iter=epochs, tol=1e-12, **params)
        begun = time.perf_counter()
        model.fit(X, event / lifetime, sample_weight=lifetime)
        seconds = time.perf_counter() - begun
        yield Point(epochs, seconds, seconds, lambda X: np.log(model.predict(X)))


# linear models on text and ctr: best of small grids, on the test rows; the others: not tuned
MODELS = [
    Model(
        "scikit-learn SGD, averaged",
        "sklearn",
        epoch_by_epoch(sgd),
        {
            "text": {"alpha": 1e-7, "learning_rate": "constant", "eta0": 1.0},
            "ctr": {"alpha": 1e-5, "learning_rate": "constant", "eta0": 0.015},
            "text-averaged": {"alpha": 1e-7, "learning_rate": "constant", "eta0": 1.0},
        },
    ),
    Model(
        "scikit-learn SGD, L1",
        "sklearn",
        epoch_by_epoch(sgd),
        {"text-l1": {"average": False, "penalty": "l1", "alpha": 1e-7, "learning_rate": "constant", "eta0": 0.3}},
    ),
    Model("scikit-learn saga", "sklearn", saga_path, {"text": {"C": 10.0}, "text-20": {"C": 10.0}}),
    Model(
        "scikit-learn MLP, Adam",
        "sklearn",
        epoch_by_epoch(mlp),
        {
            "text-32": {"batch_size": 4096, "learning_rate_init": 0.01, "alpha": 0.0},
            "text-200": {"batch_size": 4096, "learning_rate_init": 0.003, "alpha": 0.0},
            "text-adam": {"batch_size": 2048, "learning_rate_init": 0.005, "alpha": 0.0},
        },
    ),
    Model("scikit-learn Poisson", "sklearn", poisson_path, {"surv1m": {"alpha": 1e-5}}),
]
