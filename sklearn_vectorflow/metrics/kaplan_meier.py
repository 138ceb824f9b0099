"""The product-limit estimate of survival, and of not being censored."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_array

from sklearn_vectorflow.targets.times import INTERVAL, Times, parse
from sklearn_vectorflow.validation.arrays import check_sample_weight
from sklearn_vectorflow.validation.errors import naming
from sklearn_vectorflow.validation.types import Array, TimesLike

ROUNDING = 1e-6  # by which probabilities may lie outside [0, 1]


def known_times(y, n_rows=None, name="y"):
    """Parse times and refuse what a metric can't use: intervals and late entry.

    Raises
    ------
    TypeError, ValueError
        If y is malformed, or has interval-censored rows or entries.
    """
    times = parse(y, n_rows, all_censored=True)
    if np.any(times.kind == INTERVAL) or times.entry is not None:
        raise ValueError(
            f"{name}: this metric accepts events and right-censored times only, not intervals or late entry."
        )
    return times


def check_survival(survival, shape, meaning=""):
    """Return predicted probabilities as float64 of a shape, which a message may explain.

    Raises
    ------
    ValueError
        If they have another shape, or are not in [0, 1].
    """
    with naming("survival"):
        survival = check_array(survival, ensure_2d=False, dtype=np.float64, input_name="survival")
    if survival.shape != shape:
        meaning = f"{meaning} = " if meaning else ""
        raise ValueError(f"survival must have shape {meaning}{shape}, got {survival.shape}.")
    outside = (survival < -ROUNDING) | (survival > 1.0 + ROUNDING)
    if np.any(outside):
        raise ValueError(f"survival must be probabilities in [0, 1], got {survival[outside][0]:g}.")
    return survival


def product_limit(times: Times, weight: Array | None = None, *, censoring: bool = False) -> tuple[Array, Array]:
    """Return distinct times and the survival from each of them on.

    Parameters
    ----------
    times : Times
    weight : ndarray of shape (n_rows,), default=None
    censoring : bool
        Whether to estimate the distribution of censoring in place of that of events; of both at
        the same time, events come first.

    Returns
    -------
    distinct, survival : ndarray of shape (n_times,)
    """
    weight = np.ones(len(times)) if weight is None else weight / weight.max()
    distinct, place = np.unique(times.time, return_inverse=True)
    events = np.bincount(place, weight * times.event)
    all_ends = np.bincount(place, weight)
    at_risk = np.cumsum(all_ends[::-1])[::-1]
    if censoring:
        at_risk, events = at_risk - events, all_ends - events
    share = np.divide(events, at_risk, out=np.zeros(len(events)), where=events > 0)
    return distinct, np.cumprod(1.0 - share)


def kaplan_meier(y: TimesLike, sample_weight: ArrayLike | None = None) -> tuple[Array, Array]:
    """Compute the Kaplan-Meier estimate of the survival function.

    Parameters
    ----------
    y : structured array, tuple, data frame or dict
        Times, in a form that the estimator's `fit` accepts: events and right-censored rows.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows, >= 0.

    Returns
    -------
    times : ndarray of shape (n_times,)
        Distinct times, increasing.
    survival : ndarray of shape (n_times,)
        Probability of no event up to each time.

    References
    ----------
    Kaplan and Meier (1958), "Nonparametric estimation from incomplete observations",
    doi:10.1080/01621459.1958.10501452.

    Examples
    --------
    >>> from sklearn_vectorflow.metrics import kaplan_meier
    >>> kaplan_meier(([True, False, True, True], [1.0, 2.0, 3.0, 3.0]))
    (array([1., 2., 3.]), array([0.75, 0.75, 0.  ]))
    """
    times = known_times(y)
    return product_limit(times, check_sample_weight(sample_weight, len(times)))


def at(distinct, survival, times):
    """Return the values of a survival curve, which steps at distinct times, at other times."""
    return np.append(1.0, survival)[np.searchsorted(distinct, times, side="right")]


def check_followed(times, train, test):
    """Raise unless rows were followed beyond all times: their weights are not known at others."""
    end = min(train.time.max(), test.time.max())
    if times[-1] >= end:
        raise ValueError(
            f"times must be within the follow-up of the training and the test rows, in [0, {float(end)!r}), "
            f"got {float(times[-1])!r}."
        )


def inverse(probability):
    """1 / p, and 0 for rows that no time reaches."""
    return np.divide(1.0, probability, out=np.zeros(len(probability)), where=probability > 0)
