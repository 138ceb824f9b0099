"""Checks of a net that comes from a pickle, whose arrays the engine will read without asking."""

import math
from dataclasses import replace

from scipy import sparse

from sklearn_vectorflow.network.records import Layout
from sklearn_vectorflow.validation.sparse import checked_csr


def checked_state(network, state):
    """Return the state of a restored net.

    Raises
    ------
    ValueError
        Unless its weights fit the graph, which built itself anew.
    """
    try:
        return _checked(network, state) if state.parameters else replace(state, training=None, settled=True)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"The pickle is damaged: {error}.") from error


def _checked(network, state):
    found = [(type(one), one.layout.n_out, one.fit_intercept, *one._counts) for one in state.parameters]
    wanted = []
    for place in network.graph.weighted:
        like = place.records.parameters(Layout(place.records.width, stride=0), network.has_bias(place))
        wanted.append((type(like), place.records.width, like.fit_intercept, *like._counts))
    coef = state.sparse_coef
    if coef is not None:
        shape = (network.graph.weighted[0].n_weights, network.n_features)
        if not network.is_linear or not sparse.issparse(coef) or coef.shape != shape:
            raise ValueError(f"The pickle is damaged: sparse weights must be of shape {shape} in a linear model.")
        coef = checked_csr(coef, "sparse weights")
        wanted[0] = (*wanted[0][:3], 0, wanted[0][4])
    if found != wanted:
        raise ValueError(f"The pickle is damaged: weights {found} do not fit the layers, which need {wanted}.")
    steps, elapsed = state.progress
    if not (isinstance(steps, int) and steps >= 0 and math.isfinite(elapsed)):
        raise ValueError(f"The pickle is damaged: {state.progress} is no number of steps and sum of their rates.")
    return replace(state, sparse_coef=coef, training=None, settled=True)
