"""Which pieces are trained apart before each merge.

Steps are longest at first, so states drift apart most then: a first share of the rows is trained in turn, and the rest
of the first epoch is merged several times. Later epochs are merged once.
"""

from dataclasses import dataclass

import numpy as np

from sklearn_vectorflow.cluster.tasks import Piece

FIRST_SHARE = 0.05  # of the rows
FEWEST_FIRST = 4096  # rows of that share, if they are less than half
FEWEST_OF_NETS = 1 << 15  # units begin alike and part late: until then each learns the same, and gains cannot be added
FIRST_PARTS = 4  # parts that the first share is of: one may hold one class alone
FIRST_ROUNDS = 4  # in the first epoch
SHORTEST = 16  # rows of a piece worth a round of its own
ROWS_APART = (
    8192  # rows there have to be for every part of a round: few rows drift far apart, and are quickly trained in turn
)


@dataclass(frozen=True)
class Schedule:
    """Pieces of every round.

    Parameters
    ----------
    counts : list of tuple of int
        Rows of each block of each part.
    is_linear : bool, default=True
        Whether the model has no hidden units.
    """

    counts: list
    is_linear: bool = True

    @property
    def sizes(self):
        """Rows of each part."""
        return [sum(counts) for counts in self.counts]

    def first_pieces(self):
        """Return the pieces of the first share, which are trained in turn."""
        sizes = self.sizes
        total = sum(sizes)
        there = [number for number, size in enumerate(sizes) if size]
        if len(there) == 1:
            return []
        fewest = FEWEST_FIRST if self.is_linear else FEWEST_OF_NETS
        wanted = min(max(fewest, int(total * FIRST_SHARE)), total // 2)
        n_needed = -(-2 * min(fewest, wanted) * len(there) // total)  # of whose rows no more than half are taken
        n_parts = min(max(FIRST_PARTS, n_needed), len(there))
        chosen = [there[k * len(there) // n_parts] for k in range(n_parts)]
        each = -(-wanted // n_parts)
        return [self._piece(number, 0, min(each, -(-sizes[number] // 2))) for number in chosen]

    def rounds(self, epoch, first=(), random_state=None):
        """Return the pieces of every round of an epoch.

        Parameters
        ----------
        epoch : int
        first : list of Piece
            What has been trained of it.
        random_state : RandomState, default=None
            Deals parts to rounds, where not all are in each; None deals them in order.
        """
        begun = {piece.part: piece.end for piece in first}
        left = [(number, begun.get(number, 0), size) for number, size in enumerate(self.sizes)]
        left = [(number, start, size) for number, start, size in left if size > start]
        n_rounds = 1
        if epoch == 0 and len(left) > 1:
            shortest = min(size - start for _, start, size in left)
            n_rounds = max(1, min(FIRST_ROUNDS, shortest // SHORTEST))
        n_groups = -(-len(left) // max(1, sum(self.sizes) // ROWS_APART)) if left else 1
        order = np.arange(len(left)) if random_state is None else random_state.permutation(len(left))
        groups = [[left[k] for k in sorted(order[group::n_groups])] for group in range(n_groups)]
        return [
            [
                self._piece(number, start + (end - start) * k // n_rounds, start + (end - start) * (k + 1) // n_rounds)
                for number, start, end in group
            ]
            for k in range(n_rounds)
            for group in groups
        ]

    def _piece(self, number, start, end):
        return Piece(number, start, end, tuple(self.counts[number]))
