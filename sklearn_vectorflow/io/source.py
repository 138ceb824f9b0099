"""Sources of rows, and how they are read."""

import numbers
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from sklearn_vectorflow.io.ahead import SILENT, Ahead, audible, close_generator
from sklearn_vectorflow.io.blocks import Block, Checked
from sklearn_vectorflow.threads import n_allowed
from sklearn_vectorflow.validation.scalars import check_integer
from sklearn_vectorflow.validation.types import FilePath


class Source:
    """Base class of sources. A source yields its rows in blocks, and can be read several times.

    A subclass overrides `read`, and sets `n_parts` or overrides `pieces`. Several threads read parts at once and in any
    order, which allows shuffling. Other pieces keep their order.

    Parameters
    ----------
    cache : {None, "memory"} or path-like, default=None
        Where to keep rows for later passes: nowhere, in memory, or as arrays in a folder (see :class:`CSRSource`).
    buffer_bytes : int, default=2**28
        Memory in bytes for the rows that training shuffles and uses at a time. The same amount again holds the rows
        that come next.
    survey : bool, default=True
        Whether `fit` reads the source once before training, to learn about all rows: classes, weights, the best
        constant, the scale of X. Otherwise it learns this from the rows of the first buffer.
    n_jobs : int, default=-1
        Number of threads that read parts ahead of training. -1 means one for each core.
    classes : array-like, default=None
        All classes that y can have. `fit` needs them if it does not see all of them before training.

    Attributes
    ----------
    n_rows, n_features : int or None
        Number of rows and columns, if known.
    n_parts : int or None
        Number of parts that can be read in any order. None if there is only one order.
    once : bool
        Whether the rows can be read only once.
    """

    n_rows: int | None = None
    n_features: int | None = None
    n_parts: int | None = None
    once = False
    kept: Any = None  # rows that a cache in memory holds
    reads_ahead = True  # whether windows may be made while training is at the one before
    why_no_targets = ""  # a sentence for errors, of a format that is often misread

    def __init__(
        self,
        *,
        cache: FilePath | None = None,
        buffer_bytes: int = 2**28,
        survey: bool = True,
        n_jobs: int = -1,
        classes: ArrayLike | None = None,
    ) -> None:
        check_integer("buffer_bytes", buffer_bytes, 1)
        if not isinstance(survey, (bool, np.bool_)):
            raise TypeError(f"survey must be True or False, got {survey!r}.")
        if not _counts_threads(n_jobs):
            raise ValueError(f"n_jobs must be an integer other than 0, got {n_jobs!r}.")
        if cache is not None and not isinstance(cache, (str, os.PathLike)):
            raise TypeError(f"cache must be None, 'memory' or a folder, got {cache!r}.")
        self.cache = cache
        self.buffer_bytes = buffer_bytes
        self.survey = survey
        self.n_jobs = n_jobs
        self.classes = classes

    def __getstate__(self):
        return {**vars(self), "kept": None}

    def pieces(self) -> Iterable[Any]:
        """Return an iterable of the arguments of `read`. One thread at a time iterates over it."""
        return range(self.n_parts)  # type: ignore[arg-type]

    def read(self, piece: Any) -> Iterable[Any]:
        """Return the blocks of a part or piece as an iterable of `Block`. Several threads may call it at once."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        pieces = self.pieces()
        try:
            for piece in pieces:
                yield from self.read(piece)
        finally:
            close_generator(pieces)

    def fingerprint(self) -> str:
        """Return a string that changes with the data and with how they are read; "" if this is unknown."""
        return ""

    def checked(self, order: Sequence[int] | None = None, held: dict[int, Any] | None = None) -> Any:
        """Return a context manager that yields an iterator over checked blocks, which threads read ahead.

        Parameters
        ----------
        order : sequence of int, default=None
            Order of the parts.
        held : dict of int to list of Checked, default=None
            Blocks of parts that were read before. The iterator removes them from the dict as it yields them.
        """
        held = {} if held is None else held
        return self._ahead(lambda piece: self._checked(piece, held), self.pieces() if order is None else order)

    def checked_parts(self, numbers: Sequence[int]) -> Iterator[Any]:
        """Iterate over the checked blocks of some parts, which may have none.

        Threads read several parts ahead. Of a single one, each block is read when it is asked for, and none is kept.
        """
        if len(numbers) == 1:
            yield from self._checked_part(numbers[0])
            return
        with self._ahead(lambda piece: self._checked(piece, {}), numbers, may_be_empty=True) as blocks:
            yield from blocks

    def _checked_part(self, number):
        blocks = _checked_each(self.read(number), number)
        while True:
            block = self._placing(lambda _: next(blocks, None), number)
            if block is None:
                return
            yield block
            del block

    def unchecked(self) -> Any:
        """Return a context manager that yields an iterator over blocks of `read`, which threads read ahead."""
        return self._ahead(lambda piece: list(self.read(piece)), self.pieces())

    def _ahead(self, read, pieces, may_be_empty=False):
        n_threads = n_allowed(self.n_jobs)
        if self.n_parts is not None:
            n_threads = min(n_threads, self.n_parts)
        return _Flat(Ahead(lambda piece: self._placing(read, piece), pieces, n_threads, 1), self, may_be_empty)

    def _checked(self, piece, held):
        part = None if self.n_parts is None else piece
        return held.pop(part, None) or _check_each(self.read(piece), part)

    def _placing(self, read, piece):
        try:
            return read(piece)
        except (Exception, GeneratorExit) as error:
            placed = self._placed(error, piece)
            if placed is error:
                raise
            raise placed from error

    def _placed(self, error, piece):
        """Return an error of `read` with a note that says where, or one that says so where iterations would end."""
        where = f"part {piece} of {self}" if self.n_parts is not None else getattr(piece, "where", "") or f"{self}"
        if isinstance(error, RuntimeError) and f"{error}" == "generator raised StopIteration":
            error = error.__cause__  # Python's own translation, which does not say where
        loud = audible(error, f"Reading {where}")
        if loud is error:
            error.add_note(f"This happened while reading {where}.")
        return loud

    def release(self) -> None:
        """Free memory that the next pass would reuse."""

    def __str__(self) -> str:
        return type(self).__name__


def _counts_threads(n_jobs):
    return isinstance(n_jobs, numbers.Integral) and not isinstance(n_jobs, bool) and n_jobs != 0


def _located(blocks):
    n_rows = 0
    for number, item in enumerate(blocks):
        block = Block.of(item, f"block {number} (rows from {n_rows})")
        yield block
        n_rows += block.X.shape[0] if hasattr(block.X, "shape") else len(block.X)


def _check_each(blocks, part=None):
    return list(_checked_each(blocks, part))


def _checked_each(blocks, part=None):
    for block in blocks:
        checked = Checked.of(block, part)
        del block  # while the next is read, only who uses this one keeps it
        if checked.matrix.shape[0]:
            yield checked
        del checked


class _Flat:
    """The blocks of lists that come ahead of time; there must be one, unless none is needed."""

    def __init__(self, ahead, source, may_be_empty):
        self.ahead = ahead
        self.source = source
        self.may_be_empty = may_be_empty

    def __enter__(self):
        self.ahead.__enter__()
        return self._blocks()

    def _blocks(self):
        empty = True
        for blocks in self.ahead:
            for block in blocks:
                empty = False
                yield block
        if empty and not self.may_be_empty:
            raise ValueError(f"The source gave no rows: {self.source}.")

    def __exit__(self, *error):
        self.ahead.close()


class BatchSource(Source):
    """Blocks from a function.

    Parameters
    ----------
    batches : callable
        Function without arguments that returns a new iterable of blocks (X, y), (X, y, sample_weight) or (X, y,
        sample_weight, offset) in each call. A thread reads blocks ahead of their use, so each block must have its own
        arrays.
    cache, buffer_bytes, survey, classes
        See :class:`Source`.
    n_rows : int, default=None
        Number of rows, if known. Progress then shows the remaining time.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_vectorflow import VectorFlowRegressor
    >>> from sklearn_vectorflow.io import BatchSource
    >>> def batches():
    ...     for seed in range(4):
    ...         X = np.random.default_rng(seed).normal(size=(500, 3))
    ...         yield X, X @ [1.0, 2.0, 3.0]
    >>> model = VectorFlowRegressor(random_state=0).fit(BatchSource(batches))
    >>> model.predict(BatchSource(batches)).shape
    (2000,)
    """

    def __init__(
        self,
        batches: Callable[[], Iterable[Any]],
        *,
        cache: FilePath | None = None,
        buffer_bytes: int = 2**28,
        survey: bool = True,
        classes: ArrayLike | None = None,
        n_rows: int | None = None,
    ) -> None:
        super().__init__(cache=cache, buffer_bytes=buffer_bytes, survey=survey, n_jobs=1, classes=classes)
        if not callable(batches):
            raise TypeError(f"batches must be a function that returns an iterable of blocks, got {batches!r}.")
        if n_rows is not None:
            check_integer("n_rows", n_rows, 1)
        self.batches = batches
        self.n_rows = n_rows

    def pieces(self) -> Iterable[Any]:
        """Return the blocks of the function."""
        try:
            batches = self.batches()
        except SILENT as error:
            raise audible(error, f"The function {self.batches!r}") from error
        if not hasattr(batches, "__iter__"):
            raise TypeError(f"batches must return an iterable of blocks, got {batches!r}.")
        return _located(batches)

    def read(self, piece: Any) -> Iterable[Any]:
        """Return the piece, which is a block."""
        return (piece,)


class _Blocks(Source):
    """An iterable of blocks in place of a source."""

    def __init__(self, blocks):
        super().__init__(classes=getattr(blocks, "classes", None), n_jobs=1)
        self.blocks = blocks
        self._stands_for = type(blocks).__name__
        self.once = hasattr(blocks, "__next__")
        self.n_rows = getattr(blocks, "n_rows", None)

    def pieces(self):
        """Return the blocks."""
        return _located(self.blocks)

    def read(self, piece):
        """Return the piece, which is a block."""
        return (piece,)


def is_source(X):
    """Return whether X is a source of blocks, not a matrix."""
    if isinstance(X, Source) or hasattr(X, "__next__"):
        return True
    if isinstance(X, (list, tuple)):
        return len(X) > 0 and all(isinstance(item, tuple) and _is_block(item) for item in X)
    if sparse.issparse(X) or isinstance(X, (str, bytes, dict, set)):
        return False
    return hasattr(X, "__iter__") and not any(hasattr(X, name) for name in ("shape", "__array__", "__dataframe__"))


def _is_block(item):
    return isinstance(item, Block) or (2 <= len(item) <= 4 and len(getattr(item[0], "shape", ())) == 2)


def source_name(X):
    """Return the name of a source for errors: the type that the user passed."""
    return getattr(X, "_stands_for", type(X).__name__)


def as_source(X):
    """Return a source for an object that `is_source` accepts."""
    return X if isinstance(X, Source) else _Blocks(X)


def check_alone(**given):
    """Raise if targets, weights or offsets are given beside a source."""
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise ValueError(
            f"{' and '.join(names)} must be None for a source, whose blocks are (X, y, sample_weight, offset)."
        )
