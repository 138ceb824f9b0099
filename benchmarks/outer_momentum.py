"""Outer momentum: after each merge, weights go on in the direction that merges have moved them, as in DiLoCo.

An experiment of cluster_losses.py, which patches it into the package's merges.
"""

from dataclasses import dataclass, replace

import numpy as np

from sklearn_vectorflow.merging import merge_states
from sklearn_vectorflow.merging.records import records_of


class Weights:
    """Weights of a layer's records, or of its intercepts: read from what the optimizer keeps, and written to it."""

    def __init__(self, layer, state, of_bias):
        self.layer, self.step, self.of_bias = layer, state.step, of_bias
        self.records = records_of(layer, of_bias)
        if not of_bias and layer.index is not None:
            self.records = self.records.of(layer.index)
        self.numbers = layer.bias if of_bias else layer.record
        self.places = np.arange(len(self.numbers)) if of_bias else layer.places()

    @property
    def n_records(self):
        """How many there are, kept or not."""
        return len(self.numbers) if self.of_bias else self.layer.n_records

    @property
    def values(self):
        """Weights, of shape (n, n_out)."""
        if self.layer.rule.name != "ftrl":
            return self.numbers[:, : self.layer.layout.n_out].astype(np.float64)
        return self.records._weights(*self._known, self.step)

    @property
    def _known(self):
        """FTRL's sums, and the sums of squared gradients."""
        first, second = (self.records._span(start) for start in (self.layer.layout.slot1, self.layer.layout.slot2))
        return self.numbers[:, first].astype(np.float64), np.square(self.numbers[:, second].astype(np.float64))

    def moved_to(self, values):
        """Return the numbers of other weights, with what else the optimizer knows."""
        numbers, layout = self.numbers.copy(), self.layer.layout
        if self.layer.rule.name == "ftrl":
            sums, information = self._known
            moved = self.records._sums_of(values, information, self.step, sums)
            numbers[:, self.records._span(layout.slot1)] = moved
        if self.layer.rule.name != "ftrl" or not layout.apart:
            numbers[:, : layout.n_out] = values
        return numbers


@dataclass
class OuterMomentum:
    """Merges with momentum, in place of `merge_states`.

    Parameters
    ----------
    decay : float
        Share of the velocity that is left at the next merge.
    rate : float
        Of outer steps.
    nesterov : bool
        Whether a step looks ahead; otherwise it is the velocity (heavy ball).
    """

    decay: float
    rate: float
    nesterov: bool

    def __post_init__(self):
        self.velocities = {}

    def __call__(self, base, states, **options):
        """Return the merged state."""
        merged = merge_states(base, states, **options)
        if len(states) < 2:
            return merged
        layers = []
        for position, (before, after) in enumerate(zip(base.layers, merged.layers)):
            if after.rule.name == "fixed":
                layers.append(after)
                continue
            found = {"record": self._stepped((position, False), before, base, after, merged)}
            if after.bias is not None:
                found["bias"] = self._stepped((position, True), before, base, after, merged)
            layers.append(replace(after, **found))
        return replace(merged, layers=layers)

    def _stepped(self, name, before, base, after, merged):
        old, new = Weights(before, base, name[1]), Weights(after, merged, name[1])
        start = np.zeros((new.n_records, after.layout.n_out))
        start[old.places] = old.values
        start, change = start[new.places], new.values - start[new.places]
        velocity = self.velocities.setdefault(name, np.zeros((new.n_records, after.layout.n_out), dtype=np.float32))
        ahead = self.decay * velocity[new.places] + change
        velocity[new.places] = ahead
        step = self.decay * ahead + change if self.nesterov else ahead
        return new.moved_to(start + self.rate * step).astype(np.float32)
