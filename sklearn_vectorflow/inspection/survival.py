"""Survival functions or cumulative hazards of single rows."""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from sklearn_vectorflow.inspection.axes import axes_of
from sklearn_vectorflow.losses import CoxPH, DiscreteTime
from sklearn_vectorflow.validation.arrays import check_times
from sklearn_vectorflow.validation.scalars import check_choice
from sklearn_vectorflow.validation.types import Array, MatrixLike

N_TIMES = 200  # at which smooth curves are drawn
KINDS = {"survival": "Probability of survival", "cumulative_hazard": "Cumulative hazard"}


class SurvivalCurvesDisplay:
    """Plot of predicted survival functions or cumulative hazards of rows.

    Create it with :meth:`from_estimator`.

    Parameters
    ----------
    times : ndarray of shape (n_times,)
        Times of the values.
    values : ndarray of shape (n_rows, n_times)
        Values of the curves.
    labels : sequence of str, default=None
        Names of the rows in the legend. None draws no legend.
    kind : {"survival", "cumulative_hazard"}, default="survival"
        Meaning of the values.
    steps : bool, default=False
        Whether curves are constant between two times.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the display.
    figure_ : matplotlib Figure
        Figure of the display.
    lines_ : list of matplotlib Line2D
        Curves, one for each row.

    Examples
    --------
    >>> import matplotlib.pyplot as plt  # doctest: +SKIP
    >>> from sklearn_vectorflow.inspection import SurvivalCurvesDisplay
    >>> SurvivalCurvesDisplay.from_estimator(model, X[:3], labels=["a", "b", "c"])  # doctest: +SKIP
    >>> plt.show()  # doctest: +SKIP
    """

    def __init__(
        self,
        times: Array,
        values: Array,
        *,
        labels: Sequence[str] | None = None,
        kind: Literal["survival", "cumulative_hazard"] = "survival",
        steps: bool = False,
    ) -> None:
        self.times = times
        self.values = values
        self.labels = labels
        self.kind = kind
        self.steps = steps

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        *,
        offset: ArrayLike | None = None,
        times: ArrayLike | None = None,
        labels: Sequence[str] | None = None,
        kind: Literal["survival", "cumulative_hazard"] = "survival",
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the curves that an estimator predicts for rows.

        Parameters
        ----------
        estimator : VectorFlowSurvivalEstimator
            Fitted estimator.
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows, one for each curve.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in the estimator's ``fit``.
        times : array-like of shape (n_times,), default=None
            Times >= 0, increasing. None covers the range from 0 to the last training time.
        labels : sequence of str, default=None
            Names of the rows in the legend. None draws no legend.
        kind : {"survival", "cumulative_hazard"}, default="survival"
            Curves to draw.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes new axes.
        **kwargs : dict
            Keyword arguments of matplotlib's ``plot``.

        Returns
        -------
        display : SurvivalCurvesDisplay
        """
        check_choice("kind", kind, KINDS)
        if not hasattr(estimator, "predict_survival_function"):
            raise TypeError(f"estimator must predict survival functions, got {type(estimator).__name__}.")
        known = {} if offset is None else {"offset": offset}
        curves = getattr(estimator, f"predict_{kind}_function")(X, **known)
        if labels is not None and len(labels) != len(curves):
            raise ValueError(f"labels must have one entry for each of the {len(curves)} rows of X, got {len(labels)}.")
        steps, seen = _steps_of(estimator.loss_), estimator.unique_times_
        last = seen[-1]
        if times is None and steps is None:
            times = np.unique(np.concatenate([np.linspace(0, last, N_TIMES), seen]))  # denser where events are
        elif times is None:
            times = np.unique(np.concatenate([[0.0, last], steps[(steps > 0) & (steps < last)]]))
        at = check_times(times)
        values = np.array([curve(at) for curve in curves])
        return cls(at, values, labels=labels, kind=kind, steps=steps is not None).plot(ax, **kwargs)

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
        display : SurvivalCurvesDisplay
        """
        ax = axes_of(self, ax)
        style = {"drawstyle": "steps-post" if self.steps else "default"} | kwargs
        self.lines_ = ax.plot(self.times, np.transpose(self.values), **style)
        ax.set(xlabel="Time", ylabel=KINDS[self.kind])
        if self.kind == "survival":
            ax.set_ylim(0, 1.02)
        if self.labels is not None:
            for line, label in zip(self.lines_, self.labels):
                line.set_label(str(label))
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _steps_of(loss):
    """Return the times at which curves of a loss step, or None if they are smooth."""
    if isinstance(loss, DiscreteTime):
        return np.asarray(loss.breakpoints)
    return loss.baseline_times_ if isinstance(loss, CoxPH) else None
