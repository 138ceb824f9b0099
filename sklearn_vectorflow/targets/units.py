"""Units of targets during training, if those of y do not suit single precision or each other."""

from dataclasses import dataclass

import numpy as np

FAR = 1e3  # standard deviations from zero, beyond which raw outputs would lose digits
APART = 10.0  # times the smallest of the standard deviations of targets that share a learning rate


@dataclass(frozen=True)
class TargetUnits:
    """Units of targets during training: ``(y - shift) / scale``.

    Parameters
    ----------
    shift, scale : ndarray of shape (n_targets,)
    """

    shift: np.ndarray
    scale: np.ndarray

    def stated(self, y):
        """Return y in these units."""
        return (y - self.shift) / self.scale

    def restored(self, raw):
        """Return raw outputs in the units of y, float64."""
        return raw * self.scale + self.shift


def units_of(y, weight, shifts, scales, has_kink):
    """Return the units of training, or None if those of y are suitable.

    Parameters
    ----------
    y : ndarray of shape (n_rows, n_targets)
    weight : ndarray of shape (n_rows,) or None
    shifts, scales : bool
        The attributes `shifts_with_y` and `scales_with_y` of the loss.
    has_kink : bool
        Whether the gradient of the loss jumps at f = y. Then f leaves a constant y unless both are exactly zero.
    """
    mean = np.where(np.ptp(y, axis=0) == 0.0, y[0], np.average(y, axis=0, weights=weight))
    largest = np.maximum(np.abs(y - mean).max(axis=0), np.finfo(float).tiny)  # whose square may be out of range
    spread = largest * np.sqrt(np.average(((y - mean) / largest) ** 2, axis=0, weights=weight))
    is_far = shifts & (np.abs(mean) > FAR * spread) & ((spread > 0) | has_kink)
    shift = np.where(is_far, mean, 0.0)
    varying = spread[spread > 0]
    apart = scales and len(varying) > 1 and varying.max() > APART * varying.min()
    scale = np.where(spread > 0, spread, 1.0) if apart else np.ones(len(spread))
    return TargetUnits(shift, scale) if apart or np.any(shift) else None
