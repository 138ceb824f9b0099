"""Hot features: those whose weights every thread has copies of."""
import contextlib

import numpy as np

from sklearn_vectorflow.engine import hot as engine
from sklearn_vectorflow.hot import hottest

CACHED = 1_000_000   # bytes of weights and state that a core's own cache keeps
BITS = 12            # 2**BITS slots for features that are hot: a first cache's worth of records
PARTS = 16           # in which copies are merged, one every 64 rows
PARTS_OF_ALL = 64    # the same where all features have copies
UNMERGED = {"adam"}  # rules whose moments of several threads don't add up


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

    All features of a small layer are hot. Of a large one, those that most of a sample of the
    rows have: as many as stay in the cache.
    """
    if n_workers == 1 or net.rules[0] in UNMERGED:
        return HotRecords([None] * n_workers)
    (parameters,) = network.parameters
    if parameters.record.nbytes <= CACHED:
        hot = engine.Hot(net, None, min(PARTS_OF_ALL, parameters.n_in), n_workers)
    else:
        hot = engine.Hot(net, _table(matrix), PARTS, n_workers)
    return HotRecords([engine.Copies(hot, worker / n_workers) for worker in range(n_workers)], hot)


def _table(matrix):
    """By slot: the hottest of the features that fall there, -1 for none."""
    features = hottest(matrix, 2 << BITS)[::-1]
    table = np.full(1 << BITS, -1, dtype=np.int32)
    table[engine.slots_of(features, BITS)] = features  # of a slot's, the last stays: the hottest
    return table
