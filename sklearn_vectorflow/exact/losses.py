"""The weighted losses of all rows, and their gradients by raw outputs."""

import numpy as np

from sklearn_vectorflow.losses import MultinomialLoss
from sklearn_vectorflow.losses.doors import second_derivatives_of


class Losses:
    """Targets and weights of all rows, and the loss that is summed over them.

    Parameters
    ----------
    kernel : Kernel
    y : ndarray of float64, shape (n_rows, n_targets)
    weight : ndarray of float64, shape (n_rows,)
    scale : float
        Typical size of raw outputs.
    ranges : list of tuple
        Ranges of rows, which are evaluated apart.
    crew : Crew
    total : float, default=None
        What the sum is divided by for a mean; None is the sum of the weights.
    """

    def __init__(self, kernel, y, weight, scale, ranges, crew, total=None):
        self.kernel, self.y, self.weight, self.scale, self.crew = kernel, y, weight, scale, crew
        self.couples_rows = not getattr(kernel.loss, "separates", True)
        self.is_softmax = isinstance(kernel.loss, MultinomialLoss)
        self.ranges = [(0, len(y))] if self.couples_rows else ranges
        self.total = weight.sum() if total is None else total
        self._order = kernel.loss.order_of_rows(y) if hasattr(kernel.loss, "order_of_rows") else None
        self._sorted = (y, weight) if self._order is None else (y[self._order], weight[self._order])

    def unweighted(self, rows):
        """Return the losses of some rows, each with a weight of one."""
        return Losses(self.kernel, self.y[rows], np.ones(len(rows)), self.scale, [(0, len(rows))], self.crew)

    def value_and_gradient(self, raw):
        """Return the sum of weighted losses and its gradient by raw outputs."""
        y, weight = self._sorted
        raw = raw if self._order is None else raw[self._order]
        gradient = np.empty_like(raw)

        def evaluate(span):
            some = slice(*span)
            return self.kernel.block(y[some], raw[some], weight[some], None, gradient[some]).evaluate()

        value = sum(self.crew.map(evaluate, self.ranges))
        if self._order is None:
            return value, gradient
        in_place = np.empty_like(gradient)
        in_place[self._order] = gradient
        return value, in_place

    def value(self, raw):
        """Return the sum of weighted losses."""
        return self.value_and_gradient(raw)[0]

    def gradient(self, raw):
        """Return the gradient of the sum by raw outputs."""
        return self.value_and_gradient(raw)[1]

    def second_derivatives(self, raw):
        """Return the second derivatives by each raw output; None if the loss does not tell them."""
        function = second_derivatives_of(self.kernel.loss)
        if function is None or self.couples_rows or len(raw) == 0:
            return None

        def evaluate(span):
            some = slice(*span)
            found = function(self.y[some], raw[some])
            return None if found is None else np.multiply(found, self.weight[some, None], out=out[some])

        out = np.empty_like(raw)
        found = self.crew.map(evaluate, self.ranges)
        return None if any(one is None for one in found) else out

    def bound(self, gradient):
        """Return bounds of Cox's second derivatives: what rows would have if others' risks were fixed.

        They follow from the gradient of the sum by raw outputs.
        """
        return np.maximum(gradient + (self.weight * self.y[:, 0])[:, None], 0.0)
