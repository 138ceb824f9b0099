"""Predicted survival, cumulative hazard and cumulative incidence of single rows, as functions of time."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_vectorflow.validation.arrays import check_times
from sklearn_vectorflow.validation.types import Array


def values_of(loss: Any, name: str, times: Array, raw: Array, after: Array | None = None) -> Array:
    """Return the values of one of a distribution's functions for rows.

    Parameters
    ----------
    loss : SurvivalLoss
        Distribution.
    name : {"survival", "cumulative_hazard", "cumulative_incidence"}
        Function of the distribution.
    times : ndarray of shape (n_times,)
    raw : ndarray of shape (n_rows, n_outputs)
    after : ndarray of shape (n_rows,), default=None
        Times up to which rows have had no event; times are counted from then on.
    """
    if after is None:
        return getattr(loss, name)(times, raw)
    if name == "survival":
        return np.exp(-values_of(loss, "cumulative_hazard", times, raw, after))
    if name == "cumulative_incidence":
        return loss.cumulative_incidence(times, raw, after)
    function, after = getattr(loss, name), after[:, None]
    return function(after + times, raw) - function(after, raw)


class Curve:
    """A function of time: the survival function, cumulative hazard or cumulative incidence of one row.

    A curve is callable, like the step functions of scikit-survival, and its metrics accept it.

    Parameters
    ----------
    loss : SurvivalLoss
        Distribution.
    name : {"survival", "cumulative_hazard", "cumulative_incidence"}
        Function of the distribution.
    raw : ndarray of shape (n_outputs,)
        Raw outputs of the row.
    x : ndarray of shape (n_times,)
        Times at which to draw the curve.
    cause : int, default=None
        Cause of a cumulative incidence, from 1 on.
    after : float, default=None
        Time up to which the row is known to have had no event. Arguments start to count there.

    Attributes
    ----------
    y : ndarray of shape (n_times,)
        Values at `x`.
    domain : tuple of float
        Range of times for which the curve is defined.
    """

    domain = (0.0, np.inf)

    def __init__(
        self, loss: Any, name: str, raw: Array, x: Array, cause: int | None = None, after: float | None = None
    ) -> None:
        self.loss = loss
        self.name = name
        self.raw = raw
        self.x = x
        self.cause = cause
        self.after = after

    def __call__(self, times: ArrayLike) -> Any:
        """Return the value at a time >= 0, or the values at an array of times."""
        given = check_times(np.ravel(times), ordered=False)
        after = None if self.after is None else np.array([self.after])
        values = values_of(self.loss, self.name, given, self.raw[None, :], after)[0]
        values = values if self.cause is None else values[self.cause - 1]
        return values.reshape(np.shape(times))[()]

    @property
    def y(self) -> Array:
        return self(self.x)

    def __repr__(self) -> str:
        return f"Curve({self.name} at {len(self.x)} times)"
