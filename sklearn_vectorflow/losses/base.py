"""What all losses share: parameters, domain, link, and a way to be evaluated."""
import numpy as np
from sklearn.base import BaseEstimator

from sklearn_vectorflow.engine.losses.evaluate import evaluate


class Loss(BaseEstimator):
    """A loss: what training minimises the weighted mean of.

    A loss object holds parameters only. Its arithmetic is a compiled function of a
    block of rows, which the engine calls without the GIL.

    Attributes
    ----------
    kernel : PyCapsule
        The compiled function.
    """

    def kernel_parameters(self):
        """Return what the compiled function needs, float64 of shape (n_parameters,)."""
        return np.empty(0)

    def check_parameters(self):
        """Raise ValueError if a parameter of the loss is out of its range."""

    def inverse_link(self, raw):
        """Return predictions on the scale of y for raw outputs, elementwise."""
        return raw

    def check_block(self, y, raw):
        """Raise ValueError unless the compiled function can read targets and raw outputs together."""
        if y.shape != raw.shape:
            raise ValueError(f"y must have the shape of raw, {raw.shape}, got {y.shape}.")

    def __call__(self, y, raw, sample_weight=None):
        """Evaluate a block of rows.

        Parameters
        ----------
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Targets as the engine sees them (classes as 0, 1, 2, ...).
        raw : array-like of shape (n_rows,) or (n_rows, n_outputs)
            Raw outputs of the model.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights; None means ones.

        Returns
        -------
        loss : float
            Sum over the rows of weight times loss.
        gradient : ndarray of shape (n_rows, n_outputs)
            Gradient of that sum with respect to `raw`.
        """
        y = _columns(y)
        raw = _columns(raw)
        self.check_block(y, raw)
        weight = np.ones(len(raw)) if sample_weight is None else sample_weight
        weight = np.ascontiguousarray(weight, dtype=np.float64)
        gradient = np.empty_like(raw)
        total = evaluate(self.kernel, self.kernel_parameters(), y, raw, weight, gradient)
        return total, gradient


def _columns(values):
    values = np.ascontiguousarray(values, dtype=np.float64)
    return values[:, None] if values.ndim == 1 else values
