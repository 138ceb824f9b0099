"""What a net's weights start from."""

import math
import numbers
from typing import Any, NamedTuple

import numpy as np

from sklearn_vectorflow.engine.net import plan as engine
from sklearn_vectorflow.layers import Add
from sklearn_vectorflow.optimizers import OF_NETS
from sklearn_vectorflow.penalties import bounds

OF_LAST = 0.3  # of the deviation of other weights
IN_STEPS = 2.0  # deviation of what rectified units read, over a first step of an intercept and the root of their gain


class Start(NamedTuple):
    """What a new net starts from.

    Parameters
    ----------
    random_state : RandomState
        What weights are drawn from.
    raw : float or ndarray of shape (n_outputs,)
        Raw outputs of a model that has seen the targets alone.
    weights : ndarray of shape (n_in, n_weights), default=None
        Of the first layer, in place of those drawn.
    intercept : ndarray of shape (n_weights,), default=None
        Of the first layer, in place of `raw`.
    linear : tuple of ndarray, default=None
        Weights of shape (n_features, n_outputs) and intercepts of a linear model that a net starts as.
    """

    random_state: Any
    raw: Any
    weights: Any = None
    intercept: Any = None
    linear: Any = None


def initialize(network, start, penalties, crew):
    """Draw the weights of a new net and set the intercepts of its outputs.

    Weights are uniform with the variance of He or Glorot, or a larger one where rows of X are sparse, see
    `deviation_of`. Layers whose training is convex start from zero or from their prior. Other last layers start near
    zero: what they were drawn to say has to be unlearnt, but at zero the layers before them would have no gradient.
    Every weight is drawn from its own place in a stream, so its value depends on nothing but the seed.

    Parameters
    ----------
    network : Network
    start : Start
    penalties : list of dict
        The penalty's fields for every layer with weights.
    crew : Crew
    """
    graph = network.graph
    seeds = start.random_state.randint(0, 2**31 - 1, size=len(graph.weighted))
    _start_outputs(network, np.broadcast_to(start.raw, graph.n_outputs))
    for seed, place, parameters, fields in zip(seeds, graph.weighted, network.parameters, penalties):
        draw(place, parameters, int(seed), crew, network.scales)
        if "center" in fields:
            parameters.by_record()[:] = fields["center"]
        weights, intercept = place.layer.given(place.n_in, place.n_weights, f"network: {place.label}")
        if place is graph.weighted[0]:
            weights = weights if start.weights is None else start.weights
            intercept = intercept if start.intercept is None else start.intercept
        if weights is not None:
            parameters.weights()[:] = weights
        if intercept is not None and parameters.bias is not None:
            parameters.intercept()[:] = intercept
        if fields.keys() & {"lower", "sign"}:
            np.clip(parameters.weights(), *bounds(fields), out=parameters.weights(), casting="same_kind")


def is_drawn(place):
    """Return whether weights of a layer are drawn, where `init` gives none."""
    init = place.layer.init
    return isinstance(init, numbers.Real) or not (isinstance(init, str) or place.is_convex)


def deviation_of(place, scales):
    """Return the standard deviation of the weights that a layer is drawn with.

    He and Glorot take all columns to have values of size one. Of many columns, a sparse row has few: units would all
    start so near zero that the first steps of their intercepts, which all rows share, switch rectified units off for
    good. So what units read differs by more than such a step.

    Parameters
    ----------
    place : Place
    scales : Scales
    """
    own = place.layer.deviation(place.gain, place.n_in, place.n_weights)
    if place.is_last:
        return OF_LAST * own
    if not place.is_input or place.is_factors:
        return own
    step = OF_NETS * scales.weight / scales.output
    return max(own, IN_STEPS * math.sqrt(place.gain) * step / scales.length)


def draw(place, parameters, seed, crew, scales):
    """Draw the weights of a layer, if they are."""
    init = place.layer.init
    if not is_drawn(place):
        return
    deviation = float(init) if isinstance(init, numbers.Real) else deviation_of(place, scales)
    records, bound = parameters.by_record(), math.sqrt(3.0) * deviation

    def fill(span):
        engine.fill_uniform(records[slice(*span)], parameters.layout.n_out, seed, bound, span[0])

    crew.map(fill, crew.ranges(len(records)))


def _start_outputs(network, values):
    first = 0
    for end in network.graph.ends:
        width = network.graph.places[end].width
        _start_output(network, end, values[first : first + width])
        first += width


def _start_output(network, end, values):
    """Set the intercepts of the layer behind an output; of a sum, of the last that has any."""
    graph, waiting, seen = network.graph, [end], set()
    while waiting:
        position = waiting.pop()
        place = graph.places[position]
        if position in seen:
            continue
        seen.add(position)
        if isinstance(place.layer, Add):
            waiting.extend(place.inputs)
        elif place.layer.has_weights:
            parameters = network.parameters[graph.weighted.index(place)]
            if parameters.bias is not None:
                parameters.intercept()[:] = values
                return
