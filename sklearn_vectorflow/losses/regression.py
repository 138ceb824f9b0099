r"""Losses of numbers, compiled in engine/losses/regression.pyx.

Notation: :math:`f` is the raw output, :math:`y` the target. Losses of several
outputs add up.
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
    """A loss for numbers.

    Attributes
    ----------
    y_low : float
        Lower bound of the targets.
    y_low_open : bool
        Whether the bound itself is excluded.
    shifts_with_y, scales_with_y : bool
        Whether the loss of ``y + c`` and ``f + c`` is that of y and f, and that of ``c y`` and ``c f`` c times that or
        a power of c.
    balances : bool
        Whether the predictions of a linear model for its training rows should total those of y.
    deviance_power : float or None
        Power p of the Tweedie deviance that the loss is half of, but for terms of y; None if it is of none.
    """

    y_low = -np.inf
    y_low_open = False
    shifts_with_y = scales_with_y = balances = False
    deviance_power: float | None = None

    def check_y(self, y: Array) -> None:
        """Raise ValueError if a target is outside the loss's domain."""
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
        """Return the raw outputs of the best constant prediction, as many as `n_outputs`.

        Unless a subclass says more, that is the mean of every column of y, or zeros if
        outputs and columns of y are not the same.
        """
        if self.n_outputs(y.shape[1]) != y.shape[1]:
            return np.zeros(self.n_outputs(y.shape[1]))
        return np.average(y, axis=0, weights=sample_weight)

    def output_scale(self, y: Array, sample_weight: Array | None) -> float:
        """Return the typical size of raw outputs.

        Unless a subclass says more, that is the standard deviation of y, all columns
        together, or one if outputs and columns of y are not the same.
        """
        if self.n_outputs(y.shape[1]) != y.shape[1]:
            return 1.0
        return spread(y, sample_weight)


class SquaredError(RegressionLoss):
    r"""Half the squared error; predicts the mean.

    .. math:: (y - f)^2 / 2

    Domain: all real y, one or more outputs. Link: identity. No constants are dropped.
    """

    kernel = KERNELS["squared_error"]
    quadratic = convex = True
    shifts_with_y = scales_with_y = True

    def dispersion(self, y: Array, raw: Array, sample_weight: Array, n_free: float) -> float:
        """Return the variance around the prediction; of several targets, its mean."""
        return _pearson(y, raw, 1.0, sample_weight, n_free)

    def log_likelihood(self, y: Array, raw: Array, sample_weight: Array, dispersion: float) -> float:
        """Return the log-likelihood of rows under normal distributions, whose variance is the likeliest."""
        total = sample_weight.sum() * y.shape[1]
        variance = np.sum(sample_weight[:, None] * (y - raw) ** 2) / total
        with np.errstate(divide="ignore"):  # of rows that are met exactly
            return -0.5 * total * (np.log(2.0 * np.pi * variance) + 1.0)


class AbsoluteError(RegressionLoss):
    r"""Absolute error; predicts the median.

    .. math:: |y - f|

    Domain: all real y. Link: identity. No constants are dropped. At the kink the
    gradient is zero.
    """

    kernel = KERNELS["absolute_error"]
    shifts_with_y = scales_with_y = True
    smooth = False

    def initial_raw(self, y: Array, sample_weight: Array | None) -> Array:
        """Return the weighted median."""
        return weighted_quantiles(y, sample_weight, 0.5)


class HuberLoss(RegressionLoss):
    r"""Huber loss: squared near zero, absolute for outliers.

    .. math::
        (y - f)^2 / 2 \text{ if } |y - f| \le \delta,
        \text{ else } \delta (|y - f| - \delta / 2)

    Domain: all real y. Link: identity. No constants are dropped (Huber, 1964,
    doi:10.1214/aoms/1177703732).

    Parameters
    ----------
    delta : float, default=1.0
        Error, in units of y, at which the loss turns linear. Must be > 0.
    """

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
        """Return the constant at which the gradient is zero."""
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        return np.array([_huber_location(column, weight, self.delta) for column in y.T])


class EpsilonInsensitive(RegressionLoss):
    r"""Absolute error beyond a margin, as support vector regression has it; predicts the median.

    .. math:: \max(0, |y - f| - \epsilon)

    Domain: all real y, one or more outputs. Link: identity. No constants are dropped. At the kinks the gradient is
    zero. (Vapnik, 1995, doi:10.1007/978-1-4757-3264-1)

    Parameters
    ----------
    epsilon : float, default=0.1
        Error, in units of y, up to which a row costs nothing. Must be >= 0.
    """

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
        """Return the best constant: the median of the ends of all rows' margins."""
        weight = None if sample_weight is None else np.tile(sample_weight, 2)
        return weighted_quantiles(np.concatenate([y - self.epsilon, y + self.epsilon]), weight, 0.5)


class SquaredEpsilonInsensitive(EpsilonInsensitive):
    r"""Squared error beyond a margin; predicts about the mean.

    .. math:: \max(0, |y - f| - \epsilon)^2

    Domain: all real y, one or more outputs. Link: identity. No constants are dropped, and there is no factor of one
    half. (Vapnik, 1995, doi:10.1007/978-1-4757-3264-1)

    Parameters
    ----------
    epsilon : float, default=0.1
        Error, in units of y, up to which a row costs nothing. Must be >= 0.
    """

    kernel = KERNELS["squared_epsilon_insensitive"]
    smooth = True

    def initial_raw(self, y: Array, sample_weight: Array | None) -> Array:
        """Return the constant at which the gradient is zero."""
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        return np.array([_margin_location(column, weight, self.epsilon) for column in y.T])


class QuantileLoss(RegressionLoss):
    r"""Pinball loss; predicts a quantile, or several of one target.

    .. math:: \sum_k q_k \max(0, y - f_k) + (1 - q_k) \max(0, f_k - y)

    Domain: all real y; one column for several quantiles. Link: identity. No constants are dropped. At the
    kink the gradient is zero. (Koenker and Bassett, 1978, doi:10.2307/1913643)

    Each of several quantiles has a raw output of its own. Predictions are these in order, so they never cross: that
    brings them no further from the quantiles that they estimate, and does not raise the loss (rearrangement;
    Chernozhukov, Fernández-Val and Galichon, 2010, doi:10.3982/ECTA7880).

    Parameters
    ----------
    quantile : float or array-like of shape (n_quantiles,), default=0.5
        The quantile q, in (0, 1); or several, increasing. Predictions of several have a column for each.
    """

    kernel = KERNELS["quantile"]
    shifts_with_y = scales_with_y = True
    smooth = False

    def __init__(self, quantile: float | ArrayLike = 0.5) -> None:
        self.quantile = quantile

    @property
    def is_joint(self):
        """Whether it is of several quantiles of one target."""
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
        """Raise ValueError if y has several columns beside several quantiles."""
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
        """Return the outputs; of several quantiles, those of each row in order."""
        return np.sort(raw, axis=-1) if self.is_joint else raw

    def initial_raw(self, y: Array, sample_weight: Array | None) -> Array:
        """Return the weighted quantiles."""
        found = [weighted_quantiles(y, sample_weight, quantile) for quantile in np.atleast_1d(self.quantile)]
        return np.concatenate(found)

    def output_scale(self, y: Array, sample_weight: Array | None) -> float:
        """Return the standard deviation of y, all columns together."""
        return spread(y, sample_weight)


class LogLinkLoss(RegressionLoss):
    """A loss whose raw output is the logarithm of the predicted mean."""

    balances = True

    def inverse_link(self, raw: Array) -> Array:
        """Return the predicted mean."""
        return np.exp(raw)

    def initial_raw(self, y: Array, sample_weight: Array | None) -> Array:
        """Return the logarithm of the mean."""
        mean = np.average(y, axis=0, weights=sample_weight)
        return np.log(np.where(mean > 0, mean, 1e-10))

    def output_scale(self, y: Array, sample_weight: Array | None) -> float:
        """Return one: logarithms have no unit."""
        return 1.0


class PoissonLoss(LogLinkLoss):
    r"""Poisson loss for counts and rates.

    .. math:: e^f - y f

    Domain: y >= 0. Link: log. The constant :math:`\log y!` is dropped. For rates, pass
    counts divided by exposure as y and the exposure as sample weight.
    """

    kernel = KERNELS["poisson"]
    convex = True
    y_low = 0.0
    deviance_power = 1.0

    def log_likelihood(self, y: Array, raw: Array, sample_weight: Array, dispersion: float) -> float:
        """Return the log-likelihood of rows."""
        return float(np.sum(sample_weight[:, None] * (y * raw - np.exp(raw) - gammaln(y + 1.0))))


class GammaLoss(LogLinkLoss):
    r"""Gamma loss for positive, skewed amounts.

    .. math:: f + y e^{-f}

    Domain: y > 0. Link: log. Terms of y alone are dropped (half the deviance is
    :math:`f + y e^{-f} - \log y - 1`).
    """

    kernel = KERNELS["gamma"]
    convex = True
    y_low = 0.0
    y_low_open = True
    deviance_power = 2.0

    def dispersion(self, y: Array, raw: Array, sample_weight: Array, n_free: float) -> float:
        """Return Pearson's estimate."""
        return _pearson(y, np.exp(raw), np.exp(2.0 * raw), sample_weight, n_free)

    def log_likelihood(self, y: Array, raw: Array, sample_weight: Array, dispersion: float) -> float:
        """Return the log-likelihood of rows, for the shape that the dispersion gives."""
        shape = 1.0 / dispersion
        of_rows = shape * np.log(shape * y) - shape * raw - shape * y * np.exp(-raw) - np.log(y) - gammaln(shape)
        return float(np.sum(sample_weight[:, None] * of_rows))

    def expected_curvature(self, y: Array, raw: Array) -> Array:
        """Return ones."""
        return np.ones_like(raw)


class TweedieLoss(LogLinkLoss):
    r"""Tweedie loss, between Poisson (p = 1) and gamma (p = 2) for amounts with many zeros.

    .. math:: \frac{e^{(2 - p) f}}{2 - p} - y \frac{e^{(1 - p) f}}{1 - p}

    Domain: all real y for p = 0, y >= 0 for 1 <= p < 2, y > 0 for p >= 2. Link: log. Terms of
    y alone are dropped. (Jørgensen, 1987, doi:10.1111/j.2517-6161.1987.tb01685.x)

    Parameters
    ----------
    power : float, default=1.5
        The power p: 0, or at least 1.
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
        """Return Pearson's estimate."""
        return _pearson(y, np.exp(raw), np.exp(self.power * raw), sample_weight, n_free)

    def expected_curvature(self, y: Array, raw: Array) -> Array:
        """Return the mean to the power of 2 - power."""
        return np.exp((2.0 - self.power) * raw)


def _pearson(y, mean, variance, weight, n_free):
    """Return the sum of squared residuals in units of the variance function, over the degrees of freedom."""
    return np.sum(weight[:, None] * (y - mean) ** 2 / variance) / n_free if n_free > 0 else np.nan


def _huber_location(y, weight, delta):
    """The root of the gradient, which is linear between y - delta and y + delta of all rows."""
    return _root(y, delta, weight, 0.0, -delta * weight.sum())


def _margin_location(y, weight, epsilon):
    """The root of the gradient, which is linear between the ends of all rows' margins."""
    return _root(y, epsilon, -weight, weight.sum(), -(weight @ (y - y.min())))


def _root(y, distance, change, slope, value):
    """The root of a rising function, whose slope changes at the distance before each y, and back behind it.

    It has a slope before the first of these places, and a value there.
    """
    knots = np.concatenate([y - distance, y + distance])
    order = np.argsort(knots, kind="stable")
    knots = knots[order]
    slopes = slope + np.cumsum(np.concatenate([change, -change])[order])
    rises = np.concatenate([[0.0], np.cumsum(slopes[:-1] * np.diff(knots))])
    return np.interp(-value, rises, knots)


def spread(y: Array, sample_weight: Array | None) -> float:
    """Return the weighted standard deviation of y, all columns together; one if it is zero."""
    if np.all(y == y[0]):  # their mean may be off by a digit, and distances be those digits
        return 1.0
    distance = y - np.average(y, axis=0, weights=sample_weight)
    largest = np.abs(distance).max() or 1.0  # whose square may be out of range
    variance = np.average(np.mean((distance / largest) ** 2, axis=1), weights=sample_weight)
    return float(largest * np.sqrt(variance)) or 1.0


def weighted_quantiles(y: Array, sample_weight: Array | None, quantile: float) -> Array:
    """Weighted quantile of every column: the smallest value that reaches the share."""
    out = np.empty(y.shape[1])
    for column in range(y.shape[1]):
        order = np.argsort(y[:, column], kind="stable")
        weight = np.ones(len(y)) if sample_weight is None else sample_weight[order]
        reached = np.cumsum(weight) / weight.sum()
        out[column] = y[order[min(np.searchsorted(reached, quantile), len(y) - 1)], column]
    return out
