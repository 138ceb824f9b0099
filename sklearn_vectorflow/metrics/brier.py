"""Squared errors of predicted survival."""

import numpy as np
from numpy.typing import ArrayLike

from sklearn_vectorflow.metrics.kaplan_meier import (
    at,
    check_followed,
    check_survival,
    inverse,
    known_times,
    product_limit,
)
from sklearn_vectorflow.validation.arrays import check_times
from sklearn_vectorflow.validation.types import Floats, TimesLike


def brier_score(y_train: TimesLike, y_test: TimesLike, survival: ArrayLike, times: ArrayLike) -> Floats:
    """Compute the Brier score, the mean squared error of predicted survival probabilities, at each time.

    Rows that are censored before a time do not count at that time. Other rows are weighted by the inverse probability
    of not being censored, which is estimated on the training rows.

    Parameters
    ----------
    y_train, y_test : structured array, tuple, data frame or dict
        Times of training and test rows, in a form that the estimator's `fit` accepts: events and right-censored rows.
    survival : array-like of shape (n_test, n_times)
        Predicted probabilities of no event up to each time.
    times : array-like of shape (n_times,)
        Increasing times before the last time of the training rows and that of the test rows.

    Returns
    -------
    score : ndarray of shape (n_times,)
        Brier score at each time. 0 is perfect; predicting 0.5 for all rows gives 0.25.

    Raises
    ------
    ValueError
        If a time is outside the follow-up, or an input is invalid.

    References
    ----------
    Graf, Schmoor, Sauerbrei and Schumacher (1999), "Assessment and comparison of prognostic classification schemes for
    survival data", doi:10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5.
    """
    train, test = known_times(y_train, name="y_train"), known_times(y_test, name="y_test")
    times = check_times(times)
    check_followed(times, train, test)
    survival = check_survival(survival, (len(test), len(times)), "(n_test, n_times)")
    censoring = product_limit(train, censoring=True)
    past = test.time[:, None] <= times
    error = np.where(past & test.event[:, None], survival**2 * inverse(at(*censoring, test.time))[:, None], 0.0)
    error += np.where(past, 0.0, (1.0 - survival) ** 2 * inverse(at(*censoring, times)))
    return error.mean(axis=0)


def integrated_brier_score(y_train: TimesLike, y_test: TimesLike, survival: ArrayLike, times: ArrayLike) -> float:
    """Compute the mean of :func:`brier_score` over a range of times, by the trapezoidal rule.

    Parameters
    ----------
    y_train, y_test : structured array, tuple, data frame or dict
        Times of training and test rows, in a form that the estimator's `fit` accepts: events and right-censored rows.
    survival : array-like of shape (n_test, n_times)
        Predicted probabilities of no event up to each time.
    times : array-like of shape (n_times,)
        At least two increasing times within the follow-up.

    Returns
    -------
    score : float
        Integral of the Brier score divided by the length of the range.

    Raises
    ------
    ValueError
        If a time is outside the follow-up, or an input is invalid.
    """
    score = brier_score(y_train, y_test, survival, times)
    times = np.asarray(times, dtype=np.float64)
    if len(times) < 2 or times[0] == times[-1]:
        raise ValueError("times must have at least two different values.")
    return float(np.sum((score[1:] + score[:-1]) / 2 * np.diff(times)) / (times[-1] - times[0]))
