"""Columns of Arrow tables as blocks of rows."""

import numpy as np

from sklearn_vectorflow.io.blocks import Block, csr, structured
from sklearn_vectorflow.validation.errors import naming

FRAMES = ("arrow", "pandas")


def import_pyarrow():
    """Return pyarrow.

    Raises
    ------
    ImportError
        If it is not installed, with what to install.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError("Arrow and Parquet need pyarrow: pip install sklearn-vectorflow[io]") from error
    return pyarrow


class Columns:
    """Which columns of a table are targets, weights, offsets and features, and how features are made of them.

    Parameters
    ----------
    y : str, dict of str, or None
        A dict of several columns, of times to an event: they become a structured array with its keys as names.
    sample_weight, offset : str or None
    columns : list of str or None
        Columns that features are made of; None is all others.
    indices, values : str or None
        List columns of a row's columns and values, in place of `columns`.
    n_features : int or None
        Needed with `indices`.
    encoder : transformer or None
        Fitted or stateless; None takes `columns` as dense numbers.
    frame : {"arrow", "pandas"}
        What the encoder is given.

    Raises
    ------
    ValueError, TypeError
        If these do not go together.
    """

    def __init__(self, y, sample_weight, offset, columns, indices, values, n_features, encoder, frame):
        if values is not None and indices is None:
            raise ValueError(f"values={values!r} needs indices.")
        if indices is not None and (columns is not None or encoder is not None):
            raise ValueError("indices replaces columns and encoder; got both.")
        if indices is not None and n_features is None:
            raise ValueError(f"indices={indices!r} needs n_features.")
        if encoder is not None and not hasattr(encoder, "transform"):
            raise TypeError(f"encoder must have a method transform, got {encoder!r}.")
        if frame not in FRAMES:
            raise ValueError(f"frame must be one of {FRAMES}, got {frame!r}.")
        self.y = y
        self.sample_weight = sample_weight
        self.offset = offset
        self.columns = columns
        self.indices = indices
        self.values = values
        self.n_features = n_features
        self.encoder = encoder
        self.frame = frame

    def needed(self, names):
        """Return the columns to read, of those there are.

        Raises
        ------
        ValueError
            If a column is missing.
        """
        features = [self.indices, self.values] if self.indices is not None else self.features(names)
        needed = [name for name in (*self._of_rows, *features) if name is not None]
        needed = list(dict.fromkeys(needed))  # a column of times may be a feature, too
        missing = [name for name in needed if name not in names]
        if missing:
            raise ValueError(f"There are no columns {missing}; there are {list(names)}.")
        return needed

    def features(self, names):
        """Return the columns that features are made of."""
        if self.columns is not None:
            return list(self.columns)
        return [name for name in names if name not in self._of_rows]

    @property
    def _of_rows(self):
        return *self.targets, self.sample_weight, self.offset

    @property
    def targets(self):
        """Columns of targets."""
        return (self.y,) if not isinstance(self.y, dict) else tuple(self.y.values())

    def block(self, table, where):
        """Return the rows of a table.

        Raises
        ------
        ValueError, TypeError
            If a number is missing or columns are of the wrong type, with `where`.
        """
        with naming(where):
            y = None if self.y is None else self._targets(table)
            weight, offset = (
                None if name is None else _numbers(table, name) for name in (self.sample_weight, self.offset)
            )
            return Block(self._rows(table), y, weight, where, offset=offset)

    def _targets(self, table):
        if not isinstance(self.y, dict):
            return _numbers(table, self.y)
        return structured({name: _numbers(table, column) for name, column in self.y.items()}, table.num_rows)

    def _rows(self, table):
        if self.indices is not None:
            return self._lists(table)
        table = table.select(self.features(table.column_names))
        if self.encoder is not None:
            return self.encoder.transform(table if self.frame == "arrow" else table.to_pandas())
        columns = [_numbers(table, name) for name in table.column_names]
        wide = any(column.dtype.itemsize > 4 for column in columns)
        return np.column_stack([column.astype(np.float64 if wide else np.float32) for column in columns])

    def _lists(self, table):
        indices, indptr = _flat(table, self.indices)
        if indices.dtype.kind not in "iu":
            raise TypeError(f"column {self.indices!r} must hold lists of integers, got {indices.dtype}.")
        if indices.dtype not in (np.int32, np.int64):
            indices = indices.astype(np.int64 if indices.dtype.itemsize > 2 else np.int32)
        if self.values is None:
            values = np.ones(len(indices), dtype=np.float32)
        else:
            values, ends = _flat(table, self.values)
            if not np.array_equal(indptr, ends):
                row = int(np.argmin(np.diff(indptr) == np.diff(ends)))
                raise ValueError(f"columns {self.indices!r} and {self.values!r} differ in length in row {row}.")
            if values.dtype not in (np.float32, np.float64):
                values = values.astype(np.float32 if values.dtype.itemsize < 4 else np.float64)
        return csr((values, indices, indptr), (table.num_rows, self.n_features))


def _numbers(table, name):
    """Return a column as an array; none of it is missing."""
    column = table.column(name)
    if column.null_count:
        row = column.is_null().to_numpy().argmax()
        raise ValueError(f"column {name!r} is missing in row {row}.")
    values = column.to_numpy()
    try:
        return values.astype(str) if values.dtype.kind == "O" else values
    except UnicodeDecodeError:
        raise ValueError(f"column {name!r} holds bytes that are not text: cast it to strings or numbers.") from None


def _flat(table, name):
    """Return the values of a column of lists one after the other, and where each list starts."""
    pyarrow = import_pyarrow()
    column = table.column(name)
    if not (pyarrow.types.is_list(column.type) or pyarrow.types.is_large_list(column.type)):
        raise TypeError(f"column {name!r} must hold lists, got {column.type}.")
    if column.null_count:
        raise ValueError(f"column {name!r} is missing in row {column.is_null().to_numpy().argmax()}.")
    values, starts, total = [], [np.zeros(1, dtype=np.int64)], 0
    for chunk in column.chunks:
        offsets = chunk.offsets.to_numpy()
        flat = chunk.values.slice(offsets[0], offsets[-1] - offsets[0])
        if flat.null_count:
            place = int(flat.is_null().to_numpy(zero_copy_only=False).argmax()) + offsets[0]
            row = int(np.searchsorted(offsets, place, side="right")) - 1
            raise ValueError(f"column {name!r} has a missing value in row {row}.")
        values.append(flat.to_numpy(zero_copy_only=False))
        starts.append(offsets[1:].astype(np.int64) - offsets[0] + total)
        total += len(flat)
    indptr = np.concatenate(starts)
    return (values[0] if len(values) == 1 else np.concatenate(values)), indptr
