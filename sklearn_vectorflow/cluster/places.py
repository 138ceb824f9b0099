"""Which records rows touch, of all or of a share of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_vectorflow.engine.places import Marks


@dataclass(frozen=True, eq=False)
class Places:
    """Records of every layer that the rows of a piece touch, or of those the ones that a share has.

    Parameters
    ----------
    index : list of (ndarray or None)
        Their numbers, increasing; None is all.
    spans : list of tuple of int
        Where they begin and end among those that the piece touches.
    """

    index: Any
    spans: Any

    def __sizeof__(self):  # schedulers ask
        return object.__sizeof__(self) + sum(0 if some is None else some.nbytes for some in self.index)

    @classmethod
    def of_all(cls, index, graph):
        """Return those of a piece."""
        sizes = [place.n_in if some is None else len(some) for some, place in zip(index, graph.weighted)]
        return cls(index, [(0, size) for size in sizes])


def marked(n, numbers):
    """Return marks on some of the numbers below n."""
    marks = Marks(n)
    marks.add(numbers)
    return marks


def owned(places, edges, k):
    """Return those that a share has: between which records of every layer shares lie, and which share it is."""
    spans = [span_of(some, own[k : k + 2]) for some, own in zip(places.index, edges)]
    return Places([None if some is None else some[slice(*span)] for some, span in zip(places.index, spans)], spans)


def spans_of(places, edges):
    """Return for each share whether a piece touches all records of a layer, and where the share's begin and end."""
    shares = [owned(places, edges, k) for k in range(len(edges[0]) - 1)]
    return [[(some is None, *span) for some, span in zip(own.index, own.spans)] for own in shares]


def span_of(index, edges):
    """Return where records between two numbers begin and end in an index; None is all."""
    if index is None:
        return tuple(edges)
    # of the same type, else all of the index is converted
    return tuple(np.searchsorted(index, np.array(edges).astype(index.dtype)).tolist())


def shared_out(template, places, n_shares):
    """Return for every layer the records between which shares lie, about as many of some records in each."""
    edges = []
    for some, place in zip(places.index, template.network.graph.weighted):
        inner = np.arange(1, n_shares) / n_shares
        inner = inner * place.n_in if some is None or not len(some) else some[(inner * len(some)).astype(int)]
        edges.append([0, *inner.astype(int).tolist(), place.n_in])
    return edges
