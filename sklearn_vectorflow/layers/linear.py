"""The linear layer; its arithmetic is engine/kernels/linear.h."""
from sklearn.base import BaseEstimator


class Linear(BaseEstimator):
    """x W + b.

    Parameters
    ----------
    n_out : int or None, default=None
        Number of outputs; None takes what the loss needs.
    """

    def __init__(self, n_out=None):
        self.n_out = n_out
