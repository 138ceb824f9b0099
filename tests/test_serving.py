"""Light predictors give what the methods give."""

import pickle
import threading

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.layers import Crosses, FactorizationMachine, FieldAwareFactorizationMachine, Input, Linear

N_ROWS, N_FEATURES = 300, 50
X = sparse.random(N_ROWS, N_FEATURES, 0.2, format="csr", dtype=np.float32, random_state=0)
Y = np.asarray(X @ np.sin(np.arange(N_FEATURES)))
CLASSES = np.digitize(Y, np.quantile(Y, [0.3, 0.6]))
GROUPS = {"a": slice(0, 25), "b": slice(25, 50)}
MODELS = {
    "linear": lambda: VectorFlowClassifier().fit(X, Y > 0),
    "classes": lambda: VectorFlowClassifier((8,)).fit(X, CLASSES),
    "labels": lambda: VectorFlowClassifier().fit(X, np.column_stack([Y > 0, CLASSES == 1]).astype(int)),
    "crosses": lambda: VectorFlowClassifier(network=Linear()(Crosses([("a", "b")], GROUPS, 256)(Input()))).fit(
        X, CLASSES
    ),
    "machine": lambda: VectorFlowRegressor(network=FactorizationMachine(3)(Input())).fit(X, Y),
    "fields": lambda: VectorFlowRegressor(network=FieldAwareFactorizationMachine(GROUPS)(Input())).fit(X, Y),
    "regressor": lambda: VectorFlowRegressor(loss="poisson").fit(X, np.round(np.exp(Y))),
    "survival": lambda: VectorFlowSurvivalEstimator().fit(X, (CLASSES > 0, np.exp(Y))),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return MODELS[request.param]()


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_predictions_are_the_methods_own(model, method):
    if not hasattr(model, method):
        with pytest.raises(ValueError, match="method must be one of"):
            model.predictor(method)
        return
    predictor, expected = model.predictor(method), getattr(model, method)(X)
    np.testing.assert_array_equal(predictor(X), expected)
    for rows in (X[:1], X[7:8], X[10:20], X[:1].astype(np.float64)):
        np.testing.assert_array_equal(predictor(rows), getattr(model, method)(rows))


def test_rows_that_repeat_columns_or_are_not_in_order(model):
    values, indices = np.array([1.0, 2.0, 3.0, -1.0], np.float32), np.array([7, 3, 7, 30], np.int32)
    row = sparse.csr_matrix((values, indices, np.array([0, 4])), shape=(1, N_FEATURES))
    np.testing.assert_allclose(model.predictor()(row), model.predict(row), rtol=1e-6)


def test_no_rows(model):
    assert len(model.predictor()(X[:0])) == 0


def test_later_training_leaves_it_as_it_is():
    model = VectorFlowClassifier(random_state=0).fit(X, Y > 0)
    predictor = model.predictor("decision_function")
    before = predictor(X)
    model.fit(X, Y < 0)
    np.testing.assert_array_equal(predictor(X), before)
    assert np.mean(model.decision_function(X) * before < 0) > 0.9


def test_threads_may_share_one():
    model = VectorFlowClassifier((8,), random_state=0).fit(X, CLASSES)
    predictor, expected, found = model.predictor("predict_proba"), model.predict_proba(X), {}

    def serve(first):
        found[first] = [predictor(X[row : row + 1]) for row in range(first, N_ROWS, 4)]

    workers = [threading.Thread(target=serve, args=(first,)) for first in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for first, rows in found.items():
        np.testing.assert_array_equal(np.concatenate(rows), expected[first::4])


@pytest.mark.parametrize(
    ["rows", "error", "match"],
    [
        (X.toarray(), TypeError, "CSR"),
        (X.tocsc(), TypeError, "CSR"),
        (X[:, :10], ValueError, "columns"),
        (
            sparse.csr_matrix((np.ones(1, np.float32), np.array([3]), np.array([0, 1])), shape=(1, N_FEATURES))
            * np.nan,
            ValueError,
            "NaN",
        ),
    ],
)
def test_bad_input(rows, error, match):
    with pytest.raises(error, match=match):
        VectorFlowClassifier(max_iter=1, tol=None).fit(X, Y > 0).predictor()(rows)


def test_an_index_outside_is_refused():
    row = X[:1].copy()
    row.indices[0] = N_FEATURES
    with pytest.raises(ValueError, match="outside"):
        VectorFlowClassifier(max_iter=1, tol=None).fit(X, Y > 0).predictor()(row)


def test_models_pickle_after_one_was_made():
    model = VectorFlowClassifier().fit(X, Y > 0)
    model.predictor()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
