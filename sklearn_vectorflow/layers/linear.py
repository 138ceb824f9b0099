"""The linear layer, whose arithmetic is in engine/kernels/layers/linear.h."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_vectorflow.layers.weighted import Weighted
from sklearn_vectorflow.optimizers import Optimizer
from sklearn_vectorflow.penalties import Penalty
from sklearn_vectorflow.validation.scalars import check_integer


class Linear(Weighted):
    """Linear (fully connected) layer: x W + b.

    Parameters
    ----------
    n_out : int or None, default=None
        Number of outputs. None means the number that the loss needs, for output nodes.
    optimizer : Optimizer or str, default=None
        Optimizer of this layer. None means that of the estimator.
    penalty : Penalty or list of Penalty, default=None
        Penalty on the weights of this layer. None means that of the estimator, [] means none.
    init : "zeros", float, array-like of shape (n_in, n_out) or pair of arrays, default=None
        Initial weights: zeros, uniform random numbers with this standard deviation, or an array of weights. A pair has
        the weights and the intercepts, as in ``fitted.network_["name"]``. None means zeros if training is convex, and
        otherwise uniform random numbers with the variance of He or Glorot.
    frozen : bool, default=False
        Whether training leaves the weights unchanged.
    name : str, default=None
        Name for messages, for ``network_[name]`` and for ``transform(X, node=name)``.
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
        """Return the number of weights for each feature."""
        return n_out

    def deviation(self, gain: float, n_in: int, n_out: int) -> float:
        """Return the standard deviation of initial weights before an activation with this gain.

        He et al. (2015), doi:10.1109/ICCV.2015.123; Glorot and Bengio (2010), PMLR 9, 249-256.
        """
        return float(np.sqrt(gain / n_in if gain > 1 else 2.0 / (n_in + n_out)))

    def add_to(self, net: Any, parent: Any, record: Any, *arguments: Any) -> None:
        """Add the layer to the engine's net."""
        net.add_linear(parent, record, *arguments)
