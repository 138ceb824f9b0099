"""What a chunk of a column holds, and how the engine is told to read rows of it.

Each class knows the readings that make sense for it: as categories, as words of a text,
as lists of categories, as numbers.
"""

import decimal
import threading

import numpy as np

from sklearn_vectorflow.engine.text import hashing as engine
from sklearn_vectorflow.validation.arrays import is_missing
from sklearn_vectorflow.validation.errors import brief

LONGEST = 400  # digits of a decimal that are written out; a double has at most 309
FEW = 64  # values of a column that mostly tell whether they are whole numbers


def _as_string(item):
    """A category as a string, None if it is missing: whole numbers by their digits, whatever their type."""
    if type(item) is float and item == item:
        return str(int(item)) if item.is_integer() else str(item)
    if is_missing(item):
        return None
    return str(int(item)) if _is_whole(item) else str(item)


def _is_whole(item):
    if isinstance(item, np.floating):
        return bool(np.isfinite(item)) and item == int(item)
    is_decimal = isinstance(item, decimal.Decimal) and item.is_finite() and item.adjusted() < LONGEST
    return is_decimal and item == int(item)


class Values:
    """Base class: a reading that is not overridden does not apply.

    Attributes
    ----------
    what : str
        For messages.
    kind : str
        The kind such a column is taken for unless it is named.
    keep : object
        Owner of the memory, if the arrays don't own it.
    """

    what = "values"
    kind: str | None = None
    keep = None

    def read_categories(self, cells, first, stop):
        """Let the engine read categories, from row ``first`` to row ``stop``."""
        raise TypeError(f"holds {self.what}, which can't be read as categories")

    def read_strings(self, cells, first, stop):
        """Let the engine read strings."""
        raise TypeError(f"holds {self.what}, which can't be read as text")

    def read_lists(self, cells, first, stop):
        """Let the engine read lists of categories."""
        raise TypeError(f"holds {self.what}, which can't be read as lists of tokens")

    def numbers(self, first, stop):
        """Return rows as float64, with NaN where a value is missing."""
        raise TypeError(f"holds {self.what}, which can't be read as numbers")

    def coded(self, first, stop):
        """Return rows as `Codes` if that is how the engine reads them as categories, else None."""
        return None


class Unreadable(Values):
    """Values of a type that has no reading; only a column that is used is an error."""

    def __init__(self, length, what):
        self.length, self.what = length, what

    def __len__(self):
        return self.length


class Strings(Values):
    """Strings in a layout of Arrow, or an array of nothing but missing values."""

    what = "strings"
    kind = "categorical"

    def __init__(self, length, layout, places, data, valid, offset):
        self.length, self.layout, self.places, self.data = length, layout, places, data
        self.valid, self.offset = valid, offset

    def __len__(self):
        return self.length

    def read_strings(self, cells, first, stop):
        cells.set_strings(self.layout, self.places, self.data, self.keep, self.offset + first)
        if self.valid is not None:
            cells.set_valid(self.valid, 0)
        if not cells.strings_fit(stop - first):
            raise ValueError("is a damaged Arrow array: a string lies outside of its buffer")

    read_categories = read_strings


class Objects(Values):
    """Python objects in an ndarray."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    what = "Python objects"

    @property
    def kind(self):
        """Say what the first value that is not missing suggests."""
        item = next((item for item in self.items if not is_missing(item)), None)
        if isinstance(item, (list, tuple, set, frozenset, np.ndarray)):
            return "tokens"
        if isinstance(item, (int, float, np.number, np.bool_)):
            return "numeric"
        return "categorical"

    def read_strings(self, cells, first, stop):
        places, owned = engine.place_strings(np.ascontiguousarray(self.items[first:stop]), _as_string)
        cells.set_strings(engine.PLACES, places, None, owned, 0)

    read_categories = read_strings

    def read_lists(self, cells, first, stop):
        lists = [None if is_missing(item) else item for item in self.items[first:stop]]
        wrong = next((item for item in lists if item is not None and not _is_list(item)), None)
        if wrong is not None:
            raise TypeError(f"must hold lists of strings, got {brief(wrong)}")
        starts = np.zeros(len(lists) + 1, dtype=np.int64)
        np.cumsum([0 if item is None else len(item) for item in lists], out=starts[1:])
        flat = np.empty(starts[-1], dtype=object)
        flat[:] = [token for item in lists if item is not None for token in item]
        Objects(flat).read_strings(cells, 0, len(flat))
        valid = np.packbits([item is not None for item in lists], bitorder="little")
        cells.set_lists(starts, valid, 0, 0)

    def numbers(self, first, stop):
        items = [np.nan if is_missing(item) else item for item in self.items[first:stop]]
        wrong = next((item for item in items if isinstance(item, (str, bytes))), None)
        if wrong is not None:
            raise TypeError(f"must hold numbers, got {brief(wrong)}")
        return np.array(items, dtype=np.float64)


def _is_list(item):
    return isinstance(item, (list, tuple, set, frozenset)) or (isinstance(item, np.ndarray) and item.ndim == 1)


class Numbers(Values):
    """Numbers or booleans in an ndarray, with an array of what is missing or None."""

    what = "numbers"
    kind = "numeric"

    def __init__(self, values, missing=None):
        self.values, self.is_missing = values, missing

    def __len__(self):
        return len(self.values)

    def read_categories(self, cells, first, stop):
        whole = self._whole(first, stop)
        if whole is None:
            self._codes(first, stop).read_categories(cells, 0, stop - first)
            return
        integers, missing = whole
        cells.set_integers(integers)
        if missing is not None:
            cells.set_valid(np.packbits(~missing, bitorder="little"), 0)

    def coded(self, first, stop):
        return None if self._whole(first, stop) is not None else self._codes(first, stop)

    def _whole(self, first, stop):
        """Rows as int64, and which are missing or None; or None if some are no whole numbers, or too large.

        A missing value turns a column of integers into one of floats, which must stay the same categories.
        """
        values = self.values[first:stop]
        missing = None if self.is_missing is None else self.is_missing[first:stop]
        if values.dtype.kind in "iu" and values.dtype != np.uint64:
            return np.ascontiguousarray(values, dtype=np.int64), missing
        few = values[:FEW]
        if values.dtype.kind != "f" or values.dtype.itemsize > 8 or np.any((few != np.rint(few)) & (few == few)):
            return None
        values = values.astype(np.float64, copy=False)
        absent = np.isnan(values) if missing is None else missing | np.isnan(values)
        present = np.where(absent, 0, values) if absent.any() else values
        if not np.all((np.abs(present) < 2.0**63) & (present == np.rint(present))):
            return None
        return np.ascontiguousarray(present, dtype=np.int64), absent

    def _codes(self, first, stop):
        distinct, codes = np.unique(self.values[first:stop], return_inverse=True)
        if self.is_missing is not None:
            codes = np.where(self.is_missing[first:stop], -1, codes)
        return Codes(codes, Numbers(distinct).as_strings())

    def as_strings(self):
        """Return the numbers as strings, see `_as_string`."""
        named = np.array([_as_string(item) for item in self.values.tolist()], dtype=object)
        if self.is_missing is not None:
            named[self.is_missing] = None
        return Objects(named)

    def numbers(self, first, stop):
        values = self.values[first:stop].astype(np.float64)
        if self.is_missing is not None:
            values[self.is_missing[first:stop]] = np.nan
        return values


class Codes(Values):
    """Codes of categories, -1 where one is missing; each category is hashed once."""

    what = "categories"
    kind = "categorical"

    def __init__(self, codes, categories):
        self.codes, self.categories = codes, categories
        self._lock = threading.Lock()
        self._hashed = None

    def __len__(self):
        return len(self.codes)

    def _hashes(self, cells):
        """Hashes of the categories, and which are missing, by whoever comes first."""
        with self._lock:
            if self._hashed is None:
                n = len(self.categories)
                self.categories.read_strings(cells, 0, n)
                hashes, missing = cells.hash_each(n)
                self._hashed = hashes, np.flatnonzero(missing)
            return self._hashed

    def read_categories(self, cells, first, stop):
        hashes, missing = self._hashes(cells)
        codes = self.codes[first:stop]
        for code in (codes.min(), codes.max()) if len(codes) else ():
            if not -1 <= code < len(hashes):  # which pandas and Arrow make where they are told not to look
                raise ValueError(f"holds the code {code} of a category, of which it has {len(hashes)}")
        codes = codes.astype(np.int32)
        if len(missing):
            codes[np.isin(codes, missing)] = -1
        cells.set_codes(codes, hashes, 0)

    def coded(self, first, stop):
        return self


class Lists(Values):
    """Lists of strings or categories: an ndarray of where each begins, and the cells."""

    what = "lists"
    kind = "tokens"

    def __init__(self, starts, items, valid, offset):
        self.starts, self.items, self.valid, self.offset = starts, items, valid, offset

    def __len__(self):
        return len(self.starts) - 1

    def read_lists(self, cells, first, stop):
        starts = self.starts[first : stop + 1]
        if starts[0] < 0 or starts[-1] > len(self.items) or np.any(starts[1:] < starts[:-1]):
            raise ValueError("is a damaged Arrow array: a list lies outside of its items")
        self.items.read_categories(cells, starts[0], starts[-1])
        shift = self.items.offset if isinstance(self.items, Strings) else -starts[0]
        cells.set_lists(starts + shift, self.valid, self.offset + first, 0)

    def coded(self, first, stop):
        return self.items.coded(self.starts[first], self.starts[stop])
