"""Kinds of columns, which describe how the values of a column become features."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_vectorflow.preprocessing.encoding.values import Codes, Objects
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.scalars import check_choice, check_flag, check_integer, check_number

MISSING = "<missing>"
LARGEST = 2**31 - 1
N_LETTERS = 0x323B0  # no letter or digit of Unicode comes later


@dataclass(frozen=True)
class Kind:
    """Base class of kinds of columns.

    Attributes
    ----------
    single : bool
        Whether a row has at most one feature.
    """

    single = False

    def check(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""

    def prefix_of(self, name: str) -> str:
        """Return the string that is hashed before the values of a column."""
        prefix = getattr(self, "prefix", None)
        return f"{name}=" if prefix is None else prefix

    def missing_of(self, name: str) -> str:
        """Return the string that is hashed for a missing value."""
        return f"{name}={MISSING}"

    def learns(self) -> bool:
        """Return whether the column needs `fit`."""
        return False

    def _check_prefix(self):
        if self.prefix is not None and not isinstance(self.prefix, str):
            raise TypeError(f"{type(self).__name__}: prefix must be a str or None, got {self.prefix!r}.")


@dataclass(frozen=True)
class Categorical(Kind):
    """A category in each row, with the feature "column=value".

    Whole numbers are categories by their digits, whatever their type: 5, 5.0 and "5" are the same category. So integers
    that pandas converts to floats, as the column has missing values, stay the same. Other numbers are categories as
    Python prints them; booleans are "True" and "False".

    Parameters
    ----------
    prefix : str, default=None
        Prefix of the value, in place of "column=". Columns with the same prefix share their features.
    """

    prefix: str | None = None
    single = True

    def check(self) -> None:
        self._check_prefix()

    def read(self, values: Any, cells: Any, first: int, stop: int) -> None:
        """Let the engine read rows of a column."""
        values.read_categories(cells, first, stop)


@dataclass(frozen=True)
class Tokens(Kind):
    """A list of strings (tokens) in each row, with features "column=token" whose values are counts.

    Parameters
    ----------
    prefix : str, default=None
        Prefix of the tokens, in place of "column=". With "" the tokens themselves are hashed, as in
        :class:`~sklearn.feature_extraction.FeatureHasher` with ``input_type="string"``.
    """

    prefix: str | None = None

    def check(self) -> None:
        self._check_prefix()

    def read(self, values: Any, cells: Any, first: int, stop: int) -> None:
        """Let the engine read rows of a column."""
        values.read_lists(cells, first, stop)


@dataclass(frozen=True)
class Text(Kind):
    """A text in each row, with features "column=words" for words and n-grams of words, whose values are counts.

    A word is a sequence of letters, digits and underscores of any script.

    Parameters
    ----------
    ngram_range : tuple of (int, int), default=(1, 1)
        Minimum and maximum number of words in an n-gram. A space joins the words.
    lowercase : bool, default=True
        Whether to convert letters to lower case, one by one: without Python's rules for the Greek final sigma and the
        capital dotted I.
    min_length : int, default=2
        Minimum number of characters of a word. Shorter words are skipped.
    prefix : str, default=None
        Prefix of the words, in place of "column=". With "" the features are those of
        :class:`~sklearn.feature_extraction.text.HashingVectorizer` with ``norm=None``.
    """

    ngram_range: tuple = (1, 1)
    lowercase: bool = True
    min_length: int = 2
    prefix: str | None = None

    def check(self) -> None:
        self._check_prefix()
        check_flag("Text: lowercase", self.lowercase)
        check_integer("Text: min_length", self.min_length, 1)
        if not isinstance(self.ngram_range, (tuple, list)) or len(self.ngram_range) != 2:
            raise ValueError(f"Text: ngram_range must be a pair of integers, got {brief(self.ngram_range)}.")
        check_integer("Text: ngram_range[0]", self.ngram_range[0], 1)
        check_integer("Text: ngram_range[1]", self.ngram_range[1], self.ngram_range[0])
        for name, value in (("min_length", self.min_length), ("ngram_range[1]", self.ngram_range[1])):
            if value > LARGEST:
                raise ValueError(f"Text: {name} must be at most 2**31 - 1, got {value}.")

    def read(self, values: Any, cells: Any, first: int, stop: int) -> None:
        """Let the engine read rows of a column."""
        values.read_strings(cells, first, stop)
        cells.set_words(_letters(bool(self.lowercase)), self.min_length, *self.ngram_range)


@functools.cache
def _letters(lowercase):
    """Return for each code point the character that represents it in a word, or 0 if it ends a word."""
    table = np.zeros(N_LETTERS, dtype=np.uint32)
    for code in range(N_LETTERS):
        letter = chr(code).lower()[0] if lowercase else chr(code)
        if letter.isalnum() or letter == "_":
            table[code] = ord(letter)
    return table


@dataclass(frozen=True)
class Numeric(Kind):
    r"""A number in each row, as the value of the feature "column". Zeros have no entry.

    Parameters
    ----------
    transform : {"identity", "log1p", "standard", "bins"}, default="identity"
        Transformation of the number x:

        - "identity": x;
        - "log1p": :math:`\operatorname{sign}(x) \log(1 + |x|)`;
        - "standard": :math:`(x - mean) / scale`;
        - "bins": the category "column=k", where k is the number of edges that are less than or equal to x.
    mean, scale : float, default=None
        Parameters of "standard". For None, `fit` learns the mean and the standard deviation of the values that are not
        missing.
    edges : sequence of float, default=None
        Edges of "bins", increasing.
    """

    transform: str = "identity"
    mean: float | None = None
    scale: float | None = None
    edges: tuple | None = None
    single = True

    def check(self) -> None:
        check_choice("Numeric: transform", self.transform, ("identity", "log1p", "standard", "bins"))
        if self.mean is not None:
            check_number("Numeric", "mean", self.mean, low_open=True, high_open=True)
        if self.scale is not None:
            check_number("Numeric", "scale", self.scale, 0, low_open=True, high_open=True)
        if self.transform != "bins":
            return
        edges = np.asarray(() if self.edges is None else self.edges)
        if edges.ndim != 1 or edges.size == 0 or edges.dtype.kind not in "iuf" or not np.all(np.diff(edges) > 0):
            raise ValueError(
                f"Numeric: edges must be increasing numbers for transform='bins', got {brief(self.edges)}."
            )

    def learns(self) -> bool:
        return self.transform == "standard" and (self.mean is None or self.scale is None)

    def with_moments(self, mean: float, scale: float) -> "Numeric":
        """Return the kind with missing mean or scale filled in."""
        return Numeric(
            "standard", mean if self.mean is None else self.mean, scale if self.scale is None else self.scale
        )

    def read(self, values: Any, cells: Any, first: int, stop: int) -> None:
        """Let the engine read rows of a column."""
        numbers = finite_numbers(values, first, stop)
        if self.transform == "bins":
            codes = np.searchsorted(self.edges, numbers, side="right")
            names = np.array([str(k) for k in range(len(self.edges) + 1)], dtype=object)  # type: ignore[type-var]
            Codes(np.where(np.isnan(numbers), -1, codes), Objects(names)).read_categories(cells, 0, len(codes))
        else:
            cells.set_numbers(self._transformed(numbers))

    def _transformed(self, numbers):
        if self.transform == "log1p":
            return np.copysign(np.log1p(np.abs(numbers)), numbers)
        return (numbers - self.mean) / self.scale if self.transform == "standard" else numbers


def finite_numbers(values, first, stop):
    """Return rows of a column as float64, with NaN where a value is missing.

    Raises
    ------
    ValueError
        If a number is infinite or too large for float32.
    """
    numbers = values.numbers(first, stop)
    large = np.abs(numbers) > np.finfo(np.float32).max
    if np.any(large):
        raise ValueError(f"holds infinity or a value too large for float32: {numbers[large][0]}")
    return numbers


KINDS = {"categorical": Categorical, "numeric": Numeric, "text": Text, "tokens": Tokens}


def resolve_kind(name, kind):
    """Return the kind of a column from its name or the object it is, checked.

    Raises
    ------
    TypeError, ValueError
        If it is neither, or has a parameter out of its range.
    """
    if isinstance(kind, str):
        check_choice(f"columns[{name!r}]", kind, KINDS)
        return KINDS[kind]()
    if not isinstance(kind, Kind):
        raise TypeError(f"columns[{name!r}] must be one of {sorted(KINDS)} or a kind of column, got {brief(kind)}.")
    kind.check()
    return kind
