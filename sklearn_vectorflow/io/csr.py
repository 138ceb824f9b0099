"""CSR triplets in memory or in files, including those of a cache."""

import os
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from sklearn_vectorflow.io import folder
from sklearn_vectorflow.io.blocks import Block, csr
from sklearn_vectorflow.io.cache_writer import PART
from sklearn_vectorflow.io.matrix import Matrix, as_csr
from sklearn_vectorflow.io.source import Source
from sklearn_vectorflow.io.stored import StoredArray, check_map, is_mapped
from sklearn_vectorflow.validation.errors import naming
from sklearn_vectorflow.validation.scalars import check_integer
from sklearn_vectorflow.validation.types import FilePath


class CSRSource(Source):
    """Rows of a CSR triplet, as arrays in memory or in ``.npy`` files larger than memory.

    Each pass checks the rows, since arrays and files may change. It reads files part by part into memory.

    Parameters
    ----------
    data : array-like of shape (n_nonzero,), path-like, or sparse matrix
        Values, float32 or float64, or the path of a ``.npy`` file. A sparse matrix includes `indices`, `indptr` and
        `n_features`.
    indices : array-like of shape (n_nonzero,) or path-like, default=None
        Column numbers, int32 or int64.
    indptr : array-like of shape (n_rows + 1,) or path-like, default=None
        Row pointers, int32 or int64.
    y : array-like of shape (n_rows,) or (n_rows, n_targets), or path-like, default=None
        Targets.
    sample_weight : array-like of shape (n_rows,) or path-like, default=None
        Weights.
    offset : array-like of shape (n_rows,) or (n_rows, n_outputs), or path-like, default=None
        Offsets, which are added to the raw outputs.
    n_features : int, default=None
        Number of columns.
    buffer_bytes, survey, n_jobs, classes
        See :class:`Source`.

    Raises
    ------
    ValueError
        If the arrays do not fit each other or, while reading, if a value is not finite, an index is out of range or a
        file is truncated.
    """

    def __init__(
        self,
        data: Any,
        indices: Any = None,
        indptr: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        *,
        offset: Any = None,
        n_features: int | None = None,
        buffer_bytes: int = 2**28,
        survey: bool = True,
        n_jobs: int = -1,
        classes: ArrayLike | None = None,
    ) -> None:
        super().__init__(buffer_bytes=buffer_bytes, survey=survey, n_jobs=n_jobs, classes=classes)
        self.opened = data if isinstance(data, folder.OpenCache) else None  # the cache that the rows are of
        if self.opened is not None:
            n_features = data.header.n_features
            data, indices, indptr, y, sample_weight, offset = (data.arrays.get(name) for name in folder.ARRAYS)
        elif sparse.issparse(data):
            data = as_csr(data)
            n_features = data.shape[1]
            data, indices, indptr = data.data, data.indices, data.indptr
        if indices is None or indptr is None or n_features is None:
            raise ValueError("CSRSource needs data, indices, indptr and n_features, or a sparse matrix.")
        check_integer("n_features", n_features, 1)
        self._stored: dict = {}
        for name, values in zip(folder.ARRAYS, (data, indices, indptr, y, sample_weight, offset)):
            setattr(self, name, self._array(name, values))
        self.n_features = n_features
        if self.opened is None:
            self._check()
        self.n_rows = len(self.indptr) - 1
        row_bytes = (self.data.itemsize + self.indices.itemsize) * len(self.indices) / self.n_rows + 8
        self._step = max(64, int(PART / row_bytes) // 64 * 64)
        self.n_parts = -(-self.n_rows // self._step) if self.opened is None else self.opened.n_parts

    @classmethod
    def open(cls, path: FilePath, **options: Any) -> Self:
        """Open a cache, the folder of :func:`write_cache` or of the parameter `cache` of a source.

        Parameters
        ----------
        path : path-like
            The folder.
        **options
            Other parameters of the class.

        Returns
        -------
        source : CSRSource

        Raises
        ------
        ValueError
            If the folder is not a cache, or a cache of another version, damaged or incomplete, or, while reading, if
            rows do not match their checksum.
        """
        path = folder.resolved(path)
        source = cls(folder.open_cache(path), **options)
        folder.tidy(path, source.opened.header.folder)  # type: ignore[union-attr]
        return source

    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name not in self._stored}

    def __setstate__(self, state):
        vars(self).update(state)
        for name, array in self._stored.items():
            setattr(self, name, array.mapped())

    def _array(self, name, values):
        """Return an array as users see it; those of files are read from there."""
        if isinstance(values, (str, os.PathLike)):
            values = StoredArray.of(values)
        if isinstance(values, StoredArray):
            self._stored[name] = values
            return values.mapped()
        return values if values is None or isinstance(values, np.ndarray) else np.asarray(values)

    def _entries(self, name, start, end):
        """Return some entries of an array, which nobody else changes if they come from a file."""
        if name in self._stored:
            return self._stored[name].read(start, end)
        array = getattr(self, name)
        check_map(array)
        return np.array(array[start:end]) if is_mapped(array) else array[start:end]

    def _check(self):
        for name in ("data", "indices", "indptr"):
            if getattr(self, name).ndim != 1:
                raise ValueError(f"{name} must have one dimension, got shape {getattr(self, name).shape}.")
        if self.data.dtype not in (np.float32, np.float64):
            raise TypeError(f"data must be float32 or float64, got {self.data.dtype}.")
        for name in ("indices", "indptr"):
            if getattr(self, name).dtype.kind not in "iu":
                raise TypeError(f"{name} must be integers, got {getattr(self, name).dtype}.")
        if len(self.indptr) < 2:
            raise ValueError("indptr must have at least two entries: there are no rows.")
        first, last = self._pointer(0), self._pointer(len(self.indptr) - 1)
        if first != 0:
            raise ValueError(f"indptr must start at 0, got {first}.")
        if len(self.data) != len(self.indices) or not 0 <= last <= len(self.indices):
            raise ValueError(
                "data, indices and the last of indptr must agree, got lengths "
                f"{len(self.data)} and {len(self.indices)}, and {last}."
            )
        for name in folder.OF_ROWS:
            values = getattr(self, name)
            if values is not None and len(values) != len(self.indptr) - 1:
                raise ValueError(f"{name} must have {len(self.indptr) - 1} rows as indptr has, got {len(values)}.")

    def _pointer(self, row):
        """Return where a row starts."""
        return int(self._entries("indptr", row, row + 1)[0])

    def release(self) -> None:
        """Free memory that the next pass would reuse."""
        for array in self._stored.values():
            array.release()

    def read(self, piece: Any) -> Iterable[Any]:
        """Return some neighbouring rows, checked."""
        start, arrays = self._part(piece) if self.opened is None else self._cached_part(piece)
        where = f"rows from {start}"
        indptr = arrays["indptr"]
        X = csr((arrays["data"], arrays["indices"], indptr), (len(indptr) - 1, self.n_features))
        with naming(where):
            matrix = Matrix(X)
            y = arrays.get("y") if self.opened is None else self._decoded(arrays.get("y"))
        # who iterates over the source may keep blocks whose memory is the user's
        matrix.current = not any(np.may_share_memory(arrays[name], getattr(self, name)) for name in ("data", "indices"))
        return (Block(matrix, y, arrays.get("sample_weight"), where, offset=arrays.get("offset")),)

    def _part(self, piece):
        start, end = piece * self._step, min((piece + 1) * self._step, self.n_rows)
        indptr = _native(self._entries("indptr", start, end + 1))
        first, last = int(indptr[0]), int(indptr[-1])
        if not 0 <= first <= last <= len(self.indices):
            raise ValueError(f"rows from {start}: indptr decreases or points beyond the indices.")
        if start == 0 and first != 0:
            raise ValueError(f"indptr must start at 0, got {first}.")
        spans = {"data": (first, last), "indices": (first, last), **dict.fromkeys(folder.OF_ROWS, (start, end))}
        arrays = {name: self._entries(name, *span) for name, span in spans.items() if getattr(self, name) is not None}
        return start, {**arrays, "indices": _native(arrays["indices"]), "indptr": indptr - first}

    def _cached_part(self, piece):
        return self.opened.header.rows[piece], self.opened.part(piece)

    def _decoded(self, y):
        """Return targets for those of a cache, where strings are codes."""
        labels = self.opened.header.labels
        if y is None or labels is None:
            return y
        if y.dtype.kind != "i" or not 0 <= y.min() <= y.max() < len(labels):
            raise ValueError("y has codes of no label.")
        return np.array(labels)[y]


def _native(integers):
    return integers if integers.dtype in (np.int32, np.int64) else integers.astype(np.int64)
