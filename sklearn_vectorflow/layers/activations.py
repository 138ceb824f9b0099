"""Activation functions, computed in engine/kernels/layers/activations.h."""

from typing import Any

from sklearn_vectorflow.layers.base import Layer


class Activation(Layer):
    """Base class of elementwise activation functions.

    Attributes
    ----------
    kernel : str
        Name of the function in the engine.
    gain : float
        Product of fan-in and variance of the preceding weights that keeps the scale of outputs from layer to layer.
    """

    gain = 1.0

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name

    def add_to(self, net: Any, parents: Any) -> None:
        """Add the layer to the engine's net."""
        net.add_activation(parents[0], self.kernel)


class ReLU(Activation):
    """Rectified linear unit: max(0, x).

    Parameters
    ----------
    name : str, default=None
        Name for messages and for ``transform(X, node=name)``.
    """

    kernel = "relu"
    gain = 2.0  # He et al. (2015), doi:10.1109/ICCV.2015.123


class Tanh(Activation):
    """Hyperbolic tangent.

    Parameters
    ----------
    name : str, default=None
        Name for messages and for ``transform(X, node=name)``.
    """

    kernel = "tanh"


class SELU(Activation):
    """Scaled exponential linear unit.

    Parameters
    ----------
    name : str, default=None
        Name for messages and for ``transform(X, node=name)``.

    References
    ----------
    Klambauer et al. (2017), "Self-normalizing neural networks", doi:10.48550/arXiv.1706.02515.
    """

    kernel = "selu"


class Logistic(Activation):
    """Logistic function: 1 / (1 + exp(-x)).

    Parameters
    ----------
    name : str, default=None
        Name for messages and for ``transform(X, node=name)``.
    """

    kernel = "logistic"


ACTIVATIONS: dict[str, Any] = {"relu": ReLU, "tanh": Tanh, "selu": SELU, "logistic": Logistic, "identity": None}
