"""A state whose records lie in shares: each with whoever merged it, so that only records that are read travel.

Every record is merged by itself, so the bits do not depend on how records are shared out.
"""

import sys
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from sklearn_vectorflow.cluster.places import marked, owned, shared_out, span_of, spans_of
from sklearn_vectorflow.network.state import begin_of_means


@dataclass(frozen=True, eq=False)
class Share:
    """Records of a range of each layer's; the first share has the intercepts.

    Parameters
    ----------
    state : NetState
    seconds : float, default=0.0
        That merging took.
    """

    state: Any
    seconds: float = 0.0

    def __sizeof__(self):
        return object.__sizeof__(self) + sys.getsizeof(self.state)

    def __getstate__(self):  # marks are quickly made, and do not travel
        return {name: value for name, value in vars(self).items() if name != "_marks"}

    @cached_property
    def _marks(self):
        """Which records of every layer it has; None is all."""
        return [None if one.index is None else marked(one.n_records, one.index) for one in self.state.layers]

    def select(self, places):
        """Return the state of some records of every layer alone; None is all."""
        layers = []
        for layer, marks, some in zip(self.state.layers, self._marks, places):
            if some is not None:
                record = layer.rows(some) if marks is None else marks.gather(layer.index, layer.record, some)
                layer = replace(layer, index=some, record=record)
            layers.append(layer)
        return replace(self.state, layers=layers)


class Shares:
    """What stands for a state.

    Parameters
    ----------
    executor : object
        Runs tasks, see `fit.Here`.
    template : object
        Stands for a Template.
    shares : list
        Stand for Shares, in the order of the records.
    edges : list, default=None
        What `shared_out` gives; None where there is one share.
    """

    def __init__(self, executor, template, shares, edges=None):
        self.executor = executor
        self.template = template
        self.shares = shares
        self.edges = edges

    @classmethod
    def of(cls, executor, template, state, before=None):
        """Return those of a state that is here, cut as others were before unless there are fewer workers now."""
        edges, n_shares = (None, 1) if before is None else (before.edges, len(before.shares))
        if edges is None or n_shares > executor.n_workers:
            return cls(executor, template, [executor.constant(Share(state))])
        shares = [divided(Share(state), edges, k) for k in range(n_shares)]
        return cls(executor, template, [executor.constant(one, k) for k, one in enumerate(shares)], edges)

    def among(self, n_shares, places):
        """Return the same in at least so many shares, each with as many of some records; fewer would be moved."""
        if len(self.shares) >= n_shares:
            return self
        executor, one = self.executor, self.whole()
        edges = executor.result(executor.submit(shared_out, self.template, places, n_shares))
        return self.with_shares([executor.apart(k, divided, one, edges, k) for k in range(n_shares)], edges)

    def with_shares(self, shares, edges):
        """Return other shares of the same net."""
        return Shares(self.executor, self.template, shares, edges)

    def owners(self, places):
        """Return what stands for those of some records that each share has."""
        if self.edges is None:
            return [places]
        return [self.executor.submit(owned, places, self.edges, k) for k in range(len(self.shares))]

    def spans(self, places):
        """Return for each of some where the records of every share are among them, see `places.spans_of`."""
        if self.edges is None:
            return [None] * len(places)
        soon = self.executor.soon
        return self.executor.result([soon(None, spans_of, some, self.edges) for some in places])

    def selected(self, own):
        """Return what stands for the records that each share has of some, without saying which."""
        run = self.executor.apart
        return [run(k, select, share, one) for k, (share, one) in enumerate(zip(self.shares, own))]

    def whole(self):
        """Return what stands for all as one share."""
        return self.shares[0] if len(self.shares) == 1 else self.executor.submit(joined, self.shares)

    def here(self):
        """Return the state."""
        return together([share.state for share in self.executor.result(self.shares)])

    def with_means_begun(self):
        """Return the same with running means that begin anew where a local fit's do, see `Network.begin_pass`."""
        run = self.executor.submit
        return self.with_shares([run(begin_means, share) for share in self.shares], self.edges)


def begin_means(share):
    """Let running means begin anew, if it is time."""
    state = share.state
    return Share(replace(state, average_from=begin_of_means(state.step, state.average_from)))


def divided(share, edges, k):
    """Return a share of the records of another."""
    layers = []
    for layer, own in zip(share.state.layers, edges):
        layers.append(replace(between(layer, own[k : k + 2]), bias=None if k else layer.bias))
    return Share(replace(share.state, layers=layers))


def cut(gain, spans, is_first):
    """Return the records of a gain that a share has; the first share gets the intercepts.

    Who has the share knows which they are, unless the piece touches all: of these a gain has those that are not zero.
    `spans` come with the task, see `places.spans_of`: a result that another worker has might draw the gain there.
    """
    layers = []
    for layer, (touches_all, *span) in zip(gain.state.layers, spans):
        bias = layer.bias if is_first else None
        if touches_all:
            layers.append(replace(between(layer, span), bias=bias))
        else:
            layers.append(replace(layer, index=None, record=layer.record[slice(*span)], bias=bias))
    return replace(gain.state, layers=layers)


def between(layer, edges):
    """Return the state of a layer's records between two numbers."""
    span = span_of(layer.index, edges)
    index = np.arange(*span) if layer.index is None else layer.index[slice(*span)]
    return replace(layer, index=index, record=layer.record[slice(*span)])


def select(share, own):
    """Return the state of some records that a share has, without saying which."""
    return bare(share.select(own.index), own.index)


def bare(state, where):
    """Return a state of some records without saying which: who gets it knows."""
    layers = [layer if some is None else replace(layer, index=None) for layer, some in zip(state.layers, where)]
    return replace(state, layers=layers)


def placed(state, where):
    """Say of a bare state again which records it has."""
    layers = [layer if some is None else replace(layer, index=some) for layer, some in zip(state.layers, where)]
    return replace(state, layers=layers)


def joined(shares):
    """Return several shares as one."""
    return Share(together([share.state for share in shares]))


def together(states):
    """Return states of the records of several shares as one."""
    if len(states) == 1:
        return states[0]
    layers = []
    for own in zip(*(state.layers for state in states)):
        index = None if own[0].index is None else np.concatenate([one.index for one in own])
        if index is not None and len(index) == own[0].n_records:
            index = None
        layers.append(replace(own[0], index=index, record=np.concatenate([one.record for one in own])))
    return replace(states[0], layers=layers)


def seconds_of(share):
    """Return how long merging took."""
    return share.seconds
