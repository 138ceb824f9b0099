"""Tasks of a merge: how bold it may be, and the records themselves, a share of them in each task."""

import time
from dataclasses import dataclass
from typing import Any

from sklearn_vectorflow.cluster.coupling import chosen, glimpsed
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


def n_shares_of(executor, n_records, n_gains):
    """Return into how many shares to merge so many gains of a net of so many records."""
    if n_gains == 1 or n_records * n_gains < WORTHWHILE:
        return 1
    return min(MOST_SHARES, executor.n_workers)


def merged(executor, template, before, gains, places, sample, read):
    """Return what stands for the merge of what training on several pieces gave, and for what is told of it.

    Parameters
    ----------
    executor : object
        Runs tasks, see `fit.Here`.
    template, sample, read : object
        Stand for a Template, the sampled rows and the records that they read.
    before : Shares
        What the pieces were trained from.
    gains, places : list
        Stand for Gains, and for the records that they have.

    Returns
    -------
    after : Shares
    told : tuple
        What stands for a RoundInfo without these, and for the seconds that merging each share took.
    """
    run = executor.submit
    glimpses = [run(glimpse, *one, read) for one in zip(gains, places)]
    base = [run(glimpse_of_share, one, read) for one in before.shares] if len(gains) > 1 else []
    info = run(weighed, template, base, glimpses, sample)
    if before.edges is None:
        shares = [run(whole, before.shares[0], gains, places, info)]
    else:
        shares = []
        for k, one in enumerate(before.shares):
            own = [run(cut, *gain, before.edges, k) for gain in zip(gains, places)]
            shares.append(run(share, one, own, info))
    return before.with_shares(shares, before.edges), (info, [run(seconds_of, one) for one in shares])


def glimpse(gain, where, read):
    """Return what choosing a coupling needs of a gain."""
    state = glimpsed(placed(gain.state, where), read)
    return Glimpse(state, gain.loss, gain.weight, gain.seconds, gain.state.nbytes)


def glimpse_of_share(share, read):
    """Return the records of a share that the sampled rows read."""
    return glimpsed(share.state, read)


def weighed(template, base, glimpses, sample):
    """Choose a coupling, and return what is told of a round."""
    begun = time.perf_counter()
    states, coupling = [one.state for one in glimpses], None
    if len(states) > 1:
        coupling = chosen(template, together(base), states, sample)
    loss, weight, seconds, n_bytes = (
        sum(getattr(one, name) for one in glimpses) for name in ("loss", "weight", "seconds", "n_bytes")
    )
    return RoundInfo(loss, weight, n_bytes, coupling, seconds, time.perf_counter() - begun)


def whole(before, gains, places, info):
    """Merge all records."""
    return share(before, [Share(placed(gain.state, where)) for gain, where in zip(gains, places)], info)


def share(before, gains, info):
    """Merge the records of a share, each from what it was before."""
    begun = time.perf_counter()
    coupling = {} if info.coupling is None else {"coupling": info.coupling}
    state = merge_states(before.state, [gain.state for gain in gains], **coupling)
    return Share(state, time.perf_counter() - begun)
