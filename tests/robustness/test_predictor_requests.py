"""Requests to a Predictor of every kind: without entries first, of counts, after a pickle, from several threads."""

import copy
import pickle
import threading

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.layers import Crosses, FactorizationMachine, Input, Linear

N_FEATURES = 30
X = sparse.random(120, N_FEATURES, 0.3, format="csr", random_state=0, dtype=np.float32)
X.data = np.ceil(X.data * 5)
Y = np.arange(120) % 3
EMPTY = sparse.csr_matrix((1, N_FEATURES), dtype=np.float32)
GROUPS = {"a": slice(0, 15), "b": slice(15, 30)}
MODELS = {
    "linear": lambda: VectorFlowRegressor(max_iter=3, random_state=0).fit(X, Y),
    "classes": lambda: VectorFlowClassifier(max_iter=3, random_state=0).fit(X, Y),
    "hidden": lambda: VectorFlowClassifier((4,), max_iter=3, random_state=0).fit(X, Y),
    "machine": lambda: VectorFlowRegressor(network=FactorizationMachine(3)(Input()), max_iter=3).fit(X, Y),
    "crosses": lambda: VectorFlowRegressor(network=Linear()(Crosses([("a", "b")], GROUPS, 64)(Input()))).fit(X, Y),
}

pytestmark = pytest.mark.filterwarnings("ignore:The fit ended worse")  # models of so few rows do


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return MODELS[request.param]()


@pytest.mark.parametrize("first", [EMPTY, sparse.csr_matrix((0, N_FEATURES)), sparse.csr_matrix((5, N_FEATURES))])
def test_a_first_request_may_have_no_entries(model, first):
    predictor = model.predictor()
    found = predictor(first)
    assert found.shape == (first.shape[0],)
    if first.shape[0]:
        np.testing.assert_array_equal(found, model.predict(first))
    np.testing.assert_array_equal(predictor(X), model.predict(X))


def test_a_later_thread_may_begin_without_entries(model):
    predictor, found = model.predictor(), []
    predictor(X)
    thread = threading.Thread(target=lambda: found.append(predictor(EMPTY)))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(found, [model.predict(EMPTY)])


@pytest.mark.parametrize("dtype", ["i1", "i4", "i8", "u1", "u8", "f2", "g", ">f4"])
def test_counts_are_converted(model, dtype):
    rows = X[:7].copy()
    rows.data = rows.data.astype(dtype)
    np.testing.assert_array_equal(model.predictor()(rows), model.predict(X[:7]))


def test_booleans_are_ones(model):
    rows = X[:7].astype(bool)
    np.testing.assert_array_equal(model.predictor()(rows), model.predict(rows.astype(np.float32)))


@pytest.mark.parametrize("dtype", ["i4", "u4", "i8", "u2", ">i4"])
def test_row_starts_and_columns_may_be_any_integers(model, dtype):
    rows = X[:7].copy()
    rows.indices, rows.indptr = rows.indices.astype(dtype), rows.indptr.astype("i8")
    np.testing.assert_array_equal(model.predictor()(rows), model.predict(X[:7]))


@pytest.mark.parametrize("twice", [lambda one: pickle.loads(pickle.dumps(one)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("used", [False, True])
def test_copies_and_pickles_predict_the_same(model, twice, used):
    predictor = model.predictor("predict")
    if used:
        predictor(X[:3])
    np.testing.assert_array_equal(twice(predictor)(X), predictor(X))


def test_a_pickle_keeps_the_method():
    model = MODELS["classes"]()
    again = pickle.loads(pickle.dumps(model.predictor("predict_proba")))
    np.testing.assert_array_equal(again(X), model.predict_proba(X))


@pytest.mark.parametrize(
    ["rows", "error", "match"],
    [
        (X.astype(complex), ValueError, "X must be real"),
        (sparse.csr_array(np.ones(N_FEATURES, dtype=np.float32)), ValueError, r"X has the shape \(30,\)"),
        (X[:, :5], ValueError, "fitted on 30 columns"),
        (X.tocoo(), TypeError, "X must be a CSR matrix or array, got coo_matrix"),
        ([[1.0] * N_FEATURES], TypeError, "X must be a CSR matrix or array, got list"),
    ],
)
def test_what_is_no_request_is_refused(model, rows, error, match):
    with pytest.raises(error, match=match):
        model.predictor()(rows)


def test_row_starts_that_begin_later_are_refused_as_in_predict(model):
    rows = X[:3].copy()
    rows.indptr = rows.indptr.copy()
    rows.indptr[0] = 1
    for predict in (model.predict, model.predictor()):
        with pytest.raises(ValueError, match=r"X\.indptr must start at 0, got 1"):
            predict(rows)
