"""Outputs of a layer that has more of them than before."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Outputs:
    """What the outputs of a layer were before there were more of them.

    Parameters
    ----------
    sources : ndarray of int64, shape (n_outputs,)
        For each of them the one it was; -1 if there was none.
    factors : ndarray of float32, shape (n_outputs,)
        What its weights are multiplied by.
    """

    sources: Any
    factors: Any

    @property
    def kept(self):
        """Those that are not new."""
        return np.flatnonzero(self.sources >= 0)

    def fill(self, record, layout, old, before):
        """Fill records in: sums of squares are those of before; what moves with weights is multiplied as they are."""
        kept = self.kept
        sources, factors = self.sources[kept], self.factors[kept]
        moves = layout.slot1 >= 0 and max(layout.slot2, layout.row) >= 0  # moments of Adam, z of FTRL
        for name, is_there, moving in (
            ("weights", not layout.apart, True),
            ("slot1", layout.slot1 >= 0, moves),
            ("slot2", layout.slot2 >= 0, False),
            ("average", layout.average >= 0, True),
        ):
            if is_there:
                to, start = (0, 0) if name == "weights" else (getattr(layout, name), getattr(before, name))
                block = old[:, start + sources]
                record[:, to + kept] = block * factors if moving else block
        for name in ("row", "clock"):
            to, start = getattr(layout, name), getattr(before, name)
            if to >= 0:
                size = layout.per_feature if name == "row" else min(before.clock_size, layout.clock_size)
                record[:, to : to + size] = old[:, start : start + size]

    def fill_weights(self, values, old):
        """Fill weights in that stand apart from their records."""
        kept = self.kept
        values[:, kept] = old[:, self.sources[kept]] * self.factors[kept]
