"""Activations; their arithmetic is engine/kernels/layers/activations.h."""

from typing import Any

from sklearn_vectorflow.layers.base import Layer


class Activation(Layer):
    """An elementwise function of a layer's outputs.

    Attributes
    ----------
    kernel : str
        Its name in the engine.
    gain : float
        Variance of the weights before it, times the fan-in, that keeps the scale of
        signals from layer to layer.
    """

    gain = 1.0

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name

    def add_to(self, net: Any, parents: Any) -> None:
        """Add the layer to the engine's net."""
        net.add_activation(parents[0], self.kernel)


class ReLU(Activation):
    """max(0, x)."""

    kernel = "relu"
    gain = 2.0  # He et al. (2015), arXiv:1502.01852


class Tanh(Activation):
    """Hyperbolic tangent."""

    kernel = "tanh"


class SELU(Activation):
    """Scaled exponential linear unit (Klambauer et al., 2017, arXiv:1706.02515)."""

    kernel = "selu"


class Logistic(Activation):
    """1 / (1 + exp(-x))."""

    kernel = "logistic"


ACTIVATIONS: dict[str, Any] = {"relu": ReLU, "tanh": Tanh, "selu": SELU, "logistic": Logistic, "identity": None}
