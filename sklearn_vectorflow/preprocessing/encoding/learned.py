"""What an encoder learns from rows: counts of features, moments of columns, names."""

import copy
import dataclasses

import numpy as np

from sklearn_vectorflow.engine.text import hashing as engine
from sklearn_vectorflow.preprocessing.encoding.kinds import Numeric
from sklearn_vectorflow.preprocessing.encoding.plan import PIECE, bucket_of
from sklearn_vectorflow.validation.errors import restoring


class Moments:
    """Number, mean and sum of squared deviations of a column's values.

    Chan, Golub and LeVeque (1983), doi:10.1080/00031305.1983.10483115.
    """

    def __init__(self, values=()):
        values = np.asarray(values, dtype=np.float64)
        values = values[~np.isnan(values)]
        self.n = len(values)
        self.mean = float(values.mean()) if self.n else 0.0
        self.squares = float(np.sum((values - self.mean) ** 2))

    def add(self, other):
        """Take in the moments of other rows."""
        if other.n == 0:
            return
        n, step = self.n + other.n, other.mean - self.mean
        self.squares += other.squares + step**2 * self.n * other.n / n
        self.mean += step * other.n / n
        self.n = n

    @property
    def scale(self):
        """Standard deviation; 1 of a constant."""
        return float(np.sqrt(self.squares / self.n)) if self.squares > 0 else 1.0


class Learned:
    """All that rows have taught.

    Parameters
    ----------
    sketch_bits : int or None
        Logarithm of the counters in a row of the sketch; None counts nothing.
    n_names : int
        Most names to keep.
    """

    def __init__(self, sketch_bits, n_names):
        self.sketch = None if sketch_bits is None else np.zeros((engine.SKETCH_DEPTH, 2**sketch_bits), dtype=np.uint32)
        self.room = n_names
        self.moments = {}
        self.names = {}

    def __setstate__(self, state):
        self.__dict__.update(state)
        with restoring():
            self._check_restored()

    def _check_restored(self):
        """Raise unless a pickle's parts are what they are used as: the engine writes to the sketch."""
        sketch, fit = self.sketch, {type(one) for one in self.moments.values()} <= {Moments}
        if sketch is not None:
            engine.Rules(1, False, sketch)
            if not sketch.flags.writeable:  # mapped from a file
                self.sketch = sketch.copy()
        fit &= all(isinstance(name, str) for names in self.names.values() for name in names)
        if not fit or type(self.room) is not int:
            raise ValueError("what an encoder learned is of other types.")

    def copy(self):
        """Return a copy, which may learn more."""
        return copy.deepcopy(self)

    def count_of(self, name):
        """Return how often a feature was counted, never too low."""
        return engine.estimate(engine.murmur3(name.encode()), self.sketch)

    def learn(self, frame, columns, n_bits, crew):
        """Take in the rows of a frame, whose columns are those given."""
        pieces = list(frame.pieces(PIECE))
        for j, column in enumerate(columns):
            places = [(values[j][0], values[j][1], values[j][1] + n_rows) for n_rows, values in pieces]
            if column.kind.learns():
                self._learn_moments(column, places, crew)
            elif self.sketch is not None:
                self._count(column, places, crew)
            else:
                column.read(*places[0])  # only to complain of columns that can't be read
            if self.room:
                self._learn_names(column, places, n_bits)

    def _count(self, column, places, crew):
        crew.map(lambda place: engine.count([column.read(*place)], place[2] - place[1], self.sketch), places)

    def _learn_moments(self, column, places, crew):
        total = self.moments.setdefault(column.name, Moments())
        for found in crew.map(lambda place: Moments(column.numbers(*place)), places):
            total.add(found)

    def _learn_names(self, column, places, n_bits):
        kind, prefix = column.kind, column.kind.prefix_of(column.name)
        if column.keep_missing:
            self._add(column, kind.missing_of(column.name), n_bits)
        if isinstance(kind, Numeric):
            bins = [f"{prefix}{k}" for k in range(len(kind.edges) + 1)] if kind.transform == "bins" else [column.name]
            for name in bins:
                self._add(column, name, n_bits)
            return
        present = dataclasses.replace(column, keep_missing=False)
        for place in places:
            if not self.room:
                return
            self._add_strings(column, prefix, present.strings(*place), n_bits)

    def _add(self, column, name, n_bits):
        bucket = int(bucket_of([engine.murmur3(name.encode())], n_bits)[0])
        names = self.names.get(column.first_bucket + bucket, ())
        if self.room and name not in names:
            self.names[column.first_bucket + bucket] = (*names, name)
            self.room -= 1

    def _add_strings(self, column, prefix, found, n_bits):
        hashes, ends, text = found
        for k in np.unique(hashes, return_index=True)[1].tolist():
            string = text[ends[k - 1] if k else 0 : ends[k]].decode(errors="replace")
            self._add(column, prefix + string, n_bits)
