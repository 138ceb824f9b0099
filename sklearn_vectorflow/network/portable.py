"""A net's weights and its optimizer's state as a plain object, which can travel."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklearn_vectorflow.engine.net import plan as engine
from sklearn_vectorflow.engine.places import gather
from sklearn_vectorflow.network.memory import LINE
from sklearn_vectorflow.network.records import CHUNK, Layout
from sklearn_vectorflow.network.rules import Rule
from sklearn_vectorflow.network.state import State

INPUT = -1  # the engine's name for whole rows of X
SPARSE = 0.5  # share of records that are not zero, up to which those alone are kept


@dataclass(frozen=True, eq=False)
class LayerState:
    """Records of a layer, or of those columns alone that differ from zero or from a base.

    Parameters
    ----------
    n_records : int
        Records of the layer.
    layout : Layout
        What a record holds, and where.
    rule : Rule
        What steps the records.
    index : ndarray of shape (n_kept,) or None
        Which records are kept, increasing; None is all.
    record : ndarray of float32, shape (n_kept, layout.stride)
    bias : ndarray of float32, shape (n_intercepts, layout.stride), or None
    """

    n_records: int
    layout: Layout
    rule: Rule
    index: Any
    record: Any
    bias: Any

    @property
    def nbytes(self):
        """Bytes of the arrays."""
        return sum(0 if one is None else one.nbytes for one in (self.index, self.record, self.bias))

    def places(self):
        """Return which records are kept."""
        return np.arange(self.n_records) if self.index is None else self.index

    def rows(self, places):
        """Return copies of some records, increasing; zeros where none is kept."""
        if self.index is None:
            return self.record[places]
        return gather(self.index, self.record, places)

    def some(self, places):
        """Return a state of some records alone, increasing."""
        return replace(self, index=places, record=self.rows(places))


@dataclass(frozen=True, eq=False)
class NetState:
    """Weights and state of a net, settled at its last step: plain values that pickle, and hold nothing else.

    Parameters
    ----------
    layers : list of LayerState
    step : int
        Steps taken.
    elapsed : float
        Sum of their rates (SGD).
    average_from : int
        Step from which on running means are kept.
    scales : Scales
        Units of steps and penalties.
    signature : list
        Of the graph, to tell whether a net can take the state.
    decays : int, default=0
        How often sums and steps have decayed: those of states with different histories can't be compared.
    """

    layers: list
    step: int
    elapsed: float
    average_from: int
    scales: Any
    signature: list
    decays: int = 0

    @property
    def nbytes(self):
        """Bytes of the arrays."""
        return sum(layer.nbytes for layer in self.layers)

    def __sizeof__(self):  # schedulers ask, and place tasks where most of what they need is
        return object.__sizeof__(self) + self.nbytes

    def select(self, places):
        """Return a state of some records of every layer alone; None is all."""
        layers = [one if some is None else one.some(some) for one, some in zip(self.layers, places)]
        return replace(self, layers=layers)


def take(network, places=None):
    """Return the state of a net.

    Parameters
    ----------
    network : Network
    places : list of (ndarray, slice or None), default=None
        For every layer which records to keep, increasing; None is all that are not zero. A slice gives the net's own
        array, for those who have no use for the net any more.

    Raises
    ------
    ValueError
        If the net has weights alone, and no state to go on from.
    """
    with network.turn.lock:
        state = network._state if places is not None and _follow(network._state) else network._settled_state()
        if not state.rules:
            raise ValueError(
                "The model has weights but no state of the optimizer: set network_.keep_state to True before pickling "
                "or copying it, or train it further first."
            )
        places = [None] * len(state.parameters) if places is None else places
        layers = [
            _layer(parameters, rule, some) for parameters, rule, some in zip(state.parameters, state.rules, places)
        ]
        step, elapsed = state.progress
        return NetState(
            layers, step, elapsed, state.average_from, network.scales, network.graph.signature(), state.decays
        )


def _follow(state):
    """Whether all weights follow from the state, so that there is nothing to settle in it."""
    return all(parameters.layout.apart for parameters in state.parameters)


def _layer(parameters, rule, places):
    record = parameters.record
    bias = None if parameters.bias is None else parameters.bias.copy()
    if isinstance(places, slice):
        kept = np.ascontiguousarray(record[places])  # copied where records of several layers lie beside each other
        return LayerState(len(record), parameters.layout, rule, None, kept, bias)
    if places is None:
        present = np.flatnonzero(_are_there(record))
        places = present if len(present) <= SPARSE * len(record) else None
    if places is not None and len(record) <= np.iinfo(np.int32).max:
        places = places.astype(np.int32, copy=False)
    kept = record.copy() if places is None else record[places]
    return LayerState(len(record), parameters.layout, rule, places, kept, bias)


def _are_there(record):
    """Return which records are not all zero; NumPy's reduction over a short axis is slow."""
    if record.shape[1] > LINE:
        return record.any(axis=1)
    found = np.zeros(len(record), dtype=bool)
    for start in range(0, len(record), CHUNK):
        some = slice(start, start + CHUNK)
        for numbers in record[some].T:
            found[some] |= numbers != 0
    return found


def put(network, state, to_predict=True):
    """Give a net a state.

    Parameters
    ----------
    network : Network
    state : NetState
    to_predict : bool, default=True
        Whether to work out weights that stand apart from their records, which training does without.

    Raises
    ------
    TypeError, ValueError
        If it is no state, or of another net.
    """
    if not isinstance(state, NetState):
        raise TypeError(f"state must be what get_state returns, got {type(state).__name__}.")
    graph = network.graph
    if state.signature != graph.signature():
        raise ValueError(f"The state belongs to another net than {network!r}.")
    parameters = []
    for place, layer in zip(graph.weighted, state.layers):
        own = place.records.parameters(layer.layout, network.has_bias(place))
        if len(own.record) != layer.n_records or (own.bias is None) != (layer.bias is None):
            raise ValueError(f"The state belongs to another net than {network!r}: {place.label} differs.")
        own.record[slice(None) if layer.index is None else layer.index] = layer.record
        if own.bias is not None:
            own.bias[:] = layer.bias
        if to_predict:
            _write_values(own, layer, state)
        parameters.append(own)
    rules = tuple(layer.rule for layer in state.layers)
    with network.turn.lock:
        network.scales = state.scales
        network._state = State(
            parameters,
            progress=(state.step, state.elapsed),
            average_from=state.average_from,
            rules=rules,
            follows=True,
            decays=state.decays,
        )


def _write_values(own, layer, state):
    """Write the weights that stand apart from the records they follow from."""
    if own.values is None:
        return
    values = settle(layer, state)
    own.values[slice(None) if layer.index is None else layer.index] = values[0]
    if own.bias is not None:
        own.bias_values[:] = values[1]


def settle(layer, state):
    """Let the records of a layer catch up on what they missed until the step of a state, in place.

    Returns
    -------
    values, bias_values : ndarray of float32 or None
        Weights and intercepts that stand apart from their records.
    """
    layout, rule, record, bias = layer.layout, layer.rule, layer.record, layer.bias
    values = np.zeros((len(record), layout.n_out), dtype=np.float32) if layout.apart else None
    bias_values = np.zeros((len(bias), layout.n_out), dtype=np.float32) if layout.apart and bias is not None else None
    net = engine.Net(1, len(record))
    net.add_linear(
        INPUT,
        record,
        bias,
        layout.n_out,
        layout.offsets(),
        rule.name,
        rule.lazy,
        rule.numbers,
        penalty_of(layer),
        0.0,
        0,
        state.average_from,
        values,
        bias_values,
    )
    net.settle(engine.Clock(step=state.step, elapsed=state.elapsed), 0, len(record))
    return values, bias_values


def penalty_of(layer):
    """Return the penalty's fields for the records that are kept."""
    fields = layer.rule.penalty
    if layer.index is None:
        return fields
    return {
        name: value if np.isscalar(value) else np.ascontiguousarray(value[layer.index], dtype=np.float32)
        for name, value in fields.items()
    }
