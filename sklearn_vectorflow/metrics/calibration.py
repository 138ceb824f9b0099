"""Predicted against observed shares of events."""

import numpy as np
from sklearn.utils.validation import check_array

from sklearn_vectorflow.metrics.kaplan_meier import at, known_times, product_limit
from sklearn_vectorflow.targets.times import Times
from sklearn_vectorflow.validation.errors import naming
from sklearn_vectorflow.validation.scalars import check_integer, check_number


def calibration_by_quantile(y, survival, time, n_bins=10):
    """Predicted and observed probability of an event up to a time, in groups of like predictions.

    Rows are cut into groups at quantiles of their prediction. What is observed in each group
    is Kaplan and Meier's estimate. scikit-survival has no counterpart.

    Parameters
    ----------
    y : structured array, tuple, data frame or dict
        Times, as for the estimator's `fit`; events and right-censored rows.
    survival : array-like of shape (n_rows,)
        Predicted probabilities of no event up to `time`.
    time : float
        The time, > 0.
    n_bins : int, default=10
        Number of groups; there are fewer where predictions are equal.

    Returns
    -------
    predicted, observed : ndarray of shape (n_groups,)
        Mean predicted and observed probability of an event, from the lowest prediction on.
    """
    times = known_times(y)
    with naming("survival"):
        survival = check_array(survival, ensure_2d=False, dtype=np.float64, input_name="survival")
    if survival.shape != (len(times),):
        raise ValueError(f"survival must have shape ({len(times)},) as y has, got {survival.shape}.")
    check_number("calibration_by_quantile", "time", time, 0, low_open=True, high_open=True)
    check_integer("n_bins", n_bins, 1)
    probability = 1.0 - survival
    edges = np.unique(np.quantile(probability, np.arange(1, n_bins) / n_bins))
    group = np.searchsorted(edges, probability, side="left")
    groups = [np.flatnonzero(group == k) for k in np.unique(group)]
    predicted = np.array([probability[rows].mean() for rows in groups])
    observed = np.array([_share_of_events(times, rows, time) for rows in groups])
    return predicted, observed


def _share_of_events(times, rows, time):
    own = Times(times.kind[rows], times.time[rows])
    return 1.0 - at(*product_limit(own), [time])[0]
