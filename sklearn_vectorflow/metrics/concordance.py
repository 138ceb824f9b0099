"""How well risks order times."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_array

from sklearn_vectorflow.engine.concordance import count_pairs
from sklearn_vectorflow.metrics.kaplan_meier import at, known_times, product_limit
from sklearn_vectorflow.targets.times import CENSORED, parse
from sklearn_vectorflow.validation.arrays import check_sample_weight
from sklearn_vectorflow.validation.errors import naming
from sklearn_vectorflow.validation.scalars import check_number
from sklearn_vectorflow.validation.types import TimesLike

TIED = 1e-8  # risks this close to each other count as equal


def concordance_index(y: TimesLike, risk: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Compute Harrell's concordance index, the share of comparable pairs that the risks put in the right order.

    A pair of rows is comparable if one of them has an event at a time up to which the other is known to have had none.
    The pair is concordant if the row with the event has the higher risk. Risks that differ by at most 1e-8 count as
    half a concordant pair. The computation takes O(n log n).

    Parameters
    ----------
    y : structured array, tuple, data frame or dict
        Times, in a form that the estimator's `fit` accepts. Interval-censored rows are compared with rows that outlived
        the end of the interval. Late entry is ignored.
    risk : array-like of shape (n_rows,)
        Risk scores. Rows with higher scores should have earlier events.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows, >= 0. The weight of a pair is the product of its two weights.

    Returns
    -------
    concordance : float
        Concordance index in [0, 1]. Random risks give 0.5.

    Raises
    ------
    ValueError
        If no pair is comparable, or an input is invalid.

    References
    ----------
    Harrell, Lee and Mark (1996), "Multivariable prognostic models: issues in developing models, evaluating assumptions
    and adequacy, and measuring and reducing errors",
    doi:10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4.

    Examples
    --------
    >>> from sklearn_vectorflow.metrics import concordance_index
    >>> concordance_index(([True, True, False], [1.0, 2.0, 3.0]), [0.9, 0.1, 0.5])
    0.6666666666666666
    """
    times = parse(y, all_censored=True)
    weight = check_sample_weight(sample_weight, len(times))
    weight = np.ones(len(times)) if weight is None else weight / weight.max()  # products stay finite
    return _concordance(times, _check_risk(risk, len(times)), weight, weight)


def concordance_index_ipcw(y_train: TimesLike, y_test: TimesLike, risk: ArrayLike, tau: float | None = None) -> float:
    """Compute Uno's concordance index, which does not depend on the distribution of censoring times.

    The weight of a pair is the inverse square of the probability of not being censored before the event, which is
    estimated on the training rows.

    Parameters
    ----------
    y_train, y_test : structured array, tuple, data frame or dict
        Times of training and test rows, in a form that the estimator's `fit` accepts: events and right-censored rows.
    risk : array-like of shape (n_test,)
        Risk scores of the test rows. Rows with higher scores should have earlier events.
    tau : float, default=None
        Time at which to stop counting events, at most the last time of the training rows. None counts all events.

    Returns
    -------
    concordance : float
        Concordance index in [0, 1].

    Raises
    ------
    ValueError
        If an event is after the follow-up of the training rows (choose a smaller `tau`), or if no pair is comparable.

    References ---------- Uno, Cai, Pencina, D'Agostino and Wei (2011), "On the C-statistics for evaluating overall
    adequacy of risk prediction procedures with censored survival data", doi:10.1002/sim.4154.
    """
    train, test = known_times(y_train, name="y_train"), known_times(y_test, name="y_test")
    risk = _check_risk(risk, len(test))
    counted = test.event.copy()
    if tau is not None:
        check_number("concordance_index_ipcw", "tau", tau, 0, low_open=True)
        counted &= test.time < tau
    end = train.time.max()
    uncensored = at(*product_limit(train, censoring=True), test.time)
    if np.any((uncensored[counted] == 0) | (test.time[counted] > end)):
        raise ValueError(
            f"tau must be smaller, at most {end:.6g}: y_test has events up to {test.time[counted].max():.6g}, at times "
            f"up to which no training row was followed, {'with tau=None' if tau is None else f'got {tau:.6g}'}."
        )
    weight = np.zeros(len(test))
    weight[counted] = uncensored[counted] ** -2.0
    return _concordance(test, risk, weight, np.ones(len(test)))


def _check_risk(risk, n_rows):
    with naming("risk"):
        risk = check_array(risk, ensure_2d=False, dtype=np.float64, input_name="risk")
    if risk.shape != (n_rows,):
        raise ValueError(f"risk must have shape ({n_rows},) as y has, got {risk.shape}.")
    return risk


def _concordance(times, risk, weight_earlier, weight_later):
    """Return the weighted share of concordant pairs.

    Each row has a weight as the one with the earlier event, and one as the other.
    """
    order = np.lexsort((~times.event, times.time))
    later = _outlived_by(times, order)
    earlier = np.flatnonzero(times.kind != CENSORED)
    earlier = earlier[np.argsort(-later[earlier], kind="stable")]
    rank, low, high = _places(risk)
    counts = np.zeros((len(risk), 2))
    count_pairs(order, earlier, later, rank, low, high, weight_later, np.zeros(len(risk) + 1), counts)
    after = np.append(np.cumsum(weight_later[order][::-1])[::-1], 0.0)[later]
    comparable = np.sum((weight_earlier * after)[earlier])
    if comparable <= 0:
        raise ValueError("y has no comparable pairs: no row is known to outlive another one's event.")
    return float(weight_earlier[earlier] @ (counts[earlier] @ [1.0, 0.5]) / comparable)


def _outlived_by(times, order):
    """Return the place in an order, by time and events first, from which on rows outlive each row."""
    ordered_time, n_events = times.time[order], np.append(0, np.cumsum(times.event[order]))
    end = times.time if times.upper is None else times.upper
    by_end = order if times.upper is None else np.argsort(end)
    left, right = (np.searchsorted(ordered_time, end[by_end], side) for side in ("left", "right"))
    place = np.empty(len(times), dtype=np.int64)
    place[by_end] = left + n_events[right] - n_events[left]
    return place


def _places(risk):
    """Return each risk's place among all, and those below which risks are smaller, and not greater."""
    order = np.argsort(risk, kind="stable")
    ranked = risk[order]  # searching for sorted values is quick
    places = np.empty((3, len(risk)), dtype=np.int64)
    places[0, order] = np.arange(len(risk))
    places[1, order] = np.searchsorted(ranked, ranked - TIED, "left")
    places[2, order] = np.searchsorted(ranked, ranked + TIED, "right")
    return places
