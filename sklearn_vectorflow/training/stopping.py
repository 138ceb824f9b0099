"""Stopping of training, and warnings of fits that went wrong."""

import math

from sklearn.exceptions import ConvergenceWarning

from sklearn_vectorflow.validation.errors import warn

NEAR = 5.0  # times the best loss; a share of the typical loss may be most of a small loss
NEAR_HELD_OUT = 0.5  # the same for held-out rows: an epoch too many only costs time, as the best is kept
ENOUGH_HELD_OUT = 1000  # held-out rows; with fewer, a rise may be chance, so training waits one epoch more
FEWEST_STEPS = 64  # steps that show whether a loss still falls
WORSE = 0.1  # share of the typical loss by which a mean over many rows is clearly worse than another
DOUBT = 2.0  # additional share for a mean over one row
BLOWN_UP = 100.0  # times as much if the user wants all epochs, or if the rows may differ from earlier ones


class Stopping:
    """Decides from the loss of each epoch whether to stop.

    Parameters
    ----------
    tol : float or None
        An epoch is progress if it lowers the best loss by more than this share of the typical loss, or of five times
        the best loss if that is less (half of the best loss for held-out rows). None never stops.
    n_iter_no_change : int
        Epochs without progress after which training stops. There are more if they have fewer than 64 steps in total,
        and one more if fewer than 1,000 rows are held out.
    typical : float, default=1.0
        Typical loss.
    steps : float, default=inf
        Steps per epoch.
    n_held_out : float, default=None
        Number of held-out rows, if the loss is theirs.
    """

    def __init__(self, tol, n_iter_no_change, typical=1.0, steps=math.inf, n_held_out=None):
        self.tol = tol
        self.typical = typical
        self.near = NEAR if n_held_out is None else NEAR_HELD_OUT
        is_vague = n_held_out is not None and n_held_out < ENOUGH_HELD_OUT
        self.n_iter_no_change = max(n_iter_no_change + is_vague, math.ceil(FEWEST_STEPS / steps))
        self.best = float("inf")
        self.waited = 0

    def should_stop(self, loss):
        """Return whether the epoch with this loss should be the last."""
        if self.tol is None:
            return False
        self.waited = 0 if loss < self.best - self.tol * self._unit() else self.waited + 1
        self.best = min(self.best, loss)
        return self.waited >= self.n_iter_no_change

    def _unit(self):
        """Return the typical loss, or less if the loss is small. Losses of densities may be negative."""
        return min(self.typical, self.near * self.best) if self.best > 0 else self.typical

    def could_stop(self, max_iter):
        """Return whether training may end before `max_iter` epochs."""
        return self.tol is not None and max_iter > self.n_iter_no_change

    def warn_if_improving(self, max_iter):
        """Warn if the last epoch still made progress, and training could have stopped before."""
        if self.could_stop(max_iter) and self.waited == 0:
            warn(
                f"The loss was still falling by more than tol when training ended after max_iter={max_iter} epochs. "
                "Increase max_iter to improve the fit; tol=None takes max_iter epochs without this warning.",
                ConvergenceWarning,
            )


def warn_if_worse(loss, first, constant, typical, n_rows, name="training", factor=1.0, confirm=None):
    """Warn if the final loss is above that of the first epoch or of a constant model.

    Parameters
    ----------
    loss, first : float
        Mean loss in the selected epoch and in the first one.
    constant : float or None
        Mean loss of a constant model, if known.
    typical : float
        Typical loss.
    n_rows : int
        Number of rows in the means.
    name : str
        Name of these rows.
    factor : float
        Factor of the tolerated difference.
    confirm : callable, default=None
        Function of the loss that decides whether to warn.
    """
    margin = factor * typical * (WORSE + DOUBT / math.sqrt(n_rows))
    for what, other in (("for a constant model", constant), ("in the first epoch", first)):
        if other is not None and loss > other + margin and (confirm is None or confirm(loss)):
            warn(
                f"The fit ended worse than it began: the {name} loss is {loss:.4g}, but {other:.4g} {what}. Rows or "
                "columns of X that are much larger than most, or outliers in y, make steps too large: scale them, or "
                "lower learning_rate.",
                ConvergenceWarning,
            )
            return


class BestWeights:
    """Keeps a copy of the weights of the epoch with the lowest validation loss."""

    def __init__(self):
        self.loss = float("inf")
        self.weights = None

    def offer(self, loss, network):
        """Copy the net's weights if they are the best so far."""
        if loss < self.loss:
            self.loss = loss
            self.weights = (
                [weights.copy() for weights in network.weights()],
                [intercept.copy() for intercept in network.intercepts()],
            )

    def restore(self, network):
        """Restore the best weights."""
        if self.weights is not None:
            network.set_weights(*self.weights)
