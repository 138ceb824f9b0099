"""Factorization machines against the dense reference: every rule and penalty, ranks around the sizes of vectors."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.layers import Add, FactorizationMachine, Input, Linear, ReLU
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


def _data(n_classes=2):
    """Rows of up to nine non-zeros, some of a single one; the last feature never occurs."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    X[rng.random(X.shape) < np.linspace(0.4, 0.9, N_ROWS)[:, None]] = 0.0
    X[:, -1] = 0.0
    return X, np.arange(N_ROWS) % n_classes


def _network(rank, n_outputs=1):
    x = Input()
    factors = np.random.default_rng(rank).normal(scale=0.3, size=(N_FEATURES, rank * n_outputs)).astype(np.float32)
    return Add()([Linear(init="zeros")(x), FactorizationMachine(rank, init=factors)(x)])


def _fit_both(rank, optimizer, penalty, batch_size=1, n_classes=2, loss=reference.log_loss, average=False):
    X, y = _data(n_classes)
    (own_optimizer, make_optimizer), (own_penalty, fields) = OPTIMIZERS[optimizer], PENALTIES[penalty]
    model = VectorFlowClassifier(
        network=_network(rank, 1 if n_classes == 2 else n_classes),
        optimizer=own_optimizer,
        penalty=own_penalty,
        batch_size=batch_size,
        average=average,
        max_iter=N_EPOCHS,
        tol=None,
        shuffle=False,
        n_jobs=1,
        random_state=0,
    )
    still = clone(model).set_params(optimizer=SGD(1e-100), max_iter=1, average=False).fit(X, y)
    model.fit(sparse.csr_array(X), y)
    expected = reference.train_machine(
        *still.coefs_,
        still.intercepts_[0],
        X.astype(float),
        y[:, None],
        loss,
        make_optimizer,
        [reference.Penalty(**fields)] * 2,
        batch_size=batch_size,
        n_epochs=N_EPOCHS,
        average_from=average // batch_size if average else None,
    )
    assert np.abs(still.coefs_[1] - expected[1]).max() > 1e-3, "a test of training in which nothing moves shows nothing"
    return (*model.coefs_, model.intercepts_[0][None, :]), expected


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rank", [1, 3, 4, 8, 9, 12, 16, 19, 28])
def test_a_row_a_step(rank, optimizer, penalty):
    reference.assert_close(*_fit_both(rank, optimizer, penalty), 2e-5)


@pytest.mark.parametrize("penalty", ["none", "l2", "elastic_each"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rank", [1, 3, 8])
def test_batches(rank, optimizer, penalty):
    reference.assert_close(*_fit_both(rank, optimizer, penalty, batch_size=7), 2e-5)


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rank", [3, 8])
def test_several_outputs_have_embeddings_of_their_own(rank, optimizer, batch_size):
    reference.assert_close(*_fit_both(rank, optimizer, "l2", batch_size, 3, reference.multinomial), 2e-5)


@pytest.mark.parametrize("penalty", ["none", "l2", "l1"])
@pytest.mark.parametrize("optimizer", ["adagrad", "adagrad_rowwise", "adam", "adam_rowwise", "sgd"])
def test_means(optimizer, penalty, monkeypatch):
    # under a falling rate, those of features that never come are only nearly exact
    monkeypatch.setitem(OPTIMIZERS, "sgd", (SGD(0.1, schedule="constant"), lambda _: reference.SGD(0.1)))
    reference.assert_close(*_fit_both(9, optimizer, penalty, average=N_ROWS), 2e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rank", [1, 3, 8])
def test_pairs_of_hidden_units(rank, optimizer):
    """Steps go down the finite differences of the loss, where factors read what other layers give."""
    X, y = _data()
    hidden = ReLU()(Linear(5, init=0.5, frozen=True)(Input()))
    network = Add()([Linear()(hidden), FactorizationMachine(rank, init=0.3)(hidden)])
    options = dict(network=network, penalty=L2(0.01), batch_size=1, tol=None, shuffle=False, n_jobs=1, random_state=0)
    model = VectorFlowClassifier(optimizer=OPTIMIZERS[optimizer][0], max_iter=2, **options).fit(X, y)
    still = VectorFlowClassifier(optimizer=SGD(1e-100), max_iter=1, **options).fit(X, y)
    W, b = (a[0] for a in (still.coefs_, still.intercepts_))
    units = np.maximum(X @ W + b, 0.0).astype(float)
    expected = reference.train_machine(
        *still.coefs_[1:],
        still.intercepts_[1],
        units,
        y[:, None],
        reference.log_loss,
        OPTIMIZERS[optimizer][1],
        [reference.Penalty(l2=0.01)] * 2,
        n_epochs=2,
    )
    reference.assert_close((*model.coefs_[1:], model.intercepts_[1][None, :]), expected, 1e-4)
