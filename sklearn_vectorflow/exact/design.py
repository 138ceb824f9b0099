"""X as the columns that occur, and one of ones before them for the intercept."""

import numpy as np

from sklearn_vectorflow.exact.compact import placed_store
from sklearn_vectorflow.exact.stores import CACHED, arrays_of, counted, store
from sklearn_vectorflow.exact.vectors import Vectors

OFTEN = 8  # entries of a column, on average, from which on it is not worth to leave empty ones out
RAREST = 2**16 - 1  # counts from which on columns are alike: numbers of two bytes are sorted in linear time


def by_frequency(counts):
    """Return the columns that occur, the most frequent first: their weights then are side by side in memory."""
    present = np.flatnonzero(counts)
    rarity = (RAREST - np.minimum(counts[present], RAREST)).astype(np.uint16)
    return present[np.argsort(rarity, kind="stable")]


def few_and_full(n_entries, n_features, width):
    """Return whether columns are cheapest as they are; the store is multiplied with `width` columns at a time."""
    return n_features * width <= CACHED and OFTEN * n_features <= n_entries


class Design:
    """Columns of X, and perhaps one of ones before them.

    Parameters
    ----------
    rows : RowStore
    intercept : bool
    columns : ndarray, default=None
        Which columns of X these are; None if they are all.
    passes : list of float, default=None
        How often rows were read so far, a list that designs of some of the columns share.

    Attributes
    ----------
    n : int
        Number of columns, that of ones among them.
    """

    def __init__(self, rows, intercept, columns=None, passes=None):
        self.rows, self.intercept, self.columns = rows, bool(intercept), columns
        self.n_rows, self.n = rows.n_rows, rows.n_columns + self.intercept
        self._passes = [0] if passes is None else passes
        self._vectors, self._hottest = {}, {}

    @classmethod
    def of(cls, matrix, width, intercept, crew):
        """Return the design of a `Matrix` that is multiplied with `width` columns at a time."""
        arrays, n_features = arrays_of(matrix), matrix.shape[1]
        first, last = int(arrays[2][0]), int(arrays[2][-1])
        if few_and_full(last - first, n_features, width):
            return cls(store(arrays, n_features, width, crew), intercept)
        counts = counted(arrays[1][first:last], n_features, crew)
        columns = by_frequency(counts)
        place = np.full(n_features, -1, dtype=np.int32)
        place[columns] = np.arange(len(columns), dtype=np.int32)
        return cls(placed_store(arrays, place, counts[columns], width, crew), intercept, columns)

    @property
    def n_passes(self):
        """How often all rows were read; a share of them counts as that."""
        return int(np.ceil(self._passes[0]))

    @property
    def in_memory(self):
        """Whether rows are at hand."""
        return self.rows.restrictable

    @property
    def parts(self):
        """Parts of the rows for threads."""
        return self.rows.parts

    # ---- between X's columns and these ----------------------------------------------

    def gathered(self, values, first=0.0):
        """Return values by columns of X for the columns here, with one for that of ones."""
        own = values if self.columns is None else values[self.columns]
        if not self.intercept:
            return np.ascontiguousarray(own)
        return np.concatenate([np.broadcast_to(np.asarray(first, own.dtype), (1, *own.shape[1:])), own])

    def scattered(self, values, n_features, others=0.0):
        """Return values by the columns here for all columns of X, and others for those that do not occur."""
        own = values[self.intercept :]
        if self.columns is None:
            return own
        out = np.empty((n_features, *own.shape[1:]), dtype=own.dtype)
        out[...] = others
        out[self.columns] = own
        return out

    # ---- products -------------------------------------------------------------------

    def forward(self, factors):
        """Return the design times factors, shape (n_rows, width)."""
        if not np.any(factors[self.intercept :]):  # as in a model without weights, which costs no pass
            return np.tile(factors[0] if self.intercept else np.zeros(factors.shape[1]), (self.n_rows, 1))
        self._passes[0] += 1
        if not self.intercept:
            return self.rows.times(factors)
        out = self.rows.times(factors[1:])
        out += factors[0]
        return out

    def backward(self, values, squares=False):
        """Return the transpose of the design, or of its squares, times values, shape (n, width)."""
        self._passes[0] += 1
        out = self.rows.turned_times(values, squares)
        return np.concatenate([values.sum(axis=0)[None, :], out]) if self.intercept else out

    def backward_pair(self, one, other):
        """Return the transpose times values, and that of squares times other ones."""
        self._passes[0] += 1
        found = self.rows.turned_pair(one, other)
        if not self.intercept:
            return found
        return tuple(np.concatenate([own.sum(axis=0)[None, :], out]) for own, out in zip((one, other), found))

    def curved(self, factors, weight):
        """Return what `backward` makes of weight times `forward`, for one column of factors, and what this makes."""
        if not np.any(factors[self.intercept :]):
            change = self.forward(factors)
            return self.backward(change * weight[:, None]), change
        self._passes[0] += 1
        shift, factors = (factors[0, 0], factors[1:, 0]) if self.intercept else (0.0, factors[:, 0])
        out = np.empty((self.n, 1))
        total, change = self.rows.curved(np.ascontiguousarray(factors), shift, weight, out[self.intercept :, 0])
        if self.intercept:
            out[0] = total
        return out, change[:, None]

    def vectors(self, width):
        """Return the arithmetic of arrays with a line for every column."""
        if width not in self._vectors:
            self._vectors[width] = Vectors((self.n, width), getattr(self.rows, "crew", None))
        return self._vectors[width]

    def hottest(self, most):
        """Return the most frequent columns, that of ones first, and how many entries each has."""
        if most not in self._hottest:
            self._hottest[most] = self._most_frequent(most)
        return self._hottest[most]

    def _most_frequent(self, most):
        counts = self.rows.counts()
        if self.rows.by_frequency:
            counts = counts[: max(most, np.count_nonzero(counts >= RAREST))]
        some = min(most, len(counts))
        columns = np.sort(np.argpartition(-counts, some - 1)[:some]) if some else np.empty(0, int)
        columns = columns[np.argsort(-counts[columns], kind="stable")]
        if not self.intercept:
            return columns, counts[columns]
        return np.append(0, columns + 1), np.append(self.n_rows, counts[columns])

    def gram(self, weight, columns, share=1.0):
        """Return weighted products of columns with each other; about, from a share of the rows.

        The column of ones, if it is among them, is the first.
        """
        self._passes[0] += share
        ones = int(self.intercept and len(columns) > 0 and columns[0] == 0)
        place = np.full(self.rows.n_columns, -1, dtype=np.int32)
        place[columns[ones:] - self.intercept] = np.arange(ones, len(columns), dtype=np.int32)
        return self.rows.gram(weight, place, ones, len(columns), share)

    # ---- some columns alone ---------------------------------------------------------

    def share(self, some):
        """Return the share of the entries that are read for the sake of some columns; `some` is a mask."""
        if not self.rows.restrictable:
            return 1.0
        return self.rows.counts()[some[self.intercept :]].sum() / max(self.rows.n_nonzero, 1)

    def restricted(self, some):
        """Return the design of some columns alone; `some` is a mask."""
        place, n_columns = self._place(some)
        rows = self.rows.restricted(place, n_columns)
        return Design(rows, self.intercept and some[0], passes=self._passes)

    def by_columns(self, some):
        """Return values, rows and column starts of some columns, that of ones among them."""
        self._passes[0] += 1
        values, rows, starts = self.rows.by_columns(np.flatnonzero(some[self.intercept :]))
        if not (self.intercept and some[0]):
            return values, rows, starts
        return (
            np.concatenate([np.ones(self.n_rows, values.dtype), values]),
            np.concatenate([np.arange(self.n_rows, dtype=np.int32), rows]),
            np.concatenate([[0], starts + self.n_rows]),
        )

    def _place(self, some):
        """Return where columns of X are among some of the columns here, and how many there are."""
        own = some[self.intercept :]
        chosen = np.flatnonzero(own)
        place = np.full(len(own), -1, dtype=np.int32)
        place[chosen] = np.arange(len(chosen), dtype=np.int32)
        return place, len(chosen)
