"""Cox's partial likelihood, compiled in engine/losses/cox.pyx."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sklearn_vectorflow.engine.losses.cox import KERNELS
from sklearn_vectorflow.losses.intervals import CLOSE, step_mean, steps
from sklearn_vectorflow.losses.survival import SurvivalLoss
from sklearn_vectorflow.targets.times import Times
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.types import Array


class CoxPH(SurvivalLoss):
    r"""Cox's partial likelihood: proportional hazards with an arbitrary baseline.

    .. math:: \sum_{i: \text{event}} \Big( \log \sum_{j: e_j < t_i \le t_j} e^{f_j} - f_i \Big)

    The inner sum is over the rows at risk at :math:`t_i`: they have entered (at :math:`e_j`, 0 without late entry) and
    not left. It runs over the rows of a mini-batch. If the mini-batch has all rows, the loss is the negative log
    partial likelihood. Smaller mini-batches compare each event with a random part of its risk set. They estimate the
    same weights, with more variance the smaller they are. The value of the loss depends on the size of the mini-batch.
    A mini-batch of one row has no information.

    Domain: t > 0; right-censored rows and late entry. Link: log of the hazard relative to the baseline, so a positive
    weight makes the event earlier. An intercept has no effect and stays zero. Dropped: the baseline hazard, which is
    estimated after training (Breslow's estimate).

    Parameters
    ----------
    ties : {"efron", "breslow"}, default="efron"
        Treatment of events at the same time. "breslow" keeps all of them at risk for each. "efron" removes them one
        after the other, on average. With "efron", a row of weight 2 differs from two tied rows.

    References
    ----------
    Cox (1972), "Regression models and life-tables", doi:10.1111/j.2517-6161.1972.tb00899.x.

    Breslow (1974), "Covariance analysis of censored survival data", doi:10.2307/2529620.

    Efron (1977), "The efficiency of Cox's likelihood function for censored data", doi:10.1080/01621459.1977.10480613.
    """

    convex = True
    kernel = KERNELS["cox"]
    separates = False
    free_intercept = False
    n_targets = (2, 3)

    def __init__(self, ties: Literal["efron", "breslow"] = "efron") -> None:
        self.ties = ties

    def check_parameters(self) -> None:
        """Raise ValueError unless ties is 'efron' or 'breslow'."""
        if self.ties not in ("efron", "breslow"):
            raise ValueError(f"CoxPH: ties must be 'efron' or 'breslow', got {brief(self.ties)}.")

    def kernel_parameters(self) -> Array:
        """Return 1 for Efron's treatment of ties, 0 for Breslow's."""
        return np.array([self.ties == "efron"], dtype=np.float64)

    def prepared(self, times: Times) -> SurvivalLoss:
        """Return a copy, which will hold the baseline."""
        return CoxPH(self.ties)

    def encode(self, times: Times) -> Array:
        """Return the targets: event and time, and entry if rows enter late."""
        columns = [times.event, times.time] + ([] if times.entry is None else [times.entry])
        return np.column_stack(columns).astype(np.float64)

    def order_of_rows(self, y: Array) -> Array:
        """Return the order of rows that the kernel does not have to sort: the latest time first."""
        return np.argsort(-y[:, 1], kind="stable")

    def initial_raw(self, y: Array, sample_weight: Array | None) -> Array:
        """Return zero."""
        return np.zeros(1)

    def finish(self, y: Array, raw: Array, sample_weight: Array | None) -> None:
        """Compute Breslow's estimate of the cumulative baseline hazard at the event times."""
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        event, time = y.T[:2]
        largest = raw[weight > 0, 0].max()
        distinct, place = np.unique(time, return_inverse=True)
        risks = weight * np.exp(raw[:, 0] - largest)
        risk = np.bincount(place, risks)
        events = np.bincount(place, weight * event)
        at_risk = np.cumsum(risk[::-1])[::-1] - self._not_entered(y, distinct, risks)
        increments = np.divide(events, at_risk, out=np.zeros(len(events)), where=events > 0) * np.exp(-largest)
        self.baseline_times_ = distinct[events > 0]
        self.baseline_hazard_ = np.cumsum(increments[events > 0])

    @staticmethod
    def _not_entered(y, times, risk):
        """Return the total risk of rows that enter at each time or later."""
        if y.shape[1] == 2:
            return 0.0
        before = np.bincount(np.searchsorted(times, y[:, 2], "right"), risk, minlength=len(times) + 1)
        return np.cumsum(before[::-1])[::-1][1:]

    def _reached(self, raw):
        return np.exp(raw[:, :1]) * self.baseline_hazard_

    def risk(self, raw: Array) -> Array:
        """Return the logarithm of the hazard relative to the baseline."""
        return raw[:, 0]

    def cumulative_hazard(self, times: ArrayLike, raw: Array) -> Array:
        """Return the cumulative hazard at each time, of shape (n_rows, n_times)."""
        baseline = steps(self.baseline_times_, self.baseline_hazard_[None, :], times)
        return np.exp(raw[:, :1]) * baseline

    def time_at(self, hazard: Array, raw: Array) -> Array:
        """Return the first event time at which the cumulative hazard of each row reaches a value, else inf."""
        reached = np.searchsorted(self.baseline_hazard_, hazard * np.exp(-raw[:, 0]) * CLOSE)
        return np.append(self.baseline_times_, np.inf)[reached]

    def expectation(self, raw: Array) -> Array:
        """Return the mean time up to the last event."""
        return step_mean(self.baseline_times_, self._reached(raw))
