"""What tasks compute: pure functions, whose results depend on nothing but their arguments.

The last arguments of those that read a part are its values, see `parts.values_of`.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklearn_vectorflow.cluster.narrow import Narrow
from sklearn_vectorflow.cluster.parts import SourcePart, blocks_of, part_of
from sklearn_vectorflow.network.portable import take
from sklearn_vectorflow.threads import Crew
from sklearn_vectorflow.validation.errors import naming


@dataclass(frozen=True)
class Piece:
    """Rows [start, end) of a part, whose blocks have some counts of rows."""

    part: int
    start: int
    end: int
    counts: tuple

    def of(self, estimator, part):
        """Iterate over its rows, block after block."""
        ends = np.cumsum(self.counts)
        starts = ends - self.counts
        some = np.flatnonzero((starts < self.end) & (ends > self.start))
        if isinstance(part, SourcePart):
            spans = self._spans_of_source(part, estimator, starts)
        else:
            spans = zip(blocks_of(estimator, part), starts[some])
        for rows, first in spans:
            start, end = max(self.start - first, 0), min(self.end - first, len(rows))
            if start < end:
                yield rows.between(start, end)

    def _spans_of_source(self, part, estimator, starts):
        """Blocks of a source with the rows before them; `counts` are those of its blocks, some of one part."""
        for number, rows in enumerate(blocks_of(estimator, part)):
            if starts[number] >= self.end:
                return
            yield rows, starts[number]


@dataclass(frozen=True, eq=False)
class Gain:
    """What training on a piece gave.

    Parameters
    ----------
    state : NetState
        Records that it touched.
    loss, weight : float
        Sum over the piece's terms of the loss, each before its step, and how many terms count.
    seconds : float
    """

    state: Any
    loss: float
    weight: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Merged:
    """A state between two rounds.

    Parameters
    ----------
    state : NetState
    info : RoundInfo or None
    """

    state: Any
    info: Any = None


@dataclass(frozen=True)
class RoundInfo:
    """What is told of a round: its loss, the number of terms, bytes of gains, seconds of training and of merging."""

    loss: float
    weight: float
    n_bytes: int
    coupling: float | None
    seconds: float
    merge_seconds: float


def places(template, piece, *values):
    """Return which records of every layer a piece touches, increasing; None is all."""
    read = [np.zeros(place.n_in, dtype=bool) for place in template.network.graph.weighted]
    whole = [False] * len(read)
    with naming(f"part {piece.part}"):
        for rows in piece.of(template.estimator, part_of(values)):
            for position, place in enumerate(template.network.graph.weighted):
                some = template.network.graph.touched(place, rows.matrix)
                if isinstance(some, slice):
                    whole[position] = True
                else:
                    read[position][some] = True
    return [None if every else np.flatnonzero(mask).astype(np.int32) for every, mask in zip(whole, read)]


def select(merged, where):
    """Return the state of some records alone, without saying which."""
    return _bare(merged.state.select(where), where)


def _bare(state, where):
    layers = [layer if some is None else replace(layer, index=None) for layer, some in zip(state.layers, where)]
    return replace(state, layers=layers)


def placed(state, where):
    """Say of a bare state again which records it has: who gets it knows."""
    layers = [layer if some is None else replace(layer, index=some) for layer, some in zip(state.layers, where)]
    return replace(state, layers=layers)


def train(template, state, where, piece, seed, *values):
    """Train on a piece, from a state of the records it touches on."""
    begun = time.perf_counter()
    estimator, loss, weight = template.seeded(seed), 0.0, 0.0
    narrow = Narrow(template, where) if Narrow.fits(template, state, where) else None
    network = narrow.network(state, False) if narrow else template.with_state(placed(state, where), to_predict=False)
    with naming(f"part {piece.part}"):
        for rows in piece.of(estimator, part_of(values)):
            rows.matrix = narrow.matrix(rows.matrix) if narrow else rows.matrix
            data = template.data(estimator, rows)
            with Crew(estimator._n_workers(data, network)) as crew:
                mean = estimator._epoch(estimator._trainer(network, None, data, crew))
            own = _n_terms(data)
            loss, weight = loss + own * mean, weight + own
    gained = narrow.taken(network, state) if narrow else _bare(take(network, where), where)
    return Gain(gained, loss, weight, time.perf_counter() - begun)


def _n_terms(data):
    """Return what the mean loss of rows counts for."""
    if data.starts is not None:
        return len(data.starts) - 1
    return data.matrix.shape[0] if data.weight is None else float(data.weight.sum() * (data.scale or 1.0))


def info_of(merged):
    """Return what is told of a round."""
    return merged.info


def state_of(merged):
    """Return the state."""
    return merged.state


def loss_of_part(template, merged, number, *values):
    """Return the sum of the loss of a part's rows, and how many terms count."""
    estimator, network, loss, weight = template.seeded(0), template.with_state(merged.state), 0.0, 0.0
    with naming(f"part {number} of X_val"):
        for rows in blocks_of(estimator, part_of(values)):
            data = template.data(estimator, rows)
            own = _n_terms(data)
            if own > 0:
                with Crew(estimator._n_workers(data, network)) as crew:
                    loss += own * estimator._mean_loss(network, data, crew)
                weight += own
    return loss, weight
