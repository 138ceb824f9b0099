"""Which columns are hot: in so many rows that threads would write to their weights at the same time."""

import numpy as np
from scipy import sparse

SAMPLE = 10_000  # rows that are counted, about
RUNS = 64  # stretches of neighbouring rows that they are


def hottest(matrix, n):
    """Return the most frequent columns of a sample of rows, the most frequent first, and how frequent they are.

    Parameters
    ----------
    matrix : Matrix
    n : int
        How many columns, at most: those that the sample has not are left out.

    Returns
    -------
    columns : ndarray of int32, shape (n_hot,)
    shares : ndarray of float64, shape (n_hot,)
        Of the rows, those that have the column.
    """
    n_features = matrix.shape[1]
    if not sparse.issparse(matrix.values):
        n = min(n, n_features)
        return np.arange(n, dtype=np.int32), np.ones(n)
    entries, n_rows = _sampled(matrix.values)
    columns, counts = _counted(entries, n_features)
    rarity = counts.max(initial=0) - counts
    narrow = np.min_scalar_type(rarity.max(initial=0))  # numbers of two bytes are sorted in linear time
    order = np.argsort(rarity.astype(narrow), kind="stable")[:n]
    return columns[order].astype(np.int32), counts[order] / n_rows


def _sampled(values):
    """Columns of all entries of some rows of a CSR matrix, and how many rows these are."""
    n_rows, indptr = values.shape[0], values.indptr
    if n_rows <= SAMPLE:
        return values.indices[indptr[0] : indptr[-1]], n_rows
    length = -(-SAMPLE // RUNS)
    starts = np.linspace(0, n_rows - length, RUNS).astype(np.int64)
    runs = [values.indices[indptr[start] : indptr[start + length]] for start in starts]
    return np.concatenate(runs), length * RUNS


def _counted(columns, n_features):
    """Return the columns that occur, and how often each does."""
    if n_features <= len(columns):
        counts = np.bincount(columns, minlength=n_features)
        present = np.flatnonzero(counts)
        return present, counts[present]
    columns = np.sort(columns)
    starts = np.flatnonzero(np.concatenate([np.ones(min(1, len(columns)), bool), columns[1:] != columns[:-1]]))
    return columns[starts], np.diff(np.append(starts, len(columns)))
