"""Layers that read several nodes; their arithmetic is engine/kernels/layers/merging.h."""

from collections.abc import Sequence
from typing import Any

from sklearn_vectorflow.layers.base import Layer


class Concat(Layer):
    """Puts the outputs of nodes side by side, in the order given.

    Sparse rows stay sparse for a layer with weights that reads them.

    Parameters
    ----------
    name : str, default=None
        For messages, and for ``transform(X, node=name)``.
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
        """Return the width all nodes have."""
        if len(set(widths)) > 1:
            raise ValueError(f"reads nodes of different widths, {widths}; they must be equal")
        return widths[0]


class Add(_Elementwise):
    """The sum of nodes of equal width.

    Parameters
    ----------
    name : str, default=None
        For messages, and for ``transform(X, node=name)``.
    """

    def add_to(self, net: Any, parents: Any) -> None:
        """Add the layer to the engine's net."""
        net.add_merged("add", parents)


class Multiply(_Elementwise):
    """The elementwise product of nodes of equal width.

    Parameters
    ----------
    name : str, default=None
        For messages, and for ``transform(X, node=name)``.
    """

    def add_to(self, net: Any, parents: Any) -> None:
        """Add the layer to the engine's net."""
        net.add_merged("multiply", parents)
