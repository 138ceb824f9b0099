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

    def unweighted(self, rows):
        """Return the losses of some rows, each with a weight of one."""
        return Losses(self.kernel, self.y[rows], np.ones(len(rows)), self.scale, [(0, len(rows))], self.crew)

    def value_and_gradient(self, raw):
        """Return the sum of weighted losses and its gradient by raw outputs."""
        gradient = np.empty_like(raw)

        def evaluate(span):
            some = slice(*span)
            block = self.kernel.block(self.y[some], raw[some], self.weight[some], None, gradient[some])
            return block.evaluate()

        return sum(self.crew.map(evaluate, self.ranges)), gradient

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

    def bound(self, raw):
        """Return bounds of Cox's second derivatives: what rows would have if others' risks were fixed."""
        return np.maximum(self.gradient(raw) + (self.weight * self.y[:, 0])[:, None], 0.0)
