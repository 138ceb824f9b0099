"""Rows in memory for full passes: as they are where columns are few, else also turned by columns.

The sums over a column's entries run in one order, whatever the number of threads.
"""

import numpy as np
from scipy import sparse

from sklearn_vectorflow.engine.exact import sweeps

PARTS = 32  # of a pass, for threads to share
FEWEST = 50_000  # entries that are worth a part
MOST_SUMS = 1 << 22  # numbers that sums over parts of the rows take at most
CACHED = 1 << 18  # numbers that a core's own cache keeps, about
MOST_COUNTERS = 4  # threads that count columns, each with a number for every column
RUNS = 64  # of neighbouring rows, which a sample of a part is drawn in


def row_parts(indptr, n_parts):
    """Cut rows into parts of about as many entries."""
    n_rows = len(indptr) - 1
    edges = np.searchsorted(indptr, np.linspace(indptr[0], indptr[-1], n_parts + 1)[1:-1])
    edges = np.concatenate([[0], np.clip(edges, 0, n_rows), [n_rows]]).tolist()
    return [(start, end) for start, end in zip(edges[:-1], edges[1:]) if end > start] or [(0, 0)]


def even_parts(indptr, most=PARTS):
    """Cut rows into parts of about as many entries and rows, the same whatever the number of threads."""
    n_parts = int(np.clip((int(indptr[-1]) - int(indptr[0]) + len(indptr)) // FEWEST, 1, most))
    return row_parts(indptr + np.arange(len(indptr)), n_parts)


def arrays_of(matrix):
    """Return values, columns and row starts of a matrix, no column of which is repeated in a row."""
    if not sparse.issparse(matrix.values):
        stored = sparse.csr_array(matrix.values)
        return stored.data, stored.indices, stored.indptr
    matrix = matrix if matrix.rows.canonical else matrix.summed()
    values = matrix.values
    return tuple(np.ascontiguousarray(part) for part in (values.data, values.indices, values.indptr))


def kept(arrays, place, crew):
    """Return values, columns and row starts of the entries whose column has a place."""
    values, indices, indptr = arrays
    n_rows = len(indptr) - 1
    spans = row_parts(indptr, 4 * crew.n_workers if crew.n_workers > 1 else 1)
    lengths = np.empty(n_rows, dtype=np.int64)
    crew.map(lambda span: sweeps.kept_lengths(indices, indptr, place, lengths, *span), spans)
    starts = np.zeros(n_rows + 1, dtype=np.int64)
    np.cumsum(lengths, out=starts[1:])
    some, columns = np.empty(starts[-1], dtype=values.dtype), np.empty(starts[-1], dtype=np.int32)
    crew.map(lambda span: sweeps.keep(*arrays, place, starts, columns, some, *span), spans)
    return some, columns, starts


def turned(arrays, n_columns, crew):
    """Return values, rows and column starts of a matrix by rows; entries of a column are in the order of their rows."""
    values, indices, indptr = arrays
    spans = row_parts(indptr, crew.n_workers)

    def count(span):
        counts = np.zeros(n_columns, dtype=np.int32)
        sweeps.count_columns(indices, int(indptr[span[0]]), int(indptr[span[1]]), counts)
        return counts

    counts = crew.map(count, spans)
    starts = np.zeros(n_columns + 1, dtype=np.int64)
    np.cumsum(sum(counts[1:], counts[0].astype(np.int64)), out=starts[1:])
    begin, at = starts[:-1].copy(), []
    for of_part in counts:
        at.append(begin.copy())
        begin += of_part
    rows, by_columns = np.empty(starts[-1], np.int32), np.empty(starts[-1], values.dtype)
    crew.map(lambda k: sweeps.transpose(*arrays, at[k], rows, by_columns, *spans[k]), range(len(spans)))
    return by_columns, rows, starts


class RowStore:
    """A sparse matrix by rows, whose columns are few.

    Parameters
    ----------
    arrays : tuple of ndarray
        Values, columns and row starts.
    n_columns : int
    crew : Crew

    Attributes
    ----------
    restrictable : bool
        Whether some columns alone can be read sooner.
    by_frequency : bool
        Whether columns are in the order of their counts, of which those are alike that no two bytes hold.
    """

    restrictable, by_frequency = True, False

    def __init__(self, arrays, n_columns, crew):
        self.arrays = arrays
        self._begin(arrays[2], n_columns, crew)

    def _begin(self, indptr, n_columns, crew):
        self.crew, self.indptr, self.n_rows, self.n_columns = crew, indptr, len(indptr) - 1, n_columns
        self.n_nonzero = int(indptr[-1]) - int(indptr[0])
        self.parts = even_parts(indptr)
        self._cuts, self._turned, self._sums = {}, None, np.empty(0)

    def times(self, factors):
        """Return the matrix times a dense one."""
        out, arrays = np.empty((self.n_rows, factors.shape[1])), self.arrays
        self.crew.map(lambda span: sweeps.product(*arrays, factors, out, *span), self.parts)
        return out

    def _parts_of_sums(self, size):
        most = int(np.clip(MOST_SUMS // max(size, 1), 1, PARTS))
        if most not in self._cuts:
            self._cuts[most] = even_parts(self.arrays[2], most)
        return self._cuts[most]

    def turned_times(self, factors, squares=False):
        """Return the transpose, or that of squared values, times a dense matrix."""
        shape, arrays = (self.n_columns, factors.shape[1]), self.arrays

        def add(span, out):
            sweeps.add_transposed(*arrays, factors, out.reshape(shape), *span, squares)

        return self._total(add, shape[0] * shape[1])[0].reshape(shape)

    def _total(self, add, size):
        """Return the total of what a function adds to so many numbers for each part of rows, and what it returns."""
        parts = self._parts_of_sums(size)
        if self._sums.size < len(parts) * size:
            self._sums = np.empty(len(parts) * size)  # kept: memory is cleared sooner than given by the system
        sums, out = self._sums[: len(parts) * size].reshape(len(parts), size), np.empty(size)

        def of_part(k):
            sums[k] = 0.0
            return add(parts[k], sums[k])

        found = self.crew.map(of_part, range(len(parts)))
        spans = even_parts(np.arange(size + 1) * len(parts))
        self.crew.map(lambda span: sweeps.add_up(sums, out, *span), spans)
        return out, found

    def turned_pair(self, one, other):
        """Return the transpose times a dense matrix, and that of squared values times another."""
        shape, arrays = (self.n_columns, one.shape[1], 2), self.arrays

        def add(span, out):
            sweeps.add_transposed_pair(*arrays, one, other, out.reshape(shape), *span)

        total = self._total(add, 2 * shape[0] * shape[1])[0].reshape(shape)
        return np.ascontiguousarray(total[..., 0]), np.ascontiguousarray(total[..., 1])

    def curved(self, factors, shift, weight, out):
        """Write X^T c; return the sum of c, and X factors + shift, where c is weight times the last."""
        change = np.empty(self.n_rows)

        def add(span, sums):
            return sweeps.add_curved(*self.arrays, factors, shift, weight, change, sums, *span)

        out[...], totals = self._total(add, self.n_columns)
        return sum(totals), change

    def gram(self, weight, place, ones, width, share):
        """Return the weighted products of columns that have a place; about, from a share of the rows."""
        parts, arrays = row_parts(self.indptr, self._most_grams(width)), self.arrays

        def sums(span):
            out = np.zeros((width, width))
            for run in runs(*span, share):
                sweeps.gram(*arrays, place, ones, weight, out, *run)
            return out

        return whole(total_of(self.crew.map(sums, parts))) * (1.0 / share)

    def _most_grams(self, width):
        """Return how many sums of products of pairs there are at most: those of a part are no more than its entries."""
        return int(np.clip(min(MOST_SUMS, self.n_nonzero) // max(width, 1) ** 2, 1, 8))

    def counts(self):
        """Return how many entries each column has."""
        counts = np.zeros(self.n_columns, dtype=np.int32)
        indptr = self.arrays[2]
        sweeps.count_columns(self.arrays[1], int(indptr[0]), int(indptr[-1]), counts)
        return counts

    @property
    def turned(self):
        """Values, rows and column starts, kept from the first time on."""
        if self._turned is None:
            self._turned = turned(self.arrays, self.n_columns, self.crew)
        return self._turned

    def by_columns(self, columns):
        """Return values, rows and column starts of some columns alone."""
        values, rows, starts = self.turned
        lengths = starts[columns + 1] - starts[columns]
        begin = np.zeros(len(columns) + 1, dtype=np.int64)
        np.cumsum(lengths, out=begin[1:])
        entries = np.repeat(starts[columns] - begin[:-1], lengths)
        entries += np.arange(begin[-1])
        return values[entries], rows[entries], begin

    def restricted(self, place, n_columns):
        """Return the columns alone that have a place, in its order."""
        return RowStore(kept(self.arrays, place, self.crew), n_columns, self.crew)


class TwoWayStore(RowStore):
    """A sparse matrix by rows and by columns, each of which is a row of the transpose."""

    def __init__(self, arrays, n_columns, crew):
        super().__init__(arrays, n_columns, crew)
        self.parts_of_columns = even_parts(self.turned[2])

    def turned_times(self, factors, squares=False):
        """Return the transpose, or that of squared values, times a dense matrix."""
        out = np.empty((self.n_columns, factors.shape[1]))
        self.crew.map(lambda span: sweeps.product(*self.turned, factors, out, *span, squares), self.parts_of_columns)
        return out

    def turned_pair(self, one, other):
        """Return the transpose times a dense matrix, and that of squared values times another."""
        return self.turned_times(one), self.turned_times(other, squares=True)

    def curved(self, factors, shift, weight, out):
        """Write X^T c; return the sum of c, and X factors + shift, where c is weight times the last."""
        change = self.times(factors[:, None])[:, 0]
        change += shift
        weighted = change * weight
        out[...] = self.turned_times(weighted[:, None])[:, 0]
        return weighted.sum(), change

    def counts(self):
        """Return how many entries each column has."""
        return np.diff(self.turned[2])

    def restricted(self, place, n_columns):
        """Return the columns alone that have a place, in its order."""
        return store(kept(self.arrays, place, self.crew), n_columns, 1, self.crew)


def counted(indices, n_columns, crew):
    """Return how often each column is among indices."""
    edges = np.linspace(0, len(indices), min(crew.n_workers, MOST_COUNTERS) + 1).astype(int)

    def count(span):
        counts = np.zeros(n_columns, dtype=np.int32)
        sweeps.count_columns(indices, *span, counts)
        return counts

    return total_of(crew.map(count, list(zip(edges[:-1], edges[1:]))))


def store(arrays, n_columns, width, crew):
    """Return the store for a matrix that is multiplied with so many columns at a time."""
    kind = RowStore if n_columns * width <= CACHED else TwoWayStore
    return kind(arrays, n_columns, crew)


def whole(half):
    """Return the symmetric matrix whose entries off the diagonal are before it or behind it, or in part both."""
    found = half + half.T
    np.fill_diagonal(found, half.diagonal())
    return found


def total_of(sums):
    total = sums[0]
    for more in sums[1:]:
        total += more
    return total


def runs(start, end, share):
    """Return runs of rows that make up a share of those in [start, end)."""
    if share >= 1.0:
        return [(start, end)]
    edges = np.linspace(start, end, RUNS + 1)
    return [(int(at), int(at + share * (edges[1] - edges[0]))) for at in edges[:-1]]
