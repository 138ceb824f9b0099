"""Steps where L1 or bounds make corners and few weights move: the model's second derivatives are a matrix in memory.

Cycles of coordinate descent then cost no pass over the rows, and find which weights are at a corner. For the
others, once they settle, equations are solved, as in methods of active sets: the model's minimum is exact, and
Newton's steps keep their speed.
"""

import numpy as np
from scipy import linalg

from sklearn_vectorflow.engine.exact import descent as engine
from sklearn_vectorflow.exact.preconditioner import factor

MOST = 1_024  # weights: the matrix and its factor stay in the caches, more or less
MOST_PAIRS = 100  # products of pairs for every entry, about as many as cycles over the entries would read
CYCLES = 4  # before equations are solved
MOST_ROUNDS = 100  # of cycles and equations
GAIN = 0.9  # of the least slope so far: what a round that gains leaves at most
MOST_VAIN = 20  # rounds in a row that gain nothing: rounds that change which weights are at corners may gain late
MOST_HALVINGS = 3  # of a step that is bent at corners
RUNAWAY = 100  # times the slope at the start: more of it tells of a model without a minimum
PRECISION = 0.1  # of the share of the slope that a step may leave: what is left here costs a step over the rows


def affords(design, moves, n_outputs, n_constant):
    """Return the size of the matrix for the weights that move, and how many entries it is made of.

    Both are zero if the matrix costs more than cycles over the entries would.
    """
    some = moves.any(axis=1)
    size = np.count_nonzero(some) * n_outputs + n_constant
    if size > MOST:
        return 0, 0.0
    n_entries = design.share(some) * max(design.rows.n_nonzero, 1) * n_outputs
    return (size, n_entries) if n_entries <= MOST_PAIRS * design.n_rows else (0, 0.0)


class DenseCornerModel:
    """A quadratic model around a point, with the penalties as they are; see `descent.CornerModel`."""

    laborious = False  # a step costs little beside the matrix

    def __init__(self, objective, hessian, point, gradient, diagonal, moves):
        self.objective, self.moves = objective, moves
        some = np.flatnonzero(moves.any(axis=1))
        n_linear, n_constant, terms = hessian.n_linear, hessian.n_constant, objective.terms
        outputs = list(range(n_linear))
        matrix = hessian.block(objective.design, terms.l2, some, outputs, n_constant > 0)
        self.columns = np.tile(some, n_linear)
        self.outputs = np.repeat(outputs, len(some))
        if not np.all(moves[some]):
            free = moves[self.columns, self.outputs]
            self.columns, self.outputs = self.columns[free], self.outputs[free]
            free = np.flatnonzero(np.append(free, np.ones(n_constant, bool)))
            matrix = matrix[np.ix_(free, free)]

        def flat(weights, constants):
            constants = np.broadcast_to(constants, n_constant)
            weights = np.broadcast_to(weights, moves.shape)[self.columns, self.outputs]
            return np.append(weights, constants).astype(float)

        self.matrix, self.start = np.ascontiguousarray(matrix), flat(point.weights, point.constants)
        self.slope, self.l1 = flat(*gradient), flat(terms.l1, 0.0)
        self.first = self.slope.copy()
        self.lower = flat(-np.inf if terms.lower is None else terms.lower, -np.inf)
        self.upper = flat(np.inf if terms.upper is None else terms.upper, np.inf)
        second = np.einsum("jj->j", self.matrix)
        straight = ~(second > 0)
        self.matrix[straight] = self.matrix[:, straight] = 0.0
        second[straight] = flat(*diagonal)[straight]
        self.moved, self.scale = np.zeros(len(self.start)), 1.0 / np.sqrt(second)
        self.engine = engine.DenseModel(
            self.matrix, self.slope, self.l1, self.lower, self.upper, self.start, self.moved
        )

    def minimise(self, share):
        """Come near the model's minimum; return the step by weights and constants, and that of raw outputs.

        Parameters
        ----------
        share : float
            Of the slope, which may be left.
        """
        every, rng = np.arange(len(self.start), dtype=np.int32), np.random.default_rng(0)
        before = least = self._optimality()
        enough, vain = PRECISION * share * before, 0
        for _ in range(MOST_ROUNDS):
            self.engine.cycle(rng.permutation(every))
            for _ in range(CYCLES):
                self.engine.cycle(np.flatnonzero(self._value() != 0.0).astype(np.int32))
            if self._optimality() <= enough:
                break
            self._solve()
            left = self._optimality()
            if not left <= RUNAWAY * before:
                self._bend_upwards()
            vain = 0 if left <= GAIN * least else vain + 1
            if left <= enough or vain > MOST_VAIN:
                break
            least = min(least, left)
        weights, size = np.zeros(self.moves.shape), len(self.columns)
        weights[self.columns, self.outputs] = self.moved[:size]
        constants = self.moved[size:]
        return weights, constants, self.objective.change(weights, constants)

    def _bend_upwards(self):
        """Start again, with as much more curvature as makes the model bounded: rounding left a way down without end."""
        factor(self.matrix)
        self.slope[:], self.moved[:] = self.first, 0.0

    def _value(self):
        return self.start + self.moved

    def _pseudo_gradient(self, value):
        right = self.slope + np.where(value >= 0, self.l1, -self.l1)
        left = self.slope + np.where(value > 0, self.l1, -self.l1)
        slope = np.where(right < 0, right, np.where(left > 0, left, 0.0))
        slope[(value <= self.lower) & (slope > 0) | (value >= self.upper) & (slope < 0)] = 0.0
        return slope

    def _optimality(self):
        return float(np.linalg.norm(self._pseudo_gradient(self._value()) * self.scale))

    def _solve(self):
        """Go toward the minimum by the weights that are at no corner, as far as the model falls."""
        value = self._value()
        free = np.flatnonzero(((value != 0.0) | (self.l1 == 0.0)) & (value > self.lower) & (value < self.upper))
        if len(free) == 0:
            return
        signs = np.sign(value)
        slope = self.slope[free] + self.l1[free] * signs[free]
        step = np.zeros(len(value))
        step[free] = -linalg.cho_solve(factor(self.matrix[np.ix_(free, free)]), slope, check_finite=False)
        edges = np.where((self.l1 > 0.0) & (step * signs < 0.0), 0.0, np.where(step > 0.0, self.upper, self.lower))
        reach = np.full(len(value), np.inf)
        np.divide(edges - value, step, out=reach, where=step != 0.0)
        first = int(np.argmin(reach))
        if reach[first] < 1.0 and self._falls(value, signs, step):
            return
        moved = value + min(1.0, reach[first]) * step
        if reach[first] < 1.0:
            moved[first] = edges[first]
        self._go(moved, (moved - value) @ self.matrix)

    def _falls(self, value, signs, step):
        """Go along a step that is bent at corners, if the model falls before its length is that of a small one."""
        for halvings in range(MOST_HALVINGS):
            moved = np.clip(value + 0.5**halvings * step, self.lower, self.upper)
            moved[(moved * signs < 0.0) & (self.l1 > 0.0)] = 0.0
            change = moved - value
            product = change @ self.matrix
            fall = change @ (self.slope + 0.5 * product) + np.sum(self.l1 * (np.abs(moved) - np.abs(value)))
            if fall < 0.0:
                self._go(moved, product)
                return True
        return False

    def _go(self, value, product):
        self.moved[:] = value - self.start  # zero is reached exactly
        self.slope += product
