"""Conversion of sparse matrices to CSR.

Users can set the arrays of a sparse matrix to anything, and the constructors and `check_format` of scipy do not check
all entries. Its compiled conversions then read and write wherever an index points. So this module checks each index
with NumPy before scipy converts anything, and passes only new matrices of checked arrays to it.
"""

import itertools
import numbers

import numpy as np
from scipy import sparse

FLOATS = np.dtype(np.float32), np.dtype(np.float64)  # types, which compare faster than classes
INTEGERS = np.dtype(np.int32), np.dtype(np.int64)
FORMATS = ("csr", "csc", "bsr", "coo", "dia", "dok", "lil")


def check_header(X, name):
    """Raise unless a sparse matrix has a format and a shape that we know.

    Raises
    ------
    TypeError, ValueError
        If it has another number of dimensions than two, or is in a format we do not read.
    """
    if X.format not in FORMATS:
        raise TypeError(f"{name} must be a sparse matrix in one of the formats {', '.join(FORMATS)}, got {X.format!r}.")
    shape = X.shape
    if len(shape) != 2:
        raise ValueError(f"{name} must have two dimensions, got a sparse array of {len(shape)}.")
    if not all(isinstance(size, numbers.Integral) and size >= 0 for size in shape):
        raise ValueError(f"{name}.shape must be two integers of at least 0, got {shape!r}.")


def check_real(dtype, name):
    """Raise unless values of a type are real numbers."""
    if dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} must be real.")
    if dtype.kind not in "fiub":
        raise TypeError(f"{name} must be numeric, got dtype {dtype}.")


def real_values(values, name):
    """Return an array of numbers as float32 or float64, not copied if it is that.

    Raises
    ------
    TypeError, ValueError
        If the values are complex or no numbers.
    """
    values = np.asarray(values)
    if values.dtype in FLOATS:
        return values
    check_real(values.dtype, name)
    with np.errstate(over="ignore"):  # what becomes infinite is refused with the other infinite values
        return values.astype(np.float64 if values.dtype.itemsize > 4 else np.float32)


def native_integers(array, what):
    """Return an array of indices as int32 or int64.

    Raises
    ------
    TypeError, ValueError
        If they are no integers, or too large.
    """
    array = np.asarray(array)
    if array.dtype in INTEGERS:
        return array
    if array.dtype.kind not in "iu":
        raise TypeError(f"{what} must be integers, got {array.dtype}.")
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{what} must be less than 2**63, got {array.max()}.")
    return array.astype(np.int64)


def check_lengths(values, indices, indptr, n_rows, name="X", rows="n_rows"):
    """Check what a CSR triplet must be for a pass over its row starts to be safe, at no cost that grows with it.

    Raises
    ------
    ValueError
        If the arrays do not fit each other or the number of rows, or the first row does not start at 0.
    """
    if values.ndim != 1 or indices.ndim != 1 or indptr.ndim != 1:
        raise ValueError(f"{name}.data, {name}.indices and {name}.indptr must have one dimension.")
    if len(indptr) != n_rows + 1:
        raise ValueError(f"{name}.indptr must have {rows} + 1 = {n_rows + 1} entries, got {len(indptr)}.")
    if len(values) < len(indices):
        raise ValueError(f"{name}.data has {len(values)} entries but {name}.indices has {len(indices)}.")
    if indptr[0] != 0:
        raise ValueError(f"{name}.indptr must start at 0, got {indptr[0]}.")


def checked_csr(X, name):
    """Return a sparse matrix of any format as CSR of float32 or float64, every index checked.

    Parameters
    ----------
    X : sparse matrix or array
    name : str
        What messages call it.

    Returns
    -------
    X : csr_matrix
        It may share arrays with X. Columns may be out of order and occur several times in a row.

    Raises
    ------
    TypeError, ValueError
        If it does not hold real numbers, if an index is out of range, or if its arrays do not fit each other.
    """
    return checked(X, name).tocsr()


def checked(X, name):
    """Return a sparse matrix as one that scipy may convert: CSR, CSC or BSR if it is that, else COO.

    See `checked_csr`.
    """
    check_header(X, name)
    try:
        dtype = X.dtype
    except AttributeError:  # of data set to something that is no array
        dtype = np.asarray(X.data).dtype
    check_real(dtype, name)
    try:
        return _READERS[X.format](X, name)
    except (TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise ValueError(f"{name} is a malformed {X.format} matrix: {error}") from error


def _read_compressed(X, name):
    """CSR, CSC and BSR: blocks, which may be single values, with a start for each row (or column) of them."""
    values, indices, indptr = (
        real_values(X.data, name),
        native_integers(X.indices, f"{name}.indices"),
        native_integers(X.indptr, f"{name}.indptr"),
    )
    height, width = _block_shape(X, values)
    sizes = X.shape[0] // height, X.shape[1] // width
    n_major, n_minor = sizes[::-1] if X.format == "csc" else sizes
    first = values if X.format != "bsr" else values[:, 0, 0]
    check_lengths(first, indices, indptr, n_major, name, "n_columns" if X.format == "csc" else "n_rows")
    n_stored = int(indptr[-1])
    if n_stored > len(indices) or np.any(indptr[1:] < indptr[:-1]):
        raise ValueError("indptr decreases or points beyond the indices")
    values, indices = values[:n_stored], indices[:n_stored]
    _check_range(indices, n_minor, "indices")
    kind = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "bsr": sparse.bsr_matrix}[X.format]
    return kind((values, indices, indptr), shape=X.shape)


def _block_shape(X, values):
    if X.format != "bsr":
        return 1, 1
    if values.ndim != 3 or 0 in values.shape[1:]:
        raise ValueError(f"data must be blocks of at least one value, got shape {values.shape}")
    height, width = values.shape[1:]
    if X.shape[0] % height or X.shape[1] % width:
        raise ValueError(f"blocks of shape {height, width} do not divide the shape {X.shape}")
    return height, width


def _read_coo(X, name):
    return _of_coordinates(real_values(X.data, name), X.row, X.col, X.shape)


def _read_dia(X, name):
    """Diagonals: value (d, j) lies in column j and in row j - offsets[d], if there is such a row."""
    values, offsets = real_values(X.data, name), native_integers(X.offsets, f"{name}.offsets")
    if values.ndim != 2 or offsets.ndim != 1 or len(offsets) != len(values):
        raise ValueError(f"data of shape {values.shape} do not fit offsets of shape {offsets.shape}")
    if len(np.unique(offsets)) < len(offsets):
        raise ValueError("an offset occurs twice")
    n_rows, n_columns = X.shape
    values = values[:, :n_columns]
    beyond = (offsets <= -n_rows) | (offsets >= n_columns)  # hold nothing, as scipy has it
    values, offsets = values[~beyond], offsets[~beyond].astype(np.int64)
    rows = np.arange(values.shape[1], dtype=np.int64) - offsets[:, None]
    diagonals, columns = np.nonzero((rows >= 0) & (rows < n_rows) & (values != 0))
    return _of_coordinates(values[diagonals, columns], rows[diagonals, columns], columns, X.shape)


def _read_dok(X, name):
    keys, n = list(X.keys()), len(X.keys())
    values = _listed(X.values(), X.dtype, name)
    places = np.array(keys) if n else np.empty((0, 2), dtype=np.int64)
    if places.shape != (n, 2):
        raise ValueError("a key is not a pair of a row and a column")
    return _of_coordinates(values, places[:, 0], places[:, 1], X.shape)


def _read_lil(X, name):
    of_rows, of_values = X.rows, X.data
    if np.shape(of_rows) != (X.shape[0],) or np.shape(of_values) != (X.shape[0],):
        raise ValueError(
            f"rows and data must have {X.shape[0]} lists, got {np.shape(of_rows)} and {np.shape(of_values)}"
        )
    lengths = [len(row) for row in of_rows]
    if lengths != [len(row) for row in of_values]:
        raise ValueError("a row has different numbers of columns and values")
    values = _listed(itertools.chain.from_iterable(of_values), X.dtype, name)
    columns = np.array(list(itertools.chain.from_iterable(of_rows))) if sum(lengths) else np.empty(0, dtype=np.int64)
    return _of_coordinates(values, np.repeat(np.arange(len(lengths)), lengths), columns, X.shape)


def _listed(values, dtype, name):
    """Python numbers, in the type of their matrix, as real values."""
    values = np.array(list(values))
    if values.ndim != 1:
        raise ValueError("a value is not a number")
    check_real(values.dtype, "a value")
    if dtype.kind in "iub" and values.dtype.kind == "f" and not np.all(np.isfinite(values)):
        raise ValueError(f"a value of a matrix of {dtype} is NaN or infinite")
    return real_values(values.astype(dtype), name)


def _of_coordinates(values, rows, columns, shape):
    rows, columns = native_integers(rows, "rows"), native_integers(columns, "columns")
    if not values.shape == rows.shape == columns.shape or values.ndim != 1:
        raise ValueError(f"data, rows and columns differ in shape: {values.shape}, {rows.shape} and {columns.shape}")
    _check_range(rows, shape[0], "rows")
    _check_range(columns, shape[1], "columns")
    return sparse.coo_matrix((values, (rows, columns)), shape=shape)


def _check_range(indices, n, what):
    if len(indices) and (indices.min() < 0 or indices.max() >= n):
        wrong = indices[(indices < 0) | (indices >= n)][0]
        raise ValueError(f"{what} must be in [0, {n}), got {wrong}")


_READERS = {
    "csr": _read_compressed,
    "csc": _read_compressed,
    "bsr": _read_compressed,
    "coo": _read_coo,
    "dia": _read_dia,
    "dok": _read_dok,
    "lil": _read_lil,
}
