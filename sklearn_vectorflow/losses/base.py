"""Base class of losses: parameters, domain, link and evaluation."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from sklearn_vectorflow.losses import blocks, doors
from sklearn_vectorflow.validation.types import Array


class Loss(BaseEstimator):
    """Base class of losses. Training minimises the weighted mean of the loss over rows.

    A loss object holds only parameters. A subclass implements the loss as one function of a block of rows, in one of
    three ways:

    - ``__call__(self, y, raw, sample_weight)`` in Python returns the loss and its gradient. Training calls it with the
      GIL.
    - ``block(y, raw, weight, gradient, parameters)`` is a static method, which numba compiles at the first use.
    - ``kernel`` is a PyCapsule with a compiled function.

    Attributes
    ----------
    coupled : bool
        Whether the loss depends on several rows of a group together, such as pairs. The function then has the argument
        ``starts`` after the weights, an int64 array of shape (n_groups + 1,): the first row of each group of the block
        and, at the end, the number of rows. The mean is over groups.
    jumps : bool
        Whether the loss is discontinuous where the order of raw outputs changes.
    reads : tuple of str
        Names of layers whose outputs, of shape (n_rows, width), the loss reads in addition to the raw outputs, and to
        whose gradients it may add. ``__call__`` gets them as ``nodes``, a dict by name, and may return a dict of
        gradients as a third value. ``block`` gets ``nodes``, a tuple in the order of `reads`, before ``gradient``, and
        ``node_gradients`` after it. ``kernel`` finds them in its struct.
    sampled : bool
        Whether a step computes and updates only some outputs, which `sampler` draws.
    is_likelihood : bool
        Whether the loss is a negative log-likelihood of y without dropped constants.
    smooth : bool
        Whether the gradient is continuous, which ``solver="exact"`` requires.
    quadratic : bool
        Whether the loss is quadratic in the raw outputs, so that one Newton step reaches the minimum.
    convex : bool
        Whether the loss is known to be a convex function of the raw outputs, for each y.
    free_intercept : bool
        Whether the loss depends on an intercept in a way that other outputs cannot compensate.
    """

    coupled = False
    jumps = False
    reads = ()
    sampled = False
    is_likelihood = False
    smooth = True
    quadratic = False
    convex = False
    free_intercept = True

    def n_active(self, n_outputs: int) -> int | None:
        """Return about how many outputs of a row a step computes. None means all."""

    def offset_outputs(self, n_outputs: int) -> slice | None:
        """Return the raw outputs to which an offset of one number per row is added; None if it needs one per output."""
        return slice(None)

    def kernel_parameters(self) -> Array:
        """Return the parameters of `block` or `kernel`, as float64 of shape (n_parameters,)."""
        return np.empty(0)

    def check_parameters(self) -> None:
        """Raise ValueError if a parameter of the loss is out of its range."""

    def inverse_link(self, raw: Array) -> Array:
        """Return the predictions in the units of y for raw outputs."""
        return raw

    def dispersion(self, y: Array, raw: Array, sample_weight: Array, n_free: float) -> float:
        """Return the dispersion, a factor of the variance of y. It is 1 if the loss determines the variance.

        Parameters
        ----------
        y : ndarray of shape (n_rows, n_targets)
        raw : ndarray of shape (n_rows, n_outputs)
        sample_weight : ndarray of shape (n_rows,)
        n_free : float
            Degrees of freedom: the sum of the weights of all targets minus the number of parameters. Unless it is
            positive, estimates are NaN.
        """
        return 1.0

    def log_likelihood(self, y: Array, raw: Array, sample_weight: Array, dispersion: float) -> float | None:
        """Return the log-likelihood of rows with all constants; None if the loss is not a likelihood."""
        return -self(y, raw, sample_weight)[0] if self.is_likelihood else None

    def expected_curvature(self, y: Array, raw: Array) -> Array | None:
        """Return the expected second derivatives by raw outputs, of the shape of raw.

        None means that the second derivatives do not depend on y.
        """
        return None

    def second_derivatives(self, y: Array, raw: Array) -> Array | None:
        """Return the second derivatives by each raw output, of the shape of raw.

        None means that ``solver="exact"`` takes differences of gradients, which cost two evaluations. They are for the
        function of the class that defines this method: a subclass with another function is as one without.
        """
        return None

    def check_block(self, y: Array, raw: Array) -> None:
        """Raise ValueError unless the shapes of targets and raw outputs fit the compiled function."""
        if y.shape != raw.shape:
            raise ValueError(f"y must have the shape of raw, {raw.shape}, got {y.shape}.")

    if TYPE_CHECKING:  # a subclass takes those of the arguments that it needs
        __call__: Callable[..., tuple[Any, ...]]

    def __call__(  # type: ignore[no-redef]
        self,
        y: ArrayLike,
        raw: ArrayLike,
        sample_weight: ArrayLike | None = None,
        starts: ArrayLike | None = None,
        nodes: Mapping[str, ArrayLike] | None = None,
    ) -> tuple[Any, ...]:
        """Evaluate a block of rows.

        Parameters
        ----------
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Encoded targets (classes as 0, 1, 2, ...).
        raw : array-like of shape (n_rows,) or (n_rows, n_outputs)
            Raw outputs of the model.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows. None means ones.
        starts : array-like of shape (n_groups + 1,), default=None
            For coupled losses: the first row of each group and, at the end, n_rows. None means that all rows form one
            group.
        nodes : dict of array-like of shape (n_rows, width), default=None
            For losses that read nodes of the net: their outputs by name.

        Returns
        -------
        loss : float
            Sum of the weighted losses of the rows.
        gradient : ndarray of shape (n_rows, n_outputs)
            Gradient of that sum with respect to `raw`.
        gradients_of_nodes : dict of ndarray of shape (n_rows, width)
            Gradients with respect to the outputs of nodes, only for losses that read nodes.
        """
        y, raw = blocks.columns(y), blocks.columns(raw)
        self.check_block(y, raw)
        weight = np.ones(len(raw)) if sample_weight is None else sample_weight
        starts, outputs = blocks.checked_starts(self, starts, len(raw)), blocks.checked_nodes(self, nodes, len(raw))
        total, gradient, of_nodes = doors.kernel_of(self).evaluate(y, raw, weight, starts, outputs)
        return (total, gradient, dict(zip(self.reads, of_nodes))) if self.reads else (total, gradient)
