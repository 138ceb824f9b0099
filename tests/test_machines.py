"""Factorization machines against the dense reference: every rule and penalty, ranks around the sizes of vectors."""

import numpy as np
import pytest
from machines import N_EPOCHS, N_FEATURES, N_ROWS, OPTIMIZERS, PENALTIES, rows_and_classes
from scipy import sparse
from sklearn.base import clone

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.layers import Add, FactorizationMachine, Input, Linear, ReLU
from sklearn_vectorflow.optimizers import SGD
from sklearn_vectorflow.penalties import L2

import reference


def _network(rank, n_outputs=1):
    x = Input()
    factors = np.random.default_rng(rank).normal(scale=0.3, size=(N_FEATURES, rank * n_outputs)).astype(np.float32)
    return Add()([Linear(init="zeros")(x), FactorizationMachine(rank, init=factors)(x)])


def _fit_both(rank, optimizer, penalty, batch_size=1, n_classes=2, loss=reference.log_loss, average=False):
    X, y = rows_and_classes(n_classes)
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
    X, y = rows_and_classes()
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
