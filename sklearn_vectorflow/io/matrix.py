"""Rows of a matrix in memory: sparse in any format, dense, or a data frame."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

from sklearn_vectorflow.engine import data as engine
from sklearn_vectorflow.io.sampling import sampled_rows
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.sparse import check_header, check_lengths, checked_csr, native_integers, real_values
from sklearn_vectorflow.validation.types import Array

LARGEST_WIDTH = 2**31 - 1  # columns are int32 in the engine


class Matrix:
    """A checked matrix whose rows the engine can read; not copied if it needs no conversion.

    Parameters
    ----------
    values : sparse matrix or array, or ndarray, of shape (n_rows, n_features)
        Other sparse formats than CSR, other values than float32 and float64, and arrays that are not
        in C order are converted.
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
    current : bool
        Whether nobody can have changed the arrays since the check, in the same pass of a source.
    """

    current = False

    def __init__(
        self, values: Any, run: Callable[..., Any] | None = None, found: tuple[int, bool] | None = None
    ) -> None:
        is_sparse = sparse.issparse(values)
        values = as_csr(values) if is_sparse else np.ascontiguousarray(real_values(values, "X"))
        self.values = self.header = values
        self.shape = values.shape
        if len(self.shape) != 2:
            raise ValueError(f"X must have two dimensions, got shape {self.shape}.")
        if self.shape[1] > LARGEST_WIDTH:
            raise ValueError(f"X may have at most 2**31 - 1 features, got {self.shape[1]}; hash them into fewer.")
        parts: tuple = (values,)
        if is_sparse:
            parts = tuple(np.ascontiguousarray(part) for part in (values.data, values.indices, values.indptr))
            check_lengths(*parts, self.shape[0])  # type: ignore[call-arg]
        longest, canonical = _check_values(parts, self.shape, run) if found is None else found
        values, indices, indptr = parts if len(parts) == 3 else (values, None, None)
        self.rows = engine.Rows(values, indices, indptr, *self.shape, longest, canonical)

    def checked_now(self, run: Callable[..., Any] | None = None) -> "Matrix":
        """Return a matrix of the same arrays, checked anew unless they are as they were."""
        if self.current:
            return self
        new = Matrix(self.values, run)
        new.header = self.header
        return new

    def __reduce__(self) -> Any:
        return _restored, (self.values, None if self.header is self.values else self.header)

    def row_lengths(self) -> Array:
        """Return the number of stored values of every row."""
        if sparse.issparse(self.values):
            return np.diff(self.values.indptr)
        return np.full(self.shape[0], self.shape[1])

    def sample(self, step: int = 1, first: int = 0) -> Any:
        """Return the rows of a sample, of which each stands for so many, as CSR of float64.

        No column repeats in a row. Where the rows are a part of others, `first` is the number of the first one.
        """
        values, some = self.values, sampled_rows(first, first + self.shape[0], step) - first
        if not sparse.issparse(values):
            return sparse.csr_matrix(values[some].astype(np.float64))
        rows = sparse.csr_matrix(self._for_scipy()[some]).astype(np.float64)
        rows.sum_duplicates()
        return rows

    def _for_scipy(self):
        """The values as scipy takes them: indices of one type, and no more values than indices."""
        X = self.values
        if not sparse.issparse(X) or X.indices.dtype == X.indptr.dtype and len(X.data) == len(X.indices):
            return X
        return sparse.csr_matrix((X.data[: len(X.indices)], X.indices, X.indptr), X.shape)

    def touched(self) -> Any:
        """Return an index of the columns with values, some perhaps twice; or of all."""
        if sparse.issparse(self.values) and self.rows.n_nonzero < self.shape[1]:
            return self.values.indices[: self.values.indptr[-1]]
        return slice(None)

    def summed(self) -> "Matrix":
        """Return a matrix in which no column occurs twice in a row, and no zero is stored."""
        values = self._for_scipy().copy()
        values.sum_duplicates()
        if values.dtype.kind == "f":  # what single precision flushes to zero is no more than that
            values.data[np.abs(values.data) < np.finfo(np.float32).tiny] = 0.0
        values.eliminate_zeros()
        return Matrix(values)

    def take(self, rows: Any) -> "Matrix":
        """Return some rows as a matrix of their own."""
        return Matrix(self._for_scipy()[rows])


def _restored(values, header):
    """Return the matrix of a pickle; its values are checked anew."""
    matrix = Matrix(values)
    if header is not None:
        matrix.header = header
    return matrix


def row_lengths(rows):
    """Return the Euclidean lengths of the rows of a CSR matrix."""
    of_value = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    return np.sqrt(np.bincount(of_value, rows.data**2, minlength=rows.shape[0]))


def median_length(lengths, weight=None):
    """Return the weighted median of the lengths of rows that are not empty, 1 if all are."""
    weight = np.where(lengths > 0, 1.0 if weight is None else weight, 0.0)
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
    values = getattr(X, "data", None) if sparse.issparse(X) else X
    return int(getattr(values, "size", None) or 1)


def as_matrix(estimator, X, *, reset, run=None):
    """Check X and its columns against the estimator and return it as a Matrix.

    Parameters
    ----------
    estimator : estimator
        Its `n_features_in_` and `feature_names_in_` are set (reset=True) or compared.
    X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or Matrix
        A Matrix is checked again, as its arrays may have changed, unless it is `current`.
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
        return X.checked_now(run)
    if sparse.issparse(X):
        check_header(X, "X")
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        _check_not_empty(X.shape)
        return Matrix(X, run)
    is_typed = hasattr(X, "dtype") or hasattr(X, "columns")
    with _pointing_to_text(X):
        X = validate_data(
            estimator,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=[np.float32, np.float64] if is_typed else np.float64,  # numbers of Python have double precision
            order="C",
            ensure_all_finite=False,
        )
    return Matrix(X, run)


@contextlib.contextmanager
def _pointing_to_text(X):
    """Says which columns hold strings, where an error says that there are some, and what makes numbers of them."""
    try:
        yield
    except ValueError as error:
        if not f"{error}".startswith("could not convert string"):
            raise
        found = _text_columns(X)
        where = f"column(s) {brief(found)} of X hold" if found else "X holds"
        raise ValueError(
            f"{error}: {where} strings. Encode them as numbers first, for instance by "
            "sklearn_vectorflow.preprocessing.HashingEncoder, which takes data frames and hashes strings."
        ) from error


def _text_columns(X):
    """Return the names, or numbers, of the columns of a frame or an array that hold strings."""
    names = list(getattr(X, "columns", ()))
    X = X if names else np.asarray(X, dtype=object)
    if not names and X.ndim != 2:
        return []
    columns = {name: X[name] if names else X[:, name] for name in names or range(X.shape[1])}
    return [name for name, values in columns.items() if _has_text(np.asarray(values))]


def _has_text(values):
    return values.dtype.kind in "UST" or values.dtype.kind == "O" and any(isinstance(one, str) for one in values)


def _check_not_empty(shape):
    for count, what in zip(shape, ("sample", "feature")):
        if count == 0:
            raise ValueError(f"Found array with 0 {what}(s) (shape={shape}) while a minimum of 1 is required.")


def as_csr(X):
    """Return a sparse matrix of any format as CSR of float32 or float64 for a `Matrix`, which checks its indices.

    Raises
    ------
    TypeError, ValueError
        If X does not hold real numbers, has not two dimensions, or is malformed in another format than CSR.
    """
    if X.format != "csr":
        return checked_csr(X, "X")
    values, indices, indptr = (
        real_values(X.data, "X"),
        native_integers(X.indices, "X.indices"),
        native_integers(X.indptr, "X.indptr"),
    )
    if values is X.data and indices is X.indices and indptr is X.indptr:
        return X
    check_header(X, "X")
    return _container(values, indices, indptr, X.shape)


def csr(triplet, shape):
    """Return a CSR matrix of a triplet; scipy would scan it, and widen indices for the sake of indptr."""
    data, indices, indptr = triplet
    if indptr.dtype != indices.dtype and 0 <= indptr.min() <= indptr.max() <= np.iinfo(indices.dtype).max:
        indptr = indptr.astype(indices.dtype)
    return _container(data, indices, indptr, shape)


def _container(data, indices, indptr, shape):
    """A CSR matrix of arrays that nobody looks at."""
    matrix = sparse.csr_matrix(shape, dtype=data.dtype)
    matrix.data, matrix.indices, matrix.indptr = data, indices, indptr
    return matrix


def _check_values(parts, shape, run):
    """Run the engine's checks over ranges of rows; return the longest row and canonicity."""
    check = engine.check_rows if len(parts) == 3 else engine.check_dense
    extra = (shape[1],) if len(parts) == 3 else ()
    if run is None:  # for a single row, edges take longer than the check
        found = [check(*parts, *extra, 0, shape[0])]
    else:
        edges = np.linspace(0, shape[0], 17).astype(np.int64).tolist()
        found = list(run(lambda span: check(*parts, *extra, *span), list(zip(edges[:-1], edges[1:]))))
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
