"""Layers that read several nodes, computed in engine/kernels/layers/merging.h."""

from collections.abc import Sequence
from typing import Any

from sklearn_vectorflow.layers.base import Layer


class Concat(Layer):
    """Concatenation of the outputs of nodes, in the given order.

    Sparse rows stay sparse for layers with weights.

    Parameters
    ----------
    name : str, default=None
        Name for messages and for ``transform(X, node=name)``.
    """

    several = True
    reads_rows = True

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name

    def width(self, widths: Sequence[int], sparse: bool) -> int | None:
        """Return the sum of the widths."""
        return sum(widths)

    def add_to(self, net: Any, parents: Any) -> None:
        """Add the layer to the engine's net."""
        net.add_merged("concat", parents)


class _Elementwise(Layer):
    several = True

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name

    def width(self, widths: Sequence[int], sparse: bool) -> int | None:
        """Return the common width of the nodes."""
        if len(set(widths)) > 1:
            raise ValueError(f"reads nodes of different widths, {widths}; they must be equal")
        return widths[0]


class Add(_Elementwise):
    """Sum of nodes of equal width.

    Parameters
    ----------
    name : str, default=None
        Name for messages and for ``transform(X, node=name)``.
    """

    def add_to(self, net: Any, parents: Any) -> None:
        """Add the layer to the engine's net."""
        net.add_merged("add", parents)


class Multiply(_Elementwise):
    """Elementwise product of nodes of equal width.

    Parameters
    ----------
    name : str, default=None
        Name for messages and for ``transform(X, node=name)``.
    """

    def add_to(self, net: Any, parents: Any) -> None:
        """Add the layer to the engine's net."""
        net.add_merged("multiply", parents)
