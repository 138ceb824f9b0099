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
from sklearn_vectorflow.validation.scalars import check_flag, check_integer
from sklearn_vectorflow.validation.types import FilePath, TextFilesLike


class SVMLightSource(Source):
    """Rows of text files in the svmlight format.

    Each line is ``label [qid:id] column:value column:value [# comment]``, with any number of columns. Columns must
    increase within a row. A qid is an integer from 0 to 2**63 - 1.

    Parameters
    ----------
    files : path-like, file object, or list of them
        Paths may be patterns (``"data/part-*.svm"``) or folders, whose files are read in the order of their names,
        apart from names that begin with "." or "_". Files with names that end in .gz, .bz2 or .xz are decompressed.
        File objects are open in binary or text mode, and are read from their current position. Those without ``seek``
        can be read only once.
    n_features : int, default=None
        Number of columns. None finds it in an additional pass over the files.
    zero_based : bool or "auto", default="auto"
        Whether column numbers start at 0. "auto" makes an additional pass over the files: they start at 1 if no row has
        a column 0.
    query_id : bool, default=False
        Whether blocks have an int64 array `qid` with the ``qid:`` of each row.
    multilabel : bool, default=False
        Whether rows have any number of labels, as integers separated by commas (``1,3,7 5:1.0``). y is then an
        indicator matrix in CSR format, of int8 and shape (n_rows, n_labels), where label k is column k. A row that
        begins with a qid or a column has no label.
    n_labels : int, default=None
        Number of labels, if `multilabel`. None finds it in an additional pass over the files.
    dtype : {np.float32, np.float64}, default=np.float32
        Type of the values of X.
    cache, buffer_bytes, survey, n_jobs, classes
        See :class:`Source`.

    Raises
    ------
    ValueError
        While reading, if a line is not in the format. The message names file and line.
    """

    def __init__(
        self,
        files: TextFilesLike,
        *,
        n_features: int | None = None,
        zero_based: bool | Literal["auto"] = "auto",
        query_id: bool = False,
        multilabel: bool = False,
        n_labels: int | None = None,
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
        check_flag("multilabel", multilabel)
        if n_labels is not None:
            check_integer("n_labels", n_labels, 1)
            if not multilabel:
                raise ValueError(f"n_labels={n_labels} needs multilabel=True.")
        self.files = TextFiles(files)
        self.n_parts = self.files.n_parts
        self.once = self.files.once
        self.zero_based = zero_based
        self.query_id = query_id
        self.multilabel = multilabel
        self.dtype = np.dtype(dtype)
        self._given = n_features, n_labels
        self._scanned = None
        if self.once and self._must_scan:
            raise ValueError(
                f"{self.files} can be read once: give n_features, zero_based=True or False, and n_labels if "
                "multilabel=True, as finding them takes another pass."
            )

    @property
    def n_features(self):
        """Number of columns. Finding it may take a pass over the files."""
        return self._columns()[0]

    def pieces(self) -> Iterable[Any]:
        """Return ranges of the files, or decompressed text."""
        self._columns()
        return self.files.pieces()

    def read(self, piece: Any) -> Iterable[Any]:
        """Return the rows of a piece as one block."""
        n_features, shift, n_labels = self._columns()
        text = self.files.text_of(piece)
        found = self._parse(text, shift == 0, n_features + shift, n_labels)
        X = found.rows(n_features, shift)
        return (Block(X, found.targets(n_labels), None, text.where, found.queries if self.query_id else None),)

    def __str__(self) -> str:
        return f"{type(self).__name__} of {self.files}"

    def fingerprint(self) -> str:
        """Return files, their sizes and times, and how they are read."""
        return f"{self.files.fingerprint()} {self._given[0]} {self.zero_based} {self.dtype}" + (
            f" {self._given[1]} labels" if self.multilabel else ""
        )

    @property
    def _must_scan(self):
        n_features, n_labels = self._given
        return n_features is None or self.zero_based == "auto" or (self.multilabel and n_labels is None)

    def _columns(self):
        """Return the number of columns, what columns count from, and the number of labels."""
        n_features, n_labels = self._given
        if not self._must_scan:
            return n_features, 0 if self.zero_based else 1, n_labels
        if self._scanned is None:
            with Ahead(self._extremes_of, self.files.pieces(), self._n_threads()) as found:
                extremes = list(found)
            self._scanned = _columns_of(extremes, n_features, self.zero_based, n_labels)
        return self._scanned

    def _extremes_of(self, piece):
        return self._parse(self.files.text_of(piece)).extremes

    def _n_threads(self):
        return n_allowed(self.n_jobs)

    def _parse(self, text, zero_based=True, n_indices=LARGEST_WIDTH, n_labels=None):
        return _Parsed(text, self, zero_based, n_indices, n_labels or LARGEST_WIDTH)


def load_svmlight(
    files: TextFilesLike,
    *,
    n_features: int | None = None,
    zero_based: bool | Literal["auto"] = "auto",
    query_id: bool = False,
    multilabel: bool = False,
    n_labels: int | None = None,
    dtype: DTypeLike = np.float32,
    n_jobs: int = -1,
) -> tuple[Any, ...]:
    """Load files in the svmlight format into memory.

    Parameters
    ----------
    files, n_features, zero_based, query_id, multilabel, n_labels, dtype, n_jobs
        See :class:`SVMLightSource`.

    Returns
    -------
    X : csr_matrix of shape (n_rows, n_features)
        Rows.
    y : ndarray of float64, shape (n_rows,), or csr_matrix of int8, shape (n_rows, n_labels)
        Targets; a matrix if `multilabel`.
    qid : ndarray of int64, shape (n_rows,)
        Queries, only if `query_id`.

    Raises
    ------
    ValueError
        If a line is not in the format. The message names file and line.
    """
    source = SVMLightSource(
        files,
        n_features=LARGEST_WIDTH,
        zero_based=True,
        query_id=query_id,
        multilabel=multilabel,
        n_labels=LARGEST_WIDTH if multilabel and n_labels is None else n_labels,
        dtype=dtype,
        n_jobs=n_jobs,
    )

    def parse(piece):
        return source._parse(source.files.text_of(piece), n_labels=n_labels)

    with Ahead(parse, source.files.pieces(), source._n_threads(), 4) as parsed:
        found = list(parsed) or [source._parse(Text(None, b"\n", 0))]
    n_features, shift, n_labels = _columns_of([part.extremes for part in found], n_features, zero_based, n_labels)
    X = join([Matrix(part.rows(n_features, shift), found=(0, False)) for part in found]).values
    y = join_targets([part.targets(n_labels) for part in found])
    return (X, y, join_targets([part.queries for part in found])) if query_id else (X, y)


def _columns_of(extremes, n_features, zero_based, n_labels):
    least = min((low for low, _, _ in extremes), default=0)
    largest = max((high for _, high, _ in extremes), default=-1)
    shift = int(least > 0) if zero_based == "auto" else 0 if zero_based else 1
    if least < shift <= largest:
        raise ValueError("The files have a column 0, but zero_based=False.")
    width = largest + 1 - shift
    if n_features is not None and width > n_features:
        raise ValueError(f"The files have {width} columns, but n_features is {n_features}.")
    if n_labels is None:
        n_labels = max((label for _, _, label in extremes), default=-1) + 1
    return max(width, 1) if n_features is None else n_features, shift, max(n_labels, 1)


class _Parsed:
    """The rows of a `Text`, read as a source says.

    Attributes
    ----------
    n_rows : int
    extremes : tuple of int
        The least and the largest column, and the largest label.
    queries : ndarray of int64, shape (n_rows,)
    """

    def __init__(self, text, source, zero_based, n_indices, n_labels):
        n_values, n_lines = engine.count(text.text)
        values, indices = np.empty(n_values + 1, dtype=source.dtype), np.empty(n_values + 1, dtype=np.int32)
        indptr, targets = np.zeros(n_lines + 1, dtype=np.int64), np.empty(n_lines + 1)
        queries, labels = np.empty(n_lines + 1, dtype=np.int64), (None, None)
        if source.multilabel:
            labels = (
                np.empty(n_lines + text.text.count(b",") + 1, dtype=np.int32),
                np.zeros(n_lines + 1, dtype=np.int64),
            )
        self.n_rows, n_nonzero, self.extremes = 0, 0, (LARGEST_WIDTH, -1, -1)
        if not text.text.isspace():
            problem, line, self.n_rows, n_nonzero, least, largest, n_queries, label = engine.parse(
                text.text, zero_based, n_indices, values, indices, indptr, targets, queries, *labels, n_labels
            )
            if problem:
                raise ValueError(f"{text.place(line)}: {engine.PROBLEMS[problem]}.")
            if source.query_id and n_queries < self.n_rows:
                raise ValueError(f"{text.where}: query_id=True, but some rows have no qid.")
            self.extremes = least, largest, label
        self.queries = queries[: self.n_rows]
        self._triplet = values[:n_nonzero], indices[:n_nonzero], indptr[: self.n_rows + 1]
        self._targets, self._labels = targets[: self.n_rows], labels

    def rows(self, n_features, shift):
        """Return X; may be called once."""
        values, indices, indptr = self._triplet
        if shift:
            indices -= 1
        return csr((values, indices, indptr), (self.n_rows, n_features))

    def targets(self, n_labels):
        """Return y: an array, or an indicator matrix of labels."""
        numbers, ends = self._labels
        if numbers is None:
            return self._targets
        ends = ends[: self.n_rows + 1]
        y = csr((np.ones(ends[-1], dtype=np.int8), numbers[: ends[-1]], ends), (self.n_rows, n_labels))
        y.sum_duplicates()  # sorts labels
        y.data[:] = 1  # also of one that a row names twice
        return y
