"""When training has gone on for long enough."""


class Stopping:
    """Watches a loss from epoch to epoch.

    Parameters
    ----------
    tol : float or None
        An epoch counts as progress if it lowers the best loss by more than this share of the
        typical loss; None never stops.
    n_iter_no_change : int
        Epochs without progress after which training stops.
    typical : float, default=1.0
        The typical loss.
    """

    def __init__(self, tol, n_iter_no_change, typical=1.0):
        self.tol = None if tol is None else tol * typical
        self.n_iter_no_change = n_iter_no_change
        self.best = float("inf")
        self.waited = 0

    def should_stop(self, loss):
        """Take in an epoch's loss and say whether it should be the last."""
        if self.tol is None:
            return False
        self.waited = 0 if loss < self.best - self.tol else self.waited + 1
        self.best = min(self.best, loss)
        return self.waited >= self.n_iter_no_change


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
