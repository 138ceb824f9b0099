"""Rows in memory for full passes: by rows and by columns, with the columns alone that occur."""

import numpy as np
from scipy import sparse

from sklearn_vectorflow.engine.exact import sweeps

PARTS = 32  # of a pass, for threads to share
FEWEST = 20_000  # entries that are worth a part
MOST_SUMS = 1 << 22  # numbers that sums over parts of the rows take at most


class Columns:
    """Which columns occur, the most frequent first.

    Parameters
    ----------
    counts : ndarray of int32, shape (n_features,)
        How many entries each column has.
    intercept : bool
        Whether a column of ones stands before all others.

    Attributes
    ----------
    present : ndarray of shape (n_present,)
        The columns of X that occur, in their order here.
    place : ndarray of int32, shape (n_features,)
        Where each column of X is here, -1 if it does not occur.
    n : int
        Number of columns here, that of ones among them.
    """

    def __init__(self, counts, intercept):
        present = np.flatnonzero(counts)
        rarity = np.minimum(counts[present], 2**16 - 1).astype(np.uint16)
        rarity = np.uint16(2**16 - 1) - rarity  # numbers of two bytes are sorted in linear time
        self.present = present[np.argsort(rarity, kind="stable")]
        self.intercept = bool(intercept)
        self.n = len(self.present) + self.intercept
        self.place = np.full(len(counts), -1, dtype=np.int32)
        self.place[self.present] = np.arange(self.intercept, self.n, dtype=np.int32)

    def gathered(self, values, fill=0.0):
        """Return an array of X's columns for the columns here, with a value for that of ones."""
        own = values[self.present]
        if not self.intercept:
            return own
        return np.concatenate([np.full((1, *own.shape[1:]), fill, dtype=own.dtype), own])


class Compressed:
    """A sparse matrix by rows: values, columns, row starts."""

    def __init__(self, values, indices, indptr, n_columns):
        self.arrays = values, indices, indptr
        self.n_rows, self.n_columns = len(indptr) - 1, n_columns
        self.n_nonzero = int(indptr[-1])
        self.ranges = even_ranges(indptr)

    def times(self, factors, crew, squares=False):
        """Return the matrix, or that of its squared values, times a dense one."""
        out = np.empty((self.n_rows, factors.shape[1]))
        crew.map(lambda span: sweeps.product(*self.arrays, factors, out, *span, squares), self.ranges)
        return out

    def transposed(self, crew):
        """Return the transposed matrix; entries of a column are in the order of their rows."""
        values, indices, indptr = self.arrays
        spans = row_parts(indptr, crew.n_workers)

        def count(span):
            counts = np.zeros(self.n_columns, dtype=np.int32)
            sweeps.count_columns(indices, int(indptr[span[0]]), int(indptr[span[1]]), counts)
            return counts

        counts = crew.map(count, spans)
        starts = np.zeros(self.n_columns + 1, dtype=np.int64)
        np.cumsum(sum(counts[1:], counts[0].astype(np.int64)), out=starts[1:])
        rows, turned, at = np.empty(self.n_nonzero, np.int32), np.empty(self.n_nonzero, values.dtype), []
        begin = starts[:-1].copy()
        for of_part in counts:
            at.append(begin.copy())
            begin += of_part
        crew.map(
            lambda k: sweeps.transpose(values, indices, indptr, at[k], rows, turned, *spans[k]), range(len(spans))
        )
        return Compressed(turned, rows, starts, self.n_rows)

    def kept(self, place, n_columns, crew, ones=False):
        """Return the columns that have a place, in its order; before them one of ones, if asked for."""
        arrays = kept(*self.arrays, place, self.n_rows, crew, ones)
        return Compressed(*arrays, n_columns)


def kept(values, indices, indptr, place, n_rows, crew, ones):
    """Return values, columns and row starts of the entries whose column has a place."""
    spans = row_parts(indptr, 4 * crew.n_workers if crew.n_workers > 1 else 1)
    lengths = np.empty(n_rows, dtype=np.int64)
    crew.map(lambda span: sweeps.kept_lengths(indices, indptr, place, lengths, *span), spans)
    starts = np.zeros(n_rows + 1, dtype=np.int64)
    np.cumsum(lengths + ones, out=starts[1:])
    some, columns = np.empty(starts[-1], dtype=values.dtype), np.empty(starts[-1], dtype=np.int32)
    crew.map(
        lambda span: sweeps.keep(values, indices, indptr, place, starts, columns, some, ones, *span),
        spans,
    )
    return some, columns, starts


def row_parts(indptr, n_parts):
    """Cut rows into parts of about as many entries."""
    n_rows = len(indptr) - 1
    edges = np.searchsorted(indptr, np.linspace(indptr[0], indptr[-1], n_parts + 1)[1:-1])
    edges = np.concatenate([[0], np.clip(edges, 0, n_rows), [n_rows]]).tolist()
    return [(start, end) for start, end in zip(edges[:-1], edges[1:]) if end > start] or [(0, 0)]


def even_ranges(indptr):
    """Cut rows into ranges for threads: by entries and rows, the same whatever the number of threads."""
    n_parts = int(np.clip((int(indptr[-1]) + len(indptr)) // FEWEST, 1, PARTS))
    return row_parts(indptr + np.arange(len(indptr)), n_parts)


def parts_of(matrix):
    """Return values, columns and row starts of a matrix without repeated columns."""
    if not sparse.issparse(matrix.values):
        stored = sparse.csr_array(matrix.values)
        return stored.data, stored.indices, stored.indptr
    matrix = matrix if matrix.rows.canonical else matrix.summed()
    values = matrix.values
    return tuple(np.ascontiguousarray(part) for part in (values.data, values.indices, values.indptr))


class Design:
    """Rows of X in memory, as matrices by rows and by columns.

    Parameters
    ----------
    by_rows : Compressed
    crew : Crew
    columns : Columns, default=None

    Attributes
    ----------
    n_passes : int
        How often all rows were read.
    """

    def __init__(self, by_rows, crew, columns=None):
        self.by_rows, self.crew, self.columns = by_rows, crew, columns
        self.by_columns = by_rows.transposed(crew)
        self.n_rows, self.n = by_rows.n_rows, by_rows.n_columns
        self.n_passes = 0

    @classmethod
    def of(cls, matrix, intercept, crew):
        """Return the design of a `Matrix`, with a column of ones if there is an intercept."""
        values, indices, indptr = parts_of(matrix)
        counts = np.zeros(matrix.shape[1], dtype=np.int32)
        sweeps.count_columns(indices, int(indptr[0]), int(indptr[-1]), counts)
        columns = Columns(counts, intercept)
        arrays = kept(values, indices, indptr, columns.place, matrix.shape[0], crew, intercept)
        return cls(Compressed(*arrays, columns.n), crew, columns)

    def forward(self, factors):
        """Return X times factors, shape (n_rows, width)."""
        self.n_passes += 1
        return self.by_rows.times(factors, self.crew)

    def backward(self, values, squares=False):
        """Return the transpose of X, or of its squares, times values, shape (n, width)."""
        self.n_passes += 1
        return self.by_columns.times(values, self.crew, squares)

    def through(self, factors, function):
        """Return X^T f(X factors), and f's values; f is given what comes of the factors."""
        values = function(self.forward(factors))
        return self.backward(values), values

    def gram(self, weight, width):
        """Return the weighted products of the first columns with each other."""
        n_parts = int(np.clip(MOST_SUMS // max(width, 1) ** 2, 1, 8))
        spans = row_parts(self.by_rows.arrays[2], n_parts)
        sums = [np.zeros((width, width)) for _ in spans]
        self.crew.map(lambda k: sweeps.gram(*self.by_rows.arrays, weight, sums[k], *spans[k]), range(len(spans)))
        self.n_passes += 1
        return sum(sums[1:], sums[0])

    def share(self, some):
        """Return the share of the entries that some columns have; `some` is a mask."""
        lengths = np.diff(self.by_columns.arrays[2])
        return lengths[some].sum() / max(self.by_columns.n_nonzero, 1)

    def restricted(self, some):
        """Return the design of some columns alone; `some` is a mask."""
        place = np.full(self.n, -1, dtype=np.int32)
        chosen = np.flatnonzero(some)
        place[chosen] = np.arange(len(chosen), dtype=np.int32)
        return Design(self.by_rows.kept(place, len(chosen), self.crew), self.crew)

    def row_ranges(self):
        """Return ranges of rows for the threads."""
        return self.by_rows.ranges
