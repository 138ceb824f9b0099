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
    name : {"survival", "cumulative_hazard", "cumulative_incidence"}
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
    """A function of time: the survival, the cumulative hazard or a cumulative incidence of one row.

    It is called like scikit-survival's step functions, whose metrics take it.

    Parameters
    ----------
    loss : SurvivalLoss
        The distribution.
    name : {"survival", "cumulative_hazard", "cumulative_incidence"}
        Which of its functions.
    raw : ndarray of shape (n_outputs,)
        The row's raw outputs.
    x : ndarray of shape (n_times,)
        Times at which the curve is drawn.
    cause : int, default=None
        The cause of a cumulative incidence, from 1 on.
    after : float, default=None
        The time up to which the row has had no event; times are counted from then on.

    Attributes
    ----------
    y : ndarray of shape (n_times,)
        Values at `x`.
    domain : tuple of float
        Times at which it is defined.
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
        """Return values at a time or at an array of times, all >= 0."""
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
