"""Base classes of layers, and of the nodes that result from calling them."""

import uuid
from collections.abc import Iterable, Sequence
from inspect import signature

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_vectorflow.layers.diagram import as_text, drawing
from sklearn_vectorflow.validation.errors import brief, restoring


class Node:
    """A layer applied to other nodes. Calling a layer returns a node.

    A node knows the nodes that it reads, so an output node defines a whole graph. Several nodes may read the same one.
    Copies, clones and pickles of a node stand for the same node, so several output nodes keep the nodes that they
    share.

    Attributes
    ----------
    layer : Layer
        The layer.
    inputs : tuple of Node
        The nodes that it reads.
    """

    def __init__(self, layer: "Layer", inputs: "Iterable[Node]") -> None:
        self.layer = layer
        self.inputs = tuple(inputs)
        self._key = uuid.uuid4().hex

    @property
    def name(self) -> str | None:
        """Name of the layer; None if it has none."""
        return self.layer.name

    def __getstate__(self):
        # as a flat list: graphs may be deeper than Python recurses
        nodes = ordered([self])
        places = {node._key: place for place, node in enumerate(nodes)}
        parts = [(type(node), node._key, node.layer, [places[one._key] for one in node.inputs]) for node in nodes]
        return {"parts": parts}

    def __setstate__(self, state):
        with restoring():
            nodes = []
            for kind, key, layer, places in state["parts"]:
                if not (isinstance(kind, type) and issubclass(kind, Node) and isinstance(layer, Layer)):
                    raise ValueError(f"{brief(kind)} of {brief(layer)} is not a node.")
                node = object.__new__(kind)
                node.layer, node.inputs, node._key = layer, tuple(nodes[place] for place in places), key
                nodes.append(node)
            vars(self).update(vars(nodes[-1]))

    def __repr__(self) -> str:
        return f"<{self.layer.label}, {len(ordered([self]))} nodes>"

    def __str__(self) -> str:
        return as_text(_rows_of([self]))

    def _repr_html_(self):
        return drawing(_rows_of([self]))


def _rows_of(heads):
    nodes = ordered(heads)
    places = {node._key: place for place, node in enumerate(nodes)}
    return [(node.layer.label, [places[one._key] for one in node.inputs], "") for node in nodes]


def ordered(heads: Sequence[Node]) -> list[Node]:
    """Return the nodes that output nodes depend on, each after the nodes that it reads.

    The order depends only on the graph, not on the order in which nodes were made.

    Parameters
    ----------
    heads : sequence of Node
        Output nodes.

    Returns
    -------
    nodes : list of Node

    Raises
    ------
    ValueError
        If a node depends on itself.
    """
    done, waiting, order = set(), set(), []
    stack = [(head, False) for head in reversed(heads)]
    while stack:
        node, left = stack.pop()
        if left:
            waiting.discard(node._key)
            done.add(node._key)
            order.append(node)
        elif node._key in waiting:
            raise ValueError(f"network: {node.layer.label} reads its own output; a graph must not have cycles.")
        elif node._key not in done:
            waiting.add(node._key)
            stack.append((node, True))
            stack.extend((one, False) for one in reversed(node.inputs))
    return order


class Layer(BaseEstimator):
    """Base class of layers. A layer describes one operation of a net; call it on the nodes that it reads.

    Attributes
    ----------
    has_weights : bool
        Whether the layer has weights.
    reads_rows : bool
        Whether the layer reads sparse rows. Other layers get dense rows.
    several : bool
        Whether the layer is called on a list of nodes.
    """

    has_weights = False
    reads_rows = False
    several = False
    name: str | None = None

    def __call__(self, inputs: Node | list[Node] | tuple[Node, ...]) -> Node:
        """Return the node of this layer applied to a node, or to a list of nodes."""
        nodes = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        for node in nodes:
            if not isinstance(node, Node):
                raise TypeError(f"{self.label} must be called on nodes (Input() or called layers), got {brief(node)}.")
        if self.several and not nodes:
            raise ValueError(f"{self.label} needs at least one node.")
        if not self.several and len(nodes) != 1:
            raise ValueError(f"{self.label} reads one node, got {len(nodes)}; Concat, Add or Multiply them first.")
        return Node(self, nodes)

    @property
    def label(self) -> str:
        """Short form of the layer for messages and tables, with the parameters that differ from their defaults."""
        own = signature(type(self)).parameters
        values = self.get_params(deep=False).items()
        given = [f"{name}={_short(value)}" for name, value in values if not _is(value, own[name].default)]
        return f"{type(self).__name__}({', '.join(given)})"

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""

    def width(self, widths: Sequence[int], sparse: bool) -> int | None:
        """Return the number of outputs.

        Parameters
        ----------
        widths : list of int
            Widths of the nodes that it reads.
        sparse : bool
            Whether one of them returns sparse rows.
        """
        return widths[0]


def _is(value, default):
    return value is default or np.isscalar(value) and value == default


def _short(value):
    text = repr(value)
    return text if len(text) <= 32 else f"<{type(value).__name__}>"
