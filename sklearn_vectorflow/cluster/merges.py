"""Tasks of a merge: how bold it may be, and the records themselves, a share of them in each task."""

import sys
import time
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sklearn_vectorflow.cluster.coupling import chosen, common, glimpsed, glimpsed_at
from sklearn_vectorflow.cluster.shares import Share, cut, placed, seconds_of, together
from sklearn_vectorflow.cluster.tasks import RoundInfo
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

    def __sizeof__(self):
        return object.__sizeof__(self) + sys.getsizeof(self.state)


def n_shares_of(executor, n_records, n_gains):
    """Return into how many shares to merge so many gains of a net of so many records."""
    if n_gains == 1 or n_records * n_gains < WORTHWHILE:
        return 1
    return min(MOST_SHARES, executor.n_workers)


def merged(executor, template, before, gains, pieces, reader):
    """Return what stands for the merge of what training on several pieces gave, and for what is told of it.

    Parameters
    ----------
    executor : object
        Runs tasks, see `fit.Here`.
    template, reader : object
        Stand for a Template, and for a Reader.
    before : Shares
        What the pieces were trained from.
    gains : list
        Stand for Gains.
    pieces : list of fit.PiecePlaces
        What stands for the records that they have.

    Returns
    -------
    after : Shares
    told : tuple
        What stands for a RoundInfo without these, and for the seconds that merging each share took.
    """
    run, apart, soon = executor.submit, executor.apart, executor.soon
    glimpses = [soon(None, glimpse, gain, piece.places, piece.seen) for gain, piece in zip(gains, pieces)]
    shares = before.shares if len(gains) > 1 else []
    base = [apart(k, glimpse_of_share, one, reader) for k, one in enumerate(shares)]
    info = soon(None, weighed, template, reader, base, glimpses)
    if before.edges is None:
        given = gains, [piece.places for piece in pieces]
        shares = [run(whole, before.shares[0], *given, info)]
    else:
        shares = []
        for k, one in enumerate(before.shares):
            own = [piece.owned[k] for piece in pieces]
            cuts = [soon(None, cut, gain, piece.spans[k], not k) for gain, piece in zip(gains, pieces)]
            half = (len(cuts) + 1) // 2  # each task makes a worker pause, so not one for every gain
            there = [soon(k, held, one, some) for some in (cuts[:half], cuts[half:])]
            shares.append(apart(k, share, one, there, own, info))
    return before.with_shares(shares, before.edges), (info, [run(seconds_of, one) for one in shares])


def seen(places, reader):
    """Return where the records that sampled rows read stand among some, see `coupling.common`.

    Of a piece that touches all of them, a gain tells which it has.
    """
    return [(some, None) if index is None else common(some, index) for some, index in zip(reader.read, places.index)]


def glimpse(gain, places, found):
    """Return what choosing a coupling needs of a gain."""
    state = placed(gain.state, places.index)
    known = zip(found, places.index, state.layers)
    found = [common(own[0], layer.index) if index is None else own for own, index, layer in known]
    return Glimpse(glimpsed_at(state, found), gain.loss, gain.weight, gain.seconds, gain.state.nbytes)


def glimpse_of_share(share, reader):
    """Return the records of a share that the sampled rows read."""
    return glimpsed(share.state, reader.read)


def weighed(template, reader, base, glimpses):
    """Choose a coupling, and return what is told of a round."""
    begun = time.perf_counter()
    states, coupling = [one.state for one in glimpses], None
    if len(states) > 1:
        coupling = chosen(template, reader, together(base), states)
    loss, weight, seconds, n_bytes = (
        sum(getattr(one, name) for one in glimpses) for name in ("loss", "weight", "seconds", "n_bytes")
    )
    return RoundInfo(loss, weight, n_bytes, coupling, seconds, time.perf_counter() - begun)


def held(before, states):
    """Return states, which are brought to where a share is while others are trained."""
    return states


def whole(before, gains, places, info):
    """Merge all records."""
    return share(before, [[gain.state for gain in gains]], places, info)


def share(before, states, places, info):
    """Merge the records of a share, each from what it was before."""
    begun = time.perf_counter()
    coupling = {} if info.coupling is None else {"coupling": info.coupling}
    states = [placed(state, some.index) for state, some in zip(chain(*states), places)]
    return Share(merge_states(before.state, states, **coupling), time.perf_counter() - begun)
