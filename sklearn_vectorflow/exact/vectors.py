"""Arithmetic of conjugate gradients on vectors as long as the weights, shared among threads.

Sums are of fixed ranges, in their order: bits do not depend on the number of threads.
"""

import numpy as np

from sklearn_vectorflow.engine.exact import vectors as engine
from sklearn_vectorflow.exact.stores import even_parts
from sklearn_vectorflow.threads import ALONE


class Vectors:
    """Arrays of one shape, all of float64 and in C order.

    Parameters
    ----------
    shape : tuple of int
        Lines and numbers of a line.
    crew : Crew, default=None
        None is the caller's thread alone.
    """

    def __init__(self, shape, crew=None):
        self.width, self.crew = shape[1], crew or ALONE
        self.spans = even_parts(np.arange(shape[0] + 1) * shape[1])

    def finish_product(self, product, total, l2, toward):
        """Divide a product by a total and add that with L2, in place; return its own with the direction."""

        def run(span):
            return engine.finish_product(product.reshape(-1), total, l2[:, 0], toward.reshape(-1), self.width, *span)

        return sum(self.crew.map(run, self.spans))

    def advance(self, length, toward, product, inverse, direction, residual, solved):
        """Go along a direction; return the product of what is left and what it is once divided by a diagonal.

        Parameters
        ----------
        length : float
        toward, product : ndarray
            The direction and its product.
        inverse : ndarray
            Of the diagonal.
        direction, residual, solved : ndarray
            The way so far, what is left, and its quotient; written.
        """
        flat = [one.reshape(-1) for one in (toward, product, inverse, direction, residual, solved)]
        return sum(self.crew.map(lambda span: engine.advance(length, *flat, *self._flat(span)), self.spans))

    def turn(self, ratio, solved, toward):
        """Multiply a direction by a ratio, and add another, in place."""
        flat = solved.reshape(-1), toward.reshape(-1)
        self.crew.map(lambda span: engine.turn(ratio, *flat, *self._flat(span)), self.spans)

    def _flat(self, span):
        return span[0] * self.width, span[1] * self.width
