"""Passes over training rows in memory."""

import math

import numpy as np

from sklearn_vectorflow.engine.net import worker as engine
from sklearn_vectorflow.network.forward import readable, rows_ahead
from sklearn_vectorflow.threads import by_worker
from sklearn_vectorflow.training.copies import MOST_COPIERS, UNMERGED, HotRecords, hot_records, hot_wide
from sklearn_vectorflow.training.plan import Plan


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
    alike : bool, default=False
        Whether rows that follow each other have alike targets.
    """

    def __init__(
        self,
        network,
        net,
        clock,
        matrix,
        targets,
        kernel,
        starts,
        batch_size,
        shuffle,
        input_dropout,
        random_state,
        crew,
        plan=None,
        alike=False,
    ):
        matrix = readable(matrix, network)
        net.measure(matrix.rows, targets)
        self.network = network
        self.net = net
        self.clock = clock
        self.matrix = matrix
        self.targets = targets
        self.kernel = kernel
        self.n_passes = 1
        self.shuffle = shuffle
        self.input_dropout = input_dropout
        self.random_state = random_state
        self.crew = crew
        n_rows, rows = matrix.shape[0], matrix.rows
        self.batch_size = batch_size = min(batch_size, n_rows)
        work = rows.n_nonzero * network.n_products
        self.plan = plan or Plan.of(n_rows, work, rows.canonical, batch_size, crew.n_workers, starts, alike)
        if self.plan.group_rows:
            batch_size = max(batch_size, self.plan.chunk)
        self.ahead = rows_ahead(matrix.rows, network)
        batch_nonzeros = self._batch_nonzeros(batch_size)
        self.workers = [
            engine.Worker(net, matrix.rows.longest, batch_size, batch_nonzeros, self.plan.chunk, self.plan.group_rows)
            for _ in range(min(crew.n_workers, len(self.plan.slices)))
        ]
        self.hot = HotRecords([None] * len(self.workers))
        if net.is_plain and batch_nonzeros == 0 and targets.is_dense and not self.plan.group_rows:
            if net.rules[0] in UNMERGED:
                self.workers = self.workers[:1]
            if net.merges:
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
        """Train on every row, once if there is more than a handful.

        Returns
        -------
        loss : float
            Mean weighted loss of the last pass, each row with the weights before its step. Not finite if
            training diverged.
        """
        for _ in range(self.n_passes):
            self.network.begin_pass(self.net, self.crew)
            loss = mean_loss(self.run(self._order(), new_seed(self.random_state)))
            if not math.isfinite(loss):
                break
        return loss

    @property
    def n_steps(self):
        """Steps of an epoch."""
        return self.n_passes * -(-self.matrix.shape[0] // self.batch_size)

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
            self.matrix.rows,
            self.targets,
            self.clock,
            order,
            *plan.slices[position],
            self.shuffle,
            (seed << 20) + plan.first + position,
            self.input_dropout,
            self.ahead,
            shared,
            copies,
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
