"""Parts of the rows: what a task reads, in memory or from a source."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_vectorflow.io.blocks import join, join_targets, rows_of
from sklearn_vectorflow.io.matrix import Matrix, as_matrix
from sklearn_vectorflow.validation.arrays import check_length, check_offset, check_sample_weight, group_starts
from sklearn_vectorflow.validation.errors import brief

OF_PART = 5  # entries of a tuple: rows and what stands beside them


@dataclass(frozen=True)
class SourcePart:
    """Some parts of a source: paths travel, and a task reads block after block.

    Parameters
    ----------
    source : Source
    numbers : tuple of int
        Of the source's parts, in order.
    """

    source: Any
    numbers: tuple


@dataclass
class Rows:
    """Checked rows of a part that are in memory at once.

    Parameters
    ----------
    matrix : Matrix
    y, weight, groups, offset : object
        As given, but frames and tuples as arrays.
    """

    matrix: Matrix
    y: Any
    weight: Any = None
    groups: Any = None
    offset: Any = None

    @property
    def _of_rows(self):
        return self.y, self.weight, self.groups, self.offset

    def __len__(self):
        return self.matrix.shape[0]

    @property
    def n_terms(self):
        """Rows, or groups where rows have groups."""
        return len(self) if self.groups is None else len(_starts(self.groups))

    def between(self, start, end):
        """Return rows [start, end); a group counts to where it starts."""
        some = slice(start, end)
        cut = [None if one is None else take(one, some) for one in self._of_rows]
        return Rows(rows_of(self.matrix, start, end), *cut)

    def take(self, rows):
        """Return some rows, copied."""
        matrix = self.matrix.take(rows)
        if self.matrix.header is not self.matrix.values:
            matrix.header = self.matrix.header
        return Rows(matrix, *(None if one is None else take(one, rows) for one in self._of_rows))

    def take_terms(self, terms):
        """Return some rows, or some whole groups where rows have groups, copied."""
        if self.groups is None:
            return self.take(terms)
        starts = _starts(self.groups)
        ends = np.append(starts[1:], len(self))
        spans = [np.arange(start, end) for start, end in zip(starts[terms], ends[terms])]
        return self.take(np.concatenate([np.arange(0), *spans]))


def _starts(groups):
    """Return where groups start."""
    return np.flatnonzero(np.diff(groups, prepend=-1))


def join_rows(parts):
    """Return rows of several blocks as one."""
    if len(parts) == 1:
        return parts[0]
    matrices, y, weights, groups, offsets = zip(*((one.matrix, *one._of_rows) for one in parts))
    return Rows(join(matrices), joined(y), joined(weights), joined_groups(groups), joined(offsets))


def blocks_of(estimator, part, reset=False):
    """Iterate over the rows of a part, block after block.

    Parameters
    ----------
    estimator : estimator
        Whose columns are set (reset=True) or compared.
    part : SourcePart, or tuple of (X, y, weight, groups, offset)
    """
    if not isinstance(part, SourcePart):
        X, *of_rows = padded(part)
        if _n_rows(X):
            yield rows_of_arrays(estimator, X, *of_rows, reset=reset)
        return
    try:
        for block in part.source.checked_parts(part.numbers):
            as_matrix(estimator, block.matrix, reset=reset)
            rows = Rows(block.matrix, plain_targets(block.y), block.weight, offset=block.offset)
            del block
            yield rows
            del rows
    finally:
        part.source.release()  # the next task may be on other rows, or far away


def values_of(part):
    """Return what a task gets of a part, each value an argument of its own, as Dask wants futures."""
    return part if isinstance(part, tuple) else (part,)


def part_of(values):
    """Return the part that a task got as arguments of its own."""
    return values[0] if len(values) == 1 else values


def padded(part):
    """Return (X, y, weight, groups, offset) of a tuple of one to five."""
    if not isinstance(part, tuple) or not 1 <= len(part) <= OF_PART:
        raise TypeError(
            "a part must be (X, y), (X, y, weight), (X, y, weight, group) or (X, y, weight, group, offset), got "
            f"{brief(part)}."
        )
    return (*part, *[None] * (OF_PART - len(part)))


def rows_of_arrays(estimator, X, y, weight=None, groups=None, offset=None, reset=False):
    """Return checked rows."""
    matrix = as_matrix(estimator, X, reset=reset)
    if hasattr(X, "head") and not isinstance(X, Matrix):
        matrix.header = X.head(0)
    n_rows = matrix.shape[0]
    if y is None:
        raise ValueError("y must be given for every part.")
    y = plain_targets(y)
    check_length("y", n_targets(y), n_rows)
    weight = None if weight is None else check_sample_weight(np.asarray(weight), n_rows, some=False)
    groups = None if groups is None else _numbered(groups, n_rows, estimator._groups_name)
    return Rows(matrix, y, weight, groups, check_offset(offset, n_rows))


def _numbered(groups, n_rows, name):
    """Return numbers of groups in place of their names, having checked that rows of a group stand together."""
    starts = group_starts(groups, n_rows, name)
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))


def _n_rows(X):
    shape = getattr(X, "shape", None)
    return shape[0] if shape else len(X)


def plain_targets(y):
    """Return targets as an array, a CSR matrix, or, of times, a dict of arrays."""
    if isinstance(y, tuple) and len(y) == 2:
        return {"event": np.asarray(y[0]), "time": np.asarray(y[1])}
    if isinstance(y, dict):
        return {name: np.asarray(values) for name, values in y.items()}
    if hasattr(y, "columns") and not sparse.issparse(y):
        names = [str(name) for name in y.columns]
        if {"event", "time"} <= set(names) or {"lower", "upper"} <= set(names):
            return {name: np.asarray(y[name]) for name in names}
    return sparse.csr_matrix(y) if sparse.issparse(y) else np.asarray(y)


def n_targets(y):
    """Return how many rows there are targets of."""
    return len(next(iter(y.values()))) if isinstance(y, dict) else y.shape[0]


def take(values, rows):
    """Return some rows of targets, weights or groups."""
    return {name: one[rows] for name, one in values.items()} if isinstance(values, dict) else values[rows]


def joined(parts):
    """Return the targets, weights or groups of several blocks as one; None if there are none."""
    if parts and isinstance(parts[0], dict):
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return join_targets(parts)


def joined_groups(parts):
    """Return the numbers of groups of several blocks, each block's after those before."""
    if all(part is None for part in parts):
        return None
    numbered, first = [], 0
    for part in parts:
        numbered.append(part + first)
        first = numbered[-1].max(initial=first - 1) + 1
    return np.concatenate(numbered)
