"""What users give on a cluster, as parts: futures of blocks, or parts of a source."""

from dataclasses import dataclass
from typing import Any

import dask
import distributed
import numpy as np
from dask.delayed import Delayed

from sklearn_vectorflow.cluster.parts import SourcePart, padded, part_of, values_of
from sklearn_vectorflow.dask.executor import future_of
from sklearn_vectorflow.io.source import Source

MOST_SOURCE_PARTS = 64  # parts that a source with more of them is grouped to


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows with what makes X of them on the workers.

    Parameters
    ----------
    X : object
    encoder : transformer or None
    sizes : bool, default=False
        Whether the fourth entry of a part of a list says how many rows each of its queries has.
    """

    X: Any
    encoder: Any = None
    sizes: bool = False


def is_spread(X):
    """Return whether rows are spread over a cluster, or come from a source whose parts workers can read."""
    if isinstance(X, Source):
        return X.n_parts is not None and not X.once
    return dask.is_dask_collection(X) or is_list(X)


def is_list(X):
    """Return whether parts are given as a list of delayed values or futures, or of tuples of them."""
    if not isinstance(X, (list, tuple)) or not len(X):
        return False
    return all(_is_lazy(one) or isinstance(one, tuple) and any(map(_is_lazy, one)) for one in X)


def _is_lazy(value):
    return isinstance(value, (Delayed, distributed.Future))


def parts_of(cluster, X, y=None, weight=None, groups=None, offset=None, suffix=""):
    """Return parts, each a tuple of futures or a SourcePart.

    Parameters
    ----------
    cluster : Cluster
    X : Encoded
    y, weight, groups, offset : dask collections, arrays or None
    suffix : str, default=""
        What follows their names where users give them.

    Raises
    ------
    TypeError, ValueError
        If they are of no known form, or do not fit each other.
    """
    encoder, sizes, X = X.encoder, X.sizes and is_list(X.X), X.X
    beside = {"y": y, "sample_weight": weight, "groups": groups, "offset": offset}
    beside = {name + suffix: value for name, value in beside.items()}
    if isinstance(X, Source):
        _check_alone(beside)
        return _parts_of_source(X)
    if is_list(X):
        _check_alone(beside)
        return [_part(cluster, one, encoder, sizes) for one in _started(cluster, X)]
    columns = [blocks_beside(X)]
    for name, value in beside.items():
        columns.append(None if value is None else _like(value, X, len(columns[0]), name))
    flat = [one for column in columns if column is not None for one in column]
    started = iter(cluster.started([one for one in flat if _is_lazy(one)]))
    columns = [
        [None] * len(columns[0]) if column is None else [next(started) if _is_lazy(one) else one for one in column]
        for column in columns
    ]
    return [_part(cluster, one, encoder, sizes) for one in zip(*columns)]


def _check_alone(beside):
    if any(one is not None for one in beside.values()):
        *names, last = beside
        raise ValueError(
            f"{', '.join(names)} and {last} must be None for a source or a list, whose parts include them."
        )


def _parts_of_source(source):
    n_parts = min(source.n_parts, MOST_SOURCE_PARTS)
    edges = [source.n_parts * k // n_parts for k in range(n_parts + 1)]
    return [SourcePart(source, tuple(range(start, end))) for start, end in zip(edges[:-1], edges[1:])]


def _started(cluster, parts):
    """Return the parts of a list with delayed values started."""
    flat = [one for part in parts for one in values_of(part) if _is_lazy(one)]
    started = iter(cluster.started(flat))
    return [
        tuple(next(started) if _is_lazy(one) else one for one in part) if isinstance(part, tuple) else next(started)
        for part in parts
    ]


def _part(cluster, part, encoder, sizes):
    """Return a part as tasks get it: a tuple of its entries, or of one that is the tuple."""
    if encoder is None and not sizes:
        return padded(part) if isinstance(part, tuple) else (part,)
    return (cluster.submit(_made, encoder, sizes, *values_of(part)),)


def _made(encoder, sizes, *values):
    """Make X of a part, and the query of each row."""
    X, y, weight, groups, offset = padded(part_of(values))
    if encoder is not None:
        X = encoder.transform(X)
    if sizes and groups is not None:
        groups = np.repeat(np.arange(len(groups)), np.asarray(groups))
    return X, y, weight, groups, offset


def note_failed(error, given):
    """Add to an error which part could not be computed, or was cancelled: its own error does not know.

    Parameters
    ----------
    error : Exception
    given : dict
        Parts, by what follows their numbers.
    """
    for of, parts in given.items():
        for number, part in enumerate(parts):
            futures = [one for one in map(future_of, values_of(part)) if isinstance(one, distributed.Future)]
            found = {one.status for one in futures if one.client.status == "running"}  # else all are lost
            if found & {"error", "cancelled", "lost"}:
                what = "was computed" if "error" in found else "was cancelled, or lost"
                error.add_note(f"This happened while part {number}{of} {what}.")
                return


def blocks_beside(values):
    """Return the delayed blocks of a dask array, or the partitions of a data frame."""
    chunks = getattr(values, "chunks", None)
    if chunks is not None and values.ndim == 2 and len(chunks[1]) > 1:
        values = values.rechunk({1: -1})
    if hasattr(values, "chunks"):  # optimized graphs of one array would give its keys several meanings
        return list(np.ravel(values.to_delayed(optimize_graph=False)))
    return list(values.to_delayed())


def _like(values, X, n_parts, name):
    """Return the blocks of what stands beside X, cut as X is."""
    chunks = getattr(X, "chunks", None)
    if not dask.is_dask_collection(values):
        if chunks is None or np.isnan(chunks[0]).any():
            raise TypeError(f"{name} must be a dask collection where the number of rows of X's parts is not known.")
        edges = np.cumsum([0, *chunks[0]])
        if len(values) != edges[-1]:
            raise ValueError(f"X has {edges[-1]} rows, {name} has {len(values)}.")
        values = np.asarray(values)
        return [values[start:end] for start, end in zip(edges[:-1], edges[1:])]
    own = getattr(values, "chunks", None)
    if chunks is not None and own is not None and own[0] != chunks[0]:
        if not (np.isnan(chunks[0]).any() or np.isnan(own[0]).any()):
            values = values.rechunk({0: chunks[0]})
    blocks = blocks_beside(values)
    if len(blocks) != n_parts:
        raise ValueError(f"{name} has {len(blocks)} parts, but X has {n_parts}: cut both alike.")
    return blocks
