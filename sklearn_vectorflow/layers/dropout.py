"""Dropout of hidden units."""
from sklearn.base import BaseEstimator


class Dropout(BaseEstimator):
    """Zeroes each unit with a probability in training, and scales the others up.

    Kept units are multiplied by 1 / (1 - rate), forward and backward, so that predictions
    need no correction (Srivastava et al., 2014, JMLR 15).

    Parameters
    ----------
    rate : float, default=0.5
        Probability of zeroing, in [0, 1).
    """

    def __init__(self, rate=0.5):
        self.rate = rate
