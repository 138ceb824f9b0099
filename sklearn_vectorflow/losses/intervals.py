r"""Losses of times that are divided into intervals, compiled in engine/losses/intervals.pyx.

Each interval has its own hazard. With `shape="constant"` it has one learned number :math:`b_j`, and features act on all
intervals alike, :math:`f_j = f + b_j`. With `shape="linear"` each interval has its own linear function :math:`f_j` of
the features.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_expit

from sklearn_vectorflow.engine.losses.intervals import KERNELS
from sklearn_vectorflow.losses.survival import SurvivalLoss, check_shape
from sklearn_vectorflow.targets.times import Times
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.scalars import check_integer, check_number
from sklearn_vectorflow.validation.types import Array, Shape

INTERVALS = 10  # unless said otherwise
CLOSE = 1 - 1e-12  # share of a cumulative hazard that counts as all of it


class IntervalLoss(SurvivalLoss):
    """Base class of losses with a parameter for each interval of time and each cause."""

    n_targets = (3,)
    n_causes = 1

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        check_shape(type(self).__name__, self.shape)
        check_breakpoints(self.breakpoints)

    @property
    def free_intercept(self):
        """Whether no baseline makes an intercept redundant."""
        return self.shape != "constant"

    @property
    def n_constant(self):
        return self.n_causes * self.n_intervals if self.shape == "constant" else 0

    @property
    def n_outputs(self):
        return self.n_causes * (self.n_intervals + (self.shape == "constant"))

    def offset_outputs(self, n_outputs: int) -> slice | None:
        """Return the output that all intervals share, or all outputs if there is none."""
        return slice(0, n_outputs - self.n_constant)

    def intercept(self, raw: Array) -> Array:
        """Return the log hazard, or logit, of each interval."""
        return self.by_interval(raw)[0]

    def by_interval(self, raw: Array) -> Array:
        """Return the raw output of each interval, of shape (n_rows, n_intervals)."""
        return raw if self.shape == "linear" else raw[:, :1] + raw[:, 1:]


def check_breakpoints(breakpoints):
    """Raise unless breakpoints are None, a number of intervals, or increasing times."""
    if breakpoints is None:
        return
    if np.ndim(breakpoints) == 0:
        check_integer("breakpoints, if not None or an array,", breakpoints, 1)
        return
    edges = np.asarray(breakpoints)
    if edges.ndim != 1 or edges.dtype.kind not in "iuf":
        raise TypeError(f"breakpoints must be None, an integer or a 1-D array of times, got {brief(breakpoints)}.")
    if not np.all(np.isfinite(edges)) or np.any(edges <= 0) or np.any(np.diff(edges) <= 0):
        raise ValueError(f"breakpoints must be finite, > 0 and increasing, got {brief(breakpoints)}.")


def quantiles_of_events(times, n_intervals):
    """Return the times that divide the events into equal parts. The last one is that of the last event."""
    events = times.time[times.event]
    if n_intervals >= len(events):
        return np.unique(events)
    return np.unique(np.quantile(events, np.arange(1, n_intervals + 1) / n_intervals, method="inverted_cdf"))


class PiecewiseExponential(IntervalLoss):
    r"""Piecewise exponential distribution: the hazard is constant between breakpoints.

    .. math:: h(t) = e^{f_j}, \quad \tau_{j-1} < t \le \tau_j, \qquad
        S(t) = \exp\Big(-\int_0^t h\Big)

    Domain: t > 0; right-censored rows and late entry. Link: log of the hazard, so a positive weight makes the event
    earlier. Dropped constants: none. The model equals a Poisson regression of events on rows that are split at the
    breakpoints, with the logarithm of the time at risk as an offset.

    Parameters
    ----------
    breakpoints : int or array-like of float, default=None
        Increasing times at which intervals end; the last interval has no end. An int is a number of intervals, which
        are cut at quantiles of the event times. None means 10 intervals.
    shape : {"constant", "linear"}, default="constant"
        Whether features act on all intervals alike (proportional hazards), or each interval has its own linear function
        of the features.
    log_unit : float, default=0.0
        Logarithm of a unit of time; hazards are :math:`e^f` per unit. Estimators derive it from the data, so that
        learning rates do not depend on the unit of time.

    References
    ----------
    Holford (1980), "The analysis of rates and of survivorship using log-linear models", doi:10.2307/2529982.
    """

    convex = True
    kernel = KERNELS["piecewise_exponential"]

    def __init__(
        self, breakpoints: int | ArrayLike | None = None, shape: Shape = "constant", log_unit: float = 0.0
    ) -> None:
        self.breakpoints = breakpoints
        self.shape = shape
        self.log_unit = log_unit

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        super().check_parameters()
        check_number("PiecewiseExponential", "log_unit", self.log_unit, high_open=True)

    @property
    def n_intervals(self):
        return len(self.breakpoints) + 1

    def prepared(self, times: Times) -> SurvivalLoss:
        """Return the loss with its breakpoints and the unit of the times."""
        edges = self.breakpoints
        if edges is None or np.ndim(edges) == 0:
            edges = quantiles_of_events(times, edges or INTERVALS)[:-1]
        taken = {"breakpoints": np.asarray(edges, dtype=np.float64), "log_unit": float(np.log(times.unit()))}
        return type(self)(**{**self.get_params(), **taken})

    def kernel_parameters(self) -> Array:
        """Return the logarithm of the unit, the numbers of causes and intervals, and the breakpoints."""
        sizes = self.n_causes, self.n_intervals
        return np.array([self.log_unit, *sizes, *self.breakpoints], dtype=np.float64)  # type: ignore[misc]

    def encode(self, times: Times) -> Array:
        """Return the targets: event, time and entry."""
        entry = np.zeros(len(times)) if times.entry is None else times.entry
        return np.column_stack([times.event, times.time, entry]).astype(np.float64)

    def intercept(self, raw: Array) -> Array:
        """Return the log hazard of each interval."""
        return self.by_interval(raw)[0] - self.log_unit

    def _hazard(self, raw):
        return np.exp(self.by_interval(raw) - self.log_unit)

    def _starts(self):
        return np.concatenate([[0.0], self.breakpoints])

    def _reached(self, hazard):
        """Return cumulative hazards at the start of each interval."""
        return behind_zero(np.cumsum(hazard[..., :-1] * np.diff(self._starts()), axis=-1))

    def _placed(self, times):
        """Return the interval of each time, and the time spent there."""
        place = np.searchsorted(self.breakpoints, times, side="left")
        return place, np.asarray(times, dtype=np.float64) - self._starts()[place]

    def _cumulated(self, times, hazard):
        place, spent = self._placed(times)
        return at_places(self._reached(hazard), place) + at_places(hazard, place) * spent

    def cumulative_hazard(self, times: ArrayLike, raw: Array) -> Array:
        """Return the cumulative hazard at each time, of shape (n_rows, n_times)."""
        return self._cumulated(times, self._hazard(raw))

    def risk(self, raw: Array) -> Array:
        """Return the log hazard of the first interval, or the log cumulative hazard at the last breakpoint."""
        if self.shape == "constant" or self.n_intervals == 1:
            return self.by_interval(raw)[:, 0] - self.log_unit
        return np.log(self.cumulative_hazard(self.breakpoints[-1:], raw)[:, 0])

    def time_at(self, hazard: Array, raw: Array) -> Array:
        """Return the time at which the cumulative hazard of each row reaches a value."""
        target, hazard = hazard, self._hazard(raw)
        reached = self._reached(hazard)
        interval = np.count_nonzero(reached[:, 1:] < target[:, None], axis=1)
        row = np.arange(len(raw))
        return self._starts()[interval] + (target - reached[row, interval]) / hazard[row, interval]

    def expectation(self, raw: Array) -> Array:
        """Return the mean time."""
        hazard = self._hazard(raw)
        survival = np.exp(-self._reached(hazard))
        lost = survival - np.hstack([survival[:, 1:], np.zeros((len(raw), 1))])
        return np.sum(lost / hazard, axis=1)


class DiscreteTime(IntervalLoss):
    r"""Discrete time: a logistic hazard for each interval, the probability of an event among rows that reach it.

    .. math:: P(T \le \tau_j \mid T > \tau_{j-1}) = 1 / (1 + e^{-f_j})

    Domain: t > 0; right-censored rows and late entry. Link: logit of the hazard, so a positive weight makes the event
    earlier. Dropped constants: none.

    A row is at risk from the interval of its entry on, in all intervals that end at or before its time and, if it has
    an event, in the interval of the event. Events after the last breakpoint count as censored there. Survival functions
    are step functions with steps at the breakpoints.

    Parameters
    ----------
    breakpoints : int or array-like of float, default=None
        Increasing times at which intervals end. An int is a number of intervals, which are cut at quantiles of the
        event times. None means 10 intervals.
    shape : {"constant", "linear"}, default="constant"
        Whether features act on all intervals alike (proportional odds), or each interval has its own linear function of
        the features.

    References
    ----------
    Cox (1972), "Regression models and life-tables", doi:10.1111/j.2517-6161.1972.tb00899.x.

    Singer and Willett (1993), "It's about time: using discrete-time survival analysis to study duration and the timing
    of events", doi:10.3102/10769986018002155.
    """

    convex = True
    kernel = KERNELS["discrete"]

    def __init__(self, breakpoints: int | ArrayLike | None = None, shape: Shape = "constant") -> None:
        self.breakpoints = breakpoints
        self.shape = shape

    @property
    def n_intervals(self):
        return len(self.breakpoints)

    def prepared(self, times: Times) -> SurvivalLoss:
        """Return the loss with its breakpoints."""
        edges = self.breakpoints
        if edges is None or np.ndim(edges) == 0:
            edges = quantiles_of_events(times, edges or INTERVALS)
        return DiscreteTime(np.asarray(edges, dtype=np.float64), self.shape)

    def check_block(self, y: Array, raw: Array) -> None:
        """Raise ValueError unless y has the columns of `encode`, and raw has all outputs."""
        super().check_block(y, raw)
        first, last = y[:, 1], y[:, 2]
        if not np.all((first >= 0) & (first <= last) & (last <= self.n_intervals)):
            raise ValueError(f"y must have intervals in 0 ... {self.n_intervals}, the first before the last.")

    def kernel_parameters(self) -> Array:
        """Return the number of intervals."""
        return np.array([self.n_intervals], dtype=np.float64)

    def encode(self, times: Times) -> Array:
        """Return the targets: event, first interval at risk, and the number of intervals up to the last one at risk."""
        holds = np.searchsorted(self.breakpoints, times.time, side="left")
        ends = np.searchsorted(self.breakpoints, times.time, side="right")
        event = times.event & (holds < self.n_intervals)
        last = np.where(event, holds + 1, ends)
        first = np.zeros(len(times))
        if times.entry is not None:
            first = np.minimum(np.searchsorted(self.breakpoints, times.entry, side="right"), last)
        return np.column_stack([event, first, last]).astype(np.float64)

    def _reached(self, raw):
        """Return the cumulative hazard, -log S, at the breakpoints."""
        return np.cumsum(-log_expit(-self.by_interval(raw)), axis=1)

    def cumulative_hazard(self, times: ArrayLike, raw: Array) -> Array:
        """Return -log S at each time, of shape (n_rows, n_times)."""
        return steps(self.breakpoints, self._reached(raw), times)

    def risk(self, raw: Array) -> Array:
        """Return the logit of the first interval, or the logarithm of -log S at the last breakpoint."""
        if self.shape == "constant":
            return self.by_interval(raw)[:, 0]
        return np.log(self._reached(raw)[:, -1])

    def time_at(self, hazard: Array, raw: Array) -> Array:
        """Return the first breakpoint at which the cumulative hazard of each row reaches a value, else inf."""
        place = np.count_nonzero(self._reached(raw) < hazard[:, None] * CLOSE, axis=1)
        return np.append(self.breakpoints, np.inf)[place]

    def expectation(self, raw: Array) -> Array:
        """Return the mean time up to the last breakpoint."""
        return step_mean(self.breakpoints, self._reached(raw))


def steps(edges, values, times):
    """Return the values, of shape (n_rows, n_edges), at the last edge not after each time; 0 before the first."""
    return at_places(behind_zero(values), np.searchsorted(edges, times, side="right"))


def behind_zero(values):
    """Return values with a leading zero in each row."""
    return np.concatenate([np.zeros((*values.shape[:-1], 1)), values], axis=-1)


def at_places(values, place):
    """Return the values of each row at places, which are common to all rows or of shape (n_rows, n_places)."""
    if place.ndim == 1:
        return values[..., place]
    return np.take_along_axis(values, place if values.ndim == 2 else place[:, None, :], axis=-1)


def step_mean(edges, reached):
    """Return the area under the survival functions up to the last edge."""
    before = np.hstack([np.ones((len(reached), 1)), np.exp(-reached[:, :-1])])
    return before @ np.diff(np.concatenate([[0.0], edges]))
