"""Which records a state's training has touched, and what the others missed meanwhile."""

from dataclasses import replace

import numpy as np

from sklearn_vectorflow.engine.net import plan as engine
from sklearn_vectorflow.network.portable import settle


def is_lazy(layer):
    """Return whether records of a layer catch up on what steps that don't touch them do."""
    return layer.rule.lazy != engine.EAGER and not layer.layout.apart


def settle_if_lazy(layer, state):
    """Let the records of a layer catch up to the step of a state, in place, if they have anything to."""
    if is_lazy(layer):
        settle(layer, state)


def without_gradient(base, at, since, steps, elapsed):
    """Return what some records have become after steps that did not touch them.

    Parameters
    ----------
    base : LayerState
        What training began from.
    at : ndarray of int
        Which of its records.
    since : NetState
        The state the base is of.
    steps, elapsed : int and float
        What was trained since.
    """
    before = base.record[at]
    index = None if base.index is None else base.index[at]
    now = replace(since, step=since.step + steps, elapsed=since.elapsed + elapsed)
    settle_if_lazy(replace(base, index=index, record=before, bias=None), now)
    return before


def touched(base, rows, since, steps, elapsed):
    """Return which rows differ from what the base's records have become without a gradient."""
    if base.rule.name == "fixed":
        return np.zeros(len(rows), dtype=bool)
    before = without_gradient(base, np.arange(len(rows)), since, steps, elapsed)
    return np.any(before.view(np.uint32) != rows.view(np.uint32), axis=1)
