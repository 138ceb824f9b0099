"""Losses compiled outside of sklearn_vectorflow."""

import numpy as np

from sklearn_vectorflow.losses import RegressionLoss

from .kernels import EXPONENTIAL, PINBALL, TWO_TASKS


class Pinball(RegressionLoss):
    """The loss of a quantile."""

    kernel = PINBALL

    def __init__(self, quantile=0.5):
        self.quantile = quantile

    def kernel_parameters(self):
        return np.array([self.quantile])

    def initial_raw(self, y, sample_weight):
        return np.quantile(y, self.quantile, axis=0)


class Exponential(RegressionLoss):
    """Times to an event, of which some are only known to be longer: y is (time, event)."""

    kernel = EXPONENTIAL
    y_low = 0.0

    def n_outputs(self, n_targets):
        return 1

    def check_block(self, y, raw):
        if y.shape[1] != 2:
            raise ValueError(f"y must have two columns, time and event, got {y.shape[1]}.")

    def inverse_link(self, raw):
        return np.exp(-raw)


class TwoTasks(RegressionLoss):
    """A number and a count from one hidden layer: y is (number, count).

    The net has a hidden layer named "hidden" and two heads, of which the second is named "count" and
    predicts the logarithm of the mean count; hidden outputs cost `price` times their square.
    """

    kernel = TWO_TASKS
    reads = ("hidden", "count")

    def __init__(self, price=0.1):
        self.price = price

    def kernel_parameters(self):
        return np.array([self.price])

    def check_block(self, y, raw):
        if y.shape[1] != 2 or raw.shape[1] != 2:
            raise ValueError(f"y and raw must have two columns, got {y.shape[1]} and {raw.shape[1]}.")
