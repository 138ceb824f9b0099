"""What tasks compute: pure functions, whose results depend on nothing but their arguments.

The last arguments of those that read a part are its values, see `parts.values_of`.
"""

import sys
import time
from dataclasses import dataclass, replace
from typing import Any

from sklearn_vectorflow.cluster.narrow import Narrow
from sklearn_vectorflow.cluster.parts import blocks_of, part_of
from sklearn_vectorflow.cluster.places import Places
from sklearn_vectorflow.cluster.shares import bare, placed, together
from sklearn_vectorflow.engine.places import Marks
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
        for first, rows in self.spans(estimator, part):
            some = self.within(first, rows)
            del rows
            if some is not None:
                yield some
            del some

    def within(self, first, rows):
        """Return its rows of a block, before which there are so many; None if there are none."""
        start, end = max(self.start - first, 0), min(self.end - first, len(rows))
        return rows.between(start, end) if start < end else None

    def spans(self, estimator, part):
        """Iterate over the blocks of its part up to its end: rows before them, and those of them."""
        first, counts = 0, iter(self.counts)
        for rows in blocks_of(estimator, part):
            yield first, rows
            del rows  # as all who take blocks do, so that there is one at a time
            first += next(counts)
            if first >= self.end:
                return


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

    def __sizeof__(self):
        return object.__sizeof__(self) + sys.getsizeof(self.state)


@dataclass(frozen=True)
class RoundInfo:
    """What is told of a round: its loss, the number of terms, bytes of gains, seconds of training and of merging."""

    loss: float
    weight: float
    n_bytes: int
    coupling: float | None
    seconds: float
    merge_seconds: float

    def with_merge(self, seconds):
        """Return the same with more seconds of merging."""
        return replace(self, merge_seconds=self.merge_seconds + seconds)


def places(template, pieces, *values):
    """Return the Places of each of some pieces of a part."""
    weighted = template.network.graph.weighted
    marks = [[Marks(place.n_in) for place in weighted] for _ in pieces]
    whole = [[False] * len(weighted) for _ in pieces]
    all_of_them = replace(pieces[0], start=0, end=max(piece.end for piece in pieces))
    with naming(f"part {pieces[0].part}"):
        for first, rows in all_of_them.spans(template.estimator, part_of(values)):
            for piece, own, every in zip(pieces, marks, whole):
                some = piece.within(first, rows)
                for position, place in enumerate(weighted if some is not None else []):
                    touched = template.network.graph.touched(place, some.matrix)
                    if isinstance(touched, slice):
                        every[position] = True
                    else:
                        own[position].add(touched)
                    del touched
                del some
            del rows
    return [
        Places.of_all([None if every else one.listed() for one, every in zip(*of_piece)], template.network.graph)
        for of_piece in zip(marks, whole)
    ]


def nth(found, k):
    """Return one of what a task found."""
    return found[k]


def train(template, states, places, piece, seed, *values):
    """Train on a piece, from a state of the records it touches on, which came in shares."""
    begun, where = time.perf_counter(), places.index
    estimator, loss, weight = template.seeded(seed), 0.0, 0.0
    narrow = Narrow(template, where) if Narrow.fits(template, states[0], where) else None
    if narrow:
        network = narrow.network(together(states), to_predict=False)
    else:
        network = template.with_state(placed(together(states), where), to_predict=False)
    with naming(f"part {piece.part}"):
        for rows in piece.of(estimator, part_of(values)):
            rows.matrix = narrow.matrix(rows.matrix) if narrow else rows.matrix
            data = template.data(estimator, rows)
            with Crew(estimator._n_workers(data, network)) as crew:
                mean = estimator._epoch(estimator._trainer(network, None, data, crew))
            own = _n_terms(data)
            loss, weight = loss + own * mean, weight + own
            del rows, data
    gained = narrow.taken(network, states[0]) if narrow else bare(take(network, where), where)
    return Gain(gained, loss, weight, time.perf_counter() - begun)


def _n_terms(data):
    """Return what the mean loss of rows counts for."""
    if data.starts is not None:
        return len(data.starts) - 1
    return data.matrix.shape[0] if data.weight is None else float(data.weight.sum() * (data.scale or 1.0))


def loss_of_part(template, share, number, *values):
    """Return the sum of the loss of a part's rows, and how many terms count."""
    estimator, network, loss, weight = template.seeded(0), template.with_state(share.state), 0.0, 0.0
    with naming(f"part {number} of X_val"):
        for rows in blocks_of(estimator, part_of(values)):
            data = template.data(estimator, rows, to_train=False)
            own = _n_terms(data)
            if own > 0:
                with Crew(estimator._n_workers(data, network)) as crew:
                    loss += own * estimator._mean_loss(network, data, crew)
                weight += own
            del rows, data
    return loss, weight
