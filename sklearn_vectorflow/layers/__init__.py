"""Layers: descriptions of the parts of a net, without weights."""

from sklearn_vectorflow.layers.activations import ACTIVATIONS, SELU, Activation, Logistic, ReLU, Tanh
from sklearn_vectorflow.layers.base import Layer, Node, ordered
from sklearn_vectorflow.layers.constant import Constant
from sklearn_vectorflow.layers.crosses import Crosses
from sklearn_vectorflow.layers.dropout import Dropout
from sklearn_vectorflow.layers.factorization import FactorizationMachine
from sklearn_vectorflow.layers.field_aware import FieldAwareFactorizationMachine
from sklearn_vectorflow.layers.input import Columns, Input
from sklearn_vectorflow.layers.linear import Linear
from sklearn_vectorflow.layers.merging import Add, Concat, Multiply
from sklearn_vectorflow.layers.presets import (
    chain,
    factorization_machine,
    field_aware_factorization_machine,
    wide_and_deep,
)

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Add",
    "Columns",
    "Concat",
    "Constant",
    "Crosses",
    "Dropout",
    "FactorizationMachine",
    "FieldAwareFactorizationMachine",
    "Input",
    "Layer",
    "Linear",
    "Logistic",
    "Multiply",
    "Node",
    "ReLU",
    "SELU",
    "Tanh",
    "chain",
    "factorization_machine",
    "field_aware_factorization_machine",
    "ordered",
    "wide_and_deep",
]
