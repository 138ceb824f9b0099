"""Tasks of a merge: how bold it may be, and the records themselves, a share of them in each task.

Every record is merged by itself, so the bits do not depend on how records are shared out.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklearn_vectorflow.cluster.coupling import chosen, glimpsed
from sklearn_vectorflow.cluster.tasks import Merged, RoundInfo, placed
from sklearn_vectorflow.merging import merge_states

WORTHWHILE = 1 << 20  # records of all gains, at most, from which on sharing them out is worth tasks of their own
MOST_SHARES = 16


@dataclass(frozen=True, eq=False)
class Glimpse:
    """What choosing a coupling needs of a gain.

    Parameters
    ----------
    state : NetState
        Records that the sampled rows read.
    loss, weight, seconds : float
        See `tasks.Gain`.
    n_bytes : int
        Of the gain.
    """

    state: Any
    loss: float
    weight: float
    seconds: float
    n_bytes: int


@dataclass(frozen=True, eq=False)
class Share:
    """Merged records.

    Parameters
    ----------
    state : NetState
    seconds : float
        That merging took.
    """

    state: Any
    seconds: float


def merged(executor, n_records, template, before, gains, places, sample, read):
    """Return what stands for the merge of what training on several pieces gave.

    Parameters
    ----------
    executor : object
        Runs tasks, see `fit.Here`.
    n_records : int
        Of the net.
    template, before, sample, read : object
        Stand for a Template, a Merged, the sampled rows and the records that they read.
    gains, places : list
        Stand for Gains, and for the records that they have.
    """
    run = executor.submit
    info = run(weighed, template, before, [run(glimpse, *one, read) for one in zip(gains, places)], sample)
    n_shares = min(MOST_SHARES, executor.n_workers) if n_records * len(gains) >= WORTHWHILE else 1
    if n_shares == 1 or len(gains) == 1:
        return run(whole, before, gains, places, info)
    edges = run(shared_out, before, places[0], n_shares)
    shares = []
    for k in range(n_shares):
        own = [run(cut, *one, edges, k) for one in zip(gains, places)]
        shares.append(run(share, run(cut, before, None, edges, k), own, info))
    return run(joined, before, shares, info)


def glimpse(gain, where, read):
    """Return what choosing a coupling needs of a gain."""
    state = glimpsed(placed(gain.state, where), read)
    return Glimpse(state, gain.loss, gain.weight, gain.seconds, gain.state.nbytes)


def weighed(template, before, glimpses, sample):
    """Choose a coupling, and return what is told of a round."""
    begun = time.perf_counter()
    states, coupling = [one.state for one in glimpses], None
    if len(states) > 1:
        coupling = chosen(template, before.state, states, sample)
    loss, weight, seconds, n_bytes = (
        sum(getattr(one, name) for one in glimpses) for name in ("loss", "weight", "seconds", "n_bytes")
    )
    return RoundInfo(loss, weight, n_bytes, coupling, seconds, time.perf_counter() - begun)


def whole(before, gains, places, info):
    """Merge all records."""
    merge = share(before.state, [placed(gain.state, where) for gain, where in zip(gains, places)], info)
    return _told(merge.state, [merge], info)


def shared_out(before, where, n_shares):
    """Return for every layer the records between which shares lie, about as many of a gain in each."""
    edges = []
    for some, layer in zip(where, before.state.layers):
        inner = np.arange(1, n_shares) / n_shares
        inner = inner * layer.n_records if some is None or not len(some) else some[(inner * len(some)).astype(int)]
        edges.append([0, *inner.astype(int).tolist(), layer.n_records])
    return edges


def cut(of, where, edges, k):
    """Return a share of the records of a Gain or Merged; the first has the intercepts."""
    state = of.state if where is None else placed(of.state, where)
    layers = []
    for layer, (start, end) in zip(state.layers, ((own[k], own[k + 1]) for own in edges)):
        index, first, last = layer.index, start, end
        if index is None:
            index = np.arange(start, end)
        else:  # of the same type, else all of the index is converted
            first, last = np.searchsorted(index, np.array([start, end]).astype(index.dtype))
            index = index[first:last]
        bias = None if k else layer.bias
        layers.append(replace(layer, index=index, record=layer.record[first:last], bias=bias))
    return replace(state, layers=layers)


def share(before, states, info):
    """Merge the records of states; `before` is what they began from."""
    begun = time.perf_counter()
    coupling = {} if info.coupling is None else {"coupling": info.coupling}
    return Share(merge_states(before, states, **coupling), time.perf_counter() - begun)


def joined(before, shares, info):
    """Put the records of several shares together."""
    layers = []
    for position, layer in enumerate(before.state.layers):
        own = [one.state.layers[position] for one in shares]
        index = None if layer.index is None else np.concatenate([one.index for one in own])
        layers.append(replace(own[0], index=index, record=np.concatenate([one.record for one in own])))
    return _told(replace(shares[0].state, layers=layers), shares, info)


def _told(state, shares, info):
    seconds = info.merge_seconds + sum(one.seconds for one in shares)
    return Merged(state, replace(info, merge_seconds=seconds))
