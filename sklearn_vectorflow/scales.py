"""Typical sizes of a model's weights and gradients: the units of default steps and penalties."""
from dataclasses import dataclass

import numpy as np

PRIOR = float(__import__("os").environ.get("PRIOR", 0.03))
SMALL = 64
MOST_ROWS, MOST_OUTPUTS = 4096, 1 << 20


@dataclass(frozen=True)
class Scales:
    """Units of what training starts from.

    Parameters
    ----------
    weight : float
        Of a weight: typical raw outputs over the typical length of rows.
    gradient : float
        Of the gradient of a row's loss with respect to the weights, before training: typical gradient
        with respect to a raw output times the typical length of rows.
    batch_size : int
        Rows in a step.
    """

    weight: float = 1.0
    gradient: float = 1.0
    batch_size: int = 1

    @property
    def prior(self):
        """Strength of L2 on the sum of the losses that 
        """
        return PRIOR * self.gradient / self.weight


def default_alpha(network, n_terms):
    """Return alpha=None in numbers: for linear models a weak prior on all terms' sum."""
    if not network.is_linear:
        return 1e-6
    return 0.0 if n_terms is None else network.scales.prior / max(n_terms, SMALL)


def gradient_size(kernel, data, initial, n_outputs):
    """Return the root mean square of the gradient at the initial raw outputs, over some rows; 1 if it is zero.

    Parameters
    ----------
    kernel : Kernel
        Of the loss.
    data : _Data or StreamedData
    initial : ndarray of shape () or (n_outputs,)
    n_outputs : int
    """
    rows, starts = _some_rows(data, max(8, min(MOST_ROWS, MOST_OUTPUTS // n_outputs)))
    encoded = data.encoded[rows]
    y = np.ascontiguousarray(encoded if isinstance(encoded, np.ndarray) else encoded.toarray(), dtype=np.float64)
    weight = np.ones(len(y)) if data.weight is None else data.weight[rows]
    raw = np.tile(np.broadcast_to(initial, n_outputs).astype(np.float64), (len(y), 1))
    _, gradient = kernel.evaluate(y, raw, weight, starts)
    used = weight > 0
    square = np.sum(np.asarray(gradient)[used] ** 2 / weight[used, None]) / (n_outputs * weight.sum()) if used.any() else 0.0
    return float(np.sqrt(square)) if np.isfinite(square) and square > 0 else 1.0


def _some_rows(data, most):
    """Return a slice of evenly spaced rows, or of the first groups, and where groups start."""
    if data.starts is None:
        return slice(None, None, -(-data.encoded.shape[0] // most)), None
    last = max(1, int(np.searchsorted(data.starts, most, side="right")) - 1)
    return slice(0, int(data.starts[last])), data.starts[: last + 1]
