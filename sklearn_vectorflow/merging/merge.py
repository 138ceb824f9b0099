"""Merging states that were trained apart, from a common one on."""

from dataclasses import replace

import numpy as np

from sklearn_vectorflow.engine.net import plan as engine
from sklearn_vectorflow.merging.records import records_of
from sklearn_vectorflow.merging.shares import Gathered
from sklearn_vectorflow.network.portable import NetState, settle

CHUNK = 1 << 17  # records merged at a time, which bounds memory


def merge_states(base: NetState, states: list[NetState]) -> NetState:
    r"""Merge states that were trained apart, from a common one on.

    Weights that saw few gradients add up what each of the states gained; of those that saw many, each state
    knows the whole answer, and the mean counts, by what each learned from:

    .. math:: w = w_0 + \sum_k a_k (w_k - w_0), \quad G = G_0 + \sum_k a_k (G_k - G_0), \quad
        a_k = \varphi(\rho_k) / \varphi(\textstyle\sum_j \rho_j), \quad \varphi(\rho) = \rho / (1 - e^{-\rho})

    with G the sum of squared gradients, and :math:`\rho_k` what of a weight's distance to its optimum a state
    has gone: the gain of G times the step size. Steps add up, so penalties go on as for all rows; FTRL's sums are
    worked out anew.

    Parameters
    ----------
    base : NetState
        What all the states began from, see :func:`get_state`.
    states : list of NetState
        In an order of your choice, on which the last bits depend; nothing else does.

    Returns
    -------
    state : NetState
        Of one state, that state.

    Raises
    ------
    TypeError, ValueError
        If they are no states, or not of one net with the same parameters.
    """
    check_states(base, states)
    if not states:
        return base
    gained = [one.step - base.step for one in states]
    elapsed = [one.elapsed - base.elapsed for one in states]
    state = replace(base, step=base.step + sum(gained), elapsed=base.elapsed + sum(elapsed))
    layers = [_Layer(state, base, states, position, gained, elapsed).merged() for position in range(len(base.layers))]
    return replace(state, layers=layers)


def check_states(base, states):
    """Raise unless states are of one net, trained under the same rules, from the base on."""
    for what, one in (("base", base), *((f"states[{k}]", one) for k, one in enumerate(states))):
        if not isinstance(one, NetState):
            raise TypeError(f"{what} must be what get_state returns, got {type(one).__name__}.")
        if one.signature != base.signature:
            raise ValueError(f"{what} is the state of another net than base.")
        if one.step < base.step:
            raise ValueError(f"{what} has taken {one.step} steps, fewer than base, {base.step}: it began elsewhere.")
        for mine, theirs in zip(one.layers, base.layers):
            if mine.layout != theirs.layout or _named(mine.rule) != _named(theirs.rule):
                raise ValueError(
                    f"{what} was trained by another rule than base: {_named(mine.rule)}, not {_named(theirs.rule)}."
                )


def _named(rule):
    strengths = {name: value for name, value in rule.penalty.items() if np.isscalar(value)}
    return rule.name, rule.lazy, rule.numbers, strengths


class _Layer:
    """One layer of states to be merged."""

    def __init__(self, state, base, states, position, gained, elapsed):
        self.state = state
        self.since = base
        self.base = base.layers[position]
        self.layers = [one.layers[position] for one in states]
        self.gained = gained
        self.elapsed = elapsed

    def merged(self):
        base = self.base
        if base.rule.name == "fixed":
            return base
        index, record = self._records()
        bias = None if base.bias is None else self._intercepts()
        layer = replace(base, index=index, record=record, bias=bias)
        if base.rule.lazy != engine.EAGER and not base.layout.apart and len(self.layers) > 1:
            settle(layer, self.state)
        return layer

    def _records(self):
        base = self.base
        if base.index is None:
            record = base.record.copy()
            for places in self._chunks():
                touched, rows = self._merge(base, self.layers, places, False)
                record[touched] = rows
            return None, record
        found = []
        for places in self._chunks():
            touched, rows = self._merge(base, self.layers, places, False)
            kept = places[~np.isin(places, touched, assume_unique=True)]
            kept = kept[np.isin(kept, base.index, assume_unique=True)]
            both = np.concatenate([touched, kept])
            order = np.argsort(both, kind="stable")
            found.append((both[order], np.concatenate([rows, base.rows(kept)])[order]))
        if not found:
            return base.index, base.record
        return tuple(np.concatenate(parts) for parts in zip(*found))

    def _chunks(self):
        """Places that any of the states keeps, in ranges of at most `CHUNK`."""
        n_records, layers = self.base.n_records, [self.base, *self.layers]
        for start in range(0, n_records, CHUNK):
            end = min(start + CHUNK, n_records)
            kept = np.zeros(end - start, dtype=bool)
            for layer in layers:
                if layer.index is None:
                    kept[:] = True
                    break
                first, last = np.searchsorted(layer.index, (start, end))
                kept[layer.index[first:last] - start] = True
            places = np.flatnonzero(kept) + start
            if len(places):
                yield places if self.base.index is None else places.astype(self.base.index.dtype)

    def _intercepts(self):
        base, *layers = (
            replace(one, n_records=len(one.bias), index=None, record=one.bias) for one in (self.base, *self.layers)
        )
        places = np.arange(base.n_records)
        touched, rows = self._merge(base, layers, places, True)
        bias = self.base.bias.copy()
        bias[touched] = rows
        return bias

    def _merge(self, base, layers, places, of_bias):
        """Merge some records; return which of them any state touched, and those."""
        base = base.some(places)
        records, before = records_of(base, of_bias), base.record
        sums = Gathered(records, before, self.since)
        for layer, gained, elapsed in zip(layers, self.gained, self.elapsed):
            own = _own_places(layer, places)
            at = slice(None) if own is None else np.searchsorted(places, own)
            sums.add(at, layer.rows(places if own is None else own), gained, elapsed)
        touched = np.flatnonzero(sums.count)
        return places[touched], sums.result(touched)


def _own_places(layer, places):
    """Return which of some places a layer keeps; None for all."""
    if layer.index is None:
        return None
    first, last = np.searchsorted(layer.index, (places[0], places[-1] + 1))
    return layer.index[first:last]
