"""Steps where L1 or bounds make corners: a quadratic model and the penalties, minimised coordinate by coordinate.

As in Yuan, Ho and Lin (2012), JMLR 13: the model takes in the weights that are not zero or have a
slope, and its minimum gives the direction of a line search.
"""

import numpy as np

from sklearn_vectorflow.engine.exact import descent as engine

MOST_CYCLES = 1_000
LABORIOUS = 30  # cycles, from which on it is better not to repeat them
BETWEEN = 10  # cycles over the weights that are not zero, between two over all


class CornerModel:
    """A quadratic model around a point, with the penalties as they are.

    Parameters
    ----------
    objective : Objective
    hessian : Hessian
    point : Point
    gradient : tuple of ndarray
        Of the smooth part, by weights and by constants.
    diagonal : tuple of ndarray
        Second derivatives by weights and by constants, all positive.
    moves : ndarray of bool, shape (n, n_linear)
        Which weights do.
    """

    def __init__(self, objective, hessian, point, gradient, diagonal, moves):
        self.point, self.n_linear, self.moves = point, hessian.n_linear, moves
        terms, some = objective.terms, moves.any(axis=1)
        columns, outputs = np.nonzero(moves[some])
        n_constant = hessian.n_constant
        values, rows, starts = objective.design.by_columns(some)
        if n_constant:
            values, rows, starts = _with_ones(values, rows, starts, len(point.raw))
        size = len(columns) + n_constant
        self.shape = some, columns, outputs

        def flat(weights, constants, fill=0.0):
            constants = np.full(n_constant, fill) if constants is None else constants
            return np.append(np.broadcast_to(weights, moves.shape)[some][columns, outputs], constants).astype(float)

        mode, curvature, weight = hessian.curvature.by_mode()
        self.start = flat(point.weights, point.constants)
        self.moved, self.change = np.zeros(size), np.zeros(point.raw.shape)
        arrays = [
            np.append(columns, np.full(n_constant, len(starts) - 2)).astype(np.int32),
            np.append(outputs, hessian.n_linear + np.arange(n_constant)).astype(np.int32),
            flat(*gradient),
            flat(*diagonal),
            flat(terms.l1, None),
            flat(terms.l2, None),
            flat(-np.inf if terms.lower is None else terms.lower, None, -np.inf),
            flat(np.inf if terms.upper is None else terms.upper, None, np.inf),
            self.start,
            self.moved,
            self.change,
            np.zeros(len(point.raw)),
        ]
        scale = 1.0 / objective.losses.total
        self.engine = engine.Model(
            values, rows, starts, mode, np.ascontiguousarray(curvature).ravel(), weight, scale, *arrays
        )

    @property
    def laborious(self):
        """Whether the step was so much work that it is better not to repeat it."""
        return self.n_cycles >= LABORIOUS

    def minimise(self, share):
        """Come near the model's minimum; return the step by weights and constants, and that of raw outputs.

        Parameters
        ----------
        share : float
            Of all that cycles over the weights gained, less of which is not worth another.
        """
        every, rng = np.arange(len(self.start), dtype=np.int32), np.random.default_rng(0)
        total, self.n_cycles = 0.0, 0
        for _ in range(MOST_CYCLES):
            self.n_cycles += 1
            gain = self.engine.cycle(rng.permutation(every))
            total += gain
            if gain <= share * total:
                break
            inner = np.flatnonzero(self.start + self.moved != 0.0).astype(np.int32)
            for _ in range(BETWEEN):
                self.n_cycles += 1
                gain = self.engine.cycle(inner)
                total += gain
                if gain <= share * total:
                    break
        some, columns, outputs = self.shape
        weights = np.zeros(self.moves.shape)
        rows = np.flatnonzero(some)
        weights[rows[columns], outputs] = self.moved[: len(columns)]
        return weights, self.moved[len(columns) :], self.change


def _with_ones(values, rows, starts, n_rows):
    """Return a matrix by columns with one of ones behind the others."""
    return (
        np.append(values, np.ones(n_rows, values.dtype)),
        np.append(rows, np.arange(n_rows, dtype=np.int32)),
        np.append(starts, starts[-1] + n_rows),
    )
