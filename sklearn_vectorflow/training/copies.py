"""Hot features: which they are, and the copies of their records that every thread has."""

import contextlib

import numpy as np

from sklearn_vectorflow.engine.net import copies as engine
from sklearn_vectorflow.training.column_counts import hottest

BITS = 13  # 2**BITS slots for features that are hot: about a first cache's worth of records
CROWD = 4096  # the hottest features, of which most are to be kept apart
SHIFTS = range(4, 24)  # by one of these ways to find slots
N_HOT = 1024  # features that are hot where all have copies
FIRST = 16  # features that every merge merges
UNSEEN = 256  # steps of all workers together, about, between two merges of the hottest
PARTS = 64  # times workers: in how many parts the rest is merged
MOST_PARTS = 512  # and in how many at most, where the state is sums, which add up to what one worker's would be
N_HOT_WIDE = 2048  # features that are hot in nets with a hidden layer, at most,
HOT_BYTES = 400_000  # and bytes of their records
FIRST_WIDE = 256  # as FIRST
UNSEEN_WIDE = 512  # and UNSEEN, of these
MOST_COPIERS = 4  # workers on such a net: merges of wide records take turns, and more would wait, or drift apart
UNMERGED = {"adam"}  # rules whose moments of several threads don't add up: of plain nets one worker is faster


class HotRecords:
    """The records of a net's hot features in training, and its workers' copies of them.

    Parameters
    ----------
    copies : list of engine.Copies or None
        By worker; None: no feature is hot.
    hot : engine.Hot, default=None
    """

    def __init__(self, copies, hot=None):
        self.copies = copies
        self._hot = hot

    @contextlib.contextmanager
    def in_use(self, clock, crew):
        """Takes the records out of the layer for a pass, and puts them back."""
        if self._hot is None:
            yield
            return
        self._hot.load(clock)
        crew.map(engine.Copies.begin, self.copies)
        yield
        crew.map(engine.Copies.finish, self.copies)
        self._hot.store(clock)


def hot_records(network, net, matrix, n_workers):
    """Choose the hot features of a plain net that several workers train.

    All features of a small layer have copies. Of a large one, those that most of a sample of
    the rows have: as many as stay in the cache.
    """
    if n_workers == 1:
        return HotRecords([None] * n_workers)
    parameters = network.parameters[0]
    period = int(np.clip(UNSEEN // n_workers, 4, engine.PART_STEPS))
    if parameters.is_small:
        features, shares = hottest(matrix, N_HOT + 1)
        n_parts = _n_parts(net.rules[0], max(shares[N_HOT:], default=0.0)) // n_workers
        hot = engine.Hot(net, features[:N_HOT], 0, 0, FIRST, period, int(np.clip(n_parts, 8, parameters.n_in)))
    else:
        features, shift = hottest_by_slot(matrix, BITS)
        hot = engine.Hot(net, features, BITS, shift, FIRST, period)
    return HotRecords([engine.Copies(hot, worker / n_workers) for worker in range(n_workers)], hot)


def _n_parts(rule, share):
    """Return in how many parts features are merged that are in no more than a share of the rows, times workers."""
    if rule != "ftrl":
        return PARTS
    unseen = UNSEEN / max(share, 1e-9)  # rows of all workers between two merges of a part
    return np.clip(unseen // engine.PART_STEPS, PARTS, MOST_PARTS)


def hot_wide(network, net, matrix, n_workers):
    """Choose the hot features of a net with a hidden layer that several workers train."""
    stride = network.parameters_of_rows[0].layout.stride
    n_hot = min(N_HOT_WIDE, HOT_BYTES // (4 * stride))
    bits = (2 * n_hot - 1).bit_length()  # at least two slots for each
    features, shift = hottest_by_slot(matrix, bits)
    return engine.Hot(net, features[:n_hot], bits, shift, FIRST_WIDE, max(1, UNSEEN_WIDE // n_workers))


def hottest_by_slot(matrix, bits):
    """Return the most frequent features, the hottest of every slot, the hottest first, and the shift of slots."""
    features, shares = hottest(matrix, 2 << bits)
    crowd, crowd_shares = features[:CROWD], shares[:CROWD]
    shift = max(SHIFTS, key=lambda shift: crowd_shares[_are_first(crowd, bits, shift)].sum())
    return features[_are_first(features, bits, shift)], shift


def _are_first(features, bits, shift):
    """Return whether each feature is the first one of its slot."""
    slots = engine.slots_of(features, bits, shift)
    place = np.arange(len(features))
    first = np.empty(1 << bits, dtype=np.int64)
    first[slots[::-1]] = place[::-1]  # of several the last one stays
    return first[slots] == place
