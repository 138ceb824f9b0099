"""Products of rows' gradients with each other, for the sandwich estimator."""

import numpy as np

from sklearn_vectorflow.exact.objective import Hessian


class ScoreProducts(Hessian):
    """The sum over rows of the gradient times its transpose, in the place of second derivatives.

    References
    ----------
    White (1982), doi:10.2307/1912526.
    """

    structure = "full"

    def __init__(self, hessian, slopes):
        self.n_linear, self.n_constant = hessian.n_linear, hessian.n_constant
        self.losses, self.curvature = hessian.losses, _Products(slopes)


class _Products:
    def __init__(self, slopes):
        self.slopes = slopes

    def between(self, one, other):
        """Return the products of the gradients by two outputs."""
        return np.ascontiguousarray(self.slopes[:, one] * self.slopes[:, other])
