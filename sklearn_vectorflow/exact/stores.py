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
    """

    restrictable = True

    def __init__(self, arrays, n_columns, crew):
        self.arrays, self.crew = arrays, crew
        indptr = arrays[2]
        self.n_rows, self.n_columns = len(indptr) - 1, n_columns
        self.n_nonzero = int(indptr[-1]) - int(indptr[0])
        self.parts = even_parts(indptr)
        self._cuts, self._turned = {}, None

    def times(self, factors):
        """Return the matrix times a dense one."""
        out = np.empty((self.n_rows, factors.shape[1]))
        self.crew.map(lambda span: sweeps.product(*self.arrays, factors, out, *span), self.parts)
        return out

    def _parts_of_sums(self, size):
        most = int(np.clip(MOST_SUMS // max(size, 1), 1, PARTS))
        if most not in self._cuts:
            self._cuts[most] = even_parts(self.arrays[2], most)
        return self._cuts[most]

    def turned_times(self, factors, squares=False):
        """Return the transpose, or that of squared values, times a dense matrix."""
        shape = self.n_columns, factors.shape[1]

        def sums(span):
            out = np.zeros(shape)
            sweeps.add_transposed(*self.arrays, factors, out, *span, squares)
            return out

        return _total(self.crew.map(sums, self._parts_of_sums(shape[0] * shape[1])))

    def curved(self, factors, shift, weight):
        """Return X^T c and the sum of c, where c is weight times (X factors + shift)."""

        def sums(span):
            out = np.zeros(self.n_columns)
            return out, sweeps.add_curved(*self.arrays, factors, shift, weight, out, *span)

        found = self.crew.map(sums, self._parts_of_sums(self.n_columns))
        return _total([out for out, _ in found]), sum(total for _, total in found)

    def gram(self, weight, place, ones, width, share):
        """Return the weighted products of columns that have a place; about, from a share of the rows."""
        most = min(MOST_SUMS, self.n_nonzero) // max(width, 1) ** 2  # sums of a part are no more than its entries
        parts = row_parts(self.arrays[2], int(np.clip(most, 1, 8)))

        def sums(span):
            out = np.zeros((width, width))
            for run in _runs(*span, share):
                sweeps.gram(*self.arrays, place, ones, weight, out, *run)
            return out

        return whole(_total(self.crew.map(sums, parts))) * (1.0 / share)

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

    def curved(self, factors, shift, weight):
        """Return X^T c and the sum of c, where c is weight times (X factors + shift)."""
        change = self.times(factors[:, None])
        change += shift
        change *= weight[:, None]
        return self.turned_times(change)[:, 0], change.sum()

    def counts(self):
        """Return how many entries each column has."""
        return np.diff(self.turned[2])

    def restricted(self, place, n_columns):
        """Return the columns alone that have a place, in its order."""
        return store(kept(self.arrays, place, self.crew), n_columns, 1, self.crew)


def store(arrays, n_columns, width, crew):
    """Return the store for a matrix that is multiplied with so many columns at a time."""
    kind = RowStore if n_columns * width <= CACHED else TwoWayStore
    return kind(arrays, n_columns, crew)


def whole(half):
    """Return the symmetric matrix whose entries off the diagonal are before it or behind it, or in part both."""
    found = half + half.T
    np.fill_diagonal(found, half.diagonal())
    return found


def _total(sums):
    total = sums[0]
    for more in sums[1:]:
        total += more
    return total


def _runs(start, end, share):
    """Return runs of rows that make up a share of those in [start, end)."""
    if share >= 1.0:
        return [(start, end)]
    edges = np.linspace(start, end, RUNS + 1)
    return [(int(at), int(at + share * (edges[1] - edges[0]))) for at in edges[:-1]]
