"""Plain functions as losses."""

import numpy as np

from sklearn_vectorflow.losses.classification import ClassificationLoss
from sklearn_vectorflow.losses.ranking import RankingLoss
from sklearn_vectorflow.losses.regression import RegressionLoss


class FunctionMixin:
    """A loss that wraps a function, ``function(y, raw, sample_weight) -> (loss, gradient)``.

    A function says neither where raw outputs should start nor how large they are. They start at zero, and learning
    rates suit outputs of about 1.
    """

    def __init__(self, function):
        self.function = function

    @property
    def name(self):
        return getattr(self.function, "__name__", type(self.function).__name__)

    def check_block(self, y, raw):
        """Accept targets of any shape."""


class RegressionFunction(FunctionMixin, RegressionLoss):
    """A function as a loss of numeric targets."""

    def __call__(self, y, raw, sample_weight=None):
        """Return what the function returns."""
        return self.function(y, raw, sample_weight)

    def initial_raw(self, y, sample_weight):
        """Return zeros."""
        return np.zeros(y.shape[1])

    def output_scale(self, y, sample_weight):
        """Return one."""
        return 1.0


class ClassificationFunction(FunctionMixin, ClassificationLoss):
    """A function as a loss of classes."""

    def __call__(self, y, raw, sample_weight=None):
        """Return what the function returns."""
        return self.function(y, raw, sample_weight)


class RankingFunction(FunctionMixin, RankingLoss):
    """A function as a loss of groups, with a fourth argument, `starts`."""

    def __call__(self, y, raw, sample_weight=None, starts=None):
        """Return what the function returns."""
        return self.function(y, raw, sample_weight, starts)
