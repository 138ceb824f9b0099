"""Predicted survival and cumulative hazard of single rows, as functions of time."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_vectorflow.validation.arrays import check_times
from sklearn_vectorflow.validation.types import Array


class Curve:
    """A function of time: the survival or the cumulative hazard of one row.

    It is called like scikit-survival's step functions, whose metrics take it.

    Parameters
    ----------
    loss : SurvivalLoss
        The distribution.
    name : {"survival", "cumulative_hazard"}
        Which of its functions.
    raw : ndarray of shape (n_outputs,)
        The row's raw outputs.
    x : ndarray of shape (n_times,)
        Times at which the curve is drawn.

    Attributes
    ----------
    y : ndarray of shape (n_times,)
        Values at `x`.
    domain : tuple of float
        Times at which it is defined.
    """

    domain = (0.0, np.inf)

    def __init__(self, loss: Any, name: str, raw: Array, x: Array) -> None:
        self.loss = loss
        self.name = name
        self.raw = raw
        self.x = x

    def __call__(self, times: ArrayLike) -> Any:
        """Return values at a time or at an array of times, all >= 0."""
        values = getattr(self.loss, self.name)(check_times(np.ravel(times), ordered=False), self.raw[None, :])[0]
        return values.reshape(np.shape(times))[()]

    @property
    def y(self) -> Array:
        return self(self.x)

    def __repr__(self) -> str:
        return f"Curve({self.name} at {len(self.x)} times)"
