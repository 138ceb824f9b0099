"""Factorization machines, computed in engine/kernels/layers/pairs.h."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_vectorflow.layers.weighted import Weighted
from sklearn_vectorflow.optimizers import Optimizer
from sklearn_vectorflow.penalties import Penalty
from sklearn_vectorflow.validation.scalars import check_integer


class Factors(Weighted):
    """Base class of layers that embed what they read, for the products of pairs.

    Attributes
    ----------
    rank : int
        Length of the embeddings.
    """

    rank: int
    n_out: int | None

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        label = type(self).__name__
        check_integer(f"{label}: rank", self.rank, 1)
        if self.n_out is not None:
            check_integer(f"{label}: n_out", self.n_out, 1)
        super().check_parameters()

    def n_weights(self, n_out: int) -> int:
        """Return the number of weights for each feature, and for each field if there are fields."""
        return n_out * self.rank

    def deviation(self, gain: float, n_in: int, n_out: int) -> float:
        """Return the standard deviation of initial embeddings."""
        return 0.1 / float(np.sqrt(self.rank))


class FactorizationMachine(Factors):
    r"""Interactions of all pairs of inputs, the inner products of their embeddings.

    .. math:: \sum_{i < j} \langle v_i, v_j \rangle x_i x_j

    The cost is proportional to the non-zeros times the rank. The layer has neither a linear part nor intercepts: add it
    to a :class:`Linear` layer, as :func:`factorization_machine` does.

    Parameters
    ----------
    rank : int, default=8
        Length of the embeddings.
    n_out : int or None, default=None
        Number of outputs, each with its own embeddings. None means the number that the loss needs, for output nodes.
    optimizer, penalty, init, frozen, name
        As for :class:`Linear`. Embeddings have shape (n_in, n_out * rank) and the initial standard deviation
        0.1 / sqrt(rank).

    See Also
    --------
    FieldAwareFactorizationMachine : Embeddings for each field of the other input.

    References
    ----------
    Rendle (2010), "Factorization machines", doi:10.1109/ICDM.2010.127.
    """

    def __init__(
        self,
        rank: int = 8,
        n_out: int | None = None,
        *,
        optimizer: str | Optimizer | None = None,
        penalty: Penalty | Sequence[Penalty] | None = None,
        init: Any = None,
        frozen: bool = False,
        name: str | None = None,
    ) -> None:
        self.rank = rank
        self.n_out = n_out
        self.optimizer = optimizer
        self.penalty = penalty
        self.init = init
        self.frozen = frozen
        self.name = name

    def add_to(self, net: Any, parent: Any, record: Any, *arguments: Any) -> None:
        """Add the layer to the engine's net."""
        net.add_pairs(parent, self.rank, record, *arguments)
