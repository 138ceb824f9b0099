"""Deterministic training with copies: the same weights, bit for bit, for any number of threads."""

import itertools
import math

from sklearn_vectorflow.engine.net import copies as engine
from sklearn_vectorflow.engine.net.aside_rounds import AsideRounds
from sklearn_vectorflow.engine.net.net_rounds import NetRounds
from sklearn_vectorflow.engine.net.part_rounds import PartRounds
from sklearn_vectorflow.engine.net.worker import Worker
from sklearn_vectorflow.training import copies
from sklearn_vectorflow.training.windows import n_members

# How many workers train from which step on, however many threads there are. What several learn from like rows adds up,
# like a longer step: there are few of them as long as steps are long, and two where steps do not shrink.
GROWTH = ((0, 1), (8192, 2), (32_768, 4), (131_072, 8))
MOST_OF_CONSTANT_STEPS = 2
MOST_OF_NETS = 2  # in nets, whose copies are large
# How often each worker touches a record in a pass, on average, at least: it copies and merges all of them once. There
# are fewer workers in shorter passes of linear models, and windows serve those of nets.
TOUCHES, TOUCHES_OF_NETS = 2, 16
TURN = 64  # rows that a worker trains on between two merges, at most,
MOST_ASIDE = 1 << 16  # and non-zeros, where records are set aside for a turn; rows may be longer


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
        self._most = most_workers(trainer)
        self.workers = [Worker(trainer.net, *sizes)]
        self.n_members = n_members(trainer.crew)
        self.team = None

    def run(self, trainer, order, seed):
        """Train on all slices of an order of chunks; return each slice's (loss, n_rows)."""
        parts = []
        batch_size, chunk = trainer.batch_size, trainer.plan.chunk
        pieces = cut(trainer.plan.slices, trainer.clock.step * batch_size, chunk, batch_size, self._most)
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
        net, matrix, batch_size = trainer.net, trainer.matrix, trainer.batch_size
        self.workers += [Worker(net, *self._sizes) for _ in range(n_workers - len(self.workers))]
        workers, n_threads = self.workers[:n_workers], min(n_workers, self.n_members)
        if trainer.is_single:
            self.hot = copies.hot_records(
                trainer.network, net, matrix, n_workers, _turn(trainer.most_nonzeros), trainer.most_nonzeros
            )
            team = net, self.hot.hot, workers, self.hot.copies, n_threads
            if self.hot.n_aside:
                return AsideRounds(*team, self.hot.n_aside)
            return PartRounds(*team, max(1, engine.PART_STEPS // self.hot.hot.period))
        turn = max(1, TURN // n_workers)  # as many rounds are one of all pieces
        self.hot = copies.replicas_of(net, matrix, n_workers, batch_size, turn)
        part_rounds = max(1, copies.PART_STEPS_WIDE // turn)
        sharing = part_rounds, batch_size, copies.UNSEEN_SHARE
        return NetRounds(net, self.hot.copies[0].hot, workers, self.hot.copies, n_threads, *sharing)


def most_workers(trainer):
    """Return how many workers may train in rounds; 0: these don't serve."""
    net, matrix = trainer.net, trainer.matrix
    if trainer.kernel.takes_gil or trainer.plan.group_rows:
        return 0
    if not trainer.is_single:
        most = copies.n_worth_whole(net, matrix, TOUCHES_OF_NETS) if net.can_be_copied_whole else 0
        return min(MOST_OF_NETS, most) if most > 1 else 0
    most = GROWTH[-1][1] if set(net.rules) <= set(copies.FALLING) else MOST_OF_CONSTANT_STEPS
    n_copied = matrix.shape[1] if trainer.network.parameters[0].is_small else 1 << copies.BITS
    return max(1, min(most, matrix.rows.n_nonzero // max(1, TOUCHES * n_copied)))


def _turn(most_nonzeros):
    """Return how many rows a worker may train on between two merges."""
    turn = TURN
    while turn > 1 and most_nonzeros(turn) > MOST_ASIDE:
        turn //= 2
    return turn


def cut(slices, n_rows, chunk, batch_size, most):
    """Yield (number of workers, position of the slice, span of chunks) of pieces of slices, behind so many rows.

    They are cut where more workers begin, of which there are at most so many, and into whole steps.
    """
    whole = batch_size // math.gcd(batch_size, chunk)
    for position, (start, end) in enumerate(slices):
        while start < end:
            n_workers = min(most, max(n for first, n in GROWTH if first <= n_rows))
            limit = min((first for first, _ in GROWTH if first > n_rows), default=math.inf)
            edge = end if math.isinf(limit) else min(end, start + whole * -(-(limit - n_rows) // (chunk * whole)))
            yield n_workers, position, (start, edge)
            n_rows += (edge - start) * chunk
            start = edge
