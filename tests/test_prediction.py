"""Prediction gives the same however rows are stored, split up and shared between threads."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, threads
from sklearn_vectorflow.io import BatchSource
from sklearn_vectorflow.io import matrix as matrices
from sklearn_vectorflow.losses import LogLoss
from sklearn_vectorflow.network import forward
from sklearn_vectorflow.optimizers import FTRL, AdaGrad

N_ROWS = 400
OPTIMIZERS = {"ftrl": FTRL(), "adagrad": AdaGrad()}  # weights in an array of their own, and in records


def drawn(n_features):
    rng, shape = np.random.RandomState(0), (N_ROWS, 20)
    rows, columns = np.broadcast_to(np.arange(N_ROWS)[:, None], shape), rng.randint(n_features, size=shape)
    values = rng.rand(*shape).astype(np.float32)
    X = sparse.csr_matrix((values.ravel(), (rows.ravel(), columns.ravel())), shape=(N_ROWS, n_features))
    return X, np.asarray(X.sum(axis=1))[:, 0] > 10


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setattr(threads, "WORTHWHILE", 1)
    monkeypatch.setattr(threads, "_pool_limit", lambda: 2)


def wide(X):
    out = X.astype(np.float64)
    out.indices, out.indptr = out.indices.astype(np.int64), out.indptr.astype(np.int64)
    return out


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_features", [200, 400_000])  # of few, weights are not asked for ahead
def test_linear_outputs(optimizer, fit_intercept, n_features):
    X, y = drawn(n_features)
    model = VectorFlowClassifier(
        optimizer=OPTIMIZERS[optimizer], fit_intercept=fit_intercept, max_iter=3, tol=None, random_state=0
    ).fit(X, y)
    expected = X @ model.coef_[0].astype(np.float64) + model.intercept_[0]
    raw = model.decision_function(X)
    np.testing.assert_allclose(raw, expected, rtol=1e-5, atol=1e-5)
    stored = [wide(X), X.tocsc(), *([X.toarray()] if n_features == 200 else [])]
    for rows in stored:
        np.testing.assert_array_equal(model.decision_function(rows), raw)
    np.testing.assert_array_equal(np.concatenate([model.decision_function(row) for row in X[:20]]), raw[:20])
    np.testing.assert_array_equal(model.predictor("decision_function")(X), raw)


@pytest.mark.parametrize("average", [False, True])
def test_linear_outputs_of_averages(average):
    X, y = drawn(200)
    model = VectorFlowRegressor(optimizer="adagrad", average=average, max_iter=3, tol=None).fit(X, y.astype(float))
    np.testing.assert_allclose(model.predict(X), X @ model.coef_.ravel() + model.intercept_, rtol=1e-5, atol=1e-5)


def test_rows_are_checked_by_all_threads(two_threads, monkeypatch):
    X, y = drawn(200)
    model, spans, check = VectorFlowClassifier(n_jobs=2).fit(X, y), [], matrices.engine.check_rows
    monkeypatch.setattr(matrices.engine, "check_rows", lambda *args: spans.append(args[-2:]) or check(*args))
    for method in ("decision_function", "predict"):
        spans.clear()
        getattr(model, method)(X)
        assert len(spans) > 1 and sorted(row for span in spans for row in span)[-1] == N_ROWS
    X.data[-1] = np.nan
    with pytest.raises(ValueError, match=f"NaN.*in row {N_ROWS - 1}"):
        model.predict(X)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_losses_see_a_block_at_a_time(two_threads, monkeypatch, n_jobs):
    X, y = drawn(200)
    model, seen = VectorFlowClassifier(n_jobs=n_jobs).fit(X, y), []
    expected, own = model.predict_proba(X), LogLoss.predict_proba
    monkeypatch.setattr(forward, "MOST_RAW", 7)
    monkeypatch.setattr(LogLoss, "predict_proba", lambda self, raw: seen.append(raw) or own(self, raw))
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    assert {len(raw) for raw in seen} == {7, N_ROWS % 7} and {raw.dtype for raw in seen} == {np.dtype(float)}


@pytest.mark.parametrize("method", ["decision_function", "predict", "predict_proba"])
def test_sources_without_rows(method):
    model = VectorFlowClassifier().fit(*drawn(200))
    with pytest.raises(ValueError, match="The source gave no rows"):
        getattr(model, method)(BatchSource(lambda: iter(())))
