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
    """Mean squared error of predicted survival at each time, weighted for censoring.

    Rows censored before a time do not count there; the others are weighted by the inverse
    probability of not being censored, estimated on the training rows.

    Parameters
    ----------
    y_train, y_test : structured array, tuple, data frame or dict
        Times, as for the estimator's `fit`; events and right-censored rows.
    survival : array-like of shape (n_test, n_times)
        Predicted probabilities of no event up to each time.
    times : array-like of shape (n_times,)
        Increasing times, before the last time of the training rows and that of the test rows: what
        happens later was not observed.

    Returns
    -------
    score : ndarray of shape (n_times,)
        0 is perfect; predicting 0.5 for all gives 0.25.

    Raises
    ------
    ValueError
        If a time is not within the follow-up, or the input is malformed.

    References
    ----------
    Graf, Schmoor, Sauerbrei and Schumacher (1999),
    doi:10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5.
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
    """Mean over a range of times of :func:`brier_score`, by the trapezoidal rule.

    Parameters
    ----------
    y_train, y_test : structured array, tuple, data frame or dict
        Times, as for the estimator's `fit`; events and right-censored rows.
    survival : array-like of shape (n_test, n_times)
        Predicted probabilities of no event up to each time.
    times : array-like of shape (n_times,)
        Increasing times within the follow-up, at least two.

    Returns
    -------
    score : float
    """
    score = brier_score(y_train, y_test, survival, times)
    times = np.asarray(times, dtype=np.float64)
    if len(times) < 2 or times[0] == times[-1]:
        raise ValueError("times must have at least two different values.")
    return float(np.sum((score[1:] + score[:-1]) / 2 * np.diff(times)) / (times[-1] - times[0]))
