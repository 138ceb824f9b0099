"""The loss of each epoch."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow.inspection.axes import axes_of


class LossCurveDisplay:
    """Plot of the mean training loss of each epoch, and of the validation loss if there are validation rows.

    Create it with :meth:`from_estimator`.

    Parameters
    ----------
    losses : sequence of float
        Training loss of each epoch.
    validation_losses : sequence of float, default=None
        Validation loss after each epoch.
    estimator_name : str, default=None
        Name of the estimator in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the display.
    figure_ : matplotlib Figure
        Figure of the display.
    lines_ : list of matplotlib Line2D
        Curves of the training loss and, if there is one, of the validation loss.

    Examples
    --------
    >>> import matplotlib.pyplot as plt  # doctest: +SKIP
    >>> from sklearn_vectorflow.inspection import LossCurveDisplay
    >>> LossCurveDisplay.from_estimator(model)  # doctest: +SKIP
    >>> plt.show()  # doctest: +SKIP
    """

    def __init__(
        self,
        losses: Sequence[float],
        validation_losses: Sequence[float] | None = None,
        *,
        estimator_name: str | None = None,
    ) -> None:
        self.losses = losses
        self.validation_losses = validation_losses
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the losses of a fitted estimator.

        Parameters
        ----------
        estimator : estimator of this package
            Fitted estimator.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes new axes.
        name : str, default=None
            Name of the estimator in the legend. None shows no name.
        **kwargs : dict
            Keyword arguments of matplotlib's ``plot``.

        Returns
        -------
        display : LossCurveDisplay
        """
        check_is_fitted(estimator, "loss_curve_")
        scores = getattr(estimator, "validation_scores_", None)
        validation = None if scores is None else [-score for score in scores]
        return cls(list(estimator.loss_curve_), validation, estimator_name=name).plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes new axes.
        **kwargs : dict
            Keyword arguments of matplotlib's ``plot``.

        Returns
        -------
        display : LossCurveDisplay
        """
        ax = axes_of(self, ax)
        self.lines_ = []
        before = "" if self.estimator_name is None else f"{self.estimator_name}, "
        for what, losses in (("training", self.losses), ("validation", self.validation_losses)):
            if losses is not None:
                epochs = np.arange(1, len(losses) + 1)
                style = {"label": before + what, "marker": "." if len(losses) == 1 else None} | kwargs
                self.lines_ += ax.plot(epochs, losses, **style)
        ax.set(xlabel="Epoch", ylabel="Loss")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
