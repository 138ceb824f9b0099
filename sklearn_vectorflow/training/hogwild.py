"""Workers that share weights without locks: Niu, Recht, Re and Wright (2011), arXiv:1106.5730."""

import math

from sklearn_vectorflow.engine.net import worker as engine
from sklearn_vectorflow.threads import by_worker
from sklearn_vectorflow.training.copies import NoCopies, hot_records, replicas_of


class Hogwild:
    """Trains on slices of rows in parallel, each with one worker.

    Parameters
    ----------
    trainer : Trainer
        Trainer with the net, the rows and their plan.
    sizes : tuple
        Sizes of the memory of workers, see `engine.Worker`.
    n_workers : int
        Maximum number of workers.
    """

    def __init__(self, trainer, sizes, n_workers):
        network, net, matrix = trainer.network, trainer.net, trainer.matrix
        self.workers = [engine.Worker(net, *sizes) for _ in range(min(n_workers, len(trainer.plan.slices)))]
        if len(self.workers) > 1 and trainer.is_single:
            self.hot = hot_records(network, net, matrix, len(self.workers))
        elif len(self.workers) > 1 and net.can_have_replicas:
            self.hot = replicas_of(net, matrix, len(self.workers), trainer.batch_size)
        else:
            self.hot = NoCopies(len(self.workers))

    def run(self, trainer, order, seed):
        """Train on all slices of an order of chunks; return each slice's (loss, n_rows)."""
        first, parts = 0, []
        if (
            len(self.workers) > 1 and trainer.clock.step == 0
        ):  # steps are long, and those of several workers would add up
            first, parts = 1, [self._train(trainer, trainer.slice(order, seed, 0), 0, False, None)]

        @by_worker
        def train(position, worker):
            copies = self.hot.copies[worker]
            return self._train(trainer, trainer.slice(order, seed, position), worker, len(self.workers) > 1, copies)

        with self.hot.in_use(trainer.clock, trainer.crew):
            return parts + trainer.crew.map(train, range(first, len(trainer.plan.slices)), len(self.workers))

    def _train(self, trainer, rows, worker, shared, copies):
        loss, n_means = self.workers[worker].train(*rows, shared, copies)
        if not math.isfinite(loss):
            trainer.kernel.raise_fault(*self.workers[worker].last_block())
        return loss, n_means
