"""Dropout of hidden units."""

from typing import Any

from sklearn_vectorflow.layers.base import Layer
from sklearn_vectorflow.validation.scalars import check_number


class Dropout(Layer):
    """Zeroes each unit with a probability in training, and scales the others up.

    Kept units are multiplied by 1 / (1 - rate), forward and backward, so that predictions
    need no correction (Srivastava et al., 2014, JMLR 15).

    Parameters
    ----------
    rate : float, default=0.5
        Probability of zeroing, in [0, 1).
    name : str, default=None
        For messages, and for ``transform(X, node=name)``.
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
