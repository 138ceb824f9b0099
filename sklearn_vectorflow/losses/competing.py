r"""Hazards of several causes, compiled in engine/losses/intervals.pyx."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from sklearn_vectorflow.losses.intervals import PiecewiseExponential, at_places, behind_zero
from sklearn_vectorflow.losses.survival import SurvivalLoss
from sklearn_vectorflow.targets.times import MOST_CAUSES, Times
from sklearn_vectorflow.validation.errors import brief, warn
from sklearn_vectorflow.validation.scalars import check_integer
from sklearn_vectorflow.validation.types import Array, Shape


class CompetingRisks(PiecewiseExponential):
    r"""Competing risks: a hazard for each of several causes, constant between breakpoints.

    .. math:: h_k(t) = e^{f_{kj}}, \quad \tau_{j-1} < t \le \tau_j, \qquad
        S(t) = \exp\Big(-\sum_k \int_0^t h_k\Big), \qquad F_k(t) = \int_0^t h_k(s) \, S(s) \, ds

    The first event of any cause ends a row. A row that is censored at t contributes :math:`-\log S(t)`, an event of
    cause k at t :math:`-\log (h_k(t) S(t))`, and late entry at e :math:`+\log S(e)`. :math:`F_k` is the cumulative
    incidence, the probability of an event of cause k up to t. The sum of :math:`F_k` over the causes is :math:`1 - S`.
    With one cause the loss equals :class:`PiecewiseExponential`.

    Domain: t > 0; right-censored rows and late entry; an event is 0 (censored) or the number of a cause, 1, ..., K.
    Link: log of the hazard of each cause, so a positive weight makes events of this cause earlier. Dropped constants:
    none.

    Parameters
    ----------
    breakpoints : int or array-like of float, default=None
        Increasing times at which intervals end, common to all causes; the last interval has no end. An int is a number
        of intervals, which are cut at quantiles of the event times. None means 10 intervals.
    shape : {"constant", "linear"}, default="constant"
        Whether features act on all intervals of a cause alike (proportional hazards), or each interval has its own
        linear function of the features.
    n_causes : int, default=None
        Number K of causes. None means the largest number among the events of the first call.
    log_unit : float, default=0.0
        Logarithm of a unit of time; hazards are :math:`e^f` per unit. Estimators derive it from the data, so that
        learning rates do not depend on the unit of time.

    References
    ----------
    Prentice et al. (1978), "The analysis of failure times in the presence of competing risks", doi:10.2307/2530374.

    Putter, Fiocco and Geskus (2007), "Tutorial in biostatistics: competing risks and multi-state models",
    doi:10.1002/sim.2712.
    """

    takes_causes = True

    def __init__(
        self,
        breakpoints: int | ArrayLike | None = None,
        shape: Shape = "constant",
        n_causes: int | None = None,
        log_unit: float = 0.0,
    ) -> None:
        super().__init__(breakpoints, shape, log_unit)
        self.n_causes = n_causes  # type: ignore[assignment]

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        super().check_parameters()
        if self.n_causes is not None:
            check_integer("CompetingRisks: n_causes, if not None,", self.n_causes, 1)
            if self.n_causes > MOST_CAUSES:
                raise ValueError(f"CompetingRisks: n_causes must be at most {MOST_CAUSES}, got {brief(self.n_causes)}.")

    def check_times(self, times: Times) -> None:
        """Raise ValueError if rows are interval-censored or have a cause above `n_causes`."""
        super().check_times(times)
        largest = int(_causes(times).max())
        if self.n_causes is not None and largest > self.n_causes:
            raise ValueError(
                f"y: events must be 0 ... {self.n_causes}, the number of causes, got {largest}. Set n_causes of "
                "CompetingRisks if the first rows do not have all causes."
            )

    def prepared(self, times: Times) -> SurvivalLoss:
        """Return the loss with its breakpoints, the number of causes and the unit of the times."""
        ready = super().prepared(times)
        present = np.unique(_causes(times)[times.event]).astype(int)
        ready.n_causes = int(present[-1]) if self.n_causes is None else self.n_causes
        absent = np.setdiff1d(np.arange(1, ready.n_causes + 1), present)
        if len(absent):
            warn(f"y: no event has cause {brief(absent.tolist())}, so its hazard will be about zero.")
        return ready

    def encode(self, times: Times) -> Array:
        """Return the targets: cause, time and entry."""
        targets = super().encode(times)
        targets[:, 0] = _causes(times)
        return targets

    def by_cause(self, raw: Array) -> Array:
        """Return the raw output of each cause and interval, of shape (n_rows, n_causes, n_intervals)."""
        size = self.n_causes if self.shape == "constant" else 0
        of_intervals = raw[:, size:].reshape(len(raw), self.n_causes, self.n_intervals)
        return of_intervals + raw[:, :size, None] if size else of_intervals

    def by_interval(self, raw: Array) -> Array:
        """Return the log hazard of an event of any cause in each interval, of shape (n_rows, n_intervals)."""
        return logsumexp(self.by_cause(raw), axis=1)

    def intercept(self, raw: Array) -> Array:
        """Return the log hazard of each cause and, within it, of each interval."""
        return self.by_cause(raw)[0].ravel() - self.log_unit

    def risk(self, raw: Array) -> Array:
        """Return the log hazard of each cause in the first interval, or at the last breakpoint the cumulative one."""
        risk = self.by_cause(raw) - self.log_unit
        if self.shape == "linear" and self.n_intervals > 1:
            risk = np.log(self._cumulated(self.breakpoints[-1:], np.exp(risk)))
        return risk[:, 0, 0] if self.n_causes == 1 else risk[:, :, 0]

    def cumulative_incidence(self, times: ArrayLike, raw: Array, after: Array | None = None) -> Array:
        """Return the probability of an event of each cause up to each time, of shape (n_rows, n_causes, n_times).

        With `after`, times of shape (n_rows,), it is that of rows without an event until then, and `times` start to
        count there.
        """
        after = np.zeros((len(raw), 1)) if after is None else np.asarray(after, dtype=np.float64)[:, None]
        hazard, log_hazard = self._hazard(raw), self.by_cause(raw)
        share = np.exp(log_hazard - logsumexp(log_hazard, axis=1, keepdims=True))
        starts = np.maximum(self._starts() - after, 0.0)  # from then on; intervals that are over have no length
        spent = hazard[:, :-1] * np.diff(starts, axis=1)
        survival = np.exp(-behind_zero(np.cumsum(spent, axis=1)))[:, None, :]  # at the start of each interval
        reached = behind_zero(np.cumsum(share[:, :, :-1] * survival[:, :, :-1] * -np.expm1(-spent)[:, None, :], axis=2))
        place, _ = self._placed(after + times)
        here = np.maximum(times - at_places(starts, place), 0.0)
        lost = -np.expm1(-at_places(hazard, place) * here)[:, None, :]
        return at_places(reached, place) + at_places(share * survival, place) * lost


def _causes(times):
    """Return the cause of each row, 1 for all events if causes are not distinguished."""
    return times.event.astype(np.float64) if times.cause is None else times.cause
