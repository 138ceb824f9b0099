"""What all losses share: parameters, domain, link, and a way to be evaluated."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from sklearn_vectorflow.losses import blocks, doors
from sklearn_vectorflow.validation.types import Array


class Loss(BaseEstimator):
    """A loss: what training minimises the weighted mean of.

    A loss object holds parameters only. Its arithmetic is one function of a block of rows,
    which a subclass gives in one of three ways:

    - ``__call__(self, y, raw, sample_weight)``, in Python, which returns the loss and its
      gradient and is called with the GIL;
    - ``block(y, raw, weight, gradient, parameters)``, a static method that numba compiles
      when the loss is first used;
    - ``kernel``, a PyCapsule with a compiled function.

    Attributes
    ----------
    coupled : bool
        Whether rows of a group are seen together, as pairs of a ranking are. The function then
        gets ``starts`` too, the row at which each group of the block starts (and, last, the
        number of rows): after the weights, int64 of shape (n_groups + 1,). The mean is over
        groups.
    jumps : bool
        Whether the loss itself jumps where the order of raw outputs changes.
    reads : tuple of str
        Names of layers of the net whose outputs the loss reads beside the raw ones, heads
        among them, and whose gradients it may add to. Their outputs have shape (n_rows, width)
        each. ``__call__`` gets them as a dict ``nodes`` by name, and may return, third, a dict of
        gradients; ``block`` gets ``nodes``, a tuple in the order of `reads`, before ``gradient``,
        and ``node_gradients`` after it; ``kernel`` finds them in its struct.
    sampled : bool
        Whether a step computes and updates few of the outputs, which `sampler` draws.
    is_likelihood : bool
        Whether the loss is the negative log-likelihood of y, no constant of which is dropped.
    smooth : bool
        Whether the gradient is continuous, as ``solver="exact"`` needs it.
    quadratic : bool
        Whether the loss is quadratic in the raw outputs, so that one of Newton's steps ends at the optimum.
    convex : bool
        Whether the loss is convex in the raw outputs, so that Newton's steps end at the optimum from anywhere.
    free_intercept : bool
        Whether the loss depends on an intercept in a way that other outputs can't make up for.
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
        """Return how many outputs of a row a step computes, about; None are all."""

    def offset_outputs(self, n_outputs: int) -> slice | None:
        """Return the raw outputs that an offset of one number a row is added to; None if it must be one an output."""
        return slice(None)

    def kernel_parameters(self) -> Array:
        """Return what `block` or `kernel` needs, float64 of shape (n_parameters,)."""
        return np.empty(0)

    def check_parameters(self) -> None:
        """Raise ValueError if a parameter of the loss is out of its range."""

    def inverse_link(self, raw: Array) -> Array:
        """Return predictions on the scale of y for raw outputs, elementwise."""
        return raw

    def dispersion(self, y: Array, raw: Array, sample_weight: Array, n_free: float) -> float:
        """Return what multiplies the variance of y; 1 where the loss fixes it.

        Parameters
        ----------
        y : ndarray of shape (n_rows, n_targets)
        raw : ndarray of shape (n_rows, n_outputs)
        sample_weight : ndarray of shape (n_rows,)
        n_free : float
            The sum of the weights of all targets less the number of parameters. If it is not above zero, an estimate
            is NaN.
        """
        return 1.0

    def log_likelihood(self, y: Array, raw: Array, sample_weight: Array, dispersion: float) -> float | None:
        """Return the log-likelihood of rows, with all constants; None if the loss is none."""
        return -self(y, raw, sample_weight)[0] if self.is_likelihood else None

    def expected_curvature(self, y: Array, raw: Array) -> Array | None:
        """Return the expectation of the second derivatives by raw outputs, where they depend on y; None for themselves.

        Its shape is that of raw.
        """
        return None

    def check_block(self, y: Array, raw: Array) -> None:
        """Raise ValueError unless the compiled function can read targets and raw outputs together."""
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
            Targets as the engine sees them (classes as 0, 1, 2, ...).
        raw : array-like of shape (n_rows,) or (n_rows, n_outputs)
            Raw outputs of the model.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights; None means ones.
        starts : array-like of shape (n_groups + 1,), default=None
            For coupled losses: the row at which each group starts, and n_rows. None means
            that all rows are one group.
        nodes : dict of array-like of shape (n_rows, width), default=None
            For losses that read nodes: their outputs by name.

        Returns
        -------
        loss : float
            Sum over the rows of weight times loss.
        gradient : ndarray of shape (n_rows, n_outputs)
            Gradient of that sum with respect to `raw`.
        gradients_of_nodes : dict of ndarray of shape (n_rows, width)
            With respect to the nodes; only of losses that read some.
        """
        y, raw = blocks.columns(y), blocks.columns(raw)
        self.check_block(y, raw)
        weight = np.ones(len(raw)) if sample_weight is None else sample_weight
        starts, outputs = blocks.checked_starts(self, starts, len(raw)), blocks.checked_nodes(self, nodes, len(raw))
        total, gradient, of_nodes = doors.kernel_of(self).evaluate(y, raw, weight, starts, outputs)
        return (total, gradient, dict(zip(self.reads, of_nodes))) if self.reads else (total, gradient)
