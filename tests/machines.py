"""Rows, rules and penalties that machines are compared with the dense reference on."""

import numpy as np

from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2, ElasticNet, NonNegative

import reference

N_ROWS, N_FEATURES, N_EPOCHS = 60, 14, 3
EACH = np.linspace(0.0, 0.05, N_FEATURES)

OPTIMIZERS = {
    "adagrad": (AdaGrad(0.1, rowwise=False, epsilon=1e-2), lambda _: reference.AdaGrad(0.1, False, 1e-2)),
    "adagrad_rowwise": (AdaGrad(0.1, rowwise=True, epsilon=1e-2), lambda _: reference.AdaGrad(0.1, True, 1e-2)),
    "adam": (Adam(0.02, epsilon=2e-2, rowwise=False), lambda _: reference.Adam(0.02, epsilon=2e-2)),
    "adam_rowwise": (
        Adam(0.02, epsilon=2e-2, rowwise=True),
        lambda _: reference.Adam(0.02, epsilon=2e-2, rowwise=True),
    ),
    "ftrl": (FTRL(0.2, beta=0.5), lambda _: reference.FTRL(0.2, 0.5)),
    "sgd": (SGD(0.1, power_t=0.2), lambda _: reference.SGD(0.1, 1.0, 0.2)),
}

# the package's, and the reference's of weights and factors
PENALTIES = {
    "none": (L2(0.0), {}),
    "l2": (L2(0.02), {"l2": 0.02}),
    "l1": (L1(0.002), {"l1": 0.002}),
    "elastic_each": (ElasticNet(EACH, 0.25), {"l1": 0.25 * EACH[:, None], "l2": 0.75 * EACH[:, None]}),
    "nonnegative": (NonNegative(0.01), {"lower": 0.01}),
}


def rows_and_classes(n_classes=2):
    """Rows of up to nine non-zeros, some of a single one; the last feature never occurs."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    X[rng.random(X.shape) < np.linspace(0.4, 0.9, N_ROWS)[:, None]] = 0.0
    X[:, -1] = 0.0
    return X, np.arange(N_ROWS) % n_classes
