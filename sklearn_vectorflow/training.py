"""Passes over the training rows, and raw outputs for rows."""
import math
from dataclasses import dataclass

import numpy as np

from sklearn_vectorflow.copies import MOST_COPIERS, UNMERGED, HotRecords, hot_records, hot_wide
from sklearn_vectorflow.engine import worker as engine
from sklearn_vectorflow.threads import by_worker

FULL_SHUFFLE = 65_536    # rows up to which single rows are shuffled
CHUNK = 64               # else rows that stay neighbours; the engine mixes 16 chunks at a time
SLICE = 4_000_000        # multiplications between two looks at interrupts
SLICES = 16              # times workers: slices of a pass at least, so that workers end together
ALONE = 4096             # first rows that one worker trains on: steps are long, and others' would be on top
TINY = 64                # rows up to which batch_size="auto" takes all of them in a step
MOST_RAW = 262_144       # raw outputs that a thread holds at once: its own cache keeps them
LINES_AHEAD = 256        # cache lines of weights asked for ahead of their use


def auto_batch_size(n_rows):
    """Return rows in a step: one, or all of a handful.

    A handful of rows is fitted in full batches, so that the result does not depend on
    their order or on whether a weight or a copy says that a row counts twice.
    """
    return n_rows if n_rows <= TINY else 1


def rows_ahead(matrix, network):
    """Return how many rows ahead weights are asked for: few if rows are long or wide.

    None if the weights stay in the processor's second cache anyway.
    """
    largest = max(network.parameters_of_rows, key=lambda parameters: parameters.record.nbytes)
    if largest.is_small:
        return 0
    per_row = max(1, matrix.rows.n_nonzero // matrix.shape[0])
    stride = largest.layout.stride
    return max(1, min(4, LINES_AHEAD // (per_row * min(4, (stride + 15) // 16))))


def readable(matrix, network):
    """Return the matrix, its repeated columns summed if the net's layers are not linear in rows."""
    return matrix.summed() if network.graph.needs_canonical and not matrix.rows.canonical else matrix


@dataclass(frozen=True)
class Plan:
    """How a pass goes over rows.

    Parameters
    ----------
    n_rows : int
    chunk : int
        Rows that stay neighbours when the order is drawn. Where steps take whole groups, chunks are
        groups, and this is the longest.
    slices : list of tuple of int
        Ranges of chunks that are one call of the engine: of whole batches all but the last.
    canonical : bool
        Whether no row has a column twice or a zero.
    first : int, default=0
        Number of the first slice, where the plan is a part of another.
    group_rows : int, default=0
        Where steps take whole groups: as many as have at most so many rows together, or one.
    """

    n_rows: int
    chunk: int
    slices: list
    canonical: bool
    first: int = 0
    group_rows: int = 0

    @classmethod
    def of(cls, n_rows, work, canonical, batch_size, n_workers, starts=None):
        """Plan a pass over rows, or over the groups that start there, of so many multiplications."""
        if starts is None:
            chunk, group_rows = 1 if n_rows <= FULL_SHUFFLE else CHUNK, 0
            n_chunks, whole = -(-n_rows // chunk), batch_size // math.gcd(batch_size, chunk)
        else:
            chunk, group_rows = int(np.diff(starts).max()), batch_size
            n_chunks, whole = len(starts) - 1, 1
        n_slices = max(1, work // SLICE)
        if n_workers > 1:
            n_slices = max(n_slices, SLICES * n_workers)
        length = whole * max(1, -(-n_chunks // (n_slices * whole)))
        first = whole * -(-ALONE // (chunk * whole)) if n_workers > 1 and n_chunks > length else length
        edges = [0, *range(min(first, length), n_chunks, length), n_chunks]
        slices = list(zip(edges[:-1], edges[1:]))
        return cls(n_rows, chunk, slices, canonical, group_rows=group_rows)

    @property
    def n_chunks(self):
        """Chunks in the pass."""
        return self.slices[-1][1]

    @property
    def n_whole(self):
        """Chunks that are not cut off by the last row."""
        return self.n_chunks if self.group_rows else self.n_rows // self.chunk

    def windows(self, most_rows):
        """Cut into plans of neighbouring slices, each for at most so many rows or one slice."""
        length = max(end - start for start, end in self.slices) * self.chunk
        step = max(1, most_rows // length)
        plans = []
        for first in range(0, len(self.slices), step):
            slices = self.slices[first : first + step]
            base = slices[0][0]
            n_rows = min(slices[-1][1] * self.chunk, self.n_rows) - base * self.chunk
            local = [(start - base, end - base) for start, end in slices]
            plans.append(Plan(n_rows, self.chunk, local, self.canonical, first))
        return plans


class Trainer:
    """Runs a net over the training rows, one pass at a time.

    Parameters
    ----------
    network : Network
        With a live net.
    net, clock : engine.Net, engine.Clock
        The live net, with its loss set.
    matrix : Matrix
    targets : engine.Targets
    kernel : Kernel
        The function of the loss.
    starts : ndarray of shape (n_groups + 1,) or None
        Where groups start, if steps take whole groups: as many as have at most `batch_size` rows
        together, or one.
    batch_size : int
    shuffle : bool
    input_dropout : float
    random_state : RandomState
    crew : Crew
    plan : Plan, default=None
        Where the rows are a part of a longer pass.
    """

    def __init__(
        self, network, net, clock, matrix, targets, kernel, starts, batch_size, shuffle, input_dropout, random_state,
        crew, plan=None,
    ):
        matrix = readable(matrix, network)
        net.measure(matrix.rows, targets)
        self.network = network
        self.net = net
        self.clock = clock
        self.matrix = matrix
        self.targets = targets
        self.kernel = kernel
        self.shuffle = shuffle
        self.input_dropout = input_dropout
        self.random_state = random_state
        self.crew = crew
        n_rows, rows = matrix.shape[0], matrix.rows
        batch_size = min(batch_size, n_rows)
        work = rows.n_nonzero * network.n_products
        self.plan = plan or Plan.of(n_rows, work, rows.canonical, batch_size, crew.n_workers, starts)
        if self.plan.group_rows:
            batch_size = max(batch_size, self.plan.chunk)
        self.ahead = rows_ahead(matrix, network)
        batch_nonzeros = self._batch_nonzeros(batch_size)
        self.workers = [
            engine.Worker(
                net, matrix.rows.longest, batch_size, batch_nonzeros, self.plan.chunk, self.plan.group_rows
            )
            for _ in range(min(crew.n_workers, len(self.plan.slices)))
        ]
        self.hot = HotRecords([None] * len(self.workers))
        if net.is_plain and batch_nonzeros == 0 and targets.is_dense and not self.plan.group_rows:
            if net.rules[0] in UNMERGED:
                self.workers = self.workers[:1]
            self.hot = hot_records(network, net, matrix, len(self.workers))
        elif len(self.workers) > 1 and self.workers[0].has_one_hidden(targets):
            self.workers = self.workers[:MOST_COPIERS]
            hot = hot_wide(network, net, matrix, len(self.workers))
            for worker in self.workers:
                worker.share(hot)

    def _batch_nonzeros(self, batch_size):
        """Most non-zeros of a batch; 0 if rows can update the weights one by one."""
        if batch_size == 1 and self.plan.canonical:
            return 0
        lengths = self.matrix.row_lengths()
        if batch_size < len(lengths):
            lengths = np.partition(lengths, len(lengths) - batch_size)[-batch_size:]
        return max(1, int(lengths.sum(dtype=np.int64)))

    def _order(self):
        """The order of the chunks in this pass; a short last chunk stays last."""
        order = np.arange(self.plan.n_chunks, dtype=np.int64)
        if self.shuffle:
            whole = self.plan.n_whole
            order[:whole] = self.random_state.permutation(whole)
        return order

    def epoch(self):
        """Train on every row once.

        Returns
        -------
        loss : float
            Mean weighted loss, each row with the weights before its step. Not finite if
            training diverged.
        """
        order = self._order()
        return mean_loss(self.run(order, new_seed(self.random_state)))

    def run_window(self, seed):
        """Train on every row once, as a part of a pass that has a seed; return what `run` does."""
        return self.run(self._order(), seed)

    def run(self, order, seed):
        """Train on the slices of an order of chunks; return each slice's (loss, n_rows)."""
        first, parts = 0, []
        try:
            if len(self.workers) > 1 and self.clock.step == 0:
                first, parts = 1, [self._train(order, seed, 0, 0, False, None)]

            @by_worker
            def train(position, worker):
                return self._train(order, seed, position, worker, len(self.workers) > 1, self.hot.copies[worker])

            with self.hot.in_use(self.clock, self.crew):
                return parts + self.crew.map(train, range(first, len(self.plan.slices)), len(self.workers))
        finally:
            self.network.advance()

    def _train(self, order, seed, position, worker, shared, copies):
        plan = self.plan
        loss, n_means = self.workers[worker].train(
            self.matrix.rows, self.targets, self.clock, order, *plan.slices[position], self.shuffle,
            (seed << 20) + plan.first + position, self.input_dropout, self.ahead, shared, copies,
        )
        if not math.isfinite(loss):
            self.kernel.raise_fault(*self.workers[worker].last_block())
        return loss, n_means


def new_seed(random_state):
    """Draw the seed of a pass."""
    return int(random_state.randint(0, 2**31 - 1))


def mean_loss(parts):
    """Return the mean loss of slices; not finite if training diverged in one of them."""
    loss, rows = np.sum(parts, axis=0)
    return float(loss / max(rows, 1.0))


def outputs(network, matrix, crew, place=None):
    """Return the outputs of a place of a net for every row; by default, the raw ones.

    Returns
    -------
    out : ndarray of float32, shape (n_rows, width)
    """
    matrix = readable(matrix, network)
    net, clock = network.predicting_net()
    net.measure(matrix.rows)
    n_rows = matrix.shape[0]
    width = network.n_outputs if place is None else place.width
    node = -1 if place is None else place.engine
    out = np.empty((n_rows, width), dtype=np.float32)
    ahead = rows_ahead(matrix, network)
    edges = np.linspace(0, n_rows, (4 * crew.n_workers if crew.n_workers > 1 else 1) + 1).astype(np.int64).tolist()
    workers = [engine.Worker(net, matrix.rows.longest) for _ in range(crew.n_workers)]

    @by_worker
    def run(span, worker):
        workers[worker].predict(matrix.rows, clock, *span, out, ahead, node)

    crew.map(run, list(zip(edges[:-1], edges[1:])))
    return out


def map_raw(network, matrix, crew, function):
    """Return what a function makes of raw outputs, block of rows after block; a thread holds one block.

    Parameters
    ----------
    function : callable
        Called with the raw outputs, float32 of shape (n, n_outputs), which it must not keep, of
        rows [start, end), and with start and end.
    """
    matrix = readable(matrix, network)
    net, clock = network.predicting_net()
    net.measure(matrix.rows)
    n_rows, n_outputs = matrix.shape[0], network.n_outputs
    ahead = rows_ahead(matrix, network)
    n_parts = 4 * crew.n_workers if crew.n_workers > 1 else 1
    length = max(1, min(-(-n_rows // n_parts), MOST_RAW // n_outputs))
    workers = [engine.Worker(net, matrix.rows.longest) for _ in range(crew.n_workers)]
    room = [np.empty((length, n_outputs), dtype=np.float32) for _ in workers]

    @by_worker
    def run(start, worker):
        end = min(start + length, n_rows)
        workers[worker].predict(matrix.rows, clock, start, end, room[worker], ahead, first=start)
        return function(room[worker][: end - start], start, end)

    return crew.map(run, range(0, n_rows, length))


def raw_outputs(network, matrix, crew):
    """Return the raw outputs of a net for every row.

    Returns
    -------
    raw : ndarray of float64, shape (n_rows, n_outputs)
    """
    out = np.empty((matrix.shape[0], network.n_outputs))

    def keep(raw, start, end):
        out[start:end] = raw

    map_raw(network, matrix, crew, keep)
    return out
