"""Letting a state forget: sums that step sizes follow from decay, and weights stay."""

from dataclasses import replace

from sklearn_vectorflow.merging.merge import CHUNK
from sklearn_vectorflow.merging.records import records_of
from sklearn_vectorflow.network.portable import put, take
from sklearn_vectorflow.network.records import stamp


def let_forget(network, share):
    """Let a net forget all but a share of what its optimizer knows; a net of weights alone knows nothing.

    Parameters
    ----------
    network : Network
        It gets another state: who reads the one there is sees none of it change.
    share : float
        In (0, 1).
    """
    with network.turn.lock:
        if network.rules:
            put(network, forgotten(take(network), share))


def forgotten(state, share):
    """Return a state, whose records are changed in place, in which all that steps have added up to is a share of it.

    Parameters
    ----------
    state : NetState
    share : float

    Returns
    -------
    state : NetState
        With the same weights, but for their last bits.
    """
    step = _share_of(state.step, share)
    average_from = _share_of(state.average_from, share)
    if state.step > state.average_from:  # means stay means
        average_from = min(average_from, step - 1)
    after = replace(state, step=step, average_from=average_from, decays=state.decays + 1)
    for layer in state.layers:
        _forget(layer, False, layer.record, share, state, after)
        if layer.bias is not None:
            _forget(layer, True, layer.bias, share, state, after)
    return after


def _share_of(count, share):
    return max(1, round(share * count)) if count else 0


def _forget(layer, of_bias, record, share, before, after):
    if layer.rule.name == "fixed":
        return
    every = records_of(layer, of_bias)
    for start in range(0, len(record), CHUNK):
        some = slice(start, start + CHUNK)
        every.of(some).forget(record[some], share, before.step, after.step)
        stamp(record[some], layer.layout, after.step, after.elapsed)
