"""What an encoder learns from rows: counts of features, moments of columns, names."""

import copy

import numpy as np

from sklearn_vectorflow.engine.text import hashing as engine
from sklearn_vectorflow.preprocessing.encoding.names import FeatureNames
from sklearn_vectorflow.preprocessing.encoding.plan import PIECE, places_of
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
        self.moments = {}
        self.names = FeatureNames(n_names)

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
        if not fit or not isinstance(self.names, FeatureNames):
            raise ValueError("what an encoder learned is of other types.")

    def copy(self):
        """Return a copy, which may learn more."""
        new = copy.copy(self)
        new.sketch = None if self.sketch is None else self.sketch.copy()
        new.moments = copy.deepcopy(self.moments)
        new.names = self.names.copy()
        return new

    def count_of(self, name):
        """Return how often a feature was counted, never too low."""
        return engine.estimate(engine.murmur3(name.encode()), self.sketch)

    def learn(self, frame, columns, n_bits, crew):
        """Take in the rows of a frame, whose columns are those given."""
        pieces = list(frame.pieces(PIECE))
        for j, column in enumerate(columns):
            places = places_of(pieces, j)
            if column.kind.learns():
                self._learn_moments(column, places, crew)
            elif self.sketch is not None:
                self._count(column, places, crew)
            else:
                column.read(*places[0])  # only to complain of columns that can't be read
        self.names.learn(pieces, columns, n_bits, crew)

    def _count(self, column, places, crew):
        crew.map(lambda place: engine.count([column.read(*place)], place[2] - place[1], self.sketch), places)

    def _learn_moments(self, column, places, crew):
        total = self.moments.setdefault(column.name, Moments())
        for found in crew.map(lambda place: Moments(column.numbers(*place)), places):
            total.add(found)
