"""Dropout of hidden units."""

from typing import Any

from sklearn_vectorflow.layers.base import Layer
from sklearn_vectorflow.validation.scalars import check_number


class Dropout(Layer):
    """Dropout: training sets each unit to zero with a probability.

    Training multiplies the other units by 1 / (1 - rate), forward and backward, so that predictions need no correction.

    Parameters
    ----------
    rate : float, default=0.5
        Probability, in [0, 1), of setting a unit to zero.
    name : str, default=None
        Name for messages and for ``transform(X, node=name)``.

    References
    ----------
    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting", Journal of Machine
    Learning Research 15, 1929-1958.
    """

    def __init__(self, rate: float = 0.5, *, name: str | None = None) -> None:
        self.rate = rate
        self.name = name

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        check_number("Dropout", "rate", self.rate, 0, 1, high_open=True)

    def add_to(self, net: Any, parents: Any) -> None:
        """Add the layer to the engine's net."""
        net.add_dropout(parents[0], self.rate)
