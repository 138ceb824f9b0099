"""Graphs with a name of their own, built of the same layers."""

import numbers
from collections.abc import Iterable
from typing import Any

from sklearn_vectorflow.layers import Node
from sklearn_vectorflow.layers.activations import ACTIVATIONS
from sklearn_vectorflow.layers.dropout import Dropout
from sklearn_vectorflow.layers.factorization import FactorizationMachine
from sklearn_vectorflow.layers.input import Input
from sklearn_vectorflow.layers.linear import Linear
from sklearn_vectorflow.layers.merging import Add
from sklearn_vectorflow.validation.types import ActivationName


def sizes_of(hidden_layer_sizes: Any) -> Any:
    """Return sizes of hidden layers as they are, but a number as those of a single layer."""
    is_one = isinstance(hidden_layer_sizes, numbers.Integral) and not isinstance(hidden_layer_sizes, bool)
    return (hidden_layer_sizes,) if is_one else hidden_layer_sizes


def chain(
    hidden_layer_sizes: int | Iterable[int],
    activation: ActivationName = "relu",
    dropout: float = 0.0,
    inputs: Node | None = None,
) -> Node:
    """Return a plain net: linear, activation and dropout for each size, then a linear output.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
    activation : {"relu", "tanh", "selu", "logistic", "identity"}, default="relu"
    dropout : float, default=0.0
        Probability, in [0, 1), with which a hidden unit is left out of a step.
    inputs : Node, default=None
        What it reads; None is all of X.

    Returns
    -------
    node : Node
    """
    node = Input() if inputs is None else inputs
    for size in sizes_of(hidden_layer_sizes):
        node = Linear(int(size))(node)
        if ACTIVATIONS[activation] is not None:
            node = ACTIVATIONS[activation]()(node)
        if dropout > 0:
            node = Dropout(dropout)(node)
    return Linear()(node)


def wide_and_deep(
    hidden_layer_sizes: int | Iterable[int],
    activation: ActivationName = "relu",
    dropout: float = 0.0,
    inputs: Node | None = None,
) -> Node:
    """Return the sum of a linear model and a net.

    Parameters
    ----------
    hidden_layer_sizes, activation, dropout, inputs
        As for :func:`chain`.

    Returns
    -------
    node : Node

    References
    ----------
    Cheng et al. (2016), "Wide & deep learning for recommender systems", arXiv:1606.07792.

    Examples
    --------
    >>> from sklearn_vectorflow import VectorFlowClassifier
    >>> from sklearn_vectorflow.layers import wide_and_deep
    >>> model = VectorFlowClassifier(network=wide_and_deep((32,)))
    """
    x = Input() if inputs is None else inputs
    return Add()([Linear()(x), chain(hidden_layer_sizes, activation, dropout, x)])


def factorization_machine(rank: int = 8, inputs: Node | None = None) -> Node:
    """Return the sum of a linear model and all pairs' interactions.

    Parameters
    ----------
    rank : int, default=8
        Length of the features' embeddings.
    inputs : Node, default=None
        What it reads; None is all of X.

    Returns
    -------
    node : Node

    References
    ----------
    Rendle (2010), "Factorization machines", doi:10.1109/ICDM.2010.127.
    """
    x = Input() if inputs is None else inputs
    return Add()([Linear()(x), FactorizationMachine(rank)(x)])
