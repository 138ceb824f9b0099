"""The linear layer; its arithmetic is engine/kernels/layers/linear.h."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_vectorflow.layers.weighted import Weighted
from sklearn_vectorflow.optimizers import Optimizer
from sklearn_vectorflow.penalties import Penalty
from sklearn_vectorflow.validation.scalars import check_integer


class Linear(Weighted):
    """x W + b.

    Parameters
    ----------
    n_out : int or None, default=None
        Number of outputs; None takes what the loss needs.
    optimizer : Optimizer or str, default=None
        Update rule of this layer; None is the estimator's.
    penalty : Penalty or list of Penalty, default=None
        Penalty on this layer's weights; None is the estimator's, [] is none.
    init : "zeros", float, array-like of shape (n_in, n_out) or pair of arrays, default=None
        What the weights start from: zeros, uniform numbers of this standard deviation, or
        the weights themselves (with the intercepts, if a pair: as
        ``fitted.network_["name"]`` gives it). None is zeros where training is convex, else
        uniform with the variance of He or Glorot.
    frozen : bool, default=False
        Whether the weights stay as they are.
    name : str, default=None
        For messages, for ``network_[name]`` and for ``transform(X, node=name)``.
    """

    has_bias = True

    def __init__(
        self,
        n_out: int | None = None,
        *,
        optimizer: str | Optimizer | None = None,
        penalty: Penalty | Sequence[Penalty] | None = None,
        init: Any = None,
        frozen: bool = False,
        name: str | None = None,
    ) -> None:
        self.n_out = n_out
        self.optimizer = optimizer
        self.penalty = penalty
        self.init = init
        self.frozen = frozen
        self.name = name

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        if self.n_out is not None:
            check_integer("Linear: n_out", self.n_out, 1)
        super().check_parameters()

    def n_weights(self, n_out: int) -> int:
        """Return the number of weights of a feature."""
        return n_out

    def deviation(self, gain: float, n_in: int, n_out: int) -> float:
        """Return the standard deviation of weights drawn before an activation of this gain.

        He et al. (2015), arXiv:1502.01852; Glorot and Bengio (2010), PMLR 9.
        """
        return float(np.sqrt(gain / n_in if gain > 1 else 2.0 / (n_in + n_out)))

    def add_to(self, net: Any, parent: Any, record: Any, *arguments: Any) -> None:
        """Add the layer to the engine's net."""
        net.add_linear(parent, record, *arguments)
