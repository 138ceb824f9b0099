r"""Losses of numeric targets, compiled in engine/losses/regression.pyx.

Notation: :math:`f` is the raw output, :math:`y` the target. The losses of several outputs add up.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from sklearn_vectorflow.engine.losses.regression import KERNELS
from sklearn_vectorflow.losses.base import Loss
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.scalars import check_number
from sklearn_vectorflow.validation.types import Array


class RegressionLoss(Loss):
    """Base class of losses of numeric targets.

    Attributes
    ----------
    y_low : float
        Lower bound of the targets.
    y_low_open : bool
        Whether the bound itself is outside the domain.
    shifts_with_y : bool
        Whether the loss of ``y + c`` and ``f + c`` equals that of y and f.
    scales_with_y : bool
        Whether the loss of ``c * y`` and ``c * f`` is a power of c times that of y and f.
    balances : bool
        Whether the predictions of a linear model for its training rows should add up to the sum of y.
    deviance_power : float or None
        Power p of the Tweedie deviance if the loss is half of it, up to terms of y alone. None for other losses.
    """

    y_low = -np.inf
    y_low_open = False
    shifts_with_y = scales_with_y = balances = False
    deviance_power: float | None = None

    def check_y(self, y: Array) -> None:
        """Raise ValueError if a target is outside the domain of the loss."""
        outside = y <= self.y_low if self.y_low_open else y < self.y_low
        if np.any(outside):
            sign = ">" if self.y_low_open else ">="
            raise ValueError(
                f"y must be {sign} {self.y_low:g} for loss {type(self).__name__}, got {y[outside].min():g}. "
                "Some value(s) of y are out of the valid range of the loss."
            )

    def n_outputs(self, n_targets: int) -> int:
        """Return the number of raw outputs for a number of columns of y."""
        return n_targets

    def initial_raw(self, y: Array, sample_weight: Array | None) -> Array:
        """Return the raw outputs of the best constant prediction, of shape (n_outputs,).

        The default is the mean of each column of y, or zeros if there are more or fewer outputs than columns.
        """
        if self.n_outputs(y.shape[1]) != y.shape[1]:
            return np.zeros(self.n_outputs(y.shape[1]))
        return np.average(y, axis=0, weights=sample_weight)

    def output_scale(self, y: Array, sample_weight: Array | None) -> float:
        """Return the typical size of raw outputs.

        The default is the standard deviation of y over all columns, or 1 if there are more or fewer outputs than
        columns.
        """
        if self.n_outputs(y.shape[1]) != y.shape[1]:
            return 1.0
        return spread(y, sample_weight)


class SquaredError(RegressionLoss):
    r"""Half the squared error. It estimates the mean.

    .. math:: (y - f)^2 / 2

    Domain: real y. Link: identity. Dropped constants: none.
    """

    convex = True
    kernel = KERNELS["squared_error"]
    quadratic = True
    shifts_with_y = scales_with_y = True

    def dispersion(self, y: Array, raw: Array, sample_weight: Array, n_free: float) -> float:
        """Return the variance around the predictions, averaged over targets."""
        return _pearson(y, raw, 1.0, sample_weight, n_free)

    def log_likelihood(self, y: Array, raw: Array, sample_weight: Array, dispersion: float) -> float:
        """Return the log-likelihood of rows under normal distributions with the most likely variance."""
        total = sample_weight.sum() * y.shape[1]
        variance = np.sum(sample_weight[:, None] * (y - raw) ** 2) / total
        with np.errstate(divide="ignore"):  # of rows that are met exactly
            return -0.5 * total * (np.log(2.0 * np.pi * variance) + 1.0)


class AbsoluteError(RegressionLoss):
    r"""Absolute error. It estimates the median.

    .. math:: |y - f|

    Domain: real y. Link: identity. Dropped constants: none. The gradient at the kink is zero.
    """

    convex = True
    kernel = KERNELS["absolute_error"]
    shifts_with_y = scales_with_y = True
    smooth = False

    def initial_raw(self, y: Array, sample_weight: Array | None) -> Array:
        """Return the weighted median."""
        return weighted_quantiles(y, sample_weight, 0.5)


class HuberLoss(RegressionLoss):
    r"""Huber loss: half the squared error near zero, linear for outliers.

    .. math::
        (y - f)^2 / 2 \text{ if } |y - f| \le \delta,
        \text{ else } \delta (|y - f| - \delta / 2)

    Domain: real y. Link: identity. Dropped constants: none.

    Parameters
    ----------
    delta : float, default=1.0
        Absolute error, > 0, in units of y, at which the loss becomes linear.

    References
    ----------
    Huber (1964), "Robust estimation of a location parameter", doi:10.1214/aoms/1177703732.
    """

    convex = True
    kernel = KERNELS["huber"]
    shifts_with_y = True

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = delta

    def check_parameters(self) -> None:
        """Raise ValueError unless delta > 0."""
        check_number("HuberLoss", "delta", self.delta, 0, low_open=True, high_open=True)

    def kernel_parameters(self) -> Array:
        """Return delta."""
        return np.array([self.delta], dtype=np.float64)

    def initial_raw(self, y: Array, sample_weight: Array | None) -> Array:
        """Return the constant with a zero gradient."""
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        return np.array([_huber_location(column, weight, self.delta) for column in y.T])


class EpsilonInsensitive(RegressionLoss):
    r"""Absolute error beyond a margin, as in support vector regression. It estimates the median.

    .. math:: \max(0, |y - f| - \epsilon)

    Domain: real y. Link: identity. Dropped constants: none. The gradient at the kinks is zero.

    Parameters
    ----------
    epsilon : float, default=0.1
        Absolute error, >= 0, in units of y, up to which the loss is zero.

    References
    ----------
    Vapnik (1995), "The nature of statistical learning theory", doi:10.1007/978-1-4757-3264-1.
    """

    convex = True
    kernel = KERNELS["epsilon_insensitive"]
    shifts_with_y = True
    smooth = False

    def __init__(self, epsilon: float = 0.1) -> None:
        self.epsilon = epsilon

    def check_parameters(self) -> None:
        """Raise ValueError unless epsilon >= 0."""
        check_number(type(self).__name__, "epsilon", self.epsilon, 0, high_open=True)

    def kernel_parameters(self) -> Array:
        """Return epsilon."""
        return np.array([self.epsilon], dtype=np.float64)

    def initial_raw(self, y: Array, sample_weight: Array | None) -> Array:
        """Return the best constant: the median of y - epsilon and y + epsilon of all rows."""
        weight = None if sample_weight is None else np.tile(sample_weight, 2)
        return weighted_quantiles(np.concatenate([y - self.epsilon, y + self.epsilon]), weight, 0.5)


class SquaredEpsilonInsensitive(EpsilonInsensitive):
    r"""Squared error beyond a margin. Its minimum is near the mean.

    .. math:: \max(0, |y - f| - \epsilon)^2

    Domain: real y. Link: identity. Dropped constants: none, and there is no factor of one half.

    Parameters
    ----------
    epsilon : float, default=0.1
        Absolute error, >= 0, in units of y, up to which the loss is zero.

    References
    ----------
    Vapnik (1995), "The nature of statistical learning theory", doi:10.1007/978-1-4757-3264-1.
    """

    kernel = KERNELS["squared_epsilon_insensitive"]
    smooth = True

    def initial_raw(self, y: Array, sample_weight: Array | None) -> Array:
        """Return the constant with a zero gradient."""
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        return np.array([_margin_location(column, weight, self.epsilon) for column in y.T])


class QuantileLoss(RegressionLoss):
    r"""Pinball loss. It estimates a quantile, or several quantiles of one target.

    .. math:: \sum_k q_k \max(0, y - f_k) + (1 - q_k) \max(0, f_k - y)

    Domain: real y, in one column for several quantiles. Link: identity. Dropped constants: none. The gradient at the
    kink is zero.

    Each of several quantiles has its own raw output. Predictions sort these, so quantiles never cross. Sorting does not
    increase the loss (rearrangement).

    Parameters
    ----------
    quantile : float or array-like of shape (n_quantiles,), default=0.5
        Quantile level q in (0, 1), or several increasing levels. Predictions of several have one column per level.

    References
    ----------
    Koenker and Bassett (1978), "Regression quantiles", doi:10.2307/1913643.

    Chernozhukov, Fernández-Val and Galichon (2010), "Quantile and probability curves without crossing",
    doi:10.3982/ECTA7880.
    """

    convex = True
    kernel = KERNELS["quantile"]
    shifts_with_y = scales_with_y = True
    smooth = False

    def __init__(self, quantile: float | ArrayLike = 0.5) -> None:
        self.quantile = quantile

    @property
    def is_joint(self):
        """Whether the loss estimates several quantiles of one target."""
        return np.ndim(self.quantile) > 0

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError unless quantiles are numbers in (0, 1), and several increase."""
        if np.ndim(self.quantile) > 1 or np.size(self.quantile) == 0:
            raise ValueError(f"QuantileLoss: quantile must be a number or a 1-D array, got {brief(self.quantile)}.")
        for quantile in self.quantile if self.is_joint else (self.quantile,):  # type: ignore[union-attr]
            check_number("QuantileLoss", "quantile", quantile, 0, 1, low_open=True, high_open=True)
        if np.any(np.diff(np.atleast_1d(self.quantile)) <= 0):
            raise ValueError(f"QuantileLoss: several quantiles must be increasing, got {brief(self.quantile)}.")

    def kernel_parameters(self) -> Array:
        """Return the quantiles."""
        return np.atleast_1d(np.asarray(self.quantile, dtype=np.float64))

    def check_y(self, y: Array) -> None:
        """Raise ValueError if y has several columns for several quantiles."""
        if self.is_joint and y.shape[1] != 1:
            raise ValueError(f"y must have one column for several quantiles of QuantileLoss, got {y.shape[1]}.")

    def check_block(self, y: Array, raw: Array) -> None:
        """Raise ValueError unless raw has an output for each target, or for each quantile of one."""
        self.check_y(y)
        if raw.shape != (len(y), self.n_outputs(y.shape[1])):
            raise ValueError(f"raw must have shape {(len(y), self.n_outputs(y.shape[1]))}, got {raw.shape}.")

    def n_outputs(self, n_targets: int) -> int:
        """Return one output for each target, or for each quantile of one."""
        return np.size(self.quantile) if self.is_joint else n_targets

    def inverse_link(self, raw: Array) -> Array:
        """Return the outputs, those of several quantiles sorted within each row."""
        return np.sort(raw, axis=-1) if self.is_joint else raw

    def initial_raw(self, y: Array, sample_weight: Array | None) -> Array:
        """Return the weighted quantiles."""
        found = [weighted_quantiles(y, sample_weight, quantile) for quantile in np.atleast_1d(self.quantile)]
        return np.concatenate(found)

    def output_scale(self, y: Array, sample_weight: Array | None) -> float:
        """Return the standard deviation of y over all columns."""
        return spread(y, sample_weight)


class LogLinkLoss(RegressionLoss):
    """Base class of losses whose raw output is the logarithm of the predicted mean."""

    balances = True

    def inverse_link(self, raw: Array) -> Array:
        """Return the predicted mean."""
        return np.exp(raw)

    def initial_raw(self, y: Array, sample_weight: Array | None) -> Array:
        """Return the logarithm of the mean."""
        mean = np.average(y, axis=0, weights=sample_weight)
        return np.log(np.where(mean > 0, mean, 1e-10))

    def output_scale(self, y: Array, sample_weight: Array | None) -> float:
        """Return 1, as logarithms have no unit."""
        return 1.0


class PoissonLoss(LogLinkLoss):
    r"""Poisson loss of counts and rates.

    .. math:: e^f - y f

    Domain: y >= 0. Link: log. Dropped constants: :math:`\log y!`. For rates, pass counts as y and the `exposure` to
    `fit`. Equivalently, pass counts divided by exposure as y, and the exposure as `sample_weight`.
    """

    convex = True
    kernel = KERNELS["poisson"]
    y_low = 0.0
    deviance_power = 1.0

    def second_derivatives(self, y: Array, raw: Array) -> Array:
        """Return the means of y."""
        return np.exp(raw)

    def log_likelihood(self, y: Array, raw: Array, sample_weight: Array, dispersion: float) -> float:
        """Return the log-likelihood of rows."""
        return float(np.sum(sample_weight[:, None] * (y * raw - np.exp(raw) - gammaln(y + 1.0))))


class GammaLoss(LogLinkLoss):
    r"""Gamma loss of positive, skewed amounts.

    .. math:: f + y e^{-f}

    Domain: y > 0. Link: log. Dropped constants: :math:`-\log y - 1` of half the deviance.
    """

    convex = True
    kernel = KERNELS["gamma"]
    y_low = 0.0
    y_low_open = True
    deviance_power = 2.0

    def dispersion(self, y: Array, raw: Array, sample_weight: Array, n_free: float) -> float:
        """Return Pearson's estimate of the dispersion."""
        return _pearson(y, np.exp(raw), np.exp(2.0 * raw), sample_weight, n_free)

    def log_likelihood(self, y: Array, raw: Array, sample_weight: Array, dispersion: float) -> float:
        """Return the log-likelihood of rows, with shape 1 / dispersion."""
        shape = 1.0 / dispersion
        of_rows = shape * np.log(shape * y) - shape * raw - shape * y * np.exp(-raw) - np.log(y) - gammaln(shape)
        return float(np.sum(sample_weight[:, None] * of_rows))

    def expected_curvature(self, y: Array, raw: Array) -> Array:
        """Return ones."""
        return np.ones_like(raw)


class TweedieLoss(LogLinkLoss):
    r"""Tweedie loss; with a power between 1 (Poisson) and 2 (gamma) for amounts with many zeros.

    .. math:: \frac{e^{(2 - p) f}}{2 - p} - y \frac{e^{(1 - p) f}}{1 - p}

    For p = 1 and p = 2 the loss is that of :class:`PoissonLoss` and :class:`GammaLoss`.

    Domain: real y for p = 0, y >= 0 for 1 <= p < 2, y > 0 for p >= 2. Link: log. Dropped constants: terms of y alone.

    Parameters
    ----------
    power : float, default=1.5
        Power p, 0 or >= 1, of the mean in the variance.

    References
    ----------
    Jørgensen (1987), "Exponential dispersion models", doi:10.1111/j.2517-6161.1987.tb01685.x.
    """

    def __init__(self, power: float = 1.5) -> None:
        self.power = power

    @property
    def kernel(self):
        return KERNELS[{1: "poisson", 2: "gamma"}.get(self.power, "tweedie")]

    @property
    def convex(self):
        return 1 <= self.power <= 2

    @property
    def deviance_power(self):
        return self.power

    @property
    def y_low(self):
        return -np.inf if self.power == 0 else 0.0

    @property
    def y_low_open(self):
        return self.power >= 2

    def check_parameters(self) -> None:
        """Raise ValueError unless power is 0 or at least 1."""
        check_number("TweedieLoss", "power", self.power, high_open=True)
        if self.power != 0 and not self.power >= 1:
            raise ValueError(f"TweedieLoss: power must be 0 or at least 1, got {self.power!r}.")

    def kernel_parameters(self) -> Array:
        """Return the power."""
        return np.array([self.power], dtype=np.float64)

    def dispersion(self, y: Array, raw: Array, sample_weight: Array, n_free: float) -> float:
        """Return Pearson's estimate of the dispersion."""
        return _pearson(y, np.exp(raw), np.exp(self.power * raw), sample_weight, n_free)

    def expected_curvature(self, y: Array, raw: Array) -> Array:
        """Return the mean to the power of 2 - power."""
        return np.exp((2.0 - self.power) * raw)


def _pearson(y, mean, variance, weight, n_free):
    """Return the sum of squared Pearson residuals over the degrees of freedom."""
    return np.sum(weight[:, None] * (y - mean) ** 2 / variance) / n_free if n_free > 0 else np.nan


def _huber_location(y, weight, delta):
    """Return the root of the gradient, which is piecewise linear between y - delta and y + delta of all rows."""
    return _root(y, delta, weight, 0.0, -delta * weight.sum())


def _margin_location(y, weight, epsilon):
    """Return the root of the gradient, which is piecewise linear between y - epsilon and y + epsilon of all rows."""
    return _root(y, epsilon, -weight, weight.sum(), -(weight @ (y - y.min())))


def _root(y, distance, change, slope, value):
    """Return the root of a rising function, whose slope changes at y - distance and back at y + distance of each row.

    `slope` is its slope before the first of these places, `value` its value there.
    """
    knots = np.concatenate([y - distance, y + distance])
    order = np.argsort(knots, kind="stable")
    knots = knots[order]
    slopes = slope + np.cumsum(np.concatenate([change, -change])[order])
    rises = np.concatenate([[0.0], np.cumsum(slopes[:-1] * np.diff(knots))])
    return np.interp(-value, rises, knots)


def spread(y: Array, sample_weight: Array | None) -> float:
    """Return the weighted standard deviation of y over all columns; 1 if it is zero."""
    if np.all(y == y[0]):  # their mean may be off by a digit, and distances be those digits
        return 1.0
    distance = y - np.average(y, axis=0, weights=sample_weight)
    largest = np.abs(distance).max() or 1.0  # whose square may be out of range
    variance = np.average(np.mean((distance / largest) ** 2, axis=1), weights=sample_weight)
    return float(largest * np.sqrt(variance)) or 1.0


def weighted_quantiles(y: Array, sample_weight: Array | None, quantile: float) -> Array:
    """Return the weighted quantile of each column: the smallest value whose cumulative weight reaches the level."""
    out = np.empty(y.shape[1])
    for column in range(y.shape[1]):
        order = np.argsort(y[:, column], kind="stable")
        weight = np.ones(len(y)) if sample_weight is None else sample_weight[order]
        reached = np.cumsum(weight) / weight.sum()
        out[column] = y[order[min(np.searchsorted(reached, quantile), len(y) - 1)], column]
    return out
