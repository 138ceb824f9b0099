"""Layers: plain descriptions of a net, without weights."""
from sklearn_vectorflow.layers.activations import ACTIVATIONS, Activation, Logistic, ReLU, SELU, Tanh
from sklearn_vectorflow.layers.constant import Constant
from sklearn_vectorflow.layers.dropout import Dropout
from sklearn_vectorflow.layers.linear import Linear

__all__ = ["ACTIVATIONS", "Activation", "Constant", "Dropout", "Linear", "Logistic", "ReLU", "SELU", "Tanh"]
