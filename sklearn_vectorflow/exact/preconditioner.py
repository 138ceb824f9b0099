"""An approximate inverse of second derivatives: exact among frequent columns, diagonal for the others."""

import numpy as np
from scipy import linalg

MOST = 512  # columns whose second derivatives are taken exactly
MOST_TOGETHER = 600  # weights of several outputs that are
WORTH = 40  # passes over the rows that these may cost


def frequent(design, n_blocks=1):
    """Return how many of the first columns to take: products of pairs cost no more than some passes."""
    counts = np.diff(design.by_columns.arrays[2])[:MOST]
    cost = np.cumsum(counts) ** 2 / max(design.n_rows, 1)  # pairs, if columns meet by chance
    worth = WORTH * design.by_rows.n_nonzero / n_blocks
    return int(np.searchsorted(cost, worth, side="right"))


class Preconditioner:
    """Divides by second derivatives.

    Parameters
    ----------
    hessian : Hessian
    design : Design
    l2 : ndarray of shape (n, 1)
    diagonal : tuple of ndarray
        Second derivatives by every weight, shape (n, n_linear), and by every constant.
    moves : ndarray of bool, shape (n, n_linear)
        Which weights do.
    """

    def __init__(self, hessian, design, l2, diagonal, moves):
        self.diagonal, self.diagonal_of_constants = diagonal
        self.moves, n_linear = moves, hessian.n_linear
        n_pairs = n_linear * (n_linear + 1) // 2
        width = frequent(design, n_pairs + hessian.n_constant)
        if hessian.structure == "diagonal" or n_linear == 1 or width * n_linear > MOST_TOGETHER:
            groups = [[output] for output in range(n_linear)]
            width = frequent(design, n_linear)
        else:
            groups = [list(range(n_linear))]
        self.width, self.groups = width, groups
        self.with_constants = hessian.n_constant > 0 and len(groups) == 1
        self.factors = [self._factor(hessian, design, l2, group) for group in groups]

    def _factor(self, hessian, design, l2, group):
        """Return a Cholesky factor of the second derivatives of some outputs' frequent columns."""
        block = hessian.block(design, l2, self.width, group, self.with_constants)
        fixed = ~self.moves[: self.width, group].T.ravel()
        fixed = np.append(fixed, np.zeros(len(block) - len(fixed), bool))
        block[fixed] = 0.0
        block[:, fixed] = 0.0
        diagonal = np.einsum("jj->j", block)
        diagonal[fixed | (diagonal <= 0)] = 1.0
        own, more = diagonal.copy(), 1e-13
        while True:
            diagonal[...] = own * (1.0 + more)
            try:
                return linalg.cho_factor(block, lower=True, check_finite=False)
            except linalg.LinAlgError:
                more = max(100.0 * more, 1e-10)

    def times(self, weights, constants):
        """Return an approximate quotient."""
        out = weights / self.diagonal
        out_constants = constants / self.diagonal_of_constants
        for group, factor in zip(self.groups, self.factors):
            side = weights[: self.width, group].T.ravel()
            if self.with_constants:
                side = np.append(side, constants)
            solved = linalg.cho_solve(factor, side, check_finite=False)
            out[: self.width, group] = solved[: self.width * len(group)].reshape(len(group), -1).T
            if self.with_constants:
                out_constants = solved[self.width * len(group) :]
        out[~self.moves] = 0.0
        return out, out_constants
