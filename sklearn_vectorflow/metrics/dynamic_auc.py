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
    r"""Compute the area under the ROC curve at each time: rows with an event by then against rows without.

    .. math::
        \text{AUC}(t) = \frac{\sum_{i: t_i \le t} w_i \sum_{j: t_j > t} [f_i > f_j] + [f_i = f_j] / 2}
        {\sum_{i: t_i \le t} w_i \, \cdot \, |\{j: t_j > t\}|}

    i runs over events, and :math:`w_i` is the inverse probability of not being censored before :math:`t_i`, which is
    estimated on the training rows. Rows that are censored up to t do not count. Estimates that differ by at most 1e-8
    are equal. Each time takes O(n log n), or O(n) if all times have the same estimates.

    Parameters
    ----------
    y_train, y_test : structured array, tuple, data frame or dict
        Times of training and test rows, in a form that the estimator's `fit` accepts: events and right-censored rows.
    estimate : array-like of shape (n_test,) or (n_test, n_times)
        Risk scores of the test rows, common to all times or one for each, such as the result of `predict` or cumulative
        hazards. Rows with higher scores should have earlier events, so survival probabilities do not work.
    times : array-like of shape (n_times,)
        Increasing times from the first event of the test rows on, before the last time of the training rows and that of
        the test rows.

    Returns
    -------
    auc : ndarray of shape (n_times,)
        Area under the curve at each time. Random scores give 0.5.
    mean_auc : float
        Mean of `auc`. The weight of a time is the share of events since the preceding time, by the Kaplan-Meier
        estimate.

    Raises
    ------
    ValueError
        If a time is outside the follow-up or before the first event, or an input is invalid.

    References
    ----------
    Uno, Cai, Tian and Wei (2007), "Evaluating prediction rules for t-year survivors with censored regression models",
    doi:10.1198/016214507000000149.

    Hung and Chiang (2010), "Estimation methods for time-dependent AUC models with survival data",
    doi:10.1002/cjs.10046.

    Lambert and Chevret (2016), "Summary measure of discrimination in survival models based on cumulative/dynamic
    time-dependent ROC curves", doi:10.1177/0962280213515571.
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
