"""Rows of a matrix in memory: sparse in any format, dense, or a data frame."""

import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

from sklearn_vectorflow.engine import data as engine

LARGEST_WIDTH = 2**31 - 1  # columns are int32 in the engine
SAMPLE = 1_000  # rows that tell what rows are like


class Matrix:
    """A checked matrix whose rows the engine can read; not copied if it needs no conversion.

    Parameters
    ----------
    values : csr_matrix, csr_array or ndarray of shape (n_rows, n_features)
        float32 or float64; dense values in C order.
    run : callable, default=map
        Maps a function over ranges of rows, perhaps in threads.
    found : tuple of (int, bool), default=None
        What a check of the values found before: at most so many values in a row, and
        whether none is zero and no column repeats.

    Attributes
    ----------
    rows : engine.Rows
    header : object
        What has the columns' names: the values, or some of the frame they come from.
    """

    def __init__(self, values, run=None, found=None):
        self.values = self.header = values
        self.shape = values.shape
        if self.shape[1] > LARGEST_WIDTH:
            raise ValueError(f"X may have at most 2**31 - 1 features, got {self.shape[1]}; hash them into fewer.")
        parts = _triplet(values) if sparse.issparse(values) else (values,)
        _check_parts(parts, self.shape)
        longest, canonical = _check_values(parts, self.shape, run) if found is None else found
        values, indices, indptr = parts if len(parts) == 3 else (values, None, None)
        self.rows = engine.Rows(values, indices, indptr, *self.shape, longest, canonical)

    def row_lengths(self):
        """Return the number of stored values of every row."""
        if sparse.issparse(self.values):
            return np.diff(self.values.indptr)
        return np.full(self.shape[0], self.shape[1])

    @property
    def sample_step(self):
        """The distance of the rows of a sample."""
        return sample_step(self.shape[0])

    def sample(self, start=0, step=None):
        """Return some rows, of 1,000 or more and evenly spaced, as CSR of float64 without repeated columns."""
        values, some = self.values, slice(start, None, step or self.sample_step)
        if not sparse.issparse(values):
            return sparse.csr_matrix(values[some].astype(np.float64))
        if values.indices.dtype != values.indptr.dtype:  # scipy takes rows of one type of integers only
            values = sparse.csr_matrix((values.data, values.indices, values.indptr), values.shape)
        rows = sparse.csr_matrix(values[some]).astype(np.float64)
        rows.sum_duplicates()
        return rows

    def touched(self):
        """Return an index of the columns with values, some perhaps twice; or of all."""
        if sparse.issparse(self.values) and len(self.values.indices) < self.shape[1]:
            return self.values.indices
        return slice(None)

    def summed(self):
        """Return a matrix in which no column occurs twice in a row, and no zero is stored."""
        values = self.values.copy()
        values.sum_duplicates()
        values.eliminate_zeros()
        return Matrix(values)

    def take(self, rows):
        """Return some rows as a matrix of their own."""
        return Matrix(self.values[rows])


def sample_step(n_rows):
    """Return the distance of rows in a sample, a power of two: a stream of unknown length can be thinned to it."""
    return 1 << max(0, (n_rows // SAMPLE).bit_length() - 1)


def row_lengths(rows):
    """Return the Euclidean lengths of the rows of a CSR matrix."""
    of_value = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    return np.sqrt(np.bincount(of_value, rows.data**2, minlength=rows.shape[0]))


def median_length(lengths, weight=None):
    """Return the weighted median of rows' lengths, 1 if it is zero."""
    weight = np.ones(len(lengths)) if weight is None else weight
    order = np.argsort(lengths, kind="stable")
    reached = np.cumsum(weight[order])
    if reached[-1] == 0:
        return 1.0
    median = lengths[order[np.searchsorted(reached, reached[-1] / 2)]]
    return float(median) if median > 0 else 1.0


def n_values(X):
    """Return about how many values X holds, before it has been checked."""
    if isinstance(X, Matrix):
        return X.rows.n_nonzero
    return int(len(X.data) if hasattr(X, "indptr") else getattr(X, "size", None) or 1)


def as_matrix(estimator, X, *, reset, run=None):
    """Check X and its columns against the estimator and return it as a Matrix.

    Parameters
    ----------
    estimator : estimator
        Its `n_features_in_` and `feature_names_in_` are set (reset=True) or compared.
    X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or Matrix
        A Matrix is taken as checked.
    reset : bool
    run : callable, default=None
        See `Matrix`.

    Raises
    ------
    ValueError
        If X is empty, has another number of columns than before, holds NaN, infinity or
        values too large for float32, or is a malformed sparse matrix.
    """
    if isinstance(X, Matrix):
        validate_data(estimator, X.header, reset=reset, skip_check_array=True)
        return X
    if sparse.issparse(X):
        if X.ndim != 2:
            raise ValueError(f"X must have two dimensions, got a sparse array of {X.ndim}.")
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        _check_not_empty(X.shape)
        return Matrix(as_csr(X), run)
    X = validate_data(
        estimator,
        X,
        reset=reset,
        accept_sparse="csr",
        dtype=[np.float32, np.float64],
        order="C",
        ensure_all_finite=False,
    )
    return Matrix(X, run)


def _check_not_empty(shape):
    for count, what in zip(shape, ("sample", "feature")):
        if count == 0:
            raise ValueError(f"Found array with 0 {what}(s) (shape={shape}) while a minimum of 1 is required.")


def as_csr(X):
    """Return a sparse matrix of any format as CSR of float32 or float64."""
    if X.dtype.kind == "c":
        raise ValueError("Complex data not supported: X must be real.")
    if X.dtype.kind not in "fiub":
        raise TypeError(f"X must be numeric, got dtype {X.dtype}.")
    if X.format != "csr":
        check_structure(X, "X")
        X = X.tocsr()
    if X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float64 if X.dtype.itemsize > 4 else np.float32)
    return X


def check_structure(X, name):
    """Raise if a sparse matrix names rows or columns it does not have: scipy's conversions trust it.

    Raises
    ------
    ValueError
        If an index is out of range, or the arrays of the format do not fit each other.
    """
    try:
        if X.format == "coo":
            type(X)((X.data, (X.row, X.col)), shape=X.shape)
        elif X.format in ("csr", "csc", "bsr"):
            X.check_format(full_check=True)
    except (ValueError, IndexError) as error:
        raise ValueError(f"{name} is a malformed {X.format} matrix: {error}") from error


def _triplet(X):
    """Contiguous arrays of a CSR matrix in types the engine reads."""
    parts = [np.ascontiguousarray(part) for part in (X.data, X.indices, X.indptr)]
    for k in (1, 2):
        if parts[k].dtype not in (np.int32, np.int64):
            if parts[k].dtype.kind not in "iu":
                raise TypeError(f"X.{('indices', 'indptr')[k - 1]} must be integers, got {parts[k].dtype}.")
            parts[k] = parts[k].astype(np.int64)
    return tuple(parts)


def _check_parts(parts, shape):
    """Lengths and ends of a CSR triplet, which the engine's pass over the rows takes for granted."""
    if len(parts) == 1:
        return
    values, indices, indptr = parts
    if any(part.ndim != 1 for part in parts):
        raise ValueError("X.data, X.indices and X.indptr must have one dimension.")
    if len(indptr) != shape[0] + 1:
        raise ValueError(f"X.indptr must have n_rows + 1 = {shape[0] + 1} entries, got {len(indptr)}.")
    if len(values) < len(indices):
        raise ValueError(f"X.data has {len(values)} entries but X.indices has {len(indices)}.")
    if indptr[0] < 0:
        raise ValueError(f"X.indptr must start at 0 or later, got {indptr[0]}.")


def _check_values(parts, shape, run):
    """Run the engine's checks over ranges of rows; return the longest row and canonicity."""
    check = engine.check_rows if len(parts) == 3 else engine.check_dense
    extra = (shape[1],) if len(parts) == 3 else ()
    n_ranges = 1 if run is None else 16
    edges = np.linspace(0, shape[0], n_ranges + 1).astype(np.int64).tolist()
    ranges = list(zip(edges[:-1], edges[1:]))
    found = list((run or map)(lambda span: check(*parts, *extra, *span), ranges))
    for problem, row, _, _ in found:
        if problem:
            _complain(problem, row, parts, shape)
    return max(longest for _, _, longest, _ in found), all(canonical for _, _, _, canonical in found)


def _complain(problem, row, parts, shape):
    message = engine.PROBLEMS[problem]
    if "column" in message:
        message += f" = {shape[1]}"
    if "NaN" in message:
        message = "X contains NaN, infinity or a value too large for float32"
    raise ValueError(f"{message} (in row {row} of X).")
