"""Files in Vowpal Wabbit's text format."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_vectorflow.engine.text import vw as engine
from sklearn_vectorflow.io.blocks import Block, csr
from sklearn_vectorflow.io.source import Source
from sklearn_vectorflow.io.text import TextFiles
from sklearn_vectorflow.validation.scalars import check_integer
from sklearn_vectorflow.validation.types import FilePath, FilePaths

LARGEST_BITS = 30
SEPARATORS = b" \t\r|"  # what ends a token in a line, as the engine has it


class VWSource(Source):
    """Rows of text files in Vowpal Wabbit's format.

    A line is ``label [importance] ['tag]|namespace feature[:value]``, with any number of features
    and namespaces.

    Names are hashed by MurmurHash3 with the hash of their namespace as seed; columns are not
    those of ``vw``, which has its own scheme. A base after the importance is skipped, and so are tags.

    Parameters
    ----------
    files : path-like or list of path-like
        Those that end in .gz are decompressed.
    n_bits : int, default=18
        Each namespace has 2**n_bits columns.
    namespaces : list of str, default=None
        All namespaces there are; each has columns of its own, see `groups`. None lets all
        share the same columns.
    importance : bool, default=False
        Whether rows may have an importance, which becomes sample_weight (1 where it is absent).
    cache, buffer_bytes, survey, n_jobs, classes
        See :class:`Source`.

    Attributes
    ----------
    groups : dict of str to slice
        The columns of each namespace.

    Raises
    ------
    ValueError
        While reading: if a line is not in the format, with file and line.
    """

    def __init__(
        self,
        files: FilePaths,
        *,
        n_bits: int = 18,
        namespaces: Sequence[str] | None = None,
        importance: bool = False,
        cache: FilePath | None = None,
        buffer_bytes: int = 2**28,
        survey: bool = True,
        n_jobs: int = -1,
        classes: ArrayLike | None = None,
    ) -> None:
        super().__init__(cache=cache, buffer_bytes=buffer_bytes, survey=survey, n_jobs=n_jobs, classes=classes)
        check_integer("n_bits", n_bits, 1)
        names = [] if namespaces is None else list(namespaces)
        if isinstance(namespaces, str) or not all(isinstance(name, str) for name in names):
            raise TypeError(f"namespaces must be a list of str, got {namespaces!r}.")
        if len(set(names)) < len(names):
            raise ValueError(f"namespaces must differ, got {names}.")
        if n_bits > LARGEST_BITS or max(1, len(names)) << n_bits > 2**31 - 1:
            raise ValueError(f"n_bits={n_bits} for {max(1, len(names))} namespaces is more than 2**31 - 1 columns.")
        self.files = TextFiles(files)
        self.n_parts = self.files.n_parts
        self.n_bits = n_bits
        self.namespaces = names
        self.importance = importance
        self.n_features = max(1, len(names)) << n_bits
        self.groups = {name: slice(k << n_bits, (k + 1) << n_bits) for k, name in enumerate(names)}
        encoded = [name.encode() for name in names]
        self._names = b"".join(encoded) + b"\0"
        self._ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)

    def pieces(self) -> Iterable[Any]:
        """Return ranges of the files, or decompressed text."""
        return self.files.pieces()

    def read(self, piece: Any) -> Iterable[Any]:
        """Return the rows of a piece as one block."""
        text = self.files.text_of(piece)
        if not text.text.strip():
            return ()
        letters = np.frombuffer(text.text, dtype=np.uint8)
        n_lines: Any = np.count_nonzero(letters == ord("\n"))  # numpy's stubs do not agree on its type
        n_tokens = n_lines + sum(np.count_nonzero(letters == letter) for letter in SEPARATORS)
        values, indices = np.empty(n_tokens + 1, dtype=np.float32), np.empty(n_tokens + 1, dtype=np.int32)
        indptr = np.zeros(n_lines + 1, dtype=np.int64)
        labels, importance = np.empty(n_lines + 1), np.empty(n_lines + 1)
        problem, line, n_rows, n_nonzero, n_labels, n_importances = engine.parse(
            text.text, self.n_bits, self._names, self._ends, values, indices, indptr, labels, importance
        )
        if problem:
            raise ValueError(f"{text.place(line)}: {engine.PROBLEMS[problem]}.")
        if 0 < n_labels < n_rows:
            raise ValueError(f"{text.where}: some rows have a label and some have none.")
        if n_importances and not self.importance:
            raise ValueError(f"{text.where}: rows have an importance; set importance=True.")
        X = csr((values[:n_nonzero], indices[:n_nonzero], indptr[: n_rows + 1]), (n_rows, self.n_features))
        y = labels[:n_rows] if n_labels else None
        return (Block(X, y, importance[:n_rows] if self.importance else None, text.where),)

    def __str__(self) -> str:
        return f"{type(self).__name__} of {self.files}"

    def fingerprint(self) -> str:
        """Return files, their sizes and times, and how they are read."""
        return f"{self.files.fingerprint()} {self.n_bits} {self.namespaces} {self.importance}"
