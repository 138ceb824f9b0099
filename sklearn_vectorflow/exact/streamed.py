"""Rows of a source for full passes: each reads the source from its first row to its last."""

import functools

import numpy as np
from scipy import sparse

from sklearn_vectorflow.engine.exact import sweeps
from sklearn_vectorflow.exact.stores import arrays_of, even_parts, whole
from sklearn_vectorflow.io.blocks import join_targets


def targets_of(data):
    """Return the targets, weights and offsets of a source's rows, in order; weights are ones where there are none."""
    targets, weights, offsets = [], [], []
    with data.blocks(None) as blocks:
        for block in blocks:
            rows = data.prepared(block)
            encoded = rows.encoded
            encoded = encoded.toarray() if sparse.issparse(encoded) else encoded
            targets.append(np.ascontiguousarray(encoded, dtype=np.float64))
            weights.append(np.ones(len(targets[-1])) if rows.weight is None else rows.weight)
            offsets.append(rows.offset)
    return np.concatenate(targets), np.concatenate(weights).astype(np.float64), join_targets(offsets)


class StreamedStore:
    """A matrix whose rows come from a source, block after block; a block's products are shared among threads.

    Parameters
    ----------
    data : StreamedData
    n_rows : int
    crew : Crew
    """

    by_frequency = False
    restrictable = False  # some columns alone would be read as slowly as all

    def __init__(self, data, n_rows, crew):
        self.data, self.n_rows, self.crew = data, n_rows, crew
        self.n_columns = data.matrix.shape[1]
        self.parts = even_parts(np.arange(n_rows + 1))
        self._counts, self.n_nonzero = self._counted()

    def _blocks(self):
        """Yield the number of the first row and the arrays of every block."""
        first = 0
        with self.data.blocks(None) as blocks:
            for block in blocks:
                arrays = arrays_of(block.matrix)
                n_rows = len(arrays[2]) - 1
                if first + n_rows > self.n_rows:
                    raise ValueError(f"The source gave more rows than in its first pass, where it gave {self.n_rows}.")
                yield first, arrays
                first += n_rows
        if first < self.n_rows:
            raise ValueError(f"The source gave fewer rows than in its first pass, where it gave {self.n_rows}.")

    def _counted(self):
        counts, n_nonzero = np.zeros(self.n_columns, dtype=np.int32), 0
        for _, (_, indices, indptr) in self._blocks():
            sweeps.count_columns(indices, int(indptr[0]), int(indptr[-1]), counts)
            n_nonzero += int(indptr[-1]) - int(indptr[0])
        return counts, n_nonzero

    def counts(self):
        """Return how many entries each column has."""
        return self._counts

    def times(self, factors):
        """Return the matrix times a dense one."""
        out = np.empty((self.n_rows, factors.shape[1]))
        for first, arrays in self._blocks():
            of_block = functools.partial(_product, arrays, factors, out[first : first + len(arrays[2]) - 1])
            self.crew.map(of_block, even_parts(arrays[2]))
        return out

    def turned_times(self, factors, squares=False):
        """Return the transpose, or that of squared values, times a dense matrix."""
        out = np.zeros((self.n_columns, factors.shape[1]))
        for first, arrays in self._blocks():
            n_rows = len(arrays[2]) - 1
            sweeps.add_transposed(*arrays, factors[first : first + n_rows], out, 0, n_rows, squares)
        return out

    def curved(self, factors, shift, weight, out):
        """Write X^T c; return the sum of c, and X factors + shift, where c is weight times the last."""
        out[...], change, total = 0.0, np.empty(self.n_rows), 0.0
        for first, arrays in self._blocks():
            n_rows = len(arrays[2]) - 1
            own = slice(first, first + n_rows)
            total += sweeps.add_curved(*arrays, factors, shift, weight[own], change[own], out, 0, n_rows)
        return total, change

    def turned_pair(self, one, other):
        """Return the transpose times a dense matrix, and that of squared values times another."""
        out = np.zeros((self.n_columns, one.shape[1], 2))
        for first, arrays in self._blocks():
            own, n_rows = slice(first, first + len(arrays[2]) - 1), len(arrays[2]) - 1
            sweeps.add_transposed_pair(*arrays, one[own], other[own], out, 0, n_rows)
        return np.ascontiguousarray(out[..., 0]), np.ascontiguousarray(out[..., 1])

    def gram(self, weight, place, ones, width, share):
        """Return the weighted products of columns that have a place; about, from a share of the rows."""
        out = np.zeros((width, width))
        for first, arrays in self._blocks():
            n_rows = len(arrays[2]) - 1
            some = int(np.ceil(share * n_rows))
            own = weight[first : first + n_rows] * (n_rows / max(some, 1))
            sweeps.gram(*arrays, place, ones, own, out, 0, some)
        return whole(out)


def _product(arrays, factors, out, span):
    """Write a range of a block's rows times factors."""
    sweeps.product(*arrays, factors, out, *span)
