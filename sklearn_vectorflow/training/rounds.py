"""Deterministic training with copies: the same weights, bit for bit, for any number of threads."""

import itertools
import math

from sklearn_vectorflow.engine.net import copies as engine
from sklearn_vectorflow.engine.net.rounds import Rounds as Engine
from sklearn_vectorflow.engine.net.worker import Worker
from sklearn_vectorflow.training.copies import FALLING, hot_records
from sklearn_vectorflow.training.windows import n_members

# How many workers train from which step on, however many threads there are. What several learn from like rows adds up,
# like a longer step: there are few of them as long as steps are long, and two where steps do not shrink.
GROWTH = ((0, 1), (8192, 2), (32_768, 4), (131_072, 8))
MOST_OF_CONSTANT_STEPS = 2
TOUCHES = (
    2  # as many workers as touch each record so often in a pass, on average: each copies and merges all at least once
)
TURN = 64  # rows that a worker trains on between two merges, at most


class Rounds:
    """Trains on slices of rows in turn, each with all workers; see `engine/net/rounds.pyx`.

    Parameters
    ----------
    trainer : Trainer
        Trainer with the net, the rows and their plan.
    sizes : tuple
        Sizes of the memory of workers, see `engine.Worker`.
    """

    def __init__(self, trainer, sizes):
        self._sizes = sizes
        falling = set(trainer.net.rules) <= set(FALLING)
        most = GROWTH[-1][1] if falling else MOST_OF_CONSTANT_STEPS
        paid = trainer.matrix.rows.n_nonzero // (TOUCHES * trainer.matrix.shape[1])
        self._most = max(1, min(most, paid))
        self.workers = [Worker(trainer.net, *sizes)]
        self.n_members = n_members(trainer.crew)
        self.team = None

    def run(self, trainer, order, seed):
        """Train on all slices of an order of chunks; return each slice's (loss, n_rows)."""
        parts = []
        pieces = cut(trainer.plan.slices, trainer.clock.step, trainer.plan.chunk, self._most)
        for n_workers, group in itertools.groupby(pieces, key=lambda piece: piece[0]):
            slices = (trainer.slice(order, seed, position, span) for _, position, span in group)
            parts += self._train_alone(trainer, slices) if n_workers == 1 else self._train(trainer, slices, n_workers)
            if not math.isfinite(parts[-1][0]):
                break
        return parts

    def _train_alone(self, trainer, slices):
        parts = []
        for rows in slices:
            parts.append(self.workers[0].train(*rows, False))
            if not math.isfinite(parts[-1][0]):
                trainer.kernel.raise_fault(*self.workers[0].last_block())
                break
        return parts

    def _train(self, trainer, slices, n_workers):
        if self.team is None or self.team.n_workers != n_workers:
            self.team = self._team(trainer, n_workers)
        parts, team, n_threads = [], self.team, self.team.n_threads
        with self.hot.in_use(trainer.clock, trainer.crew, team.finish, range(n_threads)):
            team.begin_pass()
            for rows in slices:
                team.begin(*rows)
                trainer.crew.map(team, range(n_threads))
                parts.append(team.end())
                if not math.isfinite(parts[-1][0]):
                    trainer.kernel.raise_fault(*team.faulty().last_block())
                    break
        return parts

    def _team(self, trainer, n_workers):
        self.workers += [Worker(trainer.net, *self._sizes) for _ in range(n_workers - len(self.workers))]
        self.hot = hot_records(trainer.network, trainer.net, trainer.matrix, n_workers, TURN)
        part_rounds = max(1, engine.PART_STEPS // self.hot.hot.period)
        n_threads = min(n_workers, self.n_members)
        return Engine(trainer.net, self.hot.hot, self.workers[:n_workers], self.hot.copies, n_threads, part_rounds)


def cut(slices, step, chunk, most):
    """Yield (number of workers, position of the slice, span of chunks) of pieces of slices.

    They are cut where more workers begin, of which there are at most so many.
    """
    for position, (start, end) in enumerate(slices):
        while start < end:
            n_workers = min(most, max(n for first, n in GROWTH if first <= step))
            limit = min((first for first, _ in GROWTH if first > step), default=math.inf)
            edge = end if math.isinf(limit) else min(end, start + -(-(limit - step) // chunk))
            yield n_workers, position, (start, edge)
            step += (edge - start) * chunk
            start = edge
