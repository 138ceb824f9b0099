"""Weights with which a rectified net is a linear model, before it trains."""

import numpy as np

from sklearn_vectorflow.network.initial_weights import OF_LAST


def start_as_linear(network, coef, intercept):
    """Change the drawn weights of a chain of rectified layers so that it predicts like a linear model.

    Units come in pairs of opposite weights: the rectified value of one less that of the other is linear. The pairs
    share the model, and differ by what was drawn, so that training goes on from there in many directions. A net that
    finds the linear part itself unlearns what its bends fitted meanwhile, for which few rows do not suffice.

    Parameters
    ----------
    network : Network
        With at least two units in each hidden layer for every raw output.
    coef : ndarray of shape (n_features, n_outputs)
    intercept : ndarray of shape (n_outputs,)
    """
    first, *others = network.parameters
    n_pairs = first.weights().shape[1] // 2
    drawn = first.weights()[:, :n_pairs].astype(float)
    read_by = np.eye(n_pairs)  # how raw outputs depend on the pairs of the first layer
    for parameters in others[:-1]:
        read_by = read_by @ _pair(parameters.weights())
    others[-1].weights()[:] /= OF_LAST  # nothing has to be unlearnt
    read_by = read_by @ _pair_rows(others[-1].weights())
    changed = drawn + (coef - drawn @ read_by) @ np.linalg.pinv(read_by)
    first.weights()[:, :n_pairs] = changed
    first.weights()[:, n_pairs : 2 * n_pairs] = -changed
    if others[-1].bias is not None:
        others[-1].intercept()[:] = intercept


def _pair(weights):
    """Let weights between two layers of pairs keep them opposite; return what pairs read of pairs."""
    n_in, n_out = (size // 2 for size in weights.shape)
    block = weights[:n_in, :n_out].copy()
    weights[:n_in, n_out : 2 * n_out] = -block
    weights[n_in : 2 * n_in, :n_out] = -block
    weights[n_in : 2 * n_in, n_out : 2 * n_out] = block
    weights[2 * n_in :] = 0.0
    return block.astype(float)


def _pair_rows(weights):
    """Let an output layer read pairs by opposite weights; return those of the first of each."""
    n_pairs = len(weights) // 2
    weights[n_pairs : 2 * n_pairs] = -weights[:n_pairs]
    weights[2 * n_pairs :] = 0.0
    return weights[:n_pairs].astype(float)
