"""Names of features, by their columns of the matrix."""

from collections import defaultdict
from dataclasses import replace
from functools import partial

import numpy as np

from sklearn_vectorflow.engine.text import hashing as engine
from sklearn_vectorflow.preprocessing.encoding.kinds import Numeric
from sklearn_vectorflow.preprocessing.encoding.plan import bucket_of, places_of
from sklearn_vectorflow.preprocessing.encoding.values import Codes, Lists
from sklearn_vectorflow.validation.errors import restoring
from sklearn_vectorflow.validation.scalars import check_integer

WAVE = 8  # pieces of each thread that are looked at before their names are put together


class FeatureNames:
    """Names that rows had, as far as there is room.

    Parameters
    ----------
    room : int
        Most names to keep.

    Attributes
    ----------
    n_bits, n_columns : int
        Logarithm of the buckets that hashes are put into, and number of all columns of the matrix.
    """

    def __init__(self, room):
        self.room = room
        self.n_bits, self.n_columns = None, 0
        self._met = {}  # engine.Names by prefix and first bucket
        self._index = None

    def __len__(self):
        return sum(map(len, self._met.values()))

    def __getstate__(self):
        stored = [(prefix, first, *names.arrays()[1:]) for (prefix, first), names in self._met.items()]
        return {"room": self.room, "n_bits": self.n_bits, "n_columns": self.n_columns, "stored": stored}

    def __setstate__(self, state):
        with restoring():
            self.__init__(int(state["room"]))
            self.n_bits, self.n_columns = state["n_bits"], int(state["n_columns"])
            if self.n_bits is not None:
                check_integer("n_bits", self.n_bits, 1)
            for prefix, first, ends, text in state["stored"]:
                names = self._of(prefix, int(first))
                names.extend(np.ascontiguousarray(ends, np.int64), np.ascontiguousarray(text, np.uint8))

    def copy(self):
        """Return a copy, which may meet more."""
        new = FeatureNames(self.room)
        new.n_bits, new.n_columns = self.n_bits, self.n_columns
        for (prefix, first), names in self._met.items():
            new._of(prefix, first).extend(*names.arrays()[1:])
        return new

    def _of(self, prefix, first_bucket):
        self._index = None
        return self._met.setdefault((prefix, first_bucket), engine.Names(prefix.encode()))

    def learn(self, pieces, columns, n_bits, crew):
        """Take in the names of the rows of a frame, cut into pieces, whose columns are those given."""
        self.n_bits, self.n_columns = n_bits, 2**n_bits * len({column.first_bucket for column in columns})
        for j, column in enumerate(columns):
            if not self.room:
                return
            kind, prefix = column.kind, column.kind.prefix_of(column.name)
            if column.keep_missing:
                self._add(column, kind.missing_of(column.name))
            if not isinstance(kind, Numeric):
                self._add_strings(replace(column, keep_missing=False), prefix, places_of(pieces, j), crew)
            elif kind.transform == "bins":
                for k in range(len(kind.edges) + 1):
                    self._add(column, f"{prefix}{k}")
            else:
                self._add(column, column.name)

    def _add(self, column, name):
        text = np.frombuffer(name.encode(), np.uint8)
        found = engine.Names(b"").extend(np.array([len(text)]), text)
        self.room -= self._of("", column.first_bucket).add(found, self.room)

    def _add_strings(self, column, prefix, places, crew):
        """Take in names in the order of rows, whatever the number of threads."""
        names, tasks, step = (
            self._of(prefix, column.first_bucket),
            list(_each_once(column, places)),
            WAVE * crew.n_workers,
        )
        for start in range(0, len(tasks), step):
            if not self.room:
                return
            for found in crew.map(lambda task: names.find(*task()), tasks[start : start + step]):
                self.room -= names.add(found, self.room)

    def of_column(self, column):
        """Return the names of the features in a column of the matrix, in the order in which they were met."""
        if self._index is None:
            self._index = self._sorted()
        columns, groups, places, strings = self._index
        first, last = np.searchsorted(columns, [column, column + 1])
        found = (_name(*strings[groups[k]], places[k]) for k in range(first, last))
        return list(dict.fromkeys(found))  # "<missing>" may be a category, too

    def sharing(self):
        """Return how many names share their column of the matrix with another."""
        if self._index is None:
            self._index = self._sorted()
        _, counts = np.unique(self._index[0], return_counts=True)
        return int(counts[counts > 1].sum())

    def expected_sharing(self):
        """Return how many would on average, if hashes were random."""
        sizes = defaultdict(int)
        for (_, first), names in self._met.items():
            sizes[first] += len(names)
        return sum(expected_collisions(size, self.n_bits) for size in sizes.values())

    def _sorted(self):
        """Return columns of the matrix, in order, and whose name each is: prefix and place among its strings."""
        groups = [(prefix, first, *names.arrays()) for (prefix, first), names in self._met.items()]
        empty = [np.empty(0, np.int64)]
        columns = np.concatenate(empty + [first + bucket_of(hashes, self.n_bits) for _, first, hashes, _, _ in groups])
        sizes = [len(hashes) for _, _, hashes, _, _ in groups]
        of_group = np.repeat(np.arange(len(groups)), sizes)
        places = np.concatenate(empty + [np.arange(size) for size in sizes])
        order = np.argsort(columns, kind="stable")
        strings = [(prefix, ends, text) for prefix, _, _, ends, text in groups]
        return columns[order], of_group[order], places[order], strings


def expected_collisions(n_names: int, n_bits: int) -> float:
    """Return the expected number of features that share their column of a hashed matrix with another feature.

    Parameters
    ----------
    n_names : int
        Number of distinct features.
    n_bits : int
        The matrix has ``2 ** n_bits`` columns.

    Returns
    -------
    n_sharing : float
        Expected number of features.

    Examples
    --------
    >>> from sklearn_vectorflow.preprocessing import expected_collisions
    >>> [round(expected_collisions(1_000_000, n_bits) / 1_000_000, 3) for n_bits in (20, 22, 24)]
    [0.615, 0.212, 0.058]
    """
    check_integer("n_names", n_names, 0)
    check_integer("n_bits", n_bits, 1)
    return float(-n_names * np.expm1((n_names - 1) * np.log1p(-(0.5**n_bits)))) if n_names else 0.0


def _name(prefix, ends, text, place):
    start = ends[place - 1] if place else 0
    return prefix + text[start : ends[place]].tobytes().decode(errors="replace")


def _each_once(column, places):
    """Yield functions that give the engine a piece each to find names in; categories of several pieces come once."""
    done = {}
    for values, first, stop in places:
        items = values.items if isinstance(values, Lists) else values
        if id(items) in done:
            continue
        if isinstance(items, Codes):
            done[id(items)] = items
        yield partial(column.strings, values, first, stop)
