"""Data frames of any library as columns of chunks."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sklearn_vectorflow.preprocessing.encoding.arrow import read_column, read_table
from sklearn_vectorflow.preprocessing.encoding.values import Codes, Numbers, Objects, Unreadable
from sklearn_vectorflow.validation.errors import brief


@dataclass(frozen=True)
class Frame:
    """Columns of equally many rows.

    Parameters
    ----------
    names : list of str
    columns : list of list of Values
        The chunks of each column.
    n_rows : int
    named : bool
        Whether the names are those of the caller.
    owner : object
        What the values are read from.
    """

    names: list
    columns: list
    n_rows: int
    named: bool
    owner: object

    def pieces(self, size):
        """Yield ranges of rows, of at most ``size`` and in one chunk of every column each.

        A piece is its number of rows, and for every column the chunk and the first row in it.
        """
        if self.n_rows <= size and all(len(chunks) == 1 for chunks in self.columns):  # single rows come often
            yield self.n_rows, [(chunks[0], 0) for chunks in self.columns]
            return
        starts = [np.cumsum([0, *map(len, chunks)]) for chunks in self.columns]
        edges = np.unique(np.concatenate([np.arange(0, self.n_rows, size), [self.n_rows], *starts]))
        for first, stop in zip(edges[:-1].tolist(), edges[1:].tolist()):
            places = []
            for chunks, start in zip(self.columns, starts):
                k = int(np.searchsorted(start, first, side="right")) - 1
                places.append((chunks[k], first - int(start[k])))
            yield stop - first, places

    def select(self, names):
        """Return the frame of some columns, in the order given."""
        return Frame(
            names, [self.columns[self.names.index(name)] for name in names], self.n_rows, self.named, self.owner
        )


def read_frame(X):
    """Return a Frame of a data frame or an array, whose values are not copied if they need no conversion.

    Raises
    ------
    TypeError, ValueError
        If X is no table, has no rows or columns, two columns of one name, or a name that Arrow
        cannot pass on.
    """
    if isinstance(X, Frame):
        return X
    if sparse.issparse(X):
        raise TypeError(
            "Sparse data was passed, but X must be a data frame or a dense array: it is what becomes sparse."
        )
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        names = [str(name) for name in X.columns]
        columns = [_pandas(X.iloc[:, j]) for j in range(len(names))]
        named = all(isinstance(name, str) for name in X.columns)
        n_rows = len(X)
    elif hasattr(X, "__arrow_c_stream__"):
        names, columns = read_table(X)
        named = True
        n_rows = sum(map(len, columns[0])) if columns else 0
    else:
        names, columns, n_rows = _array(X)
        named = False
    _check(names, n_rows)
    return Frame(names, columns, n_rows, named, X)


def frame_of_rows(rows):
    """Return a Frame of a few rows that are dicts of names and values; all have the names of the first."""
    names = list(rows[0])
    columns = [[Objects(_objects([row[name] for row in rows]))] for name in names]
    _check(names, len(rows))
    return Frame(names, columns, len(rows), True, rows)


def _objects(values):
    """Return an array of objects, which may be lists."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _check(names, n_rows):
    for count, what in ((n_rows, "sample"), (len(names), "feature")):
        if count == 0:
            raise ValueError(
                f"Found array with 0 {what}(s) (shape=({n_rows}, {len(names)})) while a minimum of 1 is required."
            )
    twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()
    if twice:
        raise ValueError(f"X has several columns of the name {min(twice)!r}.")


def _pandas(series):
    """The chunks of a pandas column."""
    dtype = series.dtype
    if hasattr(dtype, "categories"):
        return [Codes(series.cat.codes.to_numpy(), Objects(np.asarray(dtype.categories, dtype=object)))]
    if getattr(dtype, "storage", None) == "pyarrow" or type(dtype).__name__ == "ArrowDtype":
        return read_column(series.array.__arrow_array__().__arrow_c_stream__())
    if dtype.kind == "O":
        kind = getattr(dtype, "type", None)
        return [Objects(series.to_numpy(dtype=object))] if kind in (np.object_, str) else [_unreadable(series)]
    if dtype.kind not in "biuf":
        return [_unreadable(series)]
    if isinstance(dtype, np.dtype):
        return [Numbers(series.to_numpy())]
    missing = series.isna().to_numpy()
    return [Numbers(series.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0)), missing)]


def _unreadable(column):
    return Unreadable(len(column), f"values of type {column.dtype}")


def _array(X):
    """Names, chunks of columns and number of rows of an array."""
    if isinstance(X, (str, bytes)) or np.isscalar(X):
        raise TypeError(f"X must be a data frame or an array of two dimensions, got {brief(X)}.")
    X = np.asarray(X)
    if X.dtype.kind == "c":
        raise ValueError("Complex data not supported: X must be real.")
    if X.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {X.ndim}D array instead. Reshape your data using array.reshape(-1, 1) if it is "
            "one column, or array.reshape(1, -1) if it is one row."
        )
    names = [f"x{j}" for j in range(X.shape[1])]
    return names, [[_of_array(X[:, j])] for j in range(X.shape[1])], X.shape[0]


def _of_array(column):
    if column.dtype.kind in "OUST":
        return Objects(column.astype(object))
    return Numbers(column) if column.dtype.kind in "biuf" else _unreadable(column)
