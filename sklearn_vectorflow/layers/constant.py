"""Outputs that don't depend on the row."""
from sklearn.base import BaseEstimator


class Constant(BaseEstimator):
    """One learned number an output, the same for every row, such as a distribution's shape.

    It has intercepts and no weights, so a million columns cost it nothing. It comes last in a
    net, and its outputs follow those of the other layers. Penalties leave it alone.

    Parameters
    ----------
    n_out : int, default=1
        Number of outputs.
    """

    def __init__(self, n_out=1):
        self.n_out = n_out
