"""Outputs that do not depend on the row."""

from typing import Any

from sklearn_vectorflow.layers.base import Node
from sklearn_vectorflow.layers.weighted import Weighted
from sklearn_vectorflow.validation.scalars import check_integer


class Constant(Weighted):
    """A learned number for each output, the same for all rows, such as the shape of a distribution.

    It reads no node: call it without arguments. It has intercepts, but no weights. Penalties do not act on it, and it
    also learns with ``fit_intercept=False``.

    Parameters
    ----------
    n_out : int, default=1
        Number of outputs.
    name : str, default=None
        Name for messages, for ``network_[name]`` and for ``transform(X, node=name)``.

    Examples
    --------
    >>> from sklearn_vectorflow.layers import Concat, Constant, Input, Linear
    >>> print(Concat()([Linear(1)(Input()), Constant(1)()]))
      0  Input()
      1  Linear(n_out=1)  reads 0
      2  Constant()
      3  Concat()         reads 1, 2
    """

    has_bias = True
    optimizer = None
    penalty = ()
    init = "zeros"
    frozen = False

    def __init__(self, n_out: int = 1, *, name: str | None = None) -> None:
        self.n_out = n_out
        self.name = name

    def __call__(self) -> Node:  # type: ignore[override]
        """Return the node of this layer, which reads no other node."""
        return Node(self, ())

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        check_integer("Constant: n_out", self.n_out, 1)

    def n_weights(self, n_out: int) -> int:
        """Return the number of outputs."""
        return n_out

    def add_to(self, net: Any, parent: Any, record: Any, *arguments: Any) -> None:
        """Add the layer to the engine's net."""
        net.add_constant(record, *arguments)
