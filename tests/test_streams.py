"""Streams by `partial_fit` whose first rows are few, empty, or alike: units follow the data as they come."""

import copy
import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import log_loss

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRanker, VectorFlowRegressor
from sklearn_vectorflow.io import BatchSource
from sklearn_vectorflow.optimizers import SGD, AdaGrad
from sklearn_vectorflow.training.first_rows import ENOUGH

N_TRAIN, N_FEATURES = 2000, 20


def data(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_TRAIN + 1000, N_FEATURES))
    return X, X @ rng.normal(size=N_FEATURES) + rng.normal(size=len(X))


def in_blocks(model, X, y, size, start=0, **options):
    for first in range(start, N_TRAIN, size):
        rows = slice(first, min(first + size, N_TRAIN))
        model.partial_fit(X[rows], y[rows], **options)
    return model


def r2(model, X, y):
    return model.score(X[N_TRAIN:], y[N_TRAIN:])


@pytest.mark.parametrize("unit", [1.0, 1e3])
def test_rows_one_by_one_in_any_unit(unit):
    X, y = data()
    model = in_blocks(VectorFlowRegressor(random_state=0), X, unit * y, 1)
    assert r2(model, X, unit * y) == pytest.approx(
        r2(in_blocks(VectorFlowRegressor(random_state=0), X, y, 1), X, y), abs=0.005
    )
    assert r2(model, X, unit * y) > 0.9


@pytest.mark.parametrize("unit", [1.0, 1000.0])
@pytest.mark.parametrize("empty", [False, True])
def test_a_first_block_that_tells_nothing(empty, unit):
    X, y = data()
    first = sparse.csr_matrix((200, N_FEATURES)) if empty else X[:200]
    model = VectorFlowRegressor(random_state=0).partial_fit(first, unit * (y[:200] if empty else np.zeros(200)))
    in_blocks(model, sparse.csr_matrix(X) if empty else X, unit * y, 200, start=200)
    assert r2(model, X, unit * y) > 0.9


@pytest.mark.parametrize("size", [10, 64, 128, 200, 300])
def test_small_first_blocks_are_as_good_as_a_large_one(size):
    losses = []
    for seed in range(4):
        X, y = data(seed)
        y = (y > 0).astype(int)
        models = [in_blocks(VectorFlowClassifier(random_state=0), X, y, k, classes=[0, 1]) for k in (size, 1200)]
        losses.append([log_loss(y[N_TRAIN:], model.predict_proba(X[N_TRAIN:])) for model in models])
    small, large = np.mean(losses, axis=0)
    assert small < 1.02 * large


def test_nets_too():
    X, y = data()
    model = in_blocks(VectorFlowRegressor((8,), random_state=0), X, 10 * y, 10)
    one = in_blocks(VectorFlowRegressor((8,), random_state=0), X, 10 * y, N_TRAIN)
    assert r2(model, X, 10 * y) > r2(one, X, 10 * y) - 0.05


def test_a_large_first_block_is_trained_on_as_ever():
    X, y = data()
    X, y = X[:N_TRAIN], y[:N_TRAIN]
    model = VectorFlowRegressor(random_state=0).partial_fit(X[:ENOUGH], y[:ENOUGH])
    assert model._first_rows is None
    scales = model.network_.scales
    network = model.network_
    model.partial_fit(X[ENOUGH:], y[ENOUGH:])
    assert model.network_ is network and network.scales == scales


@pytest.mark.parametrize("optimizer", [AdaGrad(0.1), SGD(0.01), "adam"], ids=repr)
def test_rates_of_the_users_need_no_rows(optimizer):
    X, y = data()
    model = VectorFlowRegressor(optimizer=optimizer, random_state=0).partial_fit(X[:1], y[:1])
    network = model.network_
    assert model.partial_fit(X[1:9], y[1:9]).network_ is network
    assert getattr(model, "_first_rows", None) is None


def test_rows_are_kept_as_copies_until_there_are_enough():
    X, y = data()
    model, own = VectorFlowRegressor(random_state=0), VectorFlowRegressor(random_state=0)
    for first in range(0, N_TRAIN, 100):
        rows = slice(first, first + 100)
        block, targets = X[rows].copy(), y[rows].copy()
        model.partial_fit(block, targets)
        block[:], targets[:] = 1e6, 1e6
        own.partial_fit(X[rows], y[rows])
        assert (model._first_rows is None) == (first + 100 >= 1600)  # 100, 200, 400, 800, 1600
    np.testing.assert_array_equal(model.coef_, own.coef_)


@pytest.mark.parametrize(
    "copied", [lambda model: pickle.loads(pickle.dumps(model)), copy.deepcopy], ids=["pickle", "copy"]
)
@pytest.mark.parametrize("is_sparse", [False, True])
def test_copies_go_on_with_the_rows(copied, is_sparse):
    X, y = data()
    X = sparse.csr_matrix(np.where(X > 1, X, 0)) if is_sparse else X
    weight = np.random.default_rng(0).exponential(size=len(y))
    model = VectorFlowRegressor(random_state=0).partial_fit(X[:150], y[:150], weight[:150])
    model.partial_fit(X[150:250], y[150:250])
    twin = copied(model)
    for one in (model, twin):
        one.partial_fit(X[250:700], y[250:700], weight[250:700])
    np.testing.assert_array_equal(twin.coef_, model.coef_)


def test_a_damaged_pickle_is_refused():
    X, y = data()
    content = pickle.dumps(VectorFlowRegressor(random_state=0).partial_fit(X[:150], y[:150]))
    at = content.index(X[100].tobytes())
    with pytest.raises(ValueError, match="damaged"):
        pickle.loads(content[:at] + b"\0" + content[at + 1 :])


def test_a_failed_block_is_forgotten():
    X, y = data()
    model = VectorFlowRegressor(random_state=0).partial_fit(X[:100], y[:100])
    twin = copy.deepcopy(model)
    before = model.predict(X)
    with pytest.raises(ValueError, match="outside the range"):
        model.partial_fit(1e25 * X[100:400], y[100:400])  # comes with units anew
    np.testing.assert_array_equal(model.predict(X), before)
    for one in (model, twin):
        one.partial_fit(X[100:400], y[100:400])
    np.testing.assert_array_equal(model.coef_, twin.coef_)


def test_fit_ends_the_beginning():
    X, y = data()
    model = VectorFlowRegressor(random_state=0).partial_fit(X[:100], y[:100]).fit(X[:500], y[:500])
    assert not hasattr(model, "_first_rows")
    network = model.network_
    assert model.partial_fit(X[500:2000], y[500:2000]).network_ is network


def test_sources_and_classes_that_come_late():
    X, y = data()
    codes = np.digitize(y, [-2, 2])
    order = np.r_[np.flatnonzero(codes == 0)[:300], np.flatnonzero(codes == 1)[:300], np.flatnonzero(codes == 2)[:300]]

    def blocks():
        for first in range(0, len(order), 30):
            rows = order[first : first + 30]
            yield X[rows], codes[rows]

    model = VectorFlowClassifier(random_state=0).partial_fit(BatchSource(blocks), classes=[0, 1, 2])
    assert model.predict_proba(X).shape == (len(X), 3)
    assert model.score(X[order], codes[order]) > 0.7


def test_queries_keep_together():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 5))
    y = np.digitize(X @ np.arange(5) + rng.normal(size=1500), [0, 3])
    qid = np.repeat(np.arange(150), 10)
    model = VectorFlowRanker(random_state=0)
    for first in range(0, 1500, 50):
        rows = slice(first, first + 50)
        model.partial_fit(X[rows], y[rows], qid=qid[rows])
    whole = VectorFlowRanker(random_state=0).partial_fit(X, y, qid=qid)
    assert model.score(X, y, qid=qid) > whole.score(X, y, qid=qid) - 0.01
