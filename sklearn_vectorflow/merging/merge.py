"""Merging of states that were trained separately from a common state."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sklearn_vectorflow.engine.merging import Merge
from sklearn_vectorflow.engine.places import Marks, find
from sklearn_vectorflow.merging.records import penalty_of_records, records_of
from sklearn_vectorflow.merging.touched import is_lazy, settle_if_lazy, without_gradient
from sklearn_vectorflow.network.portable import NetState
from sklearn_vectorflow.validation.scalars import check_positive

COUPLING = 4.0
CHUNK = 1 << 14  # numbers merged at a time: for more, the system gives memory anew, and takes it back
FEWEST = 1 << 8  # records of them


def merge_states(base: NetState, states: Sequence[NetState], *, coupling: float = COUPLING) -> NetState:
    r"""Merge states of a model that were trained separately from a common state.

    For weights with few gradients, the changes of all states add up. For weights with many gradients, each state is
    near the optimum, and the result is a weighted mean of the changes:

    .. math:: w = w_0 + \sum_k a_k (w_k - w_0), \quad G = G_0 + \sum_k a_k (G_k - G_0), \quad
        a_k = \varphi(\rho_k) / \varphi(\textstyle\sum_j \rho_j), \quad \varphi(\rho) = \rho / (1 - e^{-\rho})

    G is the sum of squared gradients. :math:`\rho_k` is its increase times the step size times `coupling`, and measures
    how far a weight has moved to its optimum. What penalties leave of a weight multiplies: for :math:`w`, the logarithm
    of the ratio by which penalties alone would have shrunk the weight is added to :math:`\rho_k`. The steps of all
    states add up, and a weight catches up on the penalties of steps that did not read it. FTRL's sums follow from w and
    G. For Adam, the step counts of features replace G. SGD has neither, so the result is the mean of the states that
    have trained a weight.

    Parameters
    ----------
    base : NetState
        State from which all states were trained, see :func:`get_state`.
    states : sequence of NetState
        States to merge. Their order affects only the last bits.
    coupling : float, default=4.0
        How much the optimum of a weight depends on the changes of other weights. Columns that occur together in long
        rows need larger values, up to about half the length of the rows. Smaller values make larger moves, and too
        small a value increases the loss. If possible, try some values on a part of the rows.

    Returns
    -------
    state : NetState
        Merged state. For a single state, this state.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a state, or if the states are not of the same net and optimizer.

    Examples
    --------
    >>> import pickle
    >>> from sklearn.datasets import make_classification
    >>> from sklearn_vectorflow import VectorFlowClassifier
    >>> from sklearn_vectorflow.merging import get_state, merge_states, set_state
    >>> X, y = make_classification(3000, random_state=0)
    >>> model = VectorFlowClassifier(random_state=0).partial_fit(X[:600], y[:600], classes=[0, 1])
    >>> base, states = get_state(model), []
    >>> for part in (slice(600, 1800), slice(1800, 3000)):
    ...     worker = set_state(pickle.loads(pickle.dumps(model)), base)  # on another machine, perhaps
    ...     states.append(get_state(worker.partial_fit(X[part], y[part]), base))
    >>> set_state(model, merge_states(base, states)).score(X, y) > 0.8
    True
    """
    check_positive("merge_states", "coupling", coupling)
    states = list(states)
    check_states(base, states)
    if not states:
        return base
    gained = [one.step - base.step for one in states]
    elapsed = [one.elapsed - base.elapsed for one in states]
    state = replace(base, step=base.step + sum(gained), elapsed=base.elapsed + sum(elapsed))
    layers = [
        _Layer(state, base, states, position, gained, elapsed, coupling).merged()
        for position in range(len(base.layers))
    ]
    return replace(state, layers=layers)


def check_states(base, states):
    """Raise unless states are of one net, trained under the same rules, from the base on."""
    for what, one in (("base", base), *((f"states[{k}]", one) for k, one in enumerate(states))):
        check_began_from(base, one, what)


def check_began_from(base, one, what):
    """Raise unless a state is of the same net as a base, and may have been trained from it on."""
    for name, state in (("base", base), (what, one)):
        if not isinstance(state, NetState):
            raise TypeError(f"{name} must be what get_state returns, got {type(state).__name__}.")
    if one.signature != base.signature:
        raise ValueError(f"{what} and base are states of different nets.")
    if one.decays != base.decays:
        raise ValueError(f"{what} has decayed since base: train models that are to be merged with half_life=None.")
    if one.step < base.step:
        raise ValueError(
            f"{what} has taken {one.step} steps, fewer than base, {base.step}: it was not trained from base."
        )
    if replace(one.scales, initial=None) != replace(base.scales, initial=None):
        raise ValueError(
            f"{what} has units of other rows than base, so it was not trained from base: partial_fit starts again "
            "during the first 1,024 rows. Pass the base to each worker by set_state before it trains."
        )
    for mine, theirs in zip(one.layers, base.layers):
        if mine.layout != theirs.layout or _named(mine.rule) != _named(theirs.rule):
            raise ValueError(
                f"{what} was trained by another optimizer than base: {_named(mine.rule)}, not {_named(theirs.rule)}."
            )


def _named(rule):
    strengths = {name: value for name, value in rule.penalty.items() if np.isscalar(value)}
    return rule.name, rule.lazy, rule.numbers, strengths


class _Layer:
    """One layer of states to be merged."""

    def __init__(self, state, base, states, position, gained, elapsed, coupling):
        self.state = state
        self.since = base
        self.base = base.layers[position]
        self.layers = [one.layers[position] for one in states]
        self.gained = gained
        self.elapsed = elapsed
        self.coupling = coupling

    def merged(self):
        """Return the layer's merged state."""
        base = self.base
        if base.rule.name == "fixed":
            return base
        index, record = self._records()
        bias = None if base.bias is None else self._intercepts()
        layer = replace(base, index=index, record=record, bias=bias)
        settle_if_lazy(layer, self.state)
        return layer

    def _records(self):
        """Return which records are kept, and those."""
        every, merge = self._every(), self._merge(False)
        # memory comes with what is written, and the rest goes back: nothing is there twice
        n, index = 0, np.empty(len(every), dtype=every.dtype)
        record = np.empty((len(every), self.base.layout.stride), dtype=np.float32)
        for places, spans in self._stretches(every):
            base, *states = (_span(layer, span, every.dtype) for layer, span in zip((self.base, *self.layers), spans))
            given = self._with_missed(places, states)
            n += merge.records(base, given, self._penalty(places), places, index[n:], record[n:])
        index.resize(n, refcheck=False)
        record.resize((n, record.shape[1]), refcheck=False)
        return None if n == self.base.n_records else index, record

    def _every(self):
        """Return which records any of the layers has."""
        n_records, layers = self.base.n_records, (self.base, *self.layers)
        if any(layer.index is None for layer in layers):
            return np.arange(n_records, dtype=np.int32 if n_records <= np.iinfo(np.int32).max else np.int64)
        marks = Marks(n_records)
        for layer in layers:
            marks.add(layer.index)
        return marks.listed()

    def _stretches(self, every):
        """Iterate over stretches of the records, and where in each layer's they begin and end.

        It is one stretch unless arrays as long are worked out for it.
        """
        same_for_all = all(map(np.isscalar, self.base.rule.penalty.values()))
        size = len(every) if same_for_all and not is_lazy(self.base) else max(FEWEST, CHUNK // self.base.layout.stride)
        starts = np.arange(0, len(every), max(size, 1))
        spans = [_spans(layer, every[starts]) for layer in (self.base, *self.layers)]
        for k, start in enumerate(starts):
            yield every[start : start + size], [slice(own[k], own[k + 1]) for own in spans]

    def _with_missed(self, places, states):
        """Return records of states with what the base's have become without a gradient, None if they have stayed."""
        given = zip(states, self.gained, self.elapsed)
        if not is_lazy(self.base):
            return [(*state, None, *own) for state, *own in given]
        base = self.base.some(places)
        return [
            (*state, without_gradient(base, find(places, state[0]), self.since, *own), *own) for state, *own in given
        ]

    def _penalty(self, places):
        """Return bounds, strengths and centres of some records."""
        return penalty_of_records(records_of(replace(self.base, index=places)))

    def _intercepts(self):
        every, base = np.arange(len(self.base.bias), dtype=np.int32), self.base.bias
        states = [(every, layer.bias, None, *own) for layer, *own in zip(self.layers, self.gained, self.elapsed)]
        penalty, bias = penalty_of_records(records_of(self.base, True)), np.empty_like(base)
        self._merge(True).records((every, base), states, penalty, every, np.empty_like(every), bias)
        return bias

    def _merge(self, of_bias):
        """Return what merges records, or intercepts."""
        records, since = records_of(self.base, of_bias), self.since
        began = since.step, since.elapsed, since.average_from
        return Merge(records.rule, records.layout, records.numbers, *began, self.coupling)


def _spans(layer, edges):
    """Return where in a layer's records stretches that start with some begin and end."""
    # of the same type, else all of the index is converted
    starts = edges if layer.index is None else np.searchsorted(layer.index, edges.astype(layer.index.dtype))
    return np.append(starts, len(layer.record))


def _span(layer, span, dtype):
    """Return which records those of a span are, and those."""
    if layer.index is None:
        return np.arange(span.start, span.stop, dtype=dtype), layer.record[span]
    return layer.index[span].astype(dtype, copy=False), layer.record[span]
