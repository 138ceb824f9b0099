"""An approximate inverse of second derivatives: exact among frequent columns, diagonal for the others."""

import numpy as np
from scipy import linalg

MOST = 512  # columns whose second derivatives are taken together
MOST_TOGETHER = 1_200  # weights of several outputs that are
FEW_OUTPUTS = 3  # whose weights are taken together where there are other columns, too
WORTH = 3  # products of pairs for every entry, which the rows may cost
WORTH_ALL = 200  # where these are all columns there are, and the steps become Newton's own
FEWEST_ROWS = 20  # for every column, which samples have
NEAR = 0.25  # of second derivatives by raw outputs: with less of a change, factors stay
HOPELESS = 1e6  # times a diagonal: with so much more of it, any matrix of finite numbers that curves up has a factor


def frequent(design, n_outputs, n_blocks):
    """Return the columns to take, and from which share of the rows."""
    columns, counts = design.hottest(MOST)
    if len(columns) == 0:
        return columns, 1.0
    cost = n_blocks * np.cumsum(counts, dtype=float) ** 2 / max(design.n_rows, 1)  # pairs, if columns meet by chance
    entries = max(design.rows.n_nonzero, design.n_rows)
    if len(columns) == design.n and cost[-1] <= WORTH_ALL * n_outputs * entries:
        return columns, 1.0
    rows = design.n_rows / (FEWEST_ROWS * np.arange(1, len(columns) + 1))  # how many times as many as are enough
    worth = WORTH * n_outputs * entries
    width = max(1, int(np.searchsorted(cost / np.maximum(rows, 1.0), worth, side="right")))
    return columns[:width], float(min(1.0, worth / cost[width - 1]))


def factor(matrix):
    """Return a Cholesky factor of a matrix, with as much more on its diagonal as that takes.

    Where none has one, as where numbers are not finite, that of the diagonal alone.
    """
    diagonal = np.einsum("jj->j", matrix)
    own, more, is_finite = diagonal.copy(), 1e-13, np.all(np.isfinite(matrix))
    while more < HOPELESS and is_finite:
        diagonal[...] = own * (1.0 + more)
        try:
            return linalg.cho_factor(matrix, lower=True, check_finite=False)
        except linalg.LinAlgError:
            more = max(100.0 * more, 1e-10)
    return np.diag(np.sqrt(np.where(np.isfinite(own) & (own > 0), own, 1.0))), True


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
    before : Preconditioner, default=None
        Of a point before, whose factors stay if second derivatives by raw outputs have hardly changed.
    """

    def __init__(self, hessian, design, l2, diagonal, moves, before=None):
        self.inverse, self.inverse_of_constants = (1.0 / np.where(one > 0, one, 1.0) for one in diagonal)
        self.design, self.whole = design, bool(np.all(moves))
        self.by_rows = hessian.by_rows() if design.in_memory else None
        if not self.whole:
            self.inverse[~moves] = 0.0
        if before is not None and before.serves(self):
            self.columns, self.groups, self.factors = before.columns, before.groups, before.factors
            self.with_constants, self.by_rows = before.with_constants, before.by_rows
            return
        n_linear = hessian.n_linear
        together = hessian.structure != "diagonal" and n_linear > 1
        columns, share = frequent(design, n_linear, n_linear * (n_linear + 1) // 2 if together else n_linear)
        few = n_linear <= FEW_OUTPUTS or len(columns) == design.n
        groups = [list(range(n_linear))]
        if n_linear > 1 and not (together and few and len(columns) * n_linear <= MOST_TOGETHER):
            groups = [[output] for output in range(n_linear)]
            columns, share = frequent(design, n_linear, n_linear)
        self.columns, self.share, self.groups = columns, share, groups
        self.with_constants = hessian.n_constant > 0 and len(groups) == 1
        self.factors = [self._factor(hessian, design, l2, group, moves) for group in groups]

    def _factor(self, hessian, design, l2, group, moves):
        """Return a Cholesky factor of the second derivatives of some outputs' frequent columns."""
        block = hessian.block(design, l2, self.columns, group, self.with_constants, self.share)
        if hessian.structure == "softmax" and len(group) > 1:
            _hold_sums(block, l2[self.columns, 0] == 0, len(group))
        fixed = ~moves[np.ix_(self.columns, group)].T.ravel()
        fixed = np.append(fixed, np.zeros(len(block) - len(fixed), bool))
        block[fixed] = 0.0
        block[:, fixed] = 0.0
        diagonal = np.einsum("jj->j", block)
        diagonal[fixed | (diagonal <= 0)] = 1.0
        return factor(block)

    def serves(self, other):
        """Return whether the factors here do for another point."""
        if self.design is not other.design or not (self.whole and other.whole) or self.by_rows is None:
            return False
        return np.sum(np.abs(other.by_rows - self.by_rows)) <= NEAR * np.sum(other.by_rows)

    def times(self, weights, constants):
        """Return an approximate quotient, and its product with what is divided."""
        out = weights * self.inverse
        out_constants, more = self.complete(weights, constants, out)
        return (out, out_constants), float(np.vdot(weights, weights * self.inverse)) + more

    def complete(self, weights, constants, out):
        """Write the quotients of frequent columns where those by the diagonal are; return those of constants.

        Also return what the product of the quotient with what is divided is more than without these.
        """
        out_constants, size, more = constants * self.inverse_of_constants, len(self.columns), 0.0
        for group, factor in zip(self.groups, self.factors):
            some = np.ix_(self.columns, group)
            side, before = weights[some], out[some]
            flat = side.T.ravel()
            if self.with_constants:
                flat = np.append(flat, constants)
            solved = linalg.cho_solve(factor, flat, check_finite=False)
            out[some] = own = solved[: size * len(group)].reshape(len(group), -1).T
            more += float(np.sum(side * (own - before)))
            if self.with_constants:
                out_constants = solved[size * len(group) :]
        return out_constants, more + float(constants @ out_constants)


def _hold_sums(block, free, n_outputs):
    """Give a curvature to sums over classes, of which the multinomial loss of unpenalised weights has none."""
    columns, width = np.flatnonzero(free), len(free)
    places = columns + width * np.arange(n_outputs)[:, None]
    more = block[places, places].mean(axis=0) / n_outputs
    for own in places:
        block[own, places] += more
