"""Optimizers: plain, picklable objects, whose update rules are in engine/kernels/optimizers/optimizers.h.

A step reads and writes only the weights that its rows have non-zeros for. All threads share the state of the optimizer.
"""

from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.scalars import check_number, check_positive

OF_NETS = 0.04  # AdaGrad's rate in nets, in typical weights
LEAST_OF_OUTPUTS = 0.25  # of raw outputs, which a weight of a net's last layer can make up
UNITS = 1e-12, 1e12  # by which the state of columns changes, so that it stays far from where single precision ends
SMALL = 1e-4  # of a typical squared gradient, and what AdaGrad's sum starts from at most


class Optimizer(BaseEstimator):
    """Base class of optimizers: an update rule of the engine, and the size of its state.

    Attributes
    ----------
    per_weight : int
        Numbers of state for each weight.
    per_feature : int
        Numbers of state for each feature, common to its weights.
    """

    per_weight = 0
    per_feature = 0
    clock_size = 1
    of_intercept: dict[str, Any] | None = None  # what of `fields` intercepts have in place of weights

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        check_positive(type(self).__name__, "learning_rate", self.learning_rate)

    def for_layer(
        self, n_out: int, is_output: bool, is_linear: bool, scales: Any, averaged: bool = False
    ) -> "Optimizer":
        """Return the optimizer with the defaults for a layer filled in.

        Parameters
        ----------
        n_out : int
            Number of outputs of the layer.
        is_output : bool
            Whether it is the last layer.
        is_linear : bool
            Whether it is the only layer.
        scales : Scales
            Typical sizes of weights and of the gradients of a step.
        averaged : bool, default=False
            Whether predictions use the mean of the weights.
        """
        return self

    @property
    def follows_units(self) -> bool:
        """Whether the learning rate depends on the units of the data."""
        return self.learning_rate is None

    def fields(self) -> dict[str, Any]:
        """Return the parameters of the engine's rule."""
        return {"learning_rate": self.learning_rate}

    def gives(self, parameters: Any, fields: Any, steps: int) -> bool:
        """Return whether the state gives the current weights, under a penalty and after some steps."""
        return True

    def start_from(self, parameters: Any, fields: Any, steps: int) -> None:
        """Set the state so that it gives the current weights."""

    def change_units(self, parameters: Any, columns: Any, times: Any) -> None:
        """Change the state so that later steps change raw outputs as before.

        Optimizers whose steps do not depend on past gradients have nothing to change.

        Parameters
        ----------
        parameters : LinearParameters
        columns : ndarray of int
            Columns in other units from now on.
        times : ndarray of shape (n_columns,)
            How many times the squares of their values are as large.
        """

    def slow_down(self, parameters: Any, of_weights: Any, of_intercepts: Any) -> None:
        """Change the state so that later steps are not longer than a Newton step of one more row after others.

        Parameters
        ----------
        parameters : LinearParameters
        of_weights : ndarray of shape (n_in, n_weights)
            Sums over the others of the second derivatives by each weight.
        of_intercepts : ndarray of shape (n_weights,)
        """

    def rate_schedule(self, l2: float) -> tuple[float, float, float]:
        """Return (rate, decay, power): step t has the learning rate ``rate / (1 + decay * t) ** power``.

        Only SGD has one learning rate for all weights.
        """
        return 0.0, 0.0, 0.0


class AdaGrad(Optimizer):
    r"""AdaGrad: a learning rate for each weight, which falls with the sum of its squared gradients.

    .. math:: w \leftarrow w - \eta g / \sqrt{\epsilon + \sum g^2}

    Parameters
    ----------
    learning_rate : float, default=None
        Learning rate :math:`\eta` > 0. None means 0.4 for linear models (1 with `average`) and 0.04 for nets, divided
        by the median Euclidean length of the rows of X and, for losses in units of y, multiplied by the standard
        deviation of y. So it adapts to the units of both. For linear models it is smaller, down to a third, if the
        features explain little of the targets.
    rowwise : bool or "auto", default="auto"
        Whether all weights of a feature share one sum, of the mean of their squared gradients. This saves almost half
        of the memory of wide layers. "auto" does so for hidden layers.
    epsilon : float, default=1e-8
        Initial value, > 0, of the sum. If `learning_rate` is None, linear models use a smaller value for very small
        rows or targets, whose squared gradients it would exceed.

    References
    ----------
    Duchi, Hazan and Singer (2011), "Adaptive subgradient methods for online learning and stochastic optimization",
    Journal of Machine Learning Research 12, 2121-2159.

    Mudigere et al. (2022), "Software-hardware co-design for fast and scalable training of deep learning recommendation
    models", doi:10.1145/3470496.3533727 (row-wise sums).
    """

    def __init__(
        self, learning_rate: float | None = None, *, rowwise: bool | Literal["auto"] = "auto", epsilon: float = 1e-8
    ) -> None:
        self.learning_rate = learning_rate
        self.rowwise = rowwise
        self.epsilon = epsilon

    @property
    def rule(self):
        return "adagrad_rowwise" if self.rowwise is True else "adagrad"

    @property
    def per_weight(self):
        return 0 if self.rowwise is True else 1

    @property
    def per_feature(self):
        return 1 if self.rowwise is True else 0

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        if self.learning_rate is not None:
            super().check_parameters()
        check_positive("AdaGrad", "epsilon", self.epsilon)
        _check_rowwise("AdaGrad", self.rowwise)

    def for_layer(self, n_out: int, is_output: bool, is_linear: bool, scales: Any, averaged: bool = False) -> Optimizer:
        """Return the optimizer with its learning rate and "auto" filled in."""
        rate, rowwise = self.learning_rate, self.rowwise
        if rate is None:
            # means take out the noise of larger steps, which come nearer in the same number of epochs
            of_linear = (1.0 if averaged else 0.4) * scales.weight
            rate = of_linear if is_linear else OF_NETS * _unit_of_net(is_output, scales)
        if rowwise == "auto":
            rowwise = not is_output and n_out > 1
        epsilon = self.epsilon
        if is_linear and self.learning_rate is None:
            epsilon = min(epsilon, SMALL * max(scales.length * scales.output, 1e-15) ** 2)
        decided = AdaGrad(rate, rowwise=rowwise, epsilon=epsilon)
        if is_linear and self.learning_rate is None:
            decided.of_intercept = {"learning_rate": rate * scales.intercept}
        return decided

    def fields(self) -> dict[str, Any]:
        """Return learning rate and epsilon."""
        return {"learning_rate": self.learning_rate, "epsilon": self.epsilon}

    def change_units(self, parameters: Any, columns: Any, times: Any) -> None:
        """Change the inverse roots of sums, which steps are multiplied by."""
        layout = parameters.layout
        start, n = (layout.row, layout.per_feature) if self.rowwise is True else (layout.slot1, layout.n_out)
        parameters.record[columns, start : start + n] /= np.clip(times, *UNITS)[:, None]


class Adam(Optimizer):
    r"""Lazy Adam: running means of the gradients and of their squares.

    A step updates only features with non-zeros in the mini-batch. Each feature has its own step count for the bias
    correction.

    .. math::
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
        w \leftarrow w - \eta \hat m / (\sqrt{\hat v} + \epsilon)

    Parameters
    ----------
    learning_rate : float, default=0.001
        Learning rate :math:`\eta` > 0.
    beta_1, beta_2 : float, default=0.9 and 0.999
        Decay of the first and second moment in each step of a feature, in [0, 1).
    epsilon : float, default=1e-8
        Number, > 0, added to the root of the second moment.
    rowwise : bool or "auto", default="auto"
        Whether all weights of a feature share one second moment, of the mean of their squared gradients. This saves a
        third of the memory, and makes penalties cheaper. "auto" does so for hidden layers.

    References
    ----------
    Kingma and Ba (2015), "Adam: a method for stochastic optimization", doi:10.48550/arXiv.1412.6980.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        rowwise: bool | Literal["auto"] = "auto",
    ) -> None:
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.rowwise = rowwise

    @property
    def rule(self):
        return "adam_rowwise" if self.rowwise is True else "adam"

    @property
    def per_weight(self):
        return 1 if self.rowwise is True else 2

    @property
    def per_feature(self):
        return 2 if self.rowwise is True else 1

    def for_layer(self, n_out: int, is_output: bool, is_linear: bool, scales: Any, averaged: bool = False) -> Optimizer:
        """Return the optimizer with "auto" filled in. A single weight shares nothing."""
        rowwise = n_out > 1 and (not is_output if self.rowwise == "auto" else self.rowwise)
        return Adam(self.learning_rate, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon, rowwise=rowwise)

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        super().check_parameters()
        _check_rowwise("Adam", self.rowwise)
        check_number("Adam", "beta_1", self.beta_1, 0, 1, high_open=True)
        check_number("Adam", "beta_2", self.beta_2, 0, 1, high_open=True)
        check_positive("Adam", "epsilon", self.epsilon)

    def fields(self) -> dict[str, Any]:
        """Return learning rate, decays and epsilon."""
        return {
            "learning_rate": self.learning_rate,
            "decay1": self.beta_1,
            "decay2": self.beta_2,
            "epsilon": self.epsilon,
        }


class FTRL(Optimizer):
    r"""FTRL-Proximal (follow the regularised leader). With L1, weights are exactly zero.

    Weights are a closed form of two sums, :math:`z` and :math:`n`, so penalties cost nothing for features without
    non-zeros:

    .. math::
        w = -\operatorname{sign}(z) \frac{\max(0, |z| - t \lambda_1)}
        {(\beta + \sqrt n) / \eta + t \lambda_2}

    n is the sum of squared gradients, t the number of steps. The strengths :math:`\lambda` are those of the penalty on
    the mean loss, so the penalty on the sum grows with t.

    Parameters
    ----------
    learning_rate : float, default=None
        Learning rate :math:`\eta` > 0. None means 1 for linear models and 0.1 for nets, scaled by the units of the data
        like the default of :class:`AdaGrad`.
    beta : float, default=None
        Number :math:`\beta` > 0, which makes the first steps smaller. None makes the penalty of the first step equal to
        that of a whole epoch: :math:`\eta` times the default strength (``alpha=None``) times the steps of an epoch.

    References
    ----------
    McMahan et al. (2013), "Ad click prediction: a view from the trenches", doi:10.1145/2487575.2488200.

    McMahan (2017), "A survey of algorithms and analysis for adaptive online learning", Journal of Machine Learning
    Research 18, 1-50.
    """

    rule = "ftrl"
    per_weight = 2
    clock_size = 0

    def __init__(self, learning_rate: float | None = None, *, beta: float | None = None) -> None:
        self.learning_rate = learning_rate
        self.beta = beta

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        if self.learning_rate is not None:
            super().check_parameters()
        if self.beta is not None:
            check_positive("FTRL", "beta", self.beta)

    def for_layer(self, n_out: int, is_output: bool, is_linear: bool, scales: Any, averaged: bool = False) -> Optimizer:
        """Return the optimizer with its learning rate and beta filled in."""
        rate, beta = self.learning_rate, self.beta
        if rate is None:
            rate = scales.weight if is_linear else 0.1 * _unit_of_net(is_output, scales)
        if beta is None:
            beta = rate * scales.prior / scales.batch_size
        decided = FTRL(rate, beta=beta)
        if is_linear and self.learning_rate is None:
            decided.of_intercept = {"learning_rate": rate * scales.intercept, "beta": beta}
            if self.beta is None:
                decided.of_intercept["beta"] /= scales.intercept
        return decided

    def gives(self, parameters: Any, fields: Any, steps: int) -> bool:
        """Return whether the closed form gives the current weights."""
        for part in self._parts(parameters, fields, steps):
            size = np.maximum(np.abs(part.sums) - part.threshold, 0.0)
            found = part.center - np.copysign(size / np.maximum(part.scale(), 1e-30), part.sums)
            most = float(np.abs(part.weights).max(initial=0.0))
            if not np.allclose(part.weights, part.bounded(found), rtol=1e-4, atol=1e-6 * most):
                return False
        return True

    def start_from(self, parameters: Any, fields: Any, steps: int) -> None:
        """Choose z so that the closed form gives the current weights."""
        for part in self._parts(parameters, fields, steps):
            if not np.any(part.weights) and not np.any(part.sums):
                continue  # and leave memory untouched that is reserved only
            distance = part.weights - part.center
            inside = np.clip(part.sums, -part.threshold, part.threshold)  # where L1 holds a weight at the centre
            outside = distance * part.scale() + np.copysign(part.threshold, distance)
            part.sums[:] = np.where(distance == 0, inside, -outside)

    def change_units(self, parameters: Any, columns: Any, times: Any) -> None:
        """Change the roots of sums, by which steps are divided."""
        start, n = parameters.layout.slot2, parameters.layout.n_out
        parameters.record[columns, start : start + n] *= np.clip(times, *UNITS)[:, None]

    def slow_down(self, parameters: Any, of_weights: Any, of_intercepts: Any) -> None:
        """Raise the roots of sums, by which steps are divided."""
        start, n = parameters.layout.slot2, parameters.layout.n_out
        numbers = self.of_intercept or self.fields()
        for record, curvature, rate in (
            (parameters.record, of_weights, self.fields()["learning_rate"]),
            (parameters.bias, of_intercepts, numbers["learning_rate"]),
        ):
            if record is not None:
                roots = record[:, start : start + n]
                np.maximum(roots, rate * curvature, out=roots, casting="same_kind")

    def _parts(self, parameters, fields, steps):
        """Yield the closed forms of the layer's weights and of its intercepts."""
        numbers, intercepts = self.fields(), self.of_intercept or self.fields()
        yield _Closed(parameters.layout, parameters.by_record(), parameters.record, numbers, fields, steps)
        if parameters.bias is not None:
            yield _Closed(parameters.layout, parameters.intercepts_by_record(), parameters.bias, intercepts, {}, steps)

    def fields(self) -> dict[str, Any]:
        """Return learning rate and beta."""
        return {"learning_rate": self.learning_rate, "beta": self.beta}


class SGD(Optimizer):
    r"""Stochastic gradient descent with one learning rate for all weights, which follows a schedule.

    .. math:: w \leftarrow w - \eta_t g

    An L2 penalty of strength :math:`\lambda_2` multiplies the weights by :math:`e^{-\lambda_2 \eta_t}` in each step.

    Parameters
    ----------
    learning_rate : float, default=0.1
        Initial learning rate :math:`\eta_0` > 0.
    schedule : {"invscaling", "constant", "optimal"}, default="invscaling"
        Learning rate after t steps:

        - "constant": :math:`\eta_t = \eta_0`;
        - "invscaling": :math:`\eta_t = \eta_0 / (1 + t)^p`;
        - "optimal": :math:`\eta_t = \eta_0 / (1 + \eta_0 \lambda_2 t)`, for objectives with an L2 penalty, where
          :math:`\lambda_2` is the mean strength over features.
    power_t : float, default=0.5
        Exponent p >= 0 of "invscaling".

    References
    ----------
    Bottou (2012), "Stochastic gradient descent tricks", doi:10.1007/978-3-642-35289-8_25.
    """

    rule = "sgd"

    def __init__(
        self,
        learning_rate: float = 0.1,
        *,
        schedule: Literal["invscaling", "constant", "optimal"] = "invscaling",
        power_t: float = 0.5,
    ) -> None:
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.power_t = power_t

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        super().check_parameters()
        check_number("SGD", "power_t", self.power_t, 0, high_open=True)
        if self.schedule not in ("invscaling", "constant", "optimal"):
            raise ValueError(
                f"SGD: schedule must be 'invscaling', 'constant' or 'optimal', got {brief(self.schedule)}."
            )

    def rate_schedule(self, l2: float) -> tuple[float, float, float]:
        """Return (rate, decay, power)."""
        decay, power = {
            "constant": (0.0, 0.0),
            "invscaling": (1.0, self.power_t),
            "optimal": (self.learning_rate * l2, 1.0),
        }[self.schedule]
        return self.learning_rate, decay, power


class _Closed:
    """FTRL's closed form of the weights of some records."""

    def __init__(self, layout, weights, record, numbers, fields, steps):
        self.weights = weights
        self.sums, self._roots = (record[:, slot : slot + layout.n_out] for slot in (layout.slot1, layout.slot2))
        self._numbers = numbers
        self._l2 = steps * _strength(fields, "l2")
        self.threshold = np.float32(steps * _strength(fields, "l1"))
        self.center = fields.get("center", np.float32(0.0))
        self._lower = np.float32(fields.get("lower", -np.inf))
        self._sign = np.asarray(fields.get("sign", 0.0))[..., None]

    def bounded(self, weights):
        """Return the weights within their bounds, as in the engine."""
        inside = np.maximum(weights, self._lower)
        return np.where(inside * self._sign < 0, 0.0, inside)

    def scale(self):
        """Return the denominator of the closed form."""
        return (self._numbers["beta"] + self._roots) / self._numbers["learning_rate"] + self._l2


def _check_rowwise(name, rowwise):
    if not isinstance(rowwise, bool) and rowwise != "auto":
        raise ValueError(f"{name}: rowwise must be True, False or 'auto', got {brief(rowwise)}.")


def _unit_of_net(is_output, scales):
    """Return the unit of the weights of a layer: the last one reads hidden units of about size one, not rows of X."""
    return scales.weight * max(1.0, LEAST_OF_OUTPUTS * scales.length) if is_output else scales.weight


def _strength(fields, name):
    """Return the strength of a penalty, or those of records as a column."""
    strength, each = fields.get(name, 0.0), fields.get(f"{name}_each")
    return strength if each is None else strength * np.asarray(each)[:, None]


def default_optimizer(is_linear: bool, averaged: bool) -> str:
    """Return the optimizer for optimizer="auto": FTRL for linear models, AdaGrad for nets and with averaging."""
    return "ftrl" if is_linear and not averaged else "adagrad"


OPTIMIZERS = {"adagrad": AdaGrad, "adam": Adam, "ftrl": FTRL, "sgd": SGD}
