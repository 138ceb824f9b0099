"""Whole graphs: gradients against finite differences, wirings, and old defects of nets."""

import os
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy import sparse

from sklearn_vectorflow import VectorFlowRegressor
from sklearn_vectorflow.layers import SELU, Add, Concat, Dropout, Input, Linear, Multiply, ReLU, Tanh, ordered
from sklearn_vectorflow.optimizers import SGD

import graphs

N_GRAPHS = int(os.environ.get("VECTORFLOW_GRAPHS", 60))
STEP = SGD(1.0, schedule="constant")
NO_STEP = SGD(1e-100, schedule="constant")


def _rows(rng, n_rows):
    X = rng.normal(size=(n_rows, graphs.N_FEATURES)) * (rng.uniform(size=(n_rows, graphs.N_FEATURES)) < 0.6)
    return X.astype(np.float32)


def _random_weights(rng, network):
    weights, intercepts = [], []
    for place in network.graph.weighted:
        shape = place.n_in, place.n_weights
        weights.append(rng.normal(scale=1 / np.sqrt(max(place.n_in, 2)), size=shape).astype(np.float32))
        has_bias = place.layer.has_bias
        intercepts.append((has_bias * rng.normal(scale=0.3, size=place.n_weights)).astype(np.float32))
    return weights, intercepts


def _as_dict(network, weights, intercepts):
    return {place.key: (W, b) for place, W, b in zip(network.graph.weighted, weights, intercepts)}


def _one_step(heads, X, Y, seed):
    """Return a model with random weights, those weights, and what a step of descent took off them."""
    rng = np.random.RandomState(seed)
    model = VectorFlowRegressor(
        network=heads,
        optimizer=NO_STEP,
        alpha=0.0,
        batch_size=X.shape[0],
        max_iter=1,
        tol=None,
        warm_start=True,
        n_jobs=1,
    ).fit(X, Y)
    before = _random_weights(rng, model.network_)
    model.network_.set_weights(*before)
    found = model.predict(X)
    model.set_params(optimizer=STEP).fit(X, Y)
    after = model.coefs_, model.intercepts_
    steps = [[a.astype(float) - b for a, b in zip(*pair)] for pair in zip(before, after)]
    return model, before, found, steps


def _near_a_bend(heads, X, weights):
    done = {}
    for head in heads:
        graphs.forward(head, X, weights, done)
    bent = [node for node in ordered(heads) if isinstance(node.layer, (ReLU, SELU))]
    inputs = [done[node.inputs[0]._key] for node in bent]
    return any(np.any((abs(x) < 1e-4) & (x != 0)) for x in inputs)


@settings(max_examples=N_GRAPHS, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_gradients_of_random_graphs(data):
    choose = lambda n: data.draw(st.integers(0, n - 1))  # noqa: E731
    n_outputs = 1 + choose(3)
    heads = graphs.random_graph(choose, n_outputs)
    seed = data.draw(st.integers(0, 2**31 - 1))
    rng = np.random.RandomState(seed)
    n_rows = (1, 6)[choose(2)]  # a step of one row updates weights directly
    X, Y = _rows(rng, n_rows), rng.normal(size=(n_rows, n_outputs))
    given_X = sparse.csr_matrix(X) if choose(2) else X
    model, before, found, steps = _one_step(heads, given_X, Y[:, 0] if n_outputs == 1 else Y, seed)
    weights = _as_dict(model.network_, *[[a.astype(float) for a in arrays] for arrays in before])
    dense = X.astype(float)
    raw = graphs.raw(heads, dense, weights)
    assume(np.abs(raw).max() < 50 and not _near_a_bend(heads, dense, weights))
    np.testing.assert_allclose(found.reshape(raw.shape), raw, rtol=1e-4, atol=1e-4 * max(1, np.abs(raw).max()))
    _compare_with_differences(heads, dense, Y, weights, model.network_, steps)


def _compare_with_differences(heads, X, Y, weights, network, steps):
    def loss():
        return ((graphs.raw(heads, X, weights) - Y) ** 2).sum(axis=1).mean() / 2

    expected = []
    for place in network.graph.weighted:
        for array, trained in zip(weights[place.key], (True, place.layer.has_bias)):
            expected.append(_differences(loss, array) if trained else np.zeros(array.shape))
    found = [part for pair in zip(*steps) for part in pair]
    scale = max(np.abs(g).max() for g in expected)
    for own, gradient in zip(found, expected):
        np.testing.assert_allclose(own, gradient, rtol=0, atol=1e-4 * scale + 5e-6)


def _differences(function, array, step=1e-6):
    gradient = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        middle = array[index]
        array[index] = middle + step
        above = function()
        array[index] = middle - step
        gradient[index] = (above - function()) / (2 * step)
        array[index] = middle
    return gradient


def test_gradients_pass_through_rows_made_dense():
    x = Input()
    mixed = Concat()([x, Linear(1)(x)])
    heads = [Linear(1)(Tanh()(mixed))]
    rng = np.random.RandomState(0)
    X, Y = _rows(rng, 6), rng.normal(size=(6, 1))
    model, before, _, steps = _one_step(heads, X, Y[:, 0], 0)
    weights = _as_dict(model.network_, *[[a.astype(float) for a in arrays] for arrays in before])
    _compare_with_differences(heads, X.astype(float), Y, weights, model.network_, steps)


# ---- defects that nets of this kind have had ----------------------------------------------


def _check(heads, n_rows=6, seed=0):
    rng = np.random.RandomState(seed)
    n_outputs = 1
    X, Y = _rows(rng, n_rows), rng.normal(size=(n_rows, n_outputs))
    model, before, _, steps = _one_step(heads, sparse.csr_matrix(X), Y[:, 0], seed)
    weights = _as_dict(model.network_, *[[a.astype(float) for a in arrays] for arrays in before])
    _compare_with_differences(heads, X.astype(float), Y, weights, model.network_, steps)
    return model, X, Y


@pytest.mark.parametrize("n_rows", [1, 6])
@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)], ids=str)
def test_each_parent_has_its_own_slice_whichever_is_wired_first(order, n_rows):
    x = Input(slice(0, 5))
    parents = [x, Tanh()(Linear(3)(x)), Input([7, 2])]
    _check([Linear(1)(Concat()([parents[k] for k in order]))], n_rows)


@pytest.mark.parametrize("n_rows", [1, 6])
@pytest.mark.parametrize("merged", [Add, Multiply, Concat])
def test_nothing_is_counted_twice_below_shared_nodes(merged, n_rows):
    h = Tanh()(Linear(3)(Input()))
    above = merged()([h, h, Tanh()(Linear(3)(h))])
    _check([Linear(1)(Add()([above, above]))], n_rows)


def test_relu_passes_its_gradient_on():
    model, X, Y = _check([Linear(1)(ReLU()(Linear(8)(ReLU()(Linear(8)(Input())))))])
    before = model.coefs_[0].copy()
    model.fit(X, Y[:, 0])
    assert np.any(model.coefs_[0] != before), "the first layer learns through two of them"


def test_the_gradient_of_tanh_is_taken_once():
    h = Tanh()(Linear(1)(Input()))
    _check([Linear(1)(Tanh()(h))])


def test_training_goes_on_after_loading():
    h = Tanh()(Linear(4)(Input()))
    model, X, Y = _check([Linear(1)(Add()([h, h]))])
    loaded = pickle.loads(pickle.dumps(model))
    model.fit(X, Y[:, 0])
    loaded.fit(X, Y[:, 0])
    for one, other in zip(model.coefs_ + model.intercepts_, loaded.coefs_ + loaded.intercepts_):
        np.testing.assert_array_equal(one, other)


def test_dropout_in_a_graph_is_unbiased_and_off_in_predictions():
    network = Linear(1)(Dropout(0.5)(Tanh()(Linear(4)(Input()))))
    rng = np.random.RandomState(0)
    X, y = _rows(rng, 40), rng.normal(size=40)
    model = VectorFlowRegressor(network=network, max_iter=3, tol=None, random_state=0).fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    W, V = (a.astype(float) for a in model.coefs_)
    b, c = model.intercepts_
    np.testing.assert_allclose(loaded.predict(X), (np.tanh(X @ W + b) @ V + c)[:, 0], rtol=1e-5, atol=1e-6)
