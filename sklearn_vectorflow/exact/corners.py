"""Which steps take in the corners that L1 or bounds make, and by which model."""

import numpy as np

from sklearn_vectorflow.exact.dense_descent import DenseCornerModel, affords
from sklearn_vectorflow.exact.descent import CornerModel

SETTLED = 0.02  # of the weights: if no more turn in a step, the next one takes corners as settled
CHEAP = 4  # numbers of a matrix of second derivatives for every entry, whose cycles cost about as much as the entries'


class Corners:
    """Chooses the model of each step.

    Coordinate descent over the entries of the columns is best where few cycles do. After a step that took many, the
    matrix of second derivatives is stored if it can be; else corners are taken as settled once few weights turn, and
    conjugate gradients follow.

    Parameters
    ----------
    objective : Objective
    """

    def __init__(self, objective):
        self.objective = objective
        self.possible = not objective.terms.smooth and objective.design.rows.restrictable
        self.open, self.laborious, self._model = self.possible, False, None

    def model(self, hessian, point, gradient, diagonal, moves):
        """Return the model of the next step; None if it takes corners as settled. See `descent.CornerModel`."""
        self._model = None
        if self.possible and (self.open or self.laborious):
            some = self.objective, hessian, point, gradient, diagonal, moves
            self._model = DenseCornerModel(*some) if self._stores(hessian, moves) else None
            if self._model is None and self.open:
                self._model = CornerModel(*some)
        return self._model

    def _stores(self, hessian, moves):
        """Return whether the next model stores its second derivatives."""
        design = self.objective.design
        size, n_entries = affords(design, moves, hessian.n_linear, hessian.n_constant)
        return size > 0 and (self.laborious or size**2 <= CHEAP * n_entries)

    def note(self, point, moved):
        """Take in where the step led."""
        if not self.possible:
            return
        share, model = turned(self.objective.terms, point, moved), self._model
        if model is None:
            self.open = share > 0
        elif self.objective.structure == "rows":
            self.open = False  # models with corners only bound the second derivatives
        else:
            self.laborious |= model.laborious
            self.open = share > SETTLED or not model.laborious


def turned(terms, point, moved):
    """Return how many weights reached, left or crossed a kink or bound, as a share of those that are at none."""
    before, after = np.sign(point.weights), np.sign(moved.weights)
    if terms.lower is not None:
        before, after = (
            signs + (one.weights <= terms.lower) - (one.weights >= terms.upper)
            for signs, one in ((before, point), (after, moved))
        )
    return np.count_nonzero(before != after) / max(np.count_nonzero(moved.weights), 1)
