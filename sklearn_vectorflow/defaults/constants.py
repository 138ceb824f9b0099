"""The best raw outputs of a model without features, where they have no closed form."""

import numpy as np
from scipy.optimize import minimize

MOST_CELLS = 1 << 17  # rows times outputs that tell it
FARTHEST = 30.0  # from the constant that is best without offsets


def least_constant(mean_loss, start, farthest):
    """Return the raw outputs of the least mean loss; the start if they are not finite.

    Parameters
    ----------
    mean_loss : callable
        Returns the mean loss of a constant, and its gradient.
    start : ndarray of shape (n_outputs,)
    farthest : float
        How far from it the search goes.
    """
    bounds = [(value - farthest, value + farthest) for value in start]
    options = {"gtol": 1e-9, "ftol": 0}
    with np.errstate(all="ignore"):
        found = minimize(mean_loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return found if np.all(np.isfinite(found)) else start


def best_constant(kernel, block, start):
    """Return the raw outputs that, added to the offsets of some rows, have the least mean loss.

    Parameters
    ----------
    kernel : Kernel
        Of the loss.
    block : Data
        With offsets.
    start : ndarray of shape (n_outputs,)
        The constant that is best without offsets.
    """
    n_rows = block.encoded.shape[0]
    y = block.dense_targets(0, n_rows)
    weight = np.ones(n_rows) if block.weight is None else block.weight
    total = weight.sum()
    if not total > 0:
        return start

    def mean_loss(constant):
        raw = block.with_offset(np.tile(constant, (n_rows, 1)))
        loss, gradient, *_ = kernel.evaluate(y, raw, weight, block.starts)
        return loss / total, np.asarray(gradient).sum(axis=0) / total

    return least_constant(mean_loss, start - np.average(block.offset, axis=0, weights=weight), FARTHEST)
