"""Whole graphs: gradients against finite differences, wiring, sharing, presets, messages."""
import copy
import os
import pickle

import graphs
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.graph import Graph
from sklearn_vectorflow.layers import (
    Add, Concat, Crosses, Dropout, FactorizationMachine, Input, Linear, Logistic, Multiply, Node, ReLU, SELU, Tanh,
    factorization_machine, ordered, wide_and_deep,
)
from sklearn_vectorflow.optimizers import SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2

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
        network=heads, optimizer=NO_STEP, alpha=0.0, batch_size=X.shape[0], max_iter=1, tol=None, warm_start=True, n_jobs=1
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
    return any(np.any((abs(done[node.inputs[0]._key]) < 1e-4) & (done[node.inputs[0]._key] != 0)) for node in bent)


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
