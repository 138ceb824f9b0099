r"""Penalties: plain, picklable objects, whose arithmetic is in engine/kernels/optimizers/penalties.h.

A penalty is added to the **mean** loss, so its strength depends neither on the batch size nor on the number of rows. It
never acts on intercepts. L1 and L2 are lazy and exact: a weight makes up for missed steps when it is next read.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.scalars import LARGEST, check_integer, check_number
from sklearn_vectorflow.validation.types import Floats, Strength


class Penalty(BaseEstimator):
    """Base class of penalties, which are added to the mean loss or constrain the weights.

    Arrays with an entry for each feature (strengths, centres) apply to the layer that reads X. Other layers use only
    strengths that are numbers.
    """

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""

    def named(self, names: Sequence[str] | None) -> "Penalty":
        """Return the penalty for features with these names; None if they have no names."""
        return self

    def fields(self, n_features: int, n_out: int, is_input: bool, is_output: bool) -> dict[str, Any]:
        """Return the fields of the engine's penalty for one layer.

        Parameters
        ----------
        n_features, n_out : int
            Shape of the weights of the layer.
        is_input : bool
            Whether the layer reads X.
        is_output : bool
            Whether it is the last layer.
        """
        return {}


def _strengths(owner, name, value, n_features, is_input):
    """Split a strength into a number and an array of factors of it, or None."""
    if np.ndim(value) == 0:
        return float(value), None
    if not is_input:
        return 0.0, None
    value = np.asarray(value, dtype=np.float64)
    if value.shape != (n_features,):
        raise ValueError(f"{owner}: {name} must be a number or of shape ({n_features},), got shape {value.shape}.")
    return 1.0, np.ascontiguousarray(value, dtype=np.float32)


def _check_strength(owner, name, value):
    if np.ndim(value) == 0:
        check_number(owner, name, value, 0, LARGEST)
        return
    value = np.asarray(value)
    if value.ndim != 1 or value.dtype.kind not in "iuf":
        raise TypeError(f"{owner}: {name} must be a number or a 1-D array of numbers, got {brief(value)}.")
    if not np.all((value >= 0) & (value <= LARGEST)):
        raise ValueError(f"{owner}: {name} must be in [0, {LARGEST:g}] for each feature.")


class ElasticNet(Penalty):
    r"""Elastic net: the sum of an L1 and an L2 penalty.

    .. math:: \alpha \left( \rho \sum |w| + \tfrac{1 - \rho}{2} \sum w^2 \right)

    Parameters
    ----------
    alpha : float or array-like of shape (n_features,), default=1e-6
        Strength :math:`\alpha` >= 0, one for all features or one for each.
    l1_ratio : float, default=0.5
        Share :math:`\rho` of L1, in [0, 1].
    """

    def __init__(self, alpha: Strength = 1e-6, l1_ratio: float = 0.5) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        _check_strength("ElasticNet", "alpha", self.alpha)
        check_number("ElasticNet", "l1_ratio", self.l1_ratio, 0, 1)

    def fields(self, n_features: int, n_out: int, is_input: bool, is_output: bool) -> dict[str, Any]:
        """Return l1 and l2 and, for several strengths, their factors."""
        strength, each = _strengths("ElasticNet", "alpha", self.alpha, n_features, is_input)
        return {
            "l1": strength * self.l1_ratio,
            "l2": strength * (1 - self.l1_ratio),
            "l1_each": each,
            "l2_each": each,
        }


def _center(owner, value, n_features, n_out):
    """Return a centre in the shape of the engine's weights, (n_features, n_out)."""
    try:
        center = np.atleast_2d(np.asarray(value, dtype=np.float32))
    except (TypeError, ValueError):
        raise TypeError(f"{owner}: center must be an array of numbers, got {brief(value)}.") from None
    if center.shape != (n_out, n_features):
        raise ValueError(
            f"{owner}: center must be of shape ({n_out}, {n_features}) like the weights it is for "
            f"(outputs, features), got shape {center.shape}."
        )
    if not np.all(np.isfinite(center)):
        raise ValueError(f"{owner}: center contains NaN, infinity or a value too large for float32.")
    return np.ascontiguousarray(center.T)


class _Norm(Penalty):
    """Base class of penalties on the distance from a centre."""

    def __init__(self, strength: Strength = 1e-6, center: ArrayLike | None = None) -> None:
        self.strength = strength
        self.center = center

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        _check_strength(type(self).__name__, "strength", self.strength)

    def fields(self, n_features: int, n_out: int, is_input: bool, is_output: bool) -> dict[str, Any]:
        """Return the strength, its factors for features, and the centre."""
        owner = type(self).__name__
        strength, each = _strengths(owner, "strength", self.strength, n_features, is_input)
        center = None
        if self.center is not None and is_input:
            center = _center(owner, self.center, n_features, n_out)
        return {self._strength_field: strength, self._each_field: each, "center": center}


class L2(_Norm):
    r"""Ridge (L2) penalty, which pulls weights to zero or to given values.

    .. math:: \tfrac{1}{2} \sum_j \lambda_j (w_j - c_j)^2

    Parameters
    ----------
    strength : float or array-like of shape (n_features,), default=1e-6
        Strength :math:`\lambda` >= 0, one for all features or one for each.
    center : array-like of shape (n_outputs, n_features) or (n_features,), default=None
        Centre c, such as a fitted ``coef_``. None means zero.
    """

    _strength_field = "l2"
    _each_field = "l2_each"


class L1(_Norm):
    r"""Lasso (L1) penalty, which pulls weights to zero or to given values, and makes many of them exactly equal.

    .. math:: \sum_j \lambda_j |w_j - c_j|

    Parameters
    ----------
    strength : float or array-like of shape (n_features,), default=1e-6
        Strength :math:`\lambda` >= 0, one for all features or one for each.
    center : array-like of shape (n_outputs, n_features) or (n_features,), default=None
        Centre c, such as a fitted ``coef_``. None means zero.
    """

    _strength_field = "l1"
    _each_field = "l1_each"


class NonNegative(Penalty):
    """Lower bound of all weights, but not of intercepts. Each step ends with a projection.

    Parameters
    ----------
    eps : float, default=0.0
        Lower bound, >= 0.
    """

    def __init__(self, eps: float = 0.0) -> None:
        self.eps = eps

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        check_number("NonNegative", "eps", self.eps, 0, LARGEST)

    def fields(self, n_features: int, n_out: int, is_input: bool, is_output: bool) -> dict[str, Any]:
        """Return the lower bound."""
        return {"lower": float(self.eps)}


class Signs(Penalty):
    """A sign for the weights of each feature. Each step ends with a projection.

    The penalty acts on the layer that reads X, but not on its intercepts. A sign applies to the weights of the feature
    for all outputs.

    Parameters
    ----------
    signs : array-like of shape (n_features,) or dict
        1 for weights >= 0, -1 for weights <= 0, 0 for unconstrained weights. For data frames, a dict of signs by column
        name; weights of other columns are unconstrained.
    """

    def __init__(self, signs: ArrayLike | Mapping[str, int]) -> None:
        self.signs = signs

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError unless signs are -1, 0 or 1."""
        given = np.asarray(list(self.signs.values()) if isinstance(self.signs, Mapping) else self.signs)
        if given.ndim != 1 or given.dtype.kind not in "iufb" or isinstance(self.signs, (str, bytes)):
            raise TypeError(
                f"Signs: signs must be a 1-D array of -1, 0 and 1, or a dict of them, got {brief(self.signs)}."
            )
        wrong = ~np.isin(given, (-1, 0, 1))
        if np.any(wrong):
            raise ValueError(f"Signs: signs must be -1, 0 or 1, got {brief(given[wrong][0])}.")

    def named(self, names: Sequence[str] | None) -> "Signs":
        """Return the signs of all features in their order."""
        if not isinstance(self.signs, Mapping):
            return self
        if names is None:
            raise ValueError("Signs: signs by name need a data frame X with column names; pass an array instead.")
        unknown = sorted(map(str, set(self.signs) - set(names)))
        if unknown:
            raise ValueError(f"Signs: X has no columns named {brief(unknown)}.")
        return Signs(np.array([self.signs.get(name, 0) for name in names], dtype=np.float32))

    def fields(self, n_features: int, n_out: int, is_input: bool, is_output: bool) -> dict[str, Any]:
        """Return the signs, for the layer that reads X."""
        if not is_input:
            return {}
        if isinstance(self.signs, Mapping):
            raise ValueError("Signs: signs by name work only in penalty of an estimator; pass an array to a layer.")
        sign = np.ascontiguousarray(self.signs, dtype=np.float32)
        if sign.shape != (n_features,):
            raise ValueError(f"Signs: signs must be of shape ({n_features},), got shape {sign.shape}.")
        return {"sign": sign}


class Orthogonal(Penalty):
    r"""Soft orthogonality of the units of hidden layers (the columns of the weights W).

    .. math:: \tfrac{\lambda}{4} \| W^\top W - I \|_F^2

    It acts on all layers but the last. A step reads all weights of a layer, so X may have at most 16,384 features.

    Parameters
    ----------
    strength : float, default=1e-4
        Strength :math:`\lambda` >= 0.
    n_draws : int or None, default=None
        Number of random pairs of units in each step, >= 1, for an unbiased estimate of the gradient. None uses all
        pairs.
    """

    largest_input = 16_384

    def __init__(self, strength: float = 1e-4, n_draws: int | None = None) -> None:
        self.strength = strength
        self.n_draws = n_draws

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        check_number("Orthogonal", "strength", self.strength, 0, LARGEST)
        if self.n_draws is not None:
            check_integer("Orthogonal: n_draws", self.n_draws, 1)

    def fields(self, n_features: int, n_out: int, is_input: bool, is_output: bool) -> dict[str, Any]:
        """Return strength and draws for layers before the last."""
        if is_output:
            if is_input:
                raise ValueError("penalty: Orthogonal needs a hidden layer; set hidden_layer_sizes.")
            return {}
        if is_input and n_features > self.largest_input:
            raise ValueError(
                f"penalty: Orthogonal reads all weights of a layer at every step, so X may have at most "
                f"{self.largest_input} features, got {n_features}."
            )
        return {"orthogonal": float(self.strength), "n_draws": int(self.n_draws or 0)}


def combine(
    penalties: Iterable[Penalty], n_features: int, n_out: int, is_input: bool, is_output: bool
) -> dict[str, Any]:
    """Merge the fields of several penalties on one layer.

    Raises
    ------
    ValueError
        If two of them set the same field.
    """
    merged = {}
    for penalty in penalties:
        for name, value in penalty.fields(n_features, n_out, is_input, is_output).items():
            if value is None or (name in ("l1", "l2") and value == 0.0):
                continue
            if name in merged:
                raise ValueError(f"penalty: two penalties set {name!r}; combine them into one.")
            merged[name] = value
    lower, upper = bounds(merged)
    if np.any(lower > upper):
        raise ValueError("penalty: NonNegative requires positive weights where Signs forbids them.")
    return merged


def bounds(fields: Mapping[str, Any]) -> tuple[Floats, Floats]:
    """Return the lower and upper bounds of weights, of shape (1, 1) or (n_features, 1)."""
    lower, upper = np.full((1, 1), float(fields.get("lower", -np.inf))), np.full((1, 1), np.inf)
    if "sign" in fields:
        sign = np.asarray(fields["sign"])[:, None]
        lower, upper = np.where(sign > 0, np.maximum(lower, 0.0), lower), np.where(sign < 0, 0.0, upper)
    return lower, upper


def l2_strength(penalties: Iterable[Penalty], n_features: int, n_out: int) -> float:
    """Return the strength of L2 on the layer that reads X, averaged over features."""
    merged = combine(penalties, n_features, n_out, True, False)
    return merged.get("l2", 0.0) * float(np.mean(merged.get("l2_each", 1.0)))
