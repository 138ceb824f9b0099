"""Rows sorted by their targets are trained on as shuffled ones are."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import log_loss

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.io import BatchSource
from sklearn_vectorflow.training import plan
from sklearn_vectorflow.training import trainer as training
from sklearn_vectorflow.training.neighbours import neighbours_are_alike
from sklearn_vectorflow.training.plan import CHUNK, FULL_SHUFFLE

N_ROWS = FULL_SHUFFLE + 5_000


def ones(n_rows, n_columns, n_ones, rng):
    columns = rng.integers(0, n_columns, n_rows * n_ones)
    starts = np.arange(0, n_rows * n_ones + 1, n_ones)
    return sparse.csr_matrix((np.ones(n_rows * n_ones, np.float32), columns, starts), shape=(n_rows, n_columns))


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = ones(N_ROWS, 300, 8, rng)
    return X, X @ rng.normal(scale=0.5, size=300) + rng.logistic(size=N_ROWS)


def targets(share, rng):
    return (rng.random(N_ROWS) < share).astype(float)[:, None]


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.002])
def test_two_classes_are_alike_where_they_are_sorted(share):
    y = targets(share, np.random.default_rng(0))
    assert not neighbours_are_alike(y)
    assert neighbours_are_alike(np.sort(y, axis=0))


def test_numbers_and_any_of_several_columns():
    y = np.random.default_rng(0).normal(size=(N_ROWS, 2))
    assert not neighbours_are_alike(y)
    assert neighbours_are_alike(np.c_[y[:, 0], np.sort(y[:, 1])])
    assert not neighbours_are_alike(np.zeros((N_ROWS, 1)))


def test_labels():
    rng = np.random.default_rng(0)
    labels = sparse.csr_array((np.ones(2 * N_ROWS), rng.integers(0, 50, 2 * N_ROWS), np.arange(0, 2 * N_ROWS + 1, 2)))
    order = np.argsort(labels.indices[::2], kind="stable")
    assert not neighbours_are_alike(labels)
    assert neighbours_are_alike(labels[order])


@pytest.mark.parametrize("seed", range(20))
def test_chance_is_no_order(seed):
    rng = np.random.default_rng(seed)
    share = 10.0 ** rng.uniform(-4, -0.3)
    assert not neighbours_are_alike(targets(share, rng))
    assert not neighbours_are_alike(rng.integers(0, 100, (N_ROWS, 1)).astype(float))


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("model", [VectorFlowClassifier, VectorFlowRegressor])
def test_sorted_rows_are_as_good_as_shuffled_ones(problem, model, n_jobs):
    X, signal = problem
    y = (signal > 0).astype(int) if model is VectorFlowClassifier else signal
    order = np.argsort(y, kind="stable")

    def loss(rows):
        fitted = model(random_state=0, n_jobs=n_jobs).fit(X[rows], y[rows])
        if model is VectorFlowRegressor:
            return np.mean((y - fitted.predict(X)) ** 2)
        return log_loss(y, fitted.predict_proba(X))

    assert loss(order) < 1.003 * loss(np.arange(N_ROWS))


def test_shuffled_rows_keep_their_chunks(problem, monkeypatch):
    X, signal = problem
    chunks = []
    of = training.Plan.of
    monkeypatch.setattr(training.Plan, "of", lambda *args, **more: chunks.append(of(*args, **more)) or chunks[-1])
    for y in (signal, np.sort(signal)):
        VectorFlowRegressor(max_iter=1, random_state=0).fit(X, y)
    assert [one.chunk for one in chunks] == [CHUNK, 1]


@pytest.mark.parametrize("is_sorted", [False, True])
def test_a_source_that_is_sorted_warns(problem, is_sorted, recwarn, monkeypatch):
    monkeypatch.setattr(plan, "SLICE", 50_000)
    X, signal = problem
    y = np.sort(signal) if is_sorted else signal

    def blocks():
        for first in range(0, N_ROWS, 5000):
            yield X[first : first + 5000], y[first : first + 5000]

    source = BatchSource(blocks, buffer_bytes=1 << 20)
    VectorFlowRegressor(max_iter=1, tol=None, random_state=0).fit(source)
    assert [str(one.message)[:40] for one in recwarn] == [
        "Consecutive rows of the source have similar"[:40]
    ] * is_sorted
