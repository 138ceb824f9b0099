"""When training has gone on for long enough, and whether it came to a good end."""

import math

from sklearn.exceptions import ConvergenceWarning

from sklearn_vectorflow.validation.errors import warn

NEAR = 5.0  # times the best loss: a share of the typical loss may be most of what is left
NEAR_HELD_OUT = 0.5  # the same, of rows that do not train: going on for too long costs time alone, as the best is kept
ENOUGH_HELD_OUT = 1000  # rows that tell epochs apart; with fewer, a rise may be chance: one epoch more is waited for
FEWEST_STEPS = 64  # that tell whether a loss still falls
WORSE = 0.1  # of the typical loss, by which a mean over many rows is worse than another beyond doubt
DOUBT = 2.0  # by as much more for a mean over one row
BLOWN_UP = 100.0  # times as much, where so many epochs were asked for, or rows may be other rows than before


class Stopping:
    """Watches a loss from epoch to epoch.

    Parameters
    ----------
    tol : float or None
        An epoch counts as progress if it lowers the best loss by more than this share of the
        typical loss, or of five times the best loss if that is less (of half of it, if rows are held out); None never
        stops.
    n_iter_no_change : int
        Epochs without progress after which training stops: more, if they have fewer than 64 steps together, and one
        more if fewer than 1,000 rows are held out.
    typical : float, default=1.0
        The typical loss.
    steps : float, default=inf
        Steps of an epoch.
    n_held_out : float, default=None
        Rows that the loss is that of, if they do not train.
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
        """Take in an epoch's loss and say whether it should be the last."""
        if self.tol is None:
            return False
        self.waited = 0 if loss < self.best - self.tol * self._unit() else self.waited + 1
        self.best = min(self.best, loss)
        return self.waited >= self.n_iter_no_change

    def _unit(self):
        """Return the typical loss, or less if what is left of the loss is little; densities' losses may be negative."""
        return min(self.typical, self.near * self.best) if self.best > 0 else self.typical

    def could_stop(self, max_iter):
        """Return whether training may end before `max_iter` epochs; else that many were asked for."""
        return self.tol is not None and max_iter > self.n_iter_no_change

    def warn_if_improving(self, max_iter):
        """Warn if the last of all epochs still made progress, and training could have stopped before."""
        if self.could_stop(max_iter) and self.waited == 0:
            warn(
                f"The loss was still falling by more than tol when training ended after max_iter={max_iter} epochs. "
                "Increase max_iter to improve the fit; tol=None takes max_iter epochs without this warning.",
                ConvergenceWarning,
            )


def warn_if_worse(loss, first, constant, typical, n_rows, name="training", factor=1.0, confirm=None):
    """Warn if a fit ended with a higher loss than it began with, or than a constant model has.

    Parameters
    ----------
    loss, first : float
        Mean loss in the epoch that is kept and in the first one.
    constant : float or None
        Mean loss of a model without features, if it is known.
    typical : float
        The typical loss.
    n_rows : int
        That the means are over.
    name : str
        Of the rows the losses are those of.
    factor : float
        On the difference from which on a loss is worse.
    confirm : callable, default=None
        Asked with the loss before a warning: whether it is bad by itself.
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
        """Put the best weights into the net."""
        if self.weights is not None:
            network.set_weights(*self.weights)
