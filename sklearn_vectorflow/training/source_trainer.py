"""Passes over the rows of a source, with a window of rows in memory at a time."""

import contextlib
import dataclasses
import math

import numpy as np

from sklearn_vectorflow.io.ahead import Ahead
from sklearn_vectorflow.io.blocks import n_bytes
from sklearn_vectorflow.training.plan import Plan
from sklearn_vectorflow.training.progress import Progress
from sklearn_vectorflow.training.source_windows import windows_of_bytes, windows_of_rows
from sklearn_vectorflow.training.trainer import Trainer, mean_loss, new_seed


class StreamTrainer:
    """Trains a net on the rows of a source, one pass at a time, like `Trainer`.

    Without shuffling, one thread takes the same steps as `Trainer` on the same rows in memory, as windows are whole
    slices of its plan.

    Parameters
    ----------
    data : StreamedData
    network, net, clock, kernel, batch_size, shuffle, input_dropout, random_state, crew, deterministic
        See `Trainer`.
    alike : bool, default=False
        Whether consecutive rows have similar targets.
    """

    def __init__(
        self,
        data,
        network,
        net,
        clock,
        kernel,
        batch_size,
        shuffle,
        input_dropout,
        random_state,
        crew,
        deterministic=False,
        alike=False,
    ):
        self.data = data
        self.network = network
        self.net = net
        self.clock = clock
        self.kernel = kernel
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.input_dropout = input_dropout
        self.random_state = random_state
        self.crew = crew
        self.deterministic = deterministic
        self.n_workers = 1 if deterministic else crew.n_workers  # of a plan
        self.alike = alike
        self.plans = self._plans(data.survey) if data.survey.complete else None

    def _plans(self, survey):
        work = survey.n_nonzero * self.network.n_products
        plan = Plan.of(survey.n_rows, work, survey.canonical, self.batch_size, self.n_workers, alike=self.alike)
        return plan.windows(int(self.data.source.buffer_bytes * survey.n_rows / max(survey.n_bytes, 1)))

    def epoch(self):
        """Train on each row once; return the mean loss, for each row before its own step."""
        self.network.begin_pass(self.net, self.crew)
        order = self._order_of_parts()
        seed = new_seed(self.random_state)
        # the next pass must not depend on how many windows this one has: searches share passes of the same order
        within = np.random.RandomState(seed)
        parts, n_rows, n_nonzero = [], 0, 0
        progress = Progress(self.data.estimator.verbose, self._n_rows)
        number = 0  # `enumerate` would keep a window in memory while the next one is made
        with self.data.blocks(order) as blocks, self._ahead(self._windows(blocks)) as windows:
            for rows in windows:
                rows.matrix.rows.first_row = n_rows
                parts += self._run(rows, number, len(parts), seed, within)
                if not math.isfinite(mean_loss(parts)):
                    break
                number += 1
                n_rows += rows.matrix.shape[0]
                n_nonzero += rows.matrix.rows.n_nonzero
                progress.tell(n_rows, n_bytes(rows.matrix))
                del rows
        self.data.matrix.shape = n_rows, self.data.matrix.shape[1]
        self.data.matrix.rows.n_nonzero = n_nonzero
        return mean_loss(parts)

    @property
    def n_steps(self):
        """Steps per epoch; infinite if the number of rows is unknown."""
        return -(-self._n_rows // self.batch_size) if self._n_rows else math.inf

    @property
    def n_windows(self):
        """Number of windows in a pass; None if unknown."""
        return None if self.plans is None else len(self.plans)

    @property
    def _n_rows(self):
        return self.data.survey.n_rows if self.plans else self.data.source.n_rows

    def _order_of_parts(self):
        n_parts = self.data.source.n_parts
        if n_parts is None or not self.shuffle:
            return None
        return self.random_state.permutation(n_parts).tolist()

    def _ahead(self, windows):
        """Return a context manager that yields an iterator over windows, prepared ahead if the source allows."""
        if self.data.source.reads_ahead:
            return Ahead(lambda rows: rows, windows, n_waiting=0)
        return contextlib.closing(windows)

    def _windows(self, blocks):
        rows = (self.data.prepared(block) for block in blocks)
        if self.plans:
            return windows_of_rows(rows, [plan.n_rows for plan in self.plans])
        return windows_of_bytes(rows, self.data.source.buffer_bytes)

    def _run(self, rows, number, n_slices, seed, random_state):
        """Train on a window; return the losses of its slices."""
        n_rows, found = rows.matrix.shape[0], rows.matrix.rows
        if self.plans and self.n_workers == 1:
            plan = self.plans[number]
        else:
            canonical = self.data.survey.canonical and found.canonical
            work = found.n_nonzero * self.network.n_products
            batch_size = min(self.batch_size, n_rows)
            plan = Plan.of(n_rows, work, canonical, batch_size, self.n_workers, alike=self.alike)
            plan = dataclasses.replace(plan, first=n_slices)
        trainer = Trainer(
            self.network,
            self.net,
            self.clock,
            rows.matrix,
            rows.targets(),
            self.kernel,
            None,
            self.batch_size,
            self.shuffle,
            self.input_dropout,
            random_state,
            self.crew,
            self.deterministic,
            plan,
        )
        return trainer.run_window(seed)
