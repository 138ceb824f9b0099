"""How many epochs are best, according to the losses of held-out rows."""

import math

import numpy as np


class HeldOutCurve:
    """Losses of blocks of held-out rows after each epoch.

    Parameters
    ----------
    weights : array-like of shape (n_blocks,)
        Weights of the blocks in the mean loss.
    """

    def __init__(self, weights):
        self.weights = np.asarray(weights, dtype=float) / np.sum(weights)
        self.losses = []

    def add(self, losses):
        """Note the losses of the blocks after an epoch; return their mean."""
        self.losses.append(losses)
        return float(self.weights @ losses)

    def means(self):
        """Return the mean loss after each epoch."""
        return np.array(self.losses) @ self.weights

    def n_epochs(self):
        """Return the number of epochs up to the last one that is not clearly worse than the best.

        Worse by more than a standard error is clearly worse. All epochs see the same blocks, so the error is that of
        the mean difference. A model that trains on all rows overfits later than one without the held-out ones, hence
        the last.
        """
        best = self._best()
        excess, error = self._excess(best)
        return int(np.flatnonzero(excess <= error).max(initial=best)) + 1

    def n_after_first(self):
        """Return the number of epochs up to the best, or 0 where it is not clearly better than the model before any.

        The first losses are those of that model, a simpler one.
        """
        best = self._best()
        excess, error = self._excess(best)
        return best if excess[0] > error[0] else 0

    def _best(self):
        means = self.means()
        means[~np.isfinite(means)] = math.inf
        return int(np.argmin(means))

    def _excess(self, best):
        """Return by how much the mean loss after each epoch exceeds that of the best, and the standard errors."""
        with np.errstate(invalid="ignore"):
            rises = np.array(self.losses) - self.losses[best]
            excess = rises @ self.weights
            n_blocks = len(self.weights)
            spread = (rises - excess[:, None]) ** 2 @ self.weights**2
            return excess, np.sqrt(spread * (n_blocks / max(1, n_blocks - 1)))
