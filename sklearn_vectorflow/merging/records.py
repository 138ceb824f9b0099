"""How records of each rule are read and written: weights, what they have learned from, what else they keep.

Information is the sum of squared gradients, or for Adam the touches, of a weight or of a whole record. All numbers
are float64; a record's are float32.
"""

import copy

import numpy as np

from sklearn_vectorflow.network.portable import penalty_of
from sklearn_vectorflow.penalties import bounds

MOST_TOUCHES = 2.0**24  # that single precision counts


def records_of(layer, of_bias=False):
    """Return what reads and writes the records of a layer, or its intercepts."""
    return KINDS[layer.rule.name](layer, of_bias)


class Records:
    """Those of plain SGD: weights alone.

    Parameters
    ----------
    layer : LayerState
    of_bias : bool
        Whether intercepts are meant, which have no penalty and may have numbers of their own.
    """

    def __init__(self, layer, of_bias=False):
        self.layout, self.rule = layer.layout, layer.rule.name
        numbers = layer.rule.numbers
        self.numbers = {**numbers, **numbers.get("intercept", {})} if of_bias else numbers
        self.penalty = {} if of_bias else penalty_of(layer)

    def of(self, some):
        """Return the same for some of the records."""
        new = copy.copy(self)
        new.penalty = {name: value if np.isscalar(value) else value[some] for name, value in self.penalty.items()}
        return new

    def strengths(self, name):
        """Return the strength of "l1" or "l2", for all records or of each: float64 of shape (1,) or (n,)."""
        each = self.penalty.get(f"{name}_each")
        return self.penalty.get(name, 0.0) * (np.ones(1) if each is None else np.asarray(each, dtype=np.float64))

    @property
    def bounds(self):
        """The smallest and the largest weight allowed: float64 of shape (1, 1) or (n, 1)."""
        return bounds(self.penalty)

    @property
    def centers(self):
        """What penalties pull to: float64 of shape (1, 1) or (n, n_out)."""
        center = self.penalty.get("center")
        return np.zeros((1, 1)) if center is None else np.asarray(center, dtype=np.float64)

    @property
    def moved(self):
        """Where in a record numbers are that move with the weights: for each kind of them, by weight."""
        return []

    @property
    def _weights(self):
        return slice(0, self.layout.n_out)

    def information(self, record):
        """Return how much records have learned from, shape (n, 1) or (n, n_out)."""
        return np.zeros((len(record), 1))

    def stiffness(self, information, steps):
        """Return the inverse of the step size at some information."""
        return np.ones_like(information)

    def weights(self, record, steps):
        """Return the weights at a step."""
        return record[:, self._weights].astype(np.float64)

    def write(self, record, weights, information, steps, shared):
        """Write merged weights and information.

        Parameters
        ----------
        record : ndarray of float32, shape (n, stride)
        weights : ndarray of shape (n, n_out)
        information : ndarray of shape (n, 1) or (n, n_out)
        steps : ndarray of shape (n, 1)
            Steps the records have caught up to.
        shared : list of ndarray of shape (n, n_out)
            The numbers of `moved` in the mean of the states.
        """
        record[:, self._weights] = weights

    def forget(self, record, share, before, after):
        """Let information decay to a share of it, in place, and the weights stay: moments of Adam decay by themselves.

        Parameters
        ----------
        record : ndarray of float32, shape (n, stride)
        share : float
        before, after : int
            Steps the records have caught up to, and what remains of their number.
        """

    def _places(self, start):
        return start + np.arange(self.layout.n_out)

    def _span(self, start, n_numbers=None):
        return slice(start, start + (n_numbers or self.layout.n_out))


class AdaGradRecords(Records):
    """Those of AdaGrad: r = 1 / sqrt(epsilon + G), or 0 before the first gradient."""

    @property
    def _sums(self):
        return self._span(self.layout.slot1)

    def information(self, record):
        r = record[:, self._sums].astype(np.float64)
        sums = np.divide(1.0, r * r, out=np.full_like(r, self.numbers["epsilon"]), where=r != 0)
        return np.maximum(sums - self.numbers["epsilon"], 0.0)

    def stiffness(self, information, steps):
        return np.sqrt(self.numbers["epsilon"] + information) / self.numbers["learning_rate"]

    def write(self, record, weights, information, steps, shared):
        super().write(record, weights, information, steps, shared)
        record[:, self._sums] = 1.0 / np.sqrt(self.numbers["epsilon"] + information)

    def forget(self, record, share, before, after):
        r = 1.0 / np.sqrt(self.numbers["epsilon"] + share * self.information(record))
        record[:, self._sums] = np.where(record[:, self._sums] != 0, r, 0.0)


class RowwiseRecords(AdaGradRecords):
    """Those of AdaGrad with one sum for all weights of a record."""

    @property
    def _sums(self):
        return self._span(self.layout.row, 1)


class AdamRecords(Records):
    """Those of Adam: moments do not add up, so the mean of those who moved them stands for all."""

    @property
    def moved(self):
        return [self._places(self.layout.slot1), self._places(self.layout.slot2)]

    @property
    def _touches(self):
        return self._span(self.layout.row, 1)

    def information(self, record):
        return record[:, self._touches].astype(np.float64)

    def write(self, record, weights, information, steps, shared):
        super().write(record, weights, information, steps, shared)
        first, second = self.moved
        record[:, first] = shared[0]
        record[:, second] = np.maximum(shared[1], 0.0)
        record[:, self._touches] = np.minimum(information, MOST_TOUCHES)


class RowwiseAdamRecords(AdamRecords):
    """Those of Adam with one second moment for all weights of a record, behind its touches."""

    @property
    def moved(self):
        return [self._places(self.layout.slot1), np.full(self.layout.n_out, self.layout.row + 1)]


class FTRLRecords(Records):
    """Those of FTRL: z and the root of G, of which the weights are a closed form."""

    @property
    def moved(self):
        return [self._places(self.layout.slot1)]

    @property
    def _sums(self):
        return self._span(self.layout.slot1)

    @property
    def _roots(self):
        return self._span(self.layout.slot2)

    def information(self, record):
        return np.square(record[:, self._roots].astype(np.float64))

    def stiffness(self, information, steps):
        rate, beta = self.numbers["learning_rate"], self.numbers["beta"]
        return (beta + np.sqrt(information)) / rate + steps * self.strengths("l2")[:, None]

    def weights(self, record, steps):
        z = record[:, self._sums].astype(np.float64)
        size = np.maximum(np.abs(z) - steps * self.strengths("l1")[:, None], 0.0)
        moved = np.copysign(size / self.stiffness(self.information(record), steps), z)
        return np.clip(self.centers - moved, *self.bounds)

    def write(self, record, weights, information, steps, shared):
        """Work z out anew; where weights rest on a bound of the closed form, z is what it moved to, within it."""
        center, threshold = self.centers, steps * self.strengths("l1")[:, None]
        stiffness, z = self.stiffness(information, steps), shared[0]
        distance = center - weights
        exact = distance * stiffness + np.copysign(threshold, distance)
        z = np.where(distance == 0.0, np.clip(z, -threshold, threshold), exact)
        lower, upper = self.bounds
        z = np.where(weights <= lower, np.maximum(shared[0], exact), z)
        z = np.where(weights >= upper, np.minimum(shared[0], exact), z)
        if not self.layout.apart:
            record[:, self._weights] = weights
        record[:, self._sums] = z
        record[:, self._roots] = np.sqrt(information)

    def forget(self, record, share, before, after):
        z = share * record[:, self._sums].astype(np.float64)  # where L1 holds a weight, that holds it as well
        self.write(record, self.weights(record, before), share * self.information(record), after, [z])


KINDS = {
    "sgd": Records,
    "adagrad": AdaGradRecords,
    "adagrad_rowwise": RowwiseRecords,
    "adam": AdamRecords,
    "adam_rowwise": RowwiseAdamRecords,
    "ftrl": FTRLRecords,
}
