"""Rows in memory for many full passes: a copy whose columns are numbered by how frequent they are.

See `engine.exact.compact`. The sums over a column's entries run in one order, whatever the number of threads.
"""

import numpy as np

from sklearn_vectorflow.engine.exact import compact as engine
from sklearn_vectorflow.engine.exact import sweeps
from sklearn_vectorflow.exact.stores import (
    CACHED,
    PARTS,
    RowStore,
    even_parts,
    kept,
    runs,
    store,
    total_of,
    whole,
)

COMMON = 1 << 16  # columns whose numbers take two bytes: half a megabyte of weights
MOST_ROWS = 1 << 16  # of a block, whose numbers take two bytes
FEWEST_BLOCKS = 16  # of rows, for threads to share
WORTH = 1 << 20  # entries from which on passes are many times as long as calls, and a copy pays


class Block:
    """Neighbouring rows.

    Parameters
    ----------
    source : tuple of ndarray
        Values, columns and row starts.
    place : ndarray of int32
    n_common : int
    edges : ndarray of int
        Of ranges of rare columns.
    first, last : int
        The rows.

    Attributes
    ----------
    rows : slice
    common : tuple
        Values, columns and row starts of the common columns, and whether values are one, and left out.
    rare : tuple
        Values, columns, rows, and whether values are one, of the rare columns, by column.
    cuts : list of int
        Where their ranges start and end.
    """

    def __init__(self, source, place, n_common, edges, first, last):
        indptr = source[2][first : last + 1]
        values, indices = (part[int(indptr[0]) : int(indptr[-1])] for part in source[:2])
        columns = np.empty(len(indices), np.int32)
        n, ones = engine.placed(values, indices, place, n_common, columns)
        self.rows, starts = slice(first, last), np.empty(last - first + 1, np.int64)
        of_common, common = np.empty(1 if ones else n, values.dtype), np.empty(n, np.uint16)
        rest = len(indices) - n
        rare = [np.empty(rest, np.int32), np.empty(rest, np.uint16), np.empty(1 if ones else rest, values.dtype)]
        n_rare = engine.fill(values, columns, indptr, n_common, starts, common, of_common, *rare, ones)
        rare = [*(one[:n_rare] for one in rare[:2]), rare[2] if ones else rare[2][:n_rare]]
        if n_rare:
            spare = [np.empty_like(one) for one in rare]
            rare = spare if engine.sort_by_column(*rare, *spare, ones, int(edges[-1])) else rare
        self.common, self.rare = (of_common, common, starts, ones), (rare[2], rare[0], rare[1], ones)
        self.cuts = np.searchsorted(rare[0], edges).tolist()


class CompactStore(RowStore):
    """A sparse matrix whose columns are in the order of their frequency, the most frequent first.

    Parameters
    ----------
    source : tuple of ndarray
        Values, columns and row starts of the matrix with other columns' numbers.
    place : ndarray of int32
        Which column here each of the source's is; -1 for those left out.
    counts : ndarray of int32
        How many entries each column here has.
    crew : Crew
    """

    by_frequency = True

    def __init__(self, source, place, counts, crew):
        self._source, self._place, self._counts, self._arrays = source, place, counts, None
        self._begin(source[2], len(counts), crew)
        self.n_nonzero = int(counts.sum(dtype=np.int64))
        self.n_common = min(self.n_columns, COMMON)
        size = int(np.clip(-(-self.n_rows // FEWEST_BLOCKS), 1, MOST_ROWS))
        spans = [(first, min(first + size, self.n_rows)) for first in range(0, self.n_rows, size)]
        self._edges = self._edges_of_rare()
        self.blocks = crew.map(lambda span: Block(source, place, self.n_common, self._edges, *span), spans)
        self._groups = self._groups_of_blocks(PARTS)

    @property
    def arrays(self):
        """Values, columns and row starts, kept from the first time on; products do not need them."""
        if self._arrays is None:
            self._arrays = kept(self._source, self._place, self.crew)
        return self._arrays

    def _edges_of_rare(self):
        """Return the edges of ranges of rare columns of about as many entries."""
        if self.n_columns == self.n_common:
            return np.array([self.n_columns])
        starts = np.concatenate([[0], np.cumsum(self._counts[self.n_common :], dtype=np.int64)])
        spans = even_parts(starts)
        return np.array([0] + [last for _, last in spans]) + self.n_common

    def _groups_of_blocks(self, most):
        """Return neighbouring blocks together, at most so many lists of them."""
        edges = np.linspace(0, len(self.blocks), min(most, len(self.blocks)) + 1).astype(int)
        return [self.blocks[first:last] for first, last in zip(edges[:-1], edges[1:])]

    # ---- products -------------------------------------------------------------------

    def times(self, factors):
        """Return the matrix times a dense one."""
        if factors.shape[1] != 1:
            return np.column_stack([self.times(one[:, None])[:, 0] for one in factors.T])
        factors, out = np.ascontiguousarray(factors[:, 0]), np.zeros(self.n_rows)

        def add(block):
            engine.rare_product(*block.rare, factors, out[block.rows])
            engine.product(*block.common, factors, out[block.rows])

        self.crew.map(add, self.blocks)
        return out[:, None]

    def turned_times(self, factors, squares=False):
        """Return the transpose, or that of squared values, times a dense matrix."""
        if factors.shape[1] != 1:
            return np.column_stack([self.turned_times(one[:, None], squares)[:, 0] for one in factors.T])
        by_row = np.ascontiguousarray(factors[:, 0])

        def spread(block, sums):
            engine.spread(*block.common, squares, by_row[block.rows], sums)

        out = np.empty(self.n_columns)
        out[: self.n_common] = self._sums_of_groups(spread, 1)[0]
        self._spread_rare(by_row, squares, out)
        return out[:, None]

    def turned_pair(self, one, other):
        """Return the transpose times a dense matrix, and that of squared values times another."""
        if one.shape[1] != 1:
            return self.turned_times(one), self.turned_times(other, squares=True)
        one, other = (np.ascontiguousarray(values[:, 0]) for values in (one, other))

        def spread(block, sums):
            engine.spread_pair(*block.common, one[block.rows], other[block.rows], sums)

        sums = self._sums_of_groups(spread, 2)[0].reshape(-1, 2)
        found = np.empty(self.n_columns), np.empty(self.n_columns)
        for by_row, squares, out, own in zip((one, other), (False, True), found, sums.T):
            out[: self.n_common] = own
            self._spread_rare(by_row, squares, out)
        return found[0][:, None], found[1][:, None]

    def curved(self, factors, shift, weight, out):
        """Write X^T c; return the sum of c, and X factors + shift, where c is weight times the last."""
        change, weighted = np.full(self.n_rows, shift), np.empty(self.n_rows)

        def pass_over(block, sums):
            rows = block.rows
            engine.rare_product(*block.rare, factors, change[rows])
            return engine.curved(*block.common, factors, weight[rows], change[rows], weighted[rows], sums)

        out[: self.n_common], totals = self._sums_of_groups(pass_over, 1)
        self._spread_rare(weighted, False, out)
        return sum(totals), change

    def _sums_of_groups(self, add, width):
        """Return sums by common column that a function of a block adds to, and what it returns for every block."""

        def add_group(group, sums):
            return [add(block, sums) for block in group]

        sums, found = self._total(add_group, width * self.n_common)
        return sums, [one for of_group in found for one in of_group]

    def _parts_of_sums(self, size):
        return self._groups

    def _spread_rare(self, by_row, squares, out):
        """Write the rare columns' sums of rows, or of their squares, times a number for each."""

        def add(k):
            out[self._edges[k] : self._edges[k + 1]] = 0.0
            for block in self.blocks:
                engine.rare_spread(*block.rare, squares, by_row[block.rows], out, *block.cuts[k : k + 2])

        self.crew.map(add, range(len(self._edges) - 1))

    def gram(self, weight, place, ones, width, share):
        """Return the weighted products of columns that have a place; about, from a share of the rows."""
        if np.any(place[self.n_common :] >= 0):
            return super().gram(weight, place, ones, width, share)
        common = place[: self.n_common]

        def sums(group):
            out = np.zeros((width, width))
            for block in group:
                *arrays, all_ones = block.common
                for run in runs(0, block.rows.stop - block.rows.start, share):
                    sweeps.gram(*arrays, common, ones, weight[block.rows], out, *run, all_ones)
            return out

        groups = self._groups_of_blocks(self._most_grams(width))
        return whole(total_of(self.crew.map(sums, groups))) * (1.0 / share)

    def counts(self):
        """Return how many entries each column has."""
        return self._counts

    def restricted(self, place, n_columns):
        """Return the columns alone that have a place, in its order."""
        own = np.full(len(self._place), -1, dtype=np.int32)
        there = np.flatnonzero(self._place >= 0)
        own[there] = place[self._place[there]]
        counts = self._counts[np.argsort(place, kind="stable")[len(place) - n_columns :]]
        return placed_store(self._source, own, counts, 1, self.crew)


def placed_store(arrays, place, counts, width, crew):
    """Return the store of the columns of a matrix that have a place, in its order.

    Parameters
    ----------
    arrays : tuple of ndarray
        Values, columns and row starts.
    place : ndarray of int32
        Which column in the store each column is; -1 for those left out.
    counts : ndarray of int32
        How many entries each column of the store has; they fall, or nearly so.
    width : int
        How many columns the store is multiplied with at a time.
    crew : Crew
    """
    if width == 1 and len(counts) > CACHED and counts.sum(dtype=np.int64) >= WORTH:
        return CompactStore(arrays, place, counts, crew)
    return store(kept(arrays, place, crew), len(counts), width, crew)
