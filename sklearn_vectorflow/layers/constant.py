"""Outputs that don't depend on the row."""

from typing import Any

from sklearn_vectorflow.layers.base import Node
from sklearn_vectorflow.layers.weighted import Weighted
from sklearn_vectorflow.validation.scalars import check_integer


class Constant(Weighted):
    """One learned number an output, the same for every row, such as a distribution's shape.

    It is called on nothing, and has intercepts and no weights, so a million columns cost it
    nothing. Penalties leave it alone, and it learns without `fit_intercept` too.

    Parameters
    ----------
    n_out : int, default=1
        Number of outputs.
    name : str, default=None
        For messages, for ``network_[name]`` and for ``transform(X, node=name)``.

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
        """Return the node of this layer; it reads no other."""
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
