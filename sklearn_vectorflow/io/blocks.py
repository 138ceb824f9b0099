"""Blocks of rows: as sources give them, checked, joined and cut."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import check_array

from sklearn_vectorflow.io.matrix import Matrix, csr
from sklearn_vectorflow.validation.errors import brief, naming
from sklearn_vectorflow.validation.sparse import check_header


class Block(NamedTuple):
    """Some rows of a source.

    Parameters
    ----------
    X : {sparse matrix, array, data frame} of shape (n_rows, n_features)
    y : array-like of shape (n_rows,) or (n_rows, n_targets), or dict of them, default=None
        A dict, of times to an event, becomes a structured array.
    sample_weight : array-like of shape (n_rows,), default=None
    where : str, default=""
        What messages call the block.
    qid : ndarray of shape (n_rows,), default=None
        Queries that rows belong to, where a reader was asked for them.
    offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
        Added to raw outputs.
    tag : ndarray of str objects, shape (n_rows,), default=None
        What Vowpal Wabbit's text calls the rows, where a reader was asked for it.
    """

    X: object
    y: object = None
    sample_weight: object = None
    where: str = ""
    qid: object = None
    offset: object = None
    tag: object = None

    @classmethod
    def of(cls, item, where):
        """Return what a user's source gave as a Block: a tuple, or X alone."""
        if isinstance(item, cls):
            return item
        if not isinstance(item, tuple):
            return cls(item, where=where)
        if not 1 <= len(item) <= 4:
            raise ValueError(
                f"{where} must be (X, y), (X, y, sample_weight) or (X, y, sample_weight, offset), got a tuple of "
                f"{len(item)}."
            )
        names = "X", "y", "sample_weight", "offset"
        return cls(**dict(zip(names, item)), where=where)


@dataclass
class Checked:
    """A block whose values the engine can read.

    Parameters
    ----------
    matrix : Matrix
    y, weight : object
        As given.
    where : str
    part : int, default=None
        Part of the source that the block is of, or one of several blocks of.
    offset : object, default=None
        As given.
    """

    matrix: Matrix
    y: object
    weight: object
    where: str
    part: object = None
    offset: object = None

    @classmethod
    def of(cls, block, part=None):
        """Check a block's rows.

        Raises
        ------
        ValueError, TypeError
            As for X in memory, with the place the block comes from.
        """
        with naming(block.where):
            matrix = block.X.checked_now() if isinstance(block.X, Matrix) else _to_matrix(block.X)
            matrix.current = True
            y = structured(block.y, matrix.shape[0]) if isinstance(block.y, dict) else block.y
            given = {"y": y, "sample_weight": block.sample_weight, "offset": block.offset}
            for name, values in given.items():
                _check_length(name, values, matrix.shape[0])
        if hasattr(block.X, "head"):
            matrix.header = block.X.head(0)
        return cls(matrix, y, block.sample_weight, block.where, part, block.offset)


def structured(columns, n_rows):
    """Return a dict of columns as a structured array, without those that are None.

    Raises
    ------
    ValueError
        If a column is no row of numbers, one for each row.
    """
    columns = {name: np.asarray(column) for name, column in columns.items() if column is not None}
    for name, column in columns.items():
        if column.shape != (n_rows,) or column.dtype.hasobject:
            raise ValueError(
                f"{name} in y must be an array of {n_rows} numbers, one for each row, got {brief(column)}."
            )
    out = np.empty(n_rows, dtype=[(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        out[name] = column
    return out


def _to_matrix(X):
    if sparse.issparse(X):
        check_header(X, "X")
        return Matrix(X)
    return Matrix(
        check_array(
            X,
            dtype=[np.float32, np.float64],
            order="C",
            ensure_all_finite=False,
            ensure_min_samples=0,
            input_name="X",
        )
    )


def _check_length(name, values, n_rows):
    if values is None:
        return
    if isinstance(values, (list, tuple)):
        given = len(values)
    else:
        given = values.shape[0] if getattr(values, "shape", ()) else np.size(values)
    if given != n_rows:
        raise ValueError(f"X has {n_rows} rows, {name} has {given}.")


def join(matrices):
    """Return the rows of several matrices as one; not copied if there is only one."""
    if len(matrices) == 1:
        return matrices[0]
    n_features = matrices[0].shape[1]
    for matrix in matrices:
        if matrix.shape[1] != n_features:
            raise ValueError(f"Blocks differ in their number of features: {n_features} and {matrix.shape[1]}.")
    kinds = {sparse.issparse(matrix.values) for matrix in matrices}
    if len(kinds) > 1:
        raise ValueError("Blocks must be all sparse or all dense.")
    found = max(matrix.rows.longest for matrix in matrices), all(matrix.rows.canonical for matrix in matrices)
    values = [matrix.values for matrix in matrices]
    joined = Matrix(_join_csr(values) if kinds.pop() else np.concatenate(values), found=found)
    joined.header, joined.current = matrices[0].header, True
    return joined


def _join_csr(parts):
    spans = [(part.indptr[0], part.indptr[-1]) for part in parts]
    counts = np.cumsum([0] + [int(end) - int(start) for start, end in spans])
    indptr = np.concatenate(
        [[0]]
        + [
            part.indptr[1:].astype(np.int64) + (count - int(start))
            for part, (start, _), count in zip(parts, spans, counts)
        ]
    )
    data, indices = (
        np.concatenate([getattr(part, name)[start:end] for part, (start, end) in zip(parts, spans)])
        for name in ("data", "indices")
    )
    return csr((data, indices, indptr), (len(indptr) - 1, parts[0].shape[1]))


def rows_of(matrix, start, end):
    """Return rows [start, end) of a matrix; nothing is copied but row pointers."""
    if (start, end) == (0, matrix.shape[0]):
        return matrix
    found = matrix.rows.longest, matrix.rows.canonical
    if not sparse.issparse(matrix.values):
        return Matrix(matrix.values[start:end], found=found)
    X = matrix.values
    first, last = int(X.indptr[start]), int(X.indptr[end])
    triplet = X.data[first:last], X.indices[first:last], X.indptr[start : end + 1] - X.indptr[start]
    return Matrix(csr(triplet, (end - start, X.shape[1])), found=found)


def join_targets(parts):
    """Return the targets, weights or offsets of several blocks as one; None if there are none."""
    given = [part is not None for part in parts]
    if not any(given):
        return None
    if not all(given):
        raise ValueError("Either all blocks have targets, weights and offsets or none has.")
    if any(sparse.issparse(part) for part in parts):
        return sparse.vstack(parts, format="csr")
    parts = [np.asarray(part) for part in parts]
    check_kinds(parts)
    if len({part.shape[1:] for part in parts}) > 1:
        shapes = sorted({part.shape for part in parts})
        raise ValueError(
            f"Targets, weights and offsets must have equally many columns in all blocks, got shapes {brief(shapes)}."
        )
    return np.concatenate(parts)


def check_kinds(parts):
    """Raise if arrays hold numbers and strings (NumPy would write numbers, and NaN, as strings), or different fields.

    Raises
    ------
    TypeError
    """
    names = {part.dtype.names for part in parts}
    if len(names) > 1:
        raise TypeError(f"y must have the same fields in all blocks, got {' and '.join(sorted(map(str, names)))}.")
    kinds = {part.dtype.kind for part in parts}
    if kinds & set("biuf") and kinds & set("US"):
        raise TypeError("y must be of one type in all blocks, got numbers in some and strings in others.")


def n_bytes(matrix):
    """Return the memory that a matrix's values take."""
    if sparse.issparse(matrix.values):
        X = matrix.values
        return matrix.rows.n_nonzero * (X.data.itemsize + X.indices.itemsize) + X.indptr.nbytes
    return matrix.values.nbytes


def first_blocks(blocks, most_bytes):
    """Return the blocks that a buffer holds and an iterator over the others, None if there are none."""
    head, size = [], 0
    for block in blocks:
        head.append(block)
        size += n_bytes(block.matrix)
        if size > most_bytes:
            return head, blocks
    return head, None


def drained(head, rest):
    """Iterate over blocks that were read before, which are let go one by one, and those that follow."""
    while head:
        yield head.pop(0)
    yield from rest
