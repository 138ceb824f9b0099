"""Predicted against observed shares of events."""

import numpy as np
from numpy.typing import ArrayLike

from sklearn_vectorflow.metrics.kaplan_meier import at, check_survival, known_times, product_limit
from sklearn_vectorflow.targets.times import Times
from sklearn_vectorflow.validation.errors import warn
from sklearn_vectorflow.validation.scalars import check_integer, check_number
from sklearn_vectorflow.validation.types import Floats, TimesLike


def calibration_by_quantile(y: TimesLike, survival: ArrayLike, time: float, n_bins: int = 10) -> tuple[Floats, Floats]:
    """Compute predicted and observed probabilities of an event up to a time, in groups of similar predictions.

    Groups end at quantiles of the predictions. The observed probability of a group is its Kaplan-Meier estimate.

    Parameters
    ----------
    y : structured array, tuple, data frame or dict
        Times, in a form that the estimator's `fit` accepts: events and right-censored rows.
    survival : array-like of shape (n_rows,)
        Predicted probabilities of no event up to `time`.
    time : float
        Time, > 0 and at most the last time of y, in the unit of y.
    n_bins : int, default=10
        Number of groups. Equal predictions reduce it.

    Returns
    -------
    predicted, observed : ndarray of shape (n_groups,)
        Mean predicted and observed probability of an event, in the order of increasing predictions.

    Raises
    ------
    ValueError
        If no row was followed up to the time, or an input is invalid.

    Warns
    -----
    UserWarning
        If the last row of a group was censored before the time. The observed probability then covers events up to the
        last known time.
    """
    times = known_times(y)
    survival = check_survival(survival, (len(times),))
    check_number("calibration_by_quantile", "time", time, 0, low_open=True, high_open=True)
    if time > times.time.max():
        raise ValueError(f"time must be at most {times.time.max():.6g}, the last time of y, got {time:.6g}.")
    check_integer("n_bins", n_bins, 1)
    probability = 1.0 - survival
    edges = np.unique(np.quantile(probability, np.arange(1, n_bins) / n_bins))
    group = np.searchsorted(edges, probability, side="left")
    groups = [np.flatnonzero(group == k) for k in np.unique(group)]
    predicted = np.array([probability[rows].mean() for rows in groups])
    _warn_of_short_groups(times, groups, time)
    observed = np.array([_share_of_events(times, rows, time) for rows in groups])
    return predicted, observed


def _warn_of_short_groups(times, groups, time):
    """Warn of groups whose last row was censored before a time: Kaplan and Meier's estimate ends there."""
    last = [rows[np.lexsort((~times.event[rows], times.time[rows]))[-1]] for rows in groups]
    n_short = sum(times.time[row] < time and not times.event[row] for row in last)
    if n_short:
        warn(
            f"In {n_short} of {len(groups)} groups no row was followed up to time={time:.6g}, so their observed "
            "probability covers events up to the last known time. Choose an earlier time or a smaller n_bins.",
        )


def _share_of_events(times, rows, time):
    own = Times(times.kind[rows], times.time[rows])
    return 1.0 - at(*product_limit(own), [time])[0]
