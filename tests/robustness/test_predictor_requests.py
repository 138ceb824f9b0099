"""Requests to a Predictor of every kind: without entries first, of counts, after a pickle, from several threads."""

import copy
import pickle
import threading

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.layers import Crosses, FactorizationMachine, FieldAwareFactorizationMachine, Input, Linear

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
    "fields": lambda: VectorFlowRegressor(network=FieldAwareFactorizationMachine(GROUPS)(Input()), max_iter=3).fit(
        X, Y
    ),
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


def test_rows_as_dicts_and_as_columns_and_values(model):
    predictor, expected = model.predictor(), model.predict(X)
    pairs = [(row.indices, row.data) for row in X[:5]]
    dicts = [dict(zip(columns.tolist(), values.tolist())) for columns, values in pairs]
    for (columns, values), row, one in zip(pairs, dicts, expected):
        for request in ((columns, values), (columns.astype("i8"), values.astype(int)), (list(columns), tuple(values))):
            np.testing.assert_array_equal(predictor(request), [one])
        np.testing.assert_array_equal(predictor(row), [one])
    for request in (
        pairs,
        dicts,
        [*pairs[:2], *dicts[2:]],
        [(columns.astype("u8"), values) for columns, values in pairs],
    ):
        np.testing.assert_array_equal(predictor(request), expected[:5])


def test_rows_without_entries_in_every_form(model):
    predictor, expected = model.predictor(), model.predict(EMPTY)
    for request in ({}, ([], []), [{}], [([], [])]):
        np.testing.assert_array_equal(predictor(request), expected)
    assert len(predictor([])) == 0


def test_a_hundred_candidates_in_one_call():
    model = MODELS["classes"]()
    found = model.predictor("predict_proba")([dict(zip(row.indices, row.data)) for row in X[:100]])
    np.testing.assert_array_equal(found, model.predict_proba(X[:100]))


def test_dicts_of_names():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X.toarray(), columns=[f"c{column}" for column in range(N_FEATURES)])
    model = VectorFlowRegressor(max_iter=3, random_state=0).fit(frame, Y)
    predictor, expected = model.predictor(), model.predict(frame)
    for row, one in zip(frame.to_dict("records")[:5], expected):
        np.testing.assert_allclose(predictor(row), [one], rtol=1e-6)
        mixed = {int(name[1:]) if name < "c2" else name: value for name, value in row.items() if value}
        np.testing.assert_allclose(predictor(mixed), [one], rtol=1e-6)
    with pytest.raises(ValueError, match="names of columns or their numbers as its keys, got 'c99'"):
        predictor({"c99": 1.0})


@pytest.mark.parametrize(
    ["row", "error", "match"],
    [
        ({"c1": 1.0}, ValueError, "numbers of columns as its keys, got 'c1'"),
        ({N_FEATURES: 1.0}, ValueError, r"outside \[0, n_features\) = 30"),
        ({2**40: 1.0}, ValueError, "outside"),
        ({-1: 1.0}, ValueError, "outside"),
        ({1: np.nan}, ValueError, "NaN"),
        ({1: 1e300}, ValueError, "too large for float32"),
        ({1: "one"}, TypeError, "must be numeric"),
        ({1: 1j}, ValueError, "must be real"),
        (([1, 2], [1.0]), ValueError, r"one value for each of its columns, got arrays of the shapes \(2,\) and \(1,\)"),
        (([[1]], [[1.0]]), ValueError, "one value for each of its columns"),
        (([1.5], [1.0]), TypeError, "columns of a row must be integers"),
        (([1], [1.0], 3), TypeError, "got tuple"),
        ([{1: 1.0}, ([1, N_FEATURES], [1.0, 1.0])], ValueError, "outside .* row 1"),
        ("text", TypeError, "got str"),
        (None, TypeError, "got NoneType"),
    ],
)
def test_rows_that_are_none_are_refused(model, row, error, match):
    with pytest.raises(error, match=match):
        model.predictor()(row)


@pytest.mark.parametrize("part", ["data", "indices", "indptr"])
def test_matrices_whose_arrays_were_set_to_anything(model, part):
    rows, predictor = X[:3].copy(), model.predictor()
    expected = model.predict(rows)
    setattr(rows, part, getattr(rows, part).tolist())
    np.testing.assert_array_equal(predictor(rows), expected)
    setattr(rows, part, np.array(getattr(rows, part))[None])
    with pytest.raises(ValueError, match="must have one dimension"):
        predictor(rows)


@pytest.mark.parametrize(
    ["rows", "error", "match"],
    [
        (X.astype(complex), ValueError, "X must be real"),
        (sparse.csr_array(np.ones(N_FEATURES, dtype=np.float32)), ValueError, r"X has the shape \(30,\)"),
        (X[:, :5], ValueError, "fitted on 30 columns"),
        (X.tocoo(), TypeError, "X must be a CSR matrix or array, .* got coo_matrix"),
        ([[1.0] * N_FEATURES], TypeError, "X must be a CSR matrix or array, .* got list"),
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
