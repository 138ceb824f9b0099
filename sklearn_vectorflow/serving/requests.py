"""What callers of a `Predictor` give, as rows that the engine reads."""

import itertools
from collections.abc import Mapping
from numbers import Integral

import numpy as np
from scipy import sparse

from sklearn_vectorflow.engine import data as engine
from sklearn_vectorflow.io.matrix import Matrix, csr
from sklearn_vectorflow.network.forward import readable
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.sparse import native_integers, real_values

WANTED = "a CSR matrix or array, a dict of columns and values, a tuple (columns, values), or a list of such rows"
READERS = {
    (np.dtype(value), np.dtype(index)): engine.checked_rows[names]
    for value, index, names in (
        (np.float32, np.int32, ("float", "int32_t")),
        (np.float32, np.int64, ("float", "int64_t")),
        (np.float64, np.int32, ("double", "int32_t")),
        (np.float64, np.int64, ("double", "int64_t")),
    )
}
COLUMNS = "The columns of a row"
EMPTY = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)  # columns and values of a row without entries


class Requests:
    """Reads requests to a model.

    Parameters
    ----------
    network : Network
        Of the model.
    names : iterable of str
        Of the columns, if they have names.
    """

    def __init__(self, network, names):
        self.n_features = network.n_features
        self._network = network
        self._needs_canonical = network.graph.needs_canonical
        self._columns = {name: column for column, name in enumerate(names)}

    def read(self, X):
        """Return the checked rows of a request as `engine.Rows`.

        Raises
        ------
        TypeError, ValueError
            If it is none.
        """
        is_matrix = sparse.issparse(X)
        values, columns, starts, n_rows = self._of_matrix(X) if is_matrix else self._of_rows(X)
        rows = self._checked(values, columns, starts, n_rows)
        if rows is None or self._needs_canonical and not rows.canonical:
            matrix = Matrix(X if is_matrix else self._container(values, columns, starts, n_rows))  # or it complains
            rows = readable(matrix, self._network).rows
        return rows

    def _checked(self, values, columns, starts, n_rows):
        """Return the rows if they need no conversion and are right, else None."""
        try:
            reader = READERS[values.dtype, columns.dtype]
            return reader(values, columns, starts, n_rows, self.n_features, (values, columns, starts))
        except (AttributeError, KeyError, TypeError, ValueError):  # of arrays of other types, shapes and strides
            return None

    def _container(self, values, columns, starts, n_rows):
        """Return the matrix of arrays of any types."""
        triplet = real_values(values, "The values of a row"), native_integers(columns, COLUMNS), starts
        return csr(triplet, (n_rows, self.n_features))

    def _of_matrix(self, X):
        if X.format != "csr":
            raise TypeError(f"X must be {WANTED}, got {type(X).__name__}.")
        shape = X.shape
        if len(shape) != 2 or shape[1] != self.n_features:
            raise ValueError(f"X has the shape {shape}, but the model was fitted on {self.n_features} columns.")
        return X.data, X.indices, X.indptr, shape[0]

    def _of_rows(self, X):
        if not isinstance(X, list):
            columns, values = self._pair(X)
            return values, columns, _starts([len(columns)], columns), 1
        pairs = [self._pair(row) for row in X]
        columns = np.concatenate([native_integers(one, COLUMNS) for one, _ in [EMPTY, *pairs]])
        values = np.concatenate([one for _, one in [EMPTY, *pairs]])
        return values, columns, _starts([len(one) for one, _ in pairs], columns), len(pairs)

    def _pair(self, row):
        """Return columns and values of one row, as arrays of equal length."""
        if isinstance(row, Mapping):
            row = self._numbers(row), list(row.values())
        if not isinstance(row, tuple) or len(row) != 2:
            raise TypeError(f"X must be {WANTED}, got {type(row).__name__}.")
        columns, values = np.asarray(row[0]), np.asarray(row[1])
        if columns.ndim != 1 or columns.shape != values.shape:
            raise ValueError(
                "A row must have one value for each of its columns, "
                f"got arrays of the shapes {columns.shape} and {values.shape}."
            )
        return (columns, values) if len(columns) else EMPTY

    def _numbers(self, row):
        """Return the numbers of the columns that a dict names."""
        known = self._columns
        numbers = [known.get(name, name) for name in row] if known else list(row)
        for name in numbers:
            if not isinstance(name, (int, Integral)):
                names = "names of columns or their numbers" if known else "numbers of columns"
                raise ValueError(f"A row must have {names} as its keys, got {brief(name)}.")
        return numbers


def _starts(lengths, columns):
    """Return where rows of such lengths start, of the type of their columns if that is one of integers."""
    return np.array([0, *itertools.accumulate(lengths)], dtype=np.int32 if columns.dtype == np.int32 else np.int64)
