"""CSR triplets in memory or mapped from files, also those that a cache wrote."""

import os
from pathlib import Path

import numpy as np
from scipy import sparse

from sklearn_vectorflow.io import folder
from sklearn_vectorflow.io.blocks import Block, csr
from sklearn_vectorflow.io.matrix import Matrix, as_csr
from sklearn_vectorflow.io.source import Source
from sklearn_vectorflow.validation.scalars import check_integer

PART = 2**22  # bytes of a part: neighbours on the disk that a shuffle leaves together


class CSRSource(Source):
    """Rows of a CSR triplet: arrays in memory, or mapped from ``.npy`` files larger than memory.

    Parameters
    ----------
    data : array-like of shape (n_nonzero,), path-like, or sparse matrix
        Values, float32 or float64; a path is of a ``.npy`` file that is mapped. A sparse matrix
        brings `indices`, `indptr` and `n_features` along.
    indices : array-like of shape (n_nonzero,) or path-like, default=None
        Columns, int32 or int64.
    indptr : array-like of shape (n_rows + 1,) or path-like, default=None
        Row starts, int32 or int64.
    y : array-like of shape (n_rows,) or (n_rows, n_targets), or path-like, default=None
        Targets.
    sample_weight : array-like of shape (n_rows,) or path-like, default=None
        Weights.
    n_features : int, default=None
        Number of columns.
    buffer_bytes, survey, n_jobs, classes
        See :class:`Source`.

    Raises
    ------
    ValueError
        If the arrays do not fit each other; while reading, if a value is not finite or an
        index out of range.
    """

    def __init__(
        self,
        data,
        indices=None,
        indptr=None,
        y=None,
        sample_weight=None,
        *,
        n_features=None,
        buffer_bytes=2**28,
        survey=True,
        n_jobs=-1,
        classes=None,
    ):
        super().__init__(buffer_bytes=buffer_bytes, survey=survey, n_jobs=n_jobs, classes=classes)
        if sparse.issparse(data):
            data = as_csr(data)
            n_features = data.shape[1]
            data, indices, indptr = data.data, data.indices, data.indptr
        if indices is None or indptr is None or n_features is None:
            raise ValueError("CSRSource needs data, indices, indptr and n_features, or a sparse matrix.")
        check_integer("n_features", n_features, 1)
        self.data, self.indices, self.indptr = _mapped(data), _mapped(indices), _mapped(indptr)
        self.y, self.sample_weight = _mapped(y), _mapped(sample_weight)
        self.n_features = n_features
        self._check()
        self.n_rows = len(self.indptr) - 1
        row_bytes = (self.data.itemsize + self.indices.itemsize) * len(self.indices) / self.n_rows + 8
        self._step = max(64, int(PART / row_bytes) // 64 * 64)
        self.n_parts = -(-self.n_rows // self._step)
        self._found = {}

    @classmethod
    def open(cls, path, **options):
        """Open a folder that a cache wrote.

        Parameters
        ----------
        path : path-like
        **options
            Keywords of the class.

        Raises
        ------
        ValueError
            If the folder is no cache, of another version, damaged or incomplete.
        """
        header = folder.check(Path(path))
        arrays = {name: Path(path, f"{name}.npy") for name in header["arrays"]}
        source = cls(**arrays, n_features=header["n_features"], **options)
        source._labels = None if header["labels"] is None else np.array(header["labels"])
        return source

    _labels = None  # what codes in y stand for, where y are strings

    def _check(self):
        for name in ("data", "indices", "indptr"):
            if getattr(self, name).ndim != 1:
                raise ValueError(f"{name} must have one dimension, got shape {getattr(self, name).shape}.")
        if len(self.indptr) < 2:
            raise ValueError("indptr must have at least two entries: there are no rows.")
        if len(self.data) != len(self.indices) or int(self.indptr[-1]) > len(self.indices):
            raise ValueError(
                "data, indices and the last of indptr must agree, got lengths "
                f"{len(self.data)} and {len(self.indices)}, and {self.indptr[-1]}."
            )
        for name in ("y", "sample_weight"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.indptr) - 1:
                raise ValueError(f"{name} must have {len(self.indptr) - 1} rows as indptr has, got {len(values)}.")

    def read(self, piece):
        """Return some neighbouring rows; they are checked when they are read first."""
        start, end = piece * self._step, min((piece + 1) * self._step, self.n_rows)
        where = f"rows from {start}"
        first, last = int(self.indptr[start]), int(self.indptr[end])
        if not 0 <= first <= last <= len(self.indices):
            raise ValueError(f"{where}: indptr decreases or points beyond the indices.")
        indptr = np.asarray(self.indptr[start : end + 1]) - self.indptr[start]
        X = csr((self.data[first:last], self.indices[first:last], indptr), (end - start, self.n_features))
        try:
            matrix = Matrix(X, found=self._found.get(piece))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        self._found[piece] = matrix.rows.longest, matrix.rows.canonical
        y = None if self.y is None else np.asarray(self.y[start:end])
        weight = None if self.sample_weight is None else np.asarray(self.sample_weight[start:end])
        return (Block(matrix, y if self._labels is None else self._labels[y], weight, where),)


def _mapped(array):
    if array is None:
        return None
    if isinstance(array, (str, os.PathLike)):
        return np.load(array, mmap_mode="r", allow_pickle=False)
    return array if isinstance(array, np.ndarray) else np.asarray(array)
