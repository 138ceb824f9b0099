"""Files in Vowpal Wabbit's text format."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_vectorflow.engine.text import vw as engine
from sklearn_vectorflow.io.blocks import Block, csr
from sklearn_vectorflow.io.source import Source
from sklearn_vectorflow.io.text import TextFiles
from sklearn_vectorflow.validation.scalars import check_flag, check_integer
from sklearn_vectorflow.validation.types import FilePath, TextFilesLike

LARGEST_BITS = 30
SEPARATORS = b" \t\r|"  # what ends a token in a line, as the engine has it


class VWSource(Source):
    """Rows of text files in Vowpal Wabbit's format.

    Each line is ``[label [importance [base]]] ['tag]|namespace feature[:value]``, with any number of features and
    namespaces. A base is ignored.

    A word that touches the first bar is a tag, and so is one before it that begins with a quote: ``7|f a`` has the tag
    7 and no label, ``7 |f a`` has the label 7. Rows without labels are for prediction. Either all rows of a source have
    a label or none has.

    MurmurHash3 hashes names with the hash of their namespace as the seed. The columns differ from those of ``vw``,
    which has its own scheme. A value may be a string that does not begin like a number: ``city:Rome`` is a feature of
    value 1, and its name is "Rome" hashed with the hash of "city" as the seed. ``city=Rome`` is a name without a value.
    Values without a name (``:0.5``) have one column each in their namespace.

    Parameters
    ----------
    files : path-like, file object, or list of them
        See :class:`SVMLightSource`.
    n_bits : int, default=18
        Each namespace has 2**n_bits columns.
    namespaces : list of str, default=None
        All namespaces, each with its own columns (see `groups`). None makes all namespaces share the same columns.
    importance : bool, default=False
        Whether rows may have an importance, which becomes the sample weight. Rows without importance have weight 1.
    tags : bool, default=False
        Whether blocks have an array of strings `tag`, with "" for rows without a tag.
    cache, buffer_bytes, survey, n_jobs, classes
        See :class:`Source`.

    Attributes
    ----------
    groups : dict of str to slice
        Columns of each namespace.

    Raises
    ------
    ValueError
        While reading, if a line is not in the format. The message names file and line.
    """

    why_no_targets = " A space must follow a label: a word that touches the first '|' is a tag."

    def __init__(
        self,
        files: TextFilesLike,
        *,
        n_bits: int = 18,
        namespaces: Sequence[str] | None = None,
        importance: bool = False,
        tags: bool = False,
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
        check_flag("tags", tags)
        self.files = TextFiles(files)
        self.n_parts = self.files.n_parts
        self.once = self.files.once
        self.n_bits = n_bits
        self.namespaces = names
        self.importance = importance
        self.tags = tags
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
        tags = np.empty((n_lines + 1, 2), dtype=np.int64)
        problem, line, n_rows, n_nonzero, n_labels, n_importances = engine.parse(
            text.text, self.n_bits, self._names, self._ends, values, indices, indptr, labels, importance, tags
        )
        if problem:
            raise ValueError(f"{text.place(line)}: {engine.PROBLEMS[problem]}.")
        if n_importances and not self.importance:
            raise ValueError(f"{text.where}: rows have an importance; set importance=True.")
        X = csr((values[:n_nonzero], indices[:n_nonzero], indptr[: n_rows + 1]), (n_rows, self.n_features))
        y = labels[:n_rows] if n_labels else None
        weight = importance[:n_rows] if self.importance else None
        return (Block(X, y, weight, text.where, tag=_strings(text.text, tags[:n_rows]) if self.tags else None),)

    def __str__(self) -> str:
        return f"{type(self).__name__} of {self.files}"

    def fingerprint(self) -> str:
        """Return files, their sizes and times, and how they are read."""
        return f"{self.files.fingerprint()} {self.n_bits} {self.namespaces} {self.importance}"


def _strings(text, places):
    """Return the parts of a text as an array of strings."""
    return np.array([text[start:end].decode(errors="replace") for start, end in places.tolist()], dtype=object)
