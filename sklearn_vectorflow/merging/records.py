"""What records of each rule know beside weights, and how they forget it.

Information is the sum of squared gradients of a weight or of a whole record. All numbers are float64; a record's are
float32. How records are merged stands in engine/merging.pyx.
"""

import copy

import numpy as np

from sklearn_vectorflow.network.portable import penalty_of
from sklearn_vectorflow.penalties import bounds


def records_of(layer, of_bias=False):
    """Return what reads and writes the records of a layer, or its intercepts."""
    return KINDS.get(layer.rule.name, Records)(layer, of_bias)


def penalty_of_records(records):
    """Return the bounds of weights, the strengths and the centres, as merges take them."""
    bounds = [one[:, 0] for one in records.bounds]
    return *bounds, records.strengths("l1"), records.strengths("l2"), records.centers


class Records:
    """Those of rules that have nothing that forgets: plain SGD, and Adam, whose moments decay by themselves.

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

    def forget(self, record, share, before, after):
        """Let information decay to a share of it, in place, and the weights stay.

        Parameters
        ----------
        record : ndarray of float32, shape (n, stride)
        share : float
        before, after : int
            Steps the records have caught up to, and what remains of their number.
        """

    def _span(self, start, n_numbers=None):
        return slice(start, start + (n_numbers or self.layout.n_out))


class AdaGradRecords(Records):
    """Those of AdaGrad: r = 1 / sqrt(epsilon + G), or 0 before the first gradient."""

    @property
    def _sums(self):
        return self._span(self.layout.slot1)

    def _information(self, record):
        r = record[:, self._sums].astype(np.float64)
        sums = np.divide(1.0, r * r, out=np.full_like(r, self.numbers["epsilon"]), where=r != 0)
        return np.maximum(sums - self.numbers["epsilon"], 0.0)

    def forget(self, record, share, before, after):
        r = 1.0 / np.sqrt(self.numbers["epsilon"] + share * self._information(record))
        record[:, self._sums] = np.where(record[:, self._sums] != 0, r, 0.0)


class RowwiseRecords(AdaGradRecords):
    """Those of AdaGrad with one sum for all weights of a record."""

    @property
    def _sums(self):
        return self._span(self.layout.row, 1)


class FTRLRecords(Records):
    """Those of FTRL: z and the root of G, of which the weights are a closed form."""

    def forget(self, record, share, before, after):
        """Write weights and less information; where L1 holds a weight, the smaller z holds it as well."""
        sums, roots = self._span(self.layout.slot1), self._span(self.layout.slot2)
        z, information = record[:, sums].astype(np.float64), np.square(record[:, roots].astype(np.float64))
        weights = self._weights(z, information, before)
        record[:, sums] = self._sums_of(weights, share * information, after, share * z)
        record[:, roots] = np.sqrt(share * information)
        if not self.layout.apart:
            record[:, self._span(0)] = weights

    def _stiffness(self, information, steps):
        """Return the inverse of the step size at some information."""
        rate, beta = self.numbers["learning_rate"], self.numbers["beta"]
        return (beta + np.sqrt(information)) / rate + steps * self.strengths("l2")[:, None]

    def _weights(self, z, information, steps):
        """Return the weights at a step."""
        size = np.maximum(np.abs(z) - steps * self.strengths("l1")[:, None], 0.0)
        moved = np.copysign(size / self._stiffness(information, steps), z)
        return np.clip(self.centers - moved, *self.bounds)

    def _sums_of(self, weights, information, steps, z):
        """Return z of weights; where weights rest on a bound of the closed form, what it moved to, within it."""
        threshold, distance = steps * self.strengths("l1")[:, None], self.centers - weights
        exact = distance * self._stiffness(information, steps) + np.copysign(threshold, distance)
        found = np.where(distance == 0.0, np.clip(z, -threshold, threshold), exact)
        lower, upper = self.bounds
        found = np.where(weights <= lower, np.maximum(z, exact), found)
        return np.where(weights >= upper, np.minimum(z, exact), found)


KINDS = {"adagrad": AdaGradRecords, "adagrad_rowwise": RowwiseRecords, "ftrl": FTRLRecords}
