"""Base class of layers with weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_vectorflow.layers.base import Layer
from sklearn_vectorflow.optimizers import OPTIMIZERS, Optimizer
from sklearn_vectorflow.penalties import Penalty
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.scalars import check_number


class Weighted(Layer):
    """Base class of layers with weights, which have a record for each input.

    Attributes
    ----------
    has_bias : bool
        Whether the layer has intercepts.
    """

    has_weights = True
    reads_rows = True
    has_bias = False

    def width(self, widths: Sequence[int], sparse: bool) -> int | None:
        """Return the number of outputs."""
        return self.n_out

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        label = type(self).__name__
        if not isinstance(self.frozen, (bool, np.bool_)):
            raise TypeError(f"{label}: frozen must be True or False, got {brief(self.frozen)}.")
        self.own_optimizer()
        self.own_penalties()
        self._check_init(label)

    @property
    def is_plain(self) -> bool:
        """Whether it has no optimizer, penalty or initial weights of its own, and is trained."""
        return all(one is None for one in (self.optimizer, self.penalty, self.init)) and not self.frozen

    def own_optimizer(self) -> Optimizer | None:
        """Return the layer's optimizer, or None for the estimator's."""
        if self.optimizer is None:
            return None
        if isinstance(self.optimizer, str) and self.optimizer in OPTIMIZERS:
            return OPTIMIZERS[self.optimizer]()
        if not isinstance(self.optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: optimizer must be None, one of {sorted(OPTIMIZERS)} or an Optimizer, "
                f"got {brief(self.optimizer)}."
            )
        self.optimizer.check_parameters()
        return self.optimizer

    def own_penalties(self) -> list[Penalty] | None:
        """Return the layer's penalties as a list, or None for the estimator's."""
        if self.penalty is None:
            return None
        penalties = list(self.penalty) if isinstance(self.penalty, (list, tuple)) else [self.penalty]
        for penalty in penalties:
            if not isinstance(penalty, Penalty):
                raise TypeError(
                    f"{type(self).__name__}: penalty must be a Penalty or a list of them, got {brief(penalty)}."
                )
            penalty.check_parameters()
        return penalties

    def _check_init(self, label):
        if self.init is None or isinstance(self.init, tuple):
            return
        if isinstance(self.init, str):
            if self.init != "zeros":
                raise ValueError(
                    f"{label}: init must be 'zeros', a number, an array or a pair, got {brief(self.init)}."
                )
        elif np.ndim(self.init) == 0:
            check_number(label, "init", self.init, 0, high_open=True)

    def given(self, n_in: int, n_weights: int, owner: str) -> tuple[Any, Any]:
        """Return the weights and intercepts of `init`; None for those that it does not have.

        Raises
        ------
        ValueError
            If they have another shape or are not finite.
        """
        if self.init is None or not isinstance(self.init, tuple) and np.ndim(self.init) == 0:
            return None, None
        weights, intercept = self.init if isinstance(self.init, tuple) else (self.init, None)
        weights = np.asarray(weights, dtype=np.float32)
        if weights.shape != (n_in, n_weights):
            raise ValueError(f"{owner}: init must be of shape ({n_in}, {n_weights}), got {weights.shape}.")
        if intercept is not None:
            intercept = np.asarray(intercept, dtype=np.float32)
            if intercept.shape != (n_weights,):
                raise ValueError(f"{owner}: intercepts of init must be of shape ({n_weights},), got {intercept.shape}.")
        if not np.isfinite(weights).all() or intercept is not None and not np.isfinite(intercept).all():
            raise ValueError(f"{owner}: init contains NaN, infinity or a value too large for float32.")
        return weights, intercept
