"""Checks of a net that comes from a pickle, whose arrays the engine will read without asking."""

import math
import numbers
from dataclasses import fields, replace

import numpy as np
from scipy import sparse

from sklearn_vectorflow.defaults.scales import Scales
from sklearn_vectorflow.network.graph import Graph
from sklearn_vectorflow.network.records import Layout
from sklearn_vectorflow.validation.errors import restoring
from sklearn_vectorflow.validation.scalars import check_integer
from sklearn_vectorflow.validation.sparse import checked_csr


def checked_state(network, state):
    """Return the state of a restored net.

    Raises
    ------
    ValueError
        Unless its weights fit the graph, which built itself anew.
    """
    with restoring():
        _check_fields(network)
        if state.parameters == []:
            return replace(state, training=None, settled=True)
        return _checked(network, state)


def _check_fields(network):
    """Raise unless what surrounds the weights is what it is used as."""
    check_integer("n_features", network.n_features, 1)
    check_integer("n_outputs", network.n_outputs, 1)
    flags, scales = (network.fit_intercept, network.keep_state), network.scales
    units = [getattr(scales, field.name) for field in fields(Scales) if field.name != "initial"]
    if not (
        isinstance(network.graph, Graph)
        and all(isinstance(flag, (bool, np.bool_)) for flag in flags)
        and all(isinstance(unit, numbers.Real) and unit > 0 for unit in units)
        and (scales.initial is None or isinstance(scales.initial, numbers.Real))
    ):
        raise ValueError(f"no net has {network.graph!r}, the flags {flags} and {scales!r}.")


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
    counts = steps, state.average_from, state.decays
    if not (all(isinstance(count, int) and 0 <= count < 2**63 for count in counts) and math.isfinite(elapsed)):
        raise ValueError(f"The pickle is damaged: {(*counts, elapsed)} are no numbers of steps and sum of their rates.")
    return replace(state, sparse_coef=coef, training=None, settled=True)
