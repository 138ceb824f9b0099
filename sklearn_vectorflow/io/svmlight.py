"""Files in the svmlight (libsvm) format."""

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from sklearn_vectorflow.engine.text import svmlight as engine
from sklearn_vectorflow.io.ahead import Ahead
from sklearn_vectorflow.io.blocks import Block, csr, join, join_targets
from sklearn_vectorflow.io.matrix import LARGEST_WIDTH, Matrix
from sklearn_vectorflow.io.source import Source
from sklearn_vectorflow.io.text import Text, TextFiles
from sklearn_vectorflow.threads import n_allowed
from sklearn_vectorflow.validation.scalars import check_integer
from sklearn_vectorflow.validation.types import FilePath, FilePaths


class SVMLightSource(Source):
    """Rows of text files in the svmlight format.

    A line is ``label [qid:id] column:value column:value [# comment]``, with any number of columns.

    Columns must increase within a row. Files whose names end in .gz are decompressed as
    they are read.

    Parameters
    ----------
    files : path-like or list of path-like
    n_features : int, default=None
        Number of columns. None reads the files once to find the largest.
    zero_based : bool or "auto", default="auto"
        Whether columns count from 0. "auto" reads the files once: they count from 1 if
        there is no 0 in them.
    query_id : bool, default=False
        Whether blocks have a `qid`, an int64 array, from the ``qid:`` of each row.
    dtype : {np.float32, np.float64}, default=np.float32
    cache, buffer_bytes, survey, n_jobs, classes
        See :class:`Source`.

    Raises
    ------
    ValueError
        While reading: if a line is not in the format, with file and line.
    """

    def __init__(
        self,
        files: FilePaths,
        *,
        n_features: int | None = None,
        zero_based: bool | Literal["auto"] = "auto",
        query_id: bool = False,
        dtype: DTypeLike = np.float32,
        cache: FilePath | None = None,
        buffer_bytes: int = 2**28,
        survey: bool = True,
        n_jobs: int = -1,
        classes: ArrayLike | None = None,
    ) -> None:
        super().__init__(cache=cache, buffer_bytes=buffer_bytes, survey=survey, n_jobs=n_jobs, classes=classes)
        if n_features is not None:
            check_integer("n_features", n_features, 1)
        if zero_based not in (True, False, "auto"):
            raise ValueError(f"zero_based must be True, False or 'auto', got {zero_based!r}.")
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise ValueError(f"dtype must be float32 or float64, got {dtype!r}.")
        self.files = TextFiles(files)
        self.n_parts = self.files.n_parts
        self.zero_based = zero_based
        self.query_id = query_id
        self.dtype = np.dtype(dtype)
        self._given = n_features
        self._scanned = None

    @property
    def n_features(self):
        """Number of columns; may read the files."""
        return self._columns()[0]

    def pieces(self) -> Iterable[Any]:
        """Return ranges of the files, or decompressed text."""
        self._columns()
        return self.files.pieces()

    def read(self, piece: Any) -> Iterable[Any]:
        """Return the rows of a piece as one block."""
        n_features, shift = self._columns()
        where, found = self._parse(piece, shift == 0, n_features + shift)
        values, indices, indptr, labels, queries = found.arrays()
        if shift:
            indices -= 1
        X = csr((values, indices, indptr), (found.n_rows, n_features))
        return (Block(X, labels, None, where, queries if self.query_id else None),)

    def __str__(self) -> str:
        return f"{type(self).__name__} of {self.files}"

    def fingerprint(self) -> str:
        """Return files, their sizes and times, and how they are read."""
        return f"{self.files.fingerprint()} {self._given} {self.zero_based} {self.dtype}"

    def _columns(self):
        """Return the number of columns and what columns count from."""
        if self._given is not None and self.zero_based != "auto":
            return self._given, 0 if self.zero_based else 1
        if self._scanned is None:
            with Ahead(lambda piece: self._parse(piece, True)[1], self.files.pieces(), self._n_threads()) as found:
                extremes = [(part.least, part.largest) for part in found]
            self._scanned = _columns_of(extremes, self._given, self.zero_based)
        return self._scanned

    def _n_threads(self):
        return n_allowed(self.n_jobs)

    def _parse(self, piece, zero_based=True, n_indices=LARGEST_WIDTH):
        text = self.files.text_of(piece)
        return text.where, _parse(text, self.dtype, zero_based, n_indices, self.query_id)


def load_svmlight(
    files: FilePaths,
    *,
    n_features: int | None = None,
    zero_based: bool | Literal["auto"] = "auto",
    query_id: bool = False,
    dtype: DTypeLike = np.float32,
    n_jobs: int = -1,
) -> tuple[Any, ...]:
    """Read files in the svmlight format into memory.

    Parameters
    ----------
    files, n_features, zero_based, query_id, dtype, n_jobs
        See :class:`SVMLightSource`.

    Returns
    -------
    X : csr_matrix of shape (n_rows, n_features)
    y : ndarray of float64, shape (n_rows,)
    qid : ndarray of int64, shape (n_rows,)
        Only if query_id=True.

    Raises
    ------
    ValueError
        If a line is not in the format, with file and line.
    """
    source = SVMLightSource(
        files, n_features=LARGEST_WIDTH, zero_based=True, query_id=query_id, dtype=dtype, n_jobs=n_jobs
    )
    with Ahead(lambda piece: source._parse(piece), source.files.pieces(), source._n_threads(), 4) as parsed:
        found = [part for _, part in parsed] or [_parse(Text(None, b"\n", 0), np.dtype(dtype), True, 0, False)]
    n_features, shift = _columns_of([(part.least, part.largest) for part in found], n_features, zero_based)
    blocks = []
    for part in found:
        values, indices, indptr, _, _ = part.arrays()
        if shift:
            indices -= 1
        blocks.append(Matrix(csr((values, indices, indptr), (part.n_rows, n_features)), found=(0, False)))
    X, y = join(blocks).values, join_targets([part.arrays()[3] for part in found])
    return (X, y, join_targets([part.arrays()[4] for part in found])) if query_id else (X, y)


def _columns_of(extremes, n_features, zero_based):
    least = min((low for low, _ in extremes), default=0)
    largest = max((high for _, high in extremes), default=-1)
    shift = int(least > 0) if zero_based == "auto" else 0 if zero_based else 1
    if least < shift <= largest:
        raise ValueError("The files have a column 0, but zero_based=False.")
    width = largest + 1 - shift
    if n_features is not None and width > n_features:
        raise ValueError(f"The files have {width} columns, but n_features is {n_features}.")
    return max(width, 1) if n_features is None else n_features, shift


class _Parsed:
    """Arrays of a piece, longer than what they hold."""

    def __init__(self, text, dtype):
        n_values, n_lines = engine.count(text)
        self._values = np.empty(n_values + 1, dtype=dtype)
        self._indices = np.empty(n_values + 1, dtype=np.int32)
        self._indptr = np.zeros(n_lines + 1, dtype=np.int64)
        self._labels = np.empty(n_lines + 1)
        self._queries = np.empty(n_lines + 1, dtype=np.int64)

    def all(self):
        """Return the arrays to be filled."""
        return self._values, self._indices, self._indptr, self._labels, self._queries

    def arrays(self):
        """Return values, indices, indptr, labels and queries."""
        return (
            self._values[: self.n_nonzero],
            self._indices[: self.n_nonzero],
            self._indptr[: self.n_rows + 1],
            self._labels[: self.n_rows],
            self._queries[: self.n_rows],
        )


def _parse(text, dtype, zero_based, n_indices, query_id):
    """Parse a `Text`."""
    parsed = _Parsed(text.text, dtype)
    if text.text.isspace():
        parsed.n_rows, parsed.n_nonzero, parsed.least, parsed.largest = 0, 0, LARGEST_WIDTH, -1
        return parsed
    problem, line, parsed.n_rows, parsed.n_nonzero, parsed.least, parsed.largest, n_queries = engine.parse(
        text.text, zero_based, n_indices, *parsed.all()
    )
    if problem:
        raise ValueError(f"{text.place(line)}: {engine.PROBLEMS[problem]}.")
    if query_id and n_queries < parsed.n_rows:
        raise ValueError(f"{text.where}: query_id=True, but some rows have no qid.")
    return parsed
