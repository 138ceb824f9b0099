"""Hot (frequent) features, and the copies of their records in each thread."""

import contextlib

import numpy as np

from sklearn_vectorflow.engine.net import copies as engine
from sklearn_vectorflow.engine.net import replicas
from sklearn_vectorflow.training.column_counts import hottest

# Rules with decreasing steps: many workers may train, and merge late.
FALLING = ("adagrad", "adagrad_rowwise", "ftrl", "fixed")
BITS = 13  # 2**BITS slots for hot features, whose records fit into the first cache
CROWD = 4096  # the hottest features, of which most are to be kept apart
SHIFTS = range(4, 24)  # shifts of the hash that finds slots
N_HOT = 1024  # layers with at most this many features have copies of all
FIRST = 16  # features in each merge
UNSEEN = 256  # about as many steps of all workers between two merges of the hottest features, at most
UNSEEN_TOUCHES = 128  # of the feature of a typical non-zero, at most, among them,
UNSEEN_TOUCHES_OF_CONSTANT_STEPS = 16  # where steps do not shrink: those of several workers overshoot sooner
PARTS, MOST_PARTS = 64, 512  # times the number of workers: parts in which the other features are merged
WHOLE_BYTES = 8_000_000  # other nets whose layers that read rows have at most so many have copies of all features,
TOUCHES = 64  # if a worker steps each record so often in a pass, on average: it copies and merges all at least once,
MOST_PARTS_WIDE = 256  # as MOST_PARTS,
PART_STEPS_WIDE = 256  # and a part of those that are not hot is merged after so many rows of a worker
N_HOT_WIDE = 2048  # maximum number of hot features in larger nets,
HOT_BYTES = 400_000  # and bytes of their records
FIRST_WIDE = 64  # as FIRST, of these
UNSEEN_WIDE = 256  # as UNSEEN, of all other nets,
UNSEEN_INNER = 128  # and of their inner layers
UNSEEN_SHARE = 1 / 256  # of the rows so far: at most as many are unseen


class NoCopies:
    """All records are shared."""

    def __init__(self, n_workers):
        self.copies = [None] * n_workers

    def in_use(self, clock, crew):
        return contextlib.nullcontext()


class HotRecords:
    """The records of the hot features of a linear net, and their copies in each worker.

    Parameters
    ----------
    copies : list of engine.Copies
        One for each worker.
    hot : engine.Hot
    n_aside : int, default=0
        Features that are not hot whose records each worker has room for.
    """

    def __init__(self, copies, hot, n_aside=0):
        self.copies = copies
        self.hot = hot
        self.n_aside = n_aside

    @contextlib.contextmanager
    def in_use(self, clock, crew, finish=engine.Copies.finish, parts=None):
        """Move the records out of the layer for a pass, and back.

        `finish` merges what was not yet: it is called for each of the copies, or for parts of the work.
        """
        self.hot.load(clock)
        crew.map(engine.Copies.begin, self.copies)
        yield
        crew.map(finish, self.copies if parts is None else parts)
        self.hot.store(clock)


class Replicas:
    """What all rows of any other net touch, of each worker's own.

    Parameters
    ----------
    copies : list of engine.Replica
        One for each worker.
    """

    def __init__(self, copies):
        self.copies = copies

    @contextlib.contextmanager
    def in_use(self, clock, crew, finish=None, parts=()):
        """Copy the records for a pass, and merge them; see `HotRecords.in_use`."""
        crew.map(lambda replica: replica.begin(clock), self.copies)
        yield
        if finish is None:
            crew.map(lambda replica: replica.finish(clock), self.copies)
        else:
            crew.map(finish, parts)


def hot_records(network, net, matrix, n_workers, turn=None, most_nonzeros=None):
    """Choose the hot features of a linear net that several workers train.

    These are all features of a small layer, and the most frequent features of a sample of rows for a large one, as many
    as fit into the cache. `turn`: at most so many steps of a worker before all merge; None: workers don't wait. With a
    turn there is room for the other features of a large layer, at most `most_nonzeros` of so many rows.
    """
    parameters = network.parameters[0]
    n_parts = 0
    if parameters.is_small:
        features, shares = hottest(matrix, N_HOT + 1)
        n_parts = _n_parts(max(shares[N_HOT:], default=0.0)) // n_workers
        n_parts, bits, shift = int(np.clip(n_parts, 8, parameters.n_in)), 0, 0
    else:
        features, shares, shift = hottest_by_slot(matrix, BITS)
        bits = BITS
    most = UNSEEN if turn is None else turn * n_workers
    # A turn of a large layer does not see its own steps of features that are not hot.
    share = 1.0 if turn is None or not bits else 1.0 - 1.0 / n_workers
    unseen = _unseen(net.rules, matrix, shares, most, share)
    fewest = 4 if turn is None else min(4, turn)
    period = int(np.clip(unseen // n_workers, fewest, engine.PART_STEPS))
    hot = engine.Hot(net, features if bits else features[:N_HOT], bits, shift, FIRST, period, n_parts)
    n_aside = most_nonzeros(period) if turn is not None and bits else 0
    copies = [engine.Copies(hot, worker / n_workers, n_workers, turn is None, n_aside) for worker in range(n_workers)]
    return HotRecords(copies, hot, n_aside)


def _unseen(rules, matrix, shares, most, share=1.0):
    """Return how many steps of all workers there may be between two merges of the hottest features.

    At most `UNSEEN_TOUCHES`, or a share of these, touch the feature of a typical non-zero: gains of several workers add
    up, and where all rows move the same weights they would overshoot. Other features are at most as frequent as the
    last one given.
    """
    per_row = matrix.rows.n_nonzero / matrix.shape[0]
    others = max(0.0, per_row - shares.sum()) * min(shares, default=0.0)
    typical = (np.sum(shares**2) + others) / max(per_row, 1e-9)
    touches = UNSEEN_TOUCHES if set(rules) <= set(FALLING) else UNSEEN_TOUCHES_OF_CONSTANT_STEPS
    return int(min(most, share * touches / max(typical, 1e-9)))


def _n_parts(share):
    """Return the number of merge parts, per worker, for features that occur in at most a share of the rows."""
    unseen = UNSEEN / max(share, 1e-9)  # rows of all workers between two merges of a part
    return np.clip(unseen // engine.PART_STEPS, PARTS, MOST_PARTS)


def replicas_of(net, matrix, n_workers, batch_size, turn=None):
    """Choose the features of any net that have copies if several workers train it.

    These are all features of small layers, and the most frequent features of a sample of rows for large ones. `turn`:
    rows of a worker before all merge, where all features have copies; None: workers don't wait.
    """
    period = max(1, UNSEEN_WIDE // n_workers) if turn is None else turn
    if turn is not None or n_worth_whole(net, matrix) >= n_workers:
        features, shares = hottest(matrix, N_HOT + 1)
        n_features, n_parts = matrix.shape[1], min(_n_parts(max(shares[N_HOT:], default=0.0)), MOST_PARTS_WIDE)
        n_parts = int(np.clip(n_parts // n_workers, min(8, n_features), n_features))
        hot = engine.Hot(net, features[:N_HOT], 0, 0, FIRST, period, n_parts)
    else:
        n_hot = int(min(N_HOT_WIDE, HOT_BYTES // (4 * max(1, net.hot_size)))) if net.hot_size else 0
        bits = max(1, (2 * n_hot - 1).bit_length())  # at least two slots for each
        features, _, shift = hottest_by_slot(matrix, bits) if n_hot else (np.zeros(0, np.int32), None, SHIFTS[0])
        hot = engine.Hot(net, features[:n_hot], bits, shift, FIRST_WIDE, period)
    inner_period, unseen = max(1, UNSEEN_INNER // n_workers), UNSEEN_SHARE * batch_size / n_workers
    return Replicas(
        [replicas.Replica(hot, inner_period, unseen, PART_STEPS_WIDE, k / n_workers) for k in range(n_workers)]
    )


def n_worth_whole(net, matrix, touches=TOUCHES):
    """Return how many workers may have copies of all features of the layers that read rows of X.

    `touches`: how often each steps a record in a pass, at least, on average.
    """
    n_bytes = 4 * net.hot_size * matrix.shape[1]
    if not 0 < n_bytes <= WHOLE_BYTES or not set(net.rules) <= set(FALLING):
        return 0
    return int(matrix.rows.n_nonzero // max(1, touches * matrix.shape[1]))


def hottest_by_slot(matrix, bits):
    """Return the most frequent feature of each slot, the most frequent first, their shares, and the shift of slots."""
    features, shares = hottest(matrix, 2 << bits)
    crowd, crowd_shares = features[:CROWD], shares[:CROWD]
    shift = max(SHIFTS, key=lambda shift: crowd_shares[_are_first(crowd, bits, shift)].sum())
    first = _are_first(features, bits, shift)
    return features[first], shares[first], shift


def _are_first(features, bits, shift):
    """Return whether each feature is the first one of its slot."""
    slots = engine.slots_of(features, bits, shift)
    place = np.arange(len(features))
    first = np.empty(1 << bits, dtype=np.int64)
    first[slots[::-1]] = place[::-1]  # the last of several assignments wins
    return first[slots] == place
