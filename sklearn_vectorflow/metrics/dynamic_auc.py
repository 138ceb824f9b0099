"""How well risks tell those who have had their event by a time from those who have not."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_array

from sklearn_vectorflow.metrics.concordance import TIED
from sklearn_vectorflow.metrics.kaplan_meier import at, check_followed, inverse, known_times, product_limit
from sklearn_vectorflow.validation.arrays import check_times
from sklearn_vectorflow.validation.errors import naming
from sklearn_vectorflow.validation.types import Floats, TimesLike


def cumulative_dynamic_auc(
    y_train: TimesLike, y_test: TimesLike, estimate: ArrayLike, times: ArrayLike
) -> tuple[Floats, float]:
    r"""Area under the ROC curve of each time: rows with their event by then against rows without.

    .. math::
        \text{AUC}(t) = \frac{\sum_{i: t_i \le t} w_i \sum_{j: t_j > t} [f_i > f_j] + [f_i = f_j] / 2}
        {\sum_{i: t_i \le t} w_i \, \cdot \, |\{j: t_j > t\}|}

    i runs over events, and :math:`w_i` is the inverse probability of not being censored before
    :math:`t_i`, estimated on the training rows. Rows censored up to t do not count. Estimates
    are equal up to 1e-8. A time takes O(n log n), and O(n) if estimates are alike at all times.

    Parameters
    ----------
    y_train, y_test : structured array, tuple, data frame or dict
        Times, as for the estimator's `fit`; events and right-censored rows.
    estimate : array-like of shape (n_test,) or (n_test, n_times)
        Risks of the test rows, for all times or for each: the higher, the earlier the event, such as
        `predict` or cumulative hazards, not survival.
    times : array-like of shape (n_times,)
        Increasing times, before the last time of the training rows and that of the test rows, and not
        before the first event of the test rows.

    Returns
    -------
    auc : ndarray of shape (n_times,)
        0.5 is what chance gives.
    mean_auc : float
        Their mean, weighted by the share of events up to each time since the one before (by Kaplan
        and Meier's estimate).

    Raises
    ------
    ValueError
        If a time is not within the follow-up or has no event up to it, or the input is malformed.

    References
    ----------
    Uno, Cai, Tian and Wei (2007), doi:10.1198/016214507000000149. Hung and Chiang (2010),
    doi:10.1002/cjs.10046. Lambert and Chevret (2016), doi:10.1177/0962280213515571.
    """
    train, test = known_times(y_train, name="y_train"), known_times(y_test, name="y_test")
    times = check_times(times)
    check_followed(times, train, test)
    scores = _check_estimate(estimate, (len(test), len(times)))
    counted = test.event & (test.time <= times[-1])
    weight = np.where(counted, inverse(at(*product_limit(train, censoring=True), test.time)), 0.0)
    if not np.any(counted & (test.time <= times[0])):
        raise ValueError(f"times must not be before the first event of y_test, got {float(times[0])!r}.")
    groups = [_groups(column) for column in scores.T]
    auc = np.array([_area(test, weight, groups[k % len(groups)], time) for k, time in enumerate(times)])
    if len(times) == 1:
        return auc, float(auc[0])
    survival = at(*product_limit(test), times)
    return auc, float(auc @ -np.diff(survival, prepend=1.0) / (1.0 - survival[-1]))


def _check_estimate(estimate, shape):
    """Return estimates with a column for each time, or one for all."""
    with naming("estimate"):
        estimate = check_array(estimate, ensure_2d=False, dtype=np.float64, input_name="estimate")
    if estimate.shape not in (shape, shape[:1]):
        raise ValueError(
            f"estimate must have shape (n_test,) = {shape[:1]} or (n_test, n_times) = {shape}, got {estimate.shape}."
        )
    return estimate.reshape(len(estimate), -1)


def _groups(estimate):
    """Return numbers of groups of equal estimates, rising with them."""
    order = np.argsort(estimate, kind="stable")
    groups = np.empty(len(order), dtype=np.int64)
    groups[order] = np.cumsum(np.diff(estimate[order], prepend=estimate[order[0]]) > TIED)
    return groups


def _area(test, weight, groups, time):
    """Return the share of pairs at a time whose estimates order them rightly."""
    cases = np.bincount(groups, weight * (test.time <= time))
    controls = np.bincount(groups, test.time > time)
    below = np.cumsum(controls) - controls
    return cases @ (below + 0.5 * controls) / (cases.sum() * controls.sum())
