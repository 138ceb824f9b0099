"""Common graphs of layers."""

import numbers
from collections.abc import Iterable
from typing import Any

from sklearn_vectorflow.layers import Node
from sklearn_vectorflow.layers.activations import ACTIVATIONS
from sklearn_vectorflow.layers.dropout import Dropout
from sklearn_vectorflow.layers.factorization import FactorizationMachine
from sklearn_vectorflow.layers.field_aware import FieldAwareFactorizationMachine
from sklearn_vectorflow.layers.input import Input
from sklearn_vectorflow.layers.linear import Linear
from sklearn_vectorflow.layers.merging import Add
from sklearn_vectorflow.validation.types import ActivationName


def sizes_of(hidden_layer_sizes: Any) -> Any:
    """Return sizes of hidden layers, with an int as the size of one layer."""
    is_one = isinstance(hidden_layer_sizes, numbers.Integral) and not isinstance(hidden_layer_sizes, bool)
    return (hidden_layer_sizes,) if is_one else hidden_layer_sizes


def chain(
    hidden_layer_sizes: int | Iterable[int],
    activation: ActivationName = "relu",
    dropout: float = 0.0,
    inputs: Node | None = None,
) -> Node:
    """Return a feed-forward net: a linear layer, activation and dropout for each size, then a linear output layer.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Number of units in each hidden layer. An int stands for one layer.
    activation : {"relu", "tanh", "selu", "logistic", "identity"}, default="relu"
        Activation function of the hidden layers.
    dropout : float, default=0.0
        Probability, in [0, 1), of dropping a hidden unit in a training step.
    inputs : Node, default=None
        Node that the net reads. None means all columns of X.

    Returns
    -------
    node : Node
        The output node.
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
    """Return a wide and deep net, the sum of a linear model and a feed-forward net.

    Parameters
    ----------
    hidden_layer_sizes, activation, dropout, inputs
        As for :func:`chain`.

    Returns
    -------
    node : Node
        The output node.

    References
    ----------
    Cheng et al. (2016), "Wide & deep learning for recommender systems", doi:10.1145/2988450.2988454.

    Examples
    --------
    >>> from sklearn_vectorflow import VectorFlowClassifier
    >>> from sklearn_vectorflow.layers import wide_and_deep
    >>> model = VectorFlowClassifier(network=wide_and_deep((32,)))
    """
    x = Input() if inputs is None else inputs
    return Add()([Linear()(x), chain(hidden_layer_sizes, activation, dropout, x)])


def factorization_machine(rank: int = 8, inputs: Node | None = None) -> Node:
    """Return a factorization machine, the sum of a linear model and the interactions of all pairs of features.

    Parameters
    ----------
    rank : int, default=8
        Length of the embeddings of the features.
    inputs : Node, default=None
        Node that the machine reads. None means all columns of X.

    Returns
    -------
    node : Node
        The output node.

    References
    ----------
    Rendle (2010), "Factorization machines", doi:10.1109/ICDM.2010.127.
    """
    x = Input() if inputs is None else inputs
    return Add()([Linear()(x), FactorizationMachine(rank)(x)])


def field_aware_factorization_machine(fields: Any, rank: int = 4, inputs: Node | None = None) -> Node:
    """Return a field-aware factorization machine: a linear model plus the interactions of all pairs of features.

    Parameters
    ----------
    fields : array-like of int of shape (n_features,), dict of {name: columns} or None
        The field of each feature, see :class:`FieldAwareFactorizationMachine`.
    rank : int, default=4
        Length of the embeddings. Each feature has one for each field.
    inputs : Node, default=None
        Node that the machine reads. None means all columns of X.

    Returns
    -------
    node : Node
        The output node.

    References
    ----------
    Juan, Zhuang, Chin and Lin (2016), "Field-aware factorization machines for CTR prediction",
    doi:10.1145/2959100.2959134.

    Examples
    --------
    >>> from sklearn_vectorflow import VectorFlowClassifier
    >>> from sklearn_vectorflow.layers import field_aware_factorization_machine
    >>> fields = {"user": slice(0, 100), "item": slice(100, 150), "city": slice(150, 160)}
    >>> model = VectorFlowClassifier(network=field_aware_factorization_machine(fields))
    """
    x = Input() if inputs is None else inputs
    return Add()([Linear()(x), FieldAwareFactorizationMachine(fields, rank)(x)])
