"""Passes over the training rows, and raw outputs for rows."""
import math

import numpy as np

from sklearn_vectorflow.engine import worker as engine
from sklearn_vectorflow.threads import by_worker

FULL_SHUFFLE = 65_536    # rows up to which single rows are shuffled
CHUNK = 64               # else rows that stay neighbours; the engine mixes 16 chunks at a time
SLICE = 4_000_000        # multiplications between two looks at interrupts
TINY = 64                # rows up to which batch_size="auto" takes all of them in a step
SMALL = 1_000_000        # bytes of weights and state that caches keep
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
    if largest.record.nbytes <= SMALL:
        return 0
    per_row = max(1, matrix.rows.n_nonzero // matrix.shape[0])
    stride = largest.layout.stride
    return int(np.clip(LINES_AHEAD // (per_row * min(4, (stride + 15) // 16)), 1, 4))


def readable(matrix, network):
    """Return the matrix, its repeated columns summed if the net's layers are not linear in rows."""
    return matrix.summed() if network.graph.needs_canonical and not matrix.rows.canonical else matrix


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
    batch_size : int
    shuffle : bool
    input_dropout : float
    random_state : RandomState
    crew : Crew
    """

    def __init__(self, network, net, clock, matrix, targets, batch_size, shuffle, input_dropout, random_state, crew):
        matrix = readable(matrix, network)
        net.measure(matrix.rows)
        self.network = network
        self.net = net
        self.clock = clock
        self.matrix = matrix
        self.targets = targets
        self.shuffle = shuffle
        self.input_dropout = input_dropout
        self.random_state = random_state
        self.crew = crew
        n_rows = matrix.shape[0]
        self.chunk = 1 if n_rows <= FULL_SHUFFLE else CHUNK
        batch_size = min(batch_size, n_rows)
        self.slices = self._slices(batch_size)
        self.ahead = rows_ahead(matrix, network)
        batch_nonzeros = self._batch_nonzeros(batch_size)
        self.workers = [
            engine.Worker(net, matrix.rows.longest, batch_size, batch_nonzeros, self.chunk)
            for _ in range(min(crew.n_workers, len(self.slices)))
        ]

    def _batch_nonzeros(self, batch_size):
        """Most non-zeros of a batch; 0 if rows can update the weights one by one."""
        if batch_size == 1 and self.matrix.rows.canonical:
            return 0
        lengths = self.matrix.row_lengths()
        if batch_size < len(lengths):
            lengths = np.partition(lengths, len(lengths) - batch_size)[-batch_size:]
        return max(1, int(lengths.sum(dtype=np.int64)))

    def _slices(self, batch_size):
        """Ranges of chunks, of whole batches all but the last."""
        n_chunks = -(-self.matrix.shape[0] // self.chunk)
        work = self.matrix.rows.n_nonzero * sum(n_out for _, n_out in self.network.shapes())
        n_slices = max(1, work // SLICE)
        if self.crew.n_workers > 1:
            n_slices = max(n_slices, 8 * self.crew.n_workers)
        whole = batch_size // math.gcd(batch_size, self.chunk)
        length = whole * max(1, -(-n_chunks // (n_slices * whole)))
        return [(start, min(start + length, n_chunks)) for start in range(0, n_chunks, length)]

    def _order(self):
        """The order of the chunks in this pass; a short last chunk stays last."""
        n_chunks = self.slices[-1][1]
        if not self.shuffle:
            return np.arange(n_chunks, dtype=np.int64)
        whole = self.matrix.shape[0] // self.chunk
        order = np.arange(n_chunks, dtype=np.int64)
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
        seed = int(self.random_state.randint(0, 2**31 - 1))

        @by_worker
        def run(position, worker):
            return self.workers[worker].train(
                self.matrix.rows, self.targets, self.clock, order, *self.slices[position], self.shuffle,
                (seed << 20) + position, self.input_dropout, self.ahead, len(self.workers) > 1,
            )

        try:
            parts = self.crew.map(run, range(len(self.slices)))
        finally:
            self.network.advance()
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


def raw_outputs(network, matrix, crew):
    """Return the raw outputs of a net for every row.

    Returns
    -------
    raw : ndarray of float64, shape (n_rows, n_outputs)
    """
    return outputs(network, matrix, crew).astype(np.float64)
