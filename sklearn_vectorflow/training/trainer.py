"""Passes over training rows in memory."""

import math

import numpy as np

from sklearn_vectorflow.network.forward import readable, rows_ahead
from sklearn_vectorflow.training.hogwild import Hogwild
from sklearn_vectorflow.training.plan import Plan
from sklearn_vectorflow.training.rounds import Rounds, most_workers
from sklearn_vectorflow.training.windows import Windows


class Trainer:
    """Trains a net on rows in memory, one pass at a time.

    Parameters
    ----------
    network : Network
        Network with a live net.
    net, clock : engine.Net, engine.Clock
        The live net, with its loss set.
    matrix : Matrix
    targets : engine.Targets
    kernel : Kernel
        The function of the loss.
    starts : ndarray of shape (n_groups + 1,) or None
        First row of each group, and the number of rows, if mini-batches have whole groups: as many as have at most
        `batch_size` rows together, or one.
    batch_size : int
    shuffle : bool
    input_dropout : float
    random_state : RandomState
    crew : Crew
    deterministic : bool, default=False
        Whether weights are the same, bit for bit, for any number of threads.
    plan : Plan, default=None
        Plan, if the rows are a part of a longer pass.
    alike : bool, default=False
        Whether consecutive rows have similar targets.
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
        deterministic=False,
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
        n_workers = 1 if deterministic else crew.n_workers
        self.plan = plan or Plan.of(n_rows, work, rows.canonical, batch_size, n_workers, starts, alike)
        if self.plan.group_rows:
            batch_size = max(batch_size, self.plan.chunk)
        self.ahead = rows_ahead(matrix.rows, network)
        self.updates_directly = batch_size == 1 and self.plan.canonical
        batch_nonzeros = 0 if self.updates_directly else self.most_nonzeros(batch_size)
        sizes = matrix.rows.longest, batch_size, batch_nonzeros, self.plan.chunk, self.plan.group_rows
        self.team = self._team(sizes, n_workers, deterministic)

    def _team(self, sizes, n_workers, deterministic):
        """Return those who train."""
        if deterministic and most_workers(self):
            return Rounds(self, sizes)
        if deterministic and self.net.can_be_divided:
            return Windows(self, sizes)
        return Hogwild(self, sizes, n_workers)

    @property
    def is_single(self):
        """Whether the net is the plainest one, and steps are single rows: kernels/nets/plain.h trains it."""
        return self.net.is_plain and self.updates_directly and self.targets.is_dense and not self.plan.group_rows

    def most_nonzeros(self, n_rows):
        """Return the maximum number of non-zeros in so many rows."""
        lengths = self.matrix.row_lengths()
        if n_rows < len(lengths):
            lengths = np.partition(lengths, len(lengths) - n_rows)[-n_rows:]
        return max(1, int(lengths.sum(dtype=np.int64)))

    def _order(self):
        """Return the order of the chunks in this pass. A short last chunk stays last."""
        order = np.arange(self.plan.n_chunks, dtype=np.int64)
        if self.shuffle:
            whole = self.plan.n_whole
            order[:whole] = self.random_state.permutation(whole)
        return order

    def epoch(self):
        """Train on all rows, several times if there are few.

        Returns
        -------
        loss : float
            Mean weighted loss of the last pass, for each row before its own step. Not finite if training diverged.
        """
        for _ in range(self.n_passes):
            self.network.begin_pass(self.net, self.crew)
            loss = mean_loss(self.run(self._order(), new_seed(self.random_state)))
            if not math.isfinite(loss):
                break
        return loss

    @property
    def n_steps(self):
        """Steps per epoch."""
        return self.n_passes * -(-self.matrix.shape[0] // self.batch_size)

    def run_window(self, seed):
        """Train on each row once, as a part of a pass with a seed; return the result of `run`."""
        return self.run(self._order(), seed)

    def run(self, order, seed):
        """Train on the slices of an order of chunks; return each slice's (loss, n_rows)."""
        try:
            return self.team.run(self, order, (seed << 20) + self.plan.first)
        finally:
            self.network.advance()

    def slice(self, order, seed, position, span=None):
        """Return the arguments of workers for a slice, or for a span of its chunks."""
        rows, targets, span = self.matrix.rows, self.targets, span or self.plan.slices[position]
        return rows, targets, self.clock, order, *span, self.shuffle, seed + position, self.input_dropout, self.ahead


def new_seed(random_state):
    """Draw the seed of a pass."""
    return int(random_state.randint(0, 2**31 - 1))


def mean_loss(parts):
    """Return the mean loss of slices; not finite if training diverged in one of them."""
    loss, rows = np.sum(parts, axis=0)
    return float(loss / max(rows, 1.0))
