"""A state whose records lie in shares: each with whoever merged it, so that only records that are read travel.

Every record is merged by itself, so the bits do not depend on how records are shared out.
"""

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

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
    edges : object, default=None
        Stands for what `shared_out` gives; None where there is one share.
    """

    def __init__(self, executor, template, shares, edges=None):
        self.executor = executor
        self.template = template
        self.shares = shares
        self.edges = edges

    def among(self, n_shares, where):
        """Return the same in at least so many shares, each with as many of some records; fewer would be moved."""
        if len(self.shares) >= n_shares:
            return self
        run = self.executor.submit
        one = self.whole()
        edges = run(shared_out, self.template, where, n_shares)
        return self.with_shares([run(cut, one, None, edges, k) for k in range(n_shares)], edges)

    def with_shares(self, shares, edges):
        """Return other shares of the same net."""
        return Shares(self.executor, self.template, shares, edges)

    def selected(self, where):
        """Return what stands for some records, of every share, without saying which."""
        run = self.executor.submit
        return [run(select, share, where, self.edges, k) for k, share in enumerate(self.shares)]

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


def shared_out(template, where, n_shares):
    """Return for every layer the records between which shares lie, about as many of some records in each."""
    edges = []
    for some, place in zip(where, template.network.graph.weighted):
        inner = np.arange(1, n_shares) / n_shares
        inner = inner * place.n_in if some is None or not len(some) else some[(inner * len(some)).astype(int)]
        edges.append([0, *inner.astype(int).tolist(), place.n_in])
    return edges


def cut(of, where, edges, k):
    """Return a share of the records of a Gain or a Share."""
    state = of.state if where is None else placed(of.state, where)
    layers = []
    for layer, span in zip(state.layers, _spans(edges, k)):
        index, some = _between(layer.index, span)
        bias = None if k else layer.bias
        layers.append(replace(layer, index=index, record=layer.record[some], bias=bias))
    return Share(replace(state, layers=layers))


def _spans(edges, k):
    """Return between which records of every layer a share lies."""
    return [(own[k], own[k + 1]) for own in edges]


def _between(index, span):
    """Return which of some records lie in a range, and where they stand among them; None is all."""
    if index is None:
        return np.arange(*span), slice(*span)
    # of the same type, else all of the index is converted
    first, last = np.searchsorted(index, np.array(span).astype(index.dtype)).tolist()
    return index[first:last], slice(first, last)


def select(share, where, edges, k):
    """Return the state of some records that a share has, without saying which."""
    state, own = share.state, where
    if edges is not None:
        own = [None if some is None else _between(some, span)[0] for some, span in zip(where, _spans(edges, k))]
    return bare(state.select(own), where)


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
