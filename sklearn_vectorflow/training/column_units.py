"""Units in which columns of X are alike, so that steps and initial weights of one size suit them all."""

import copy

import numpy as np
from scipy import sparse

from sklearn_vectorflow.io.matrix import Matrix, csr

CHUNK = 1 << 20  # values at a time, in double precision
CONSTANT = 1e-6  # share of its mean, as deviation of a column that does not vary


class ColumnUnits:
    """Centres and sizes of columns, to train on ``(X - center) / size``.

    Only columns of which all rows have a value are centred, so sparse rows stay sparse. The size of a column is its
    standard deviation, or the root mean square of its values if it is not centred.

    Parameters
    ----------
    center : ndarray of shape (n_columns,)
    size : ndarray of shape (n_columns,)
    square : ndarray of shape (n_columns,)
        Mean squares of the values, over those in these units.
    """

    def __init__(self, center, size, square):
        self.center = center
        self.size = size
        self.square = square

    @classmethod
    def of(cls, data, others, centers, chosen=slice(None), typical=1.0):
        """Measure some columns of training rows; the others stay as they are.

        Parameters
        ----------
        data : Data
        others : Data or None
            Other rows that will be read in these units.
        centers : bool
            Whether the columns may be centred.
        chosen : slice or ndarray of int
            Columns that change.
        typical : float, default=1.0
            The size that they will have.
        """
        matrix = _summed(data.matrix)
        n_rows, values = matrix.shape[0], matrix.values
        counts = _totals(values, lambda columns, some: some != 0)
        square = _totals(values, lambda columns, some: some**2) / np.maximum(counts, 1.0)
        mean = _totals(values, lambda columns, some: some) / n_rows
        is_chosen = np.zeros(matrix.shape[1], dtype=bool)
        is_chosen[chosen] = counts[chosen] > 0
        is_full = _is_full(matrix) & (2 * counts >= n_rows) & is_chosen & centers
        if others is not None:
            is_full &= _is_full(_summed(others.matrix))
        variance = _totals(values, lambda columns, some: (some - mean[columns]) ** 2) / n_rows
        varies = is_full & (variance > (CONSTANT * mean) ** 2)
        size = np.where(is_chosen, np.sqrt(np.where(varies, variance, square)) / typical, 1.0)
        return cls(np.where(is_full, mean, 0.0), size, np.where(is_chosen, square / typical**2, 1.0))

    def applied(self, data):
        """Return rows in these units; the values are copies."""
        found = copy.copy(data)
        values = _summed(data.matrix).values
        is_sparse = sparse.issparse(values)
        scaled = np.empty(values.indptr[-1] if is_sparse else values.shape, dtype=np.float32)
        for span, columns, some in _chunks(values):
            scaled[span] = (some - self.center[columns]) / self.size[columns]
        if is_sparse:
            scaled = csr((scaled, values.indices[: len(scaled)], values.indptr), values.shape)
        found.matrix = Matrix(scaled)
        return found

    def of_columns(self, chosen):
        """Return the units of some columns."""
        some = slice(chosen.start, chosen.stop, chosen.step) if isinstance(chosen, range) else chosen
        return ColumnUnits(self.center[some], self.size[some], self.square[some])

    def changed(self):
        """Return the columns that change, and their units."""
        columns = np.flatnonzero((self.size != 1.0) | (self.center != 0.0))
        return columns, self.of_columns(columns)


def _summed(matrix):
    """Return a matrix in which each column of a row has one value."""
    return matrix if matrix.rows.canonical or not sparse.issparse(matrix.values) else matrix.summed()


def _is_full(matrix):
    """Return which columns have a value stored in every row."""
    n_rows, n_columns = matrix.shape
    if not sparse.issparse(matrix.values):
        return np.ones(n_columns, dtype=bool)
    values = matrix.values
    return np.bincount(values.indices[: values.indptr[-1]], minlength=n_columns) == n_rows


def _chunks(values):
    """Yield (span, columns, values) of parts of a matrix; the columns of dense rows are None."""
    if sparse.issparse(values):
        end = int(values.indptr[-1])
        for start in range(0, end, CHUNK):
            span = slice(start, min(end, start + CHUNK))
            yield span, values.indices[span], values.data[span].astype(np.float64)
        return
    at_once = max(1, CHUNK // values.shape[1])
    for start in range(0, len(values), at_once):
        span = slice(start, start + at_once)
        yield span, None, values[span].astype(np.float64)


def _totals(values, of):
    """Return the sums of a function of (columns, values) over each column."""
    n_columns = values.shape[1]
    totals = np.zeros(n_columns)
    for _, columns, some in _chunks(values):
        found = of(columns, some)
        totals += found.sum(axis=0) if columns is None else np.bincount(columns, found, n_columns)
    return totals


def in_units(sample, sizes, centers):
    """Return a sample with its columns divided by their sizes.

    Parameters
    ----------
    sample : Sample
    sizes : ndarray of shape (n_features,)
        Columns of size 1 stay as they are.
    centers : bool
        Whether the others are centred, too, if they are dense.
    """
    rows, own = sample.matrix.values, sizes[sample.columns]
    found = copy.copy(sample)
    if 2 * rows.nnz >= rows.shape[0] * rows.shape[1]:  # zeros are numbers like others then
        found.matrix = Matrix(rows.toarray())
    measured = ColumnUnits.of(found, None, centers, own != 1.0)
    found = ColumnUnits(measured.center, own, measured.square).applied(found)
    found.matrix = Matrix(sparse.csr_matrix(found.matrix.values))
    return found
