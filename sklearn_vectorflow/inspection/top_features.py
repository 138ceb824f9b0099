"""The largest weights of a linear model."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklearn_vectorflow.inspection.axes import axes_of
from sklearn_vectorflow.validation.errors import brief

COLORS = "tab:blue", "tab:red"  # of weights that raise the output, and that lower it


class TopFeaturesDisplay:
    """Bar chart of the largest weights of one output of a linear model.

    Create it with :meth:`from_estimator`.

    Parameters
    ----------
    names : sequence of str
        Names of the columns.
    weights : array-like of float
        Weights of the columns.
    output : object, default=None
        Class, or number of the target, of the output.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the display.
    figure_ : matplotlib Figure
        Figure of the display.
    bars_ : matplotlib BarContainer
        Bars of the weights.

    Examples
    --------
    >>> import matplotlib.pyplot as plt  # doctest: +SKIP
    >>> from sklearn_vectorflow.inspection import TopFeaturesDisplay
    >>> TopFeaturesDisplay.from_estimator(model, n=10, encoder=encoder)  # doctest: +SKIP
    >>> plt.show()  # doctest: +SKIP
    """

    def __init__(self, names: Sequence[str], weights: ArrayLike, *, output: Any = None) -> None:
        self.names = names
        self.weights = weights
        self.output = output

    @classmethod
    def from_estimator(
        cls, estimator: Any, n: int = 20, *, output: Any = None, encoder: Any = None, ax: Any = None, **kwargs: Any
    ) -> Self:
        """Draw the largest weights of a fitted linear model; see its method ``top_features``.

        Parameters
        ----------
        estimator : estimator of this package
            Fitted linear model.
        n : int, default=20
            Maximum number of columns.
        output : object, default=None
            Class, or number of the target, whose weights to draw. Models with several outputs require it.
        encoder : transformer, default=None
            Transformer that made the columns and knows their names.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes new axes.
        **kwargs : dict
            Keyword arguments of matplotlib's ``barh``.

        Returns
        -------
        display : TopFeaturesDisplay

        Raises
        ------
        ValueError
            If the estimator has several outputs and `output` is None.
        """
        table = estimator.top_features(n, output, encoder)
        outputs = list(dict.fromkeys(np.asarray(table["output"]).tolist()))
        if len(outputs) > 1:
            raise ValueError(f"output must be one of {brief(outputs)}, as the model has several.")
        label = outputs[0] if outputs and outputs[0] != "" else None
        return cls(list(table["name"]), np.asarray(table["weight"]), output=label).plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes new axes.
        **kwargs : dict
            Keyword arguments of matplotlib's ``barh``.

        Returns
        -------
        display : TopFeaturesDisplay
        """
        ax = axes_of(self, ax)
        weights = np.asarray(self.weights)
        style = {"color": [COLORS[int(weight < 0)] for weight in weights]} | kwargs
        self.bars_ = ax.barh(np.arange(len(weights)), weights, **style)
        ax.set_yticks(np.arange(len(weights)), [str(name) for name in self.names])
        ax.invert_yaxis()  # the largest above
        ax.axvline(0, color="0.5", linewidth=0.8)
        ax.set_xlabel("Weight" if self.output is None else f"Weight for {self.output}")
        self.ax_, self.figure_ = ax, ax.figure
        return self
