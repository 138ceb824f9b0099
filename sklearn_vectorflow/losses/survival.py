r"""Losses of times to an event: their base class, and the parametric families.

Compiled in engine/losses/survival.pyx. They are negative log-likelihoods in the unit of y, without dropped constants. A
row contributes :math:`-\log p(t)` for an event at t, :math:`-\log S(t)` if censored at t, :math:`-\log(S(a) - S(b))`
for an event in (a, b], and :math:`+\log S(e)` if it was observed from e on (left truncation).
"""

import copy

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, log_ndtr, ndtri_exp

from sklearn_vectorflow.defaults.constants import least_constant
from sklearn_vectorflow.engine.losses.survival import KERNELS
from sklearn_vectorflow.losses.base import Loss
from sklearn_vectorflow.targets.times import INTERVAL, Times
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.scalars import check_number
from sklearn_vectorflow.validation.types import Array, Shape

SAMPLE = 10_000  # rows that tell the best constant
ENOUGH = 20  # events among them without which they don't
FARTHEST = 20.0  # a raw output no constant goes beyond


class SurvivalLoss(Loss):
    """Base class of losses of times to an event.

    Attributes
    ----------
    takes_intervals : bool
        Whether rows may be interval-censored.
    takes_entry : bool
        Whether rows may enter late.
    takes_causes : bool
        Whether events are numbers of causes, from 1 on.
    separates : bool
        Whether the loss of a block is the sum of the losses of its rows.
    n_outputs : int
        Number of raw outputs.
    n_constant : int
        Number of raw outputs that are the same for all rows. They come last.
    """

    is_likelihood = True
    takes_intervals = False
    takes_entry = True
    takes_causes = False
    separates = True
    n_outputs = 1
    n_constant = 0

    def check_times(self, times: Times) -> None:
        """Raise ValueError if the loss has no likelihood for some of the rows."""
        name = type(self).__name__
        if not self.takes_intervals and np.any(times.kind == INTERVAL):
            raise ValueError(f"y: {name} does not accept interval-censored rows (lower < upper < inf).")
        if not self.takes_entry and times.entry is not None:
            raise ValueError(f"y: {name} does not accept late entry.")

    def prepared(self, times: Times) -> "SurvivalLoss":
        """Return the loss with what it derives from the times: their unit, breakpoints."""
        return self

    def for_blocks(self) -> "SurvivalLoss":
        """Return a prepared loss that encodes all blocks of rows in the same columns."""
        return self

    def widened(self, y: Array) -> Array:
        """Return targets with the columns of all blocks."""
        return y

    def finish(self, y: Array, raw: Array, sample_weight: Array | None) -> None:
        """Derive what predictions need in addition to raw outputs, from those of the training rows."""

    def check_block(self, y: Array, raw: Array) -> None:
        """Raise ValueError unless y has the columns of `encode`, and raw has all outputs."""
        if y.ndim != 2 or y.shape[1] not in self.n_targets:
            raise ValueError(f"y must have {' or '.join(map(str, self.n_targets))} columns, got shape {y.shape}.")
        if raw.shape != (len(y), self.n_outputs):
            raise ValueError(f"raw must have shape ({len(y)}, {self.n_outputs}), as y says, got {raw.shape}.")

    def initial_raw(self, y: Array, sample_weight: Array | None) -> Array:
        """Return the raw outputs of the best constant model, estimated on about 10,000 rows."""
        some = slice(None, None, max(1, len(y) // SAMPLE))
        y = np.ascontiguousarray(y[some])
        weight = np.ones(len(y)) if sample_weight is None else np.ascontiguousarray(sample_weight[some])
        if np.count_nonzero(weight[y[:, 0] > 0]) < min(ENOUGH, len(y) / 10):
            return np.zeros(self.n_outputs)

        def mean_loss(constant):
            total, gradient = self(y, np.tile(constant, (len(y), 1)), weight)
            return total / weight.sum(), gradient.sum(axis=0) / weight.sum()

        return least_constant(mean_loss, np.zeros(self.n_outputs), FARTHEST)

    def intercept(self, raw: Array) -> Array:
        """Return the intercepts in the unit of y, given the raw outputs of a row without features."""
        return raw[0]

    def survival(self, times: ArrayLike, raw: Array) -> Array:
        """Return the probability of no event up to each time, of shape (n_rows, n_times)."""
        return np.exp(-self.cumulative_hazard(times, raw))

    def quantile(self, q: float, raw: Array, after: Array | None = None) -> Array:
        """Return the q-quantile of the event time of each row.

        With `after`, times of shape (n_rows,), it is that of the remaining time of rows without an event until then.
        """
        target = np.full(len(raw), -np.log1p(-q))
        if after is None:
            return self.time_at(target, raw)
        target += self.cumulative_hazard(after[:, None], raw)[:, 0]
        return np.maximum(self.time_at(target, raw) - after, 0.0)


def check_shape(owner, shape):
    """Raise ValueError unless ``shape`` is 'constant' or 'linear'."""
    if shape not in ("constant", "linear"):
        raise ValueError(f"{owner}: shape must be 'constant' or 'linear', got {brief(shape)}.")


def log_times(times):
    """Return logarithms of times, -inf for zero, with at least two dimensions."""
    with np.errstate(divide="ignore"):
        return np.atleast_2d(np.log(np.asarray(times, dtype=np.float64)))


class ParametricLoss(SurvivalLoss):
    """Base class of parametric families. Raw outputs refer to time in units of `exp(log_unit)`."""

    takes_intervals = True
    n_targets = (2, 4)
    wide = False  # whether targets have four columns whatever the rows, as those of blocks must be alike

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        check_number(type(self).__name__, "log_unit", self.log_unit, high_open=True)

    def kernel_parameters(self) -> Array:
        """Return the logarithm of the unit."""
        return np.array([self.log_unit], dtype=np.float64)

    def prepared(self, times: Times) -> SurvivalLoss:
        """Return the loss with the unit of the times."""
        return type(self)(**{**self.get_params(), "log_unit": float(np.log(times.unit()))})

    def for_blocks(self) -> SurvivalLoss:
        """Return a prepared loss that encodes all blocks of rows in four columns."""
        loss = copy.copy(self)
        loss.wide = True
        return loss

    def widened(self, y: Array) -> Array:
        """Return targets in four columns."""
        return y if y.shape[1] == 4 else np.column_stack([y, y[:, 1], np.full(len(y), -np.inf)])

    def encode(self, times: Times) -> Array:
        """Return the targets: kind and log time; with intervals, late entry or `wide` also log upper and log entry."""
        columns = [times.kind.astype(np.float64), log_times(times.time)[0]]
        if self.wide or times.entry is not None or np.any(times.kind == INTERVAL):
            upper = times.time if times.upper is None else times.upper
            entry = np.zeros(len(times)) if times.entry is None else times.entry
            columns += [log_times(upper)[0], log_times(entry)[0]]
        return np.column_stack(columns)


class ExponentialSurvival(ParametricLoss):
    r"""Exponential distribution: the hazard is constant over time.

    .. math:: S(t) = e^{-\lambda t}, \quad \log \lambda = f

    Domain: t > 0; right-, left- and interval-censored rows and late entry. Link: log of the hazard, so a positive
    weight makes the event earlier. Dropped constants: none.

    Parameters
    ----------
    log_unit : float, default=0.0
        Logarithm of a unit of time; the hazard is :math:`e^f` per unit. Estimators derive it from the data, so that
        learning rates do not depend on the unit of time.
    """

    convex = True
    kernel = KERNELS["exponential"]

    def __init__(self, log_unit: float = 0.0) -> None:
        self.log_unit = log_unit

    def _log_hazard(self, raw):
        return raw[:, 0] - self.log_unit

    def intercept(self, raw: Array) -> Array:
        """Return the log hazard."""
        return self._log_hazard(raw)

    def risk(self, raw: Array) -> Array:
        """Return the logarithm of the hazard."""
        return self._log_hazard(raw)

    def cumulative_hazard(self, times: ArrayLike, raw: Array) -> Array:
        """Return the cumulative hazard at each time, of shape (n_rows, n_times)."""
        return np.exp(self._log_hazard(raw))[:, None] * np.asarray(times, dtype=np.float64)

    def time_at(self, hazard: Array, raw: Array) -> Array:
        """Return the time at which the cumulative hazard of each row reaches a value."""
        return hazard * np.exp(-self._log_hazard(raw))

    def expectation(self, raw: Array) -> Array:
        """Return the mean time."""
        return np.exp(-self._log_hazard(raw))


class AcceleratedFailureTime(ParametricLoss):
    r"""Base class of accelerated failure time models, :math:`\log T = \mu + \epsilon / \rho`.

    The first raw output is :math:`\mu` minus `log_unit`, the second the logarithm of the shape.
    """

    n_outputs = 2

    def __init__(self, shape: Shape = "constant", log_unit: float = 0.0) -> None:
        self.shape = shape
        self.log_unit = log_unit

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        super().check_parameters()
        check_shape(type(self).__name__, self.shape)

    def offset_outputs(self, n_outputs: int) -> slice | None:
        """Return the output of the location, a log time."""
        return slice(0, 1)

    @property
    def n_constant(self):
        return 1 if self.shape == "constant" else 0

    def _location(self, raw):
        return raw[:, 0] + self.log_unit

    def log_shape(self, raw: Array) -> Array:
        """Return the logarithm of the shape of the distribution."""
        return raw[:, 1]

    def intercept(self, raw: Array) -> Array:
        """Return mu and, if the shape is linear, the logarithm of the shape."""
        return np.append(self._location(raw), self.log_shape(raw)[self.n_constant :])

    def _precision(self, raw):
        """Return the factor that standardises log T - mu."""
        return np.exp(self.log_shape(raw))

    def _standardised(self, times, raw):
        return self._precision(raw)[:, None] * (log_times(times) - self._location(raw)[:, None])

    def risk(self, raw: Array) -> Array:
        """Return minus the logarithm of the median time."""
        return -self._log_time_at(np.log(2.0), raw)

    def _log_time_at(self, hazard, raw):
        return self._location(raw) + self.standard_time_at(hazard) / self._precision(raw)

    def time_at(self, hazard: Array, raw: Array) -> Array:
        """Return the time at which the cumulative hazard of each row reaches a value."""
        return np.exp(self._log_time_at(hazard, raw))


class WeibullAFT(AcceleratedFailureTime):
    r"""Weibull distribution, as an accelerated failure time model.

    .. math:: S(t) = \exp(-(t e^{-\mu})^\rho), \quad \mu = f_1, \; \log \rho = f_2

    Domain: t > 0; right-, left- and interval-censored rows and late entry. Link: log of time, so a positive weight
    makes the event later. Hazards are proportional as well; their coefficients are :math:`-\rho` times the weights.
    Dropped constants: none.

    Parameters
    ----------
    shape : {"constant", "linear"}, default="constant"
        Whether :math:`f_2` is one learned number or, like :math:`f_1`, depends linearly on the features.
    log_unit : float, default=0.0
        Logarithm of a unit of time, which is added to :math:`f_1` in :math:`\mu`. Estimators derive it from the data,
        so that learning rates do not depend on the unit of time.
    """

    kernel = KERNELS["weibull"]

    def standard_time_at(self, hazard: Array) -> Array:
        """Return the standardised log time at which the cumulative hazard reaches a value."""
        return np.log(hazard)

    def cumulative_hazard(self, times: ArrayLike, raw: Array) -> Array:
        """Return the cumulative hazard at each time, of shape (n_rows, n_times)."""
        return np.exp(self._standardised(times, raw))

    def expectation(self, raw: Array) -> Array:
        """Return the mean time."""
        return np.exp(self._location(raw) + gammaln(1.0 + 1.0 / self._precision(raw)))


class LogNormalAFT(AcceleratedFailureTime):
    r"""Log-normal distribution, as an accelerated failure time model.

    .. math:: S(t) = \Phi((\mu - \log t) / \sigma), \quad \mu = f_1, \; \log \sigma = f_2

    Domain: t > 0; right-, left- and interval-censored rows and late entry. Link: log of time, so a positive weight
    makes the event later. Dropped constants: none.

    Parameters
    ----------
    shape : {"constant", "linear"}, default="constant"
        Whether :math:`f_2` is one learned number or, like :math:`f_1`, depends linearly on the features.
    log_unit : float, default=0.0
        Logarithm of a unit of time, which is added to :math:`f_1` in :math:`\mu`. Estimators derive it from the data,
        so that learning rates do not depend on the unit of time.
    """

    kernel = KERNELS["lognormal"]

    def _precision(self, raw):
        return np.exp(-self.log_shape(raw))

    def standard_time_at(self, hazard: Array) -> Array:
        """Return the standardised log time at which the cumulative hazard reaches a value."""
        return -ndtri_exp(-hazard)

    def cumulative_hazard(self, times: ArrayLike, raw: Array) -> Array:
        """Return the cumulative hazard at each time, of shape (n_rows, n_times)."""
        return -log_ndtr(-self._standardised(times, raw))

    def expectation(self, raw: Array) -> Array:
        """Return the mean time."""
        return np.exp(self._location(raw) + 0.5 / self._precision(raw) ** 2)


class LogLogisticAFT(AcceleratedFailureTime):
    r"""Log-logistic distribution, as an accelerated failure time model.

    .. math:: S(t) = 1 / (1 + (t e^{-\mu})^\beta), \quad \mu = f_1, \; \log \beta = f_2

    Domain: t > 0; right-, left- and interval-censored rows and late entry. Link: log of time, so a positive weight
    makes the event later. Odds of survival are proportional as well. Dropped constants: none.

    Parameters
    ----------
    shape : {"constant", "linear"}, default="constant"
        Whether :math:`f_2` is one learned number or, like :math:`f_1`, depends linearly on the features.
    log_unit : float, default=0.0
        Logarithm of a unit of time, which is added to :math:`f_1` in :math:`\mu`. Estimators derive it from the data,
        so that learning rates do not depend on the unit of time.
    """

    kernel = KERNELS["loglogistic"]

    def standard_time_at(self, hazard: Array) -> Array:
        """Return the standardised log time at which the cumulative hazard reaches a value."""
        return hazard + np.log(-np.expm1(-hazard))

    def cumulative_hazard(self, times: ArrayLike, raw: Array) -> Array:
        """Return the cumulative hazard at each time, of shape (n_rows, n_times)."""
        return np.logaddexp(0.0, self._standardised(times, raw))

    def expectation(self, raw: Array) -> Array:
        """Return the mean time, which is infinite for shapes of at most 1."""
        shape = self._precision(raw)
        angle = np.pi / np.maximum(shape, 1.0)
        with np.errstate(divide="ignore"):
            mean = np.exp(self._location(raw)) * angle / np.sin(angle)
        return np.where(shape > 1.0, mean, np.inf)
