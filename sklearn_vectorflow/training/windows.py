"""Deterministic training: the same weights, bit for bit, for any number of workers."""

import math

from sklearn_vectorflow import threads
from sklearn_vectorflow.engine.net.team import Team
from sklearn_vectorflow.training.copies import FALLING

WINDOW = 16_384  # products in a window, whose weights fit into the second cache
MOST_ROWS = 256  # rows in a window, by which gradients may be delayed
FEWEST_ROWS = 16  # for long rows; fewer are not enough work for several workers
UNIT_ROWS = 16  # rows that a thread reads before it asks for more

# Rows of a window divided by the root of the number of rows before it, see `Member._most_rows`. Larger windows of dense
# rows, which all update the same weights, slow down convergence. Constant learning rates need smaller windows.
GROWTH, GROWTH_OF_CONSTANT_STEPS = 0.1, 0.01


class Windows:
    """Trains on slices of rows in turn, each with all workers; see `engine/net/team.pyx`.

    Parameters
    ----------
    trainer : Trainer
        Trainer with the net, the rows and their plan.
    sizes : tuple
        Sizes of the memory of workers, see `engine.Worker`.
    """

    def __init__(self, trainer, sizes):
        rows, batch_size = trainer.matrix.rows, sizes[1]
        n_rows = trainer.matrix.shape[0]
        work = max(1, rows.n_nonzero * trainer.network.n_products // n_rows)  # of a row
        n_in_window = max(batch_size, min(MOST_ROWS, max(FEWEST_ROWS, WINDOW // work)))
        self.n_members = n_members(trainer.crew)
        most_nonzeros = trainer.most_nonzeros(n_in_window)
        growth = GROWTH if set(trainer.net.rules) <= set(FALLING) else GROWTH_OF_CONSTANT_STEPS
        unit_rows = _unit_rows(trainer.kernel, batch_size)
        self.team = Team(trainer.net, self.n_members, *sizes, n_in_window, most_nonzeros, growth, unit_rows)

    def run(self, trainer, order, seed):
        """Train on all slices of an order of chunks; return each slice's (loss, n_rows)."""
        parts = []
        for position in range(len(trainer.plan.slices)):
            self.team.begin(*trainer.slice(order, seed, position))
            trainer.crew.map(self.team, range(self.n_members))
            parts.append(self.team.end())
            if not math.isfinite(parts[-1][0]):
                trainer.kernel.raise_fault(*self.team.faulty().last_block())
                break
        return parts


def n_members(crew):
    """Return how many threads of a crew help: one without a core of its own keeps all others waiting."""
    return crew.ready(min(crew.n_workers, threads.n_cores()) if crew.n_workers > 1 else 1)


def _unit_rows(kernel, batch_size):
    """Return how many rows of a step the loss gets at once."""
    if kernel.loss.coupled or not getattr(kernel.loss, "separates", True):
        return batch_size
    return threads.WORTH_THE_GIL if kernel.takes_gil else UNIT_ROWS
