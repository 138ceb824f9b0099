"""What becomes of each column of a frame."""

from dataclasses import dataclass

import numpy as np

from sklearn_vectorflow.engine.text import hashing as engine
from sklearn_vectorflow.preprocessing.encoding.kinds import Kind, finite_numbers

PIECE = 2**14  # rows hashed together: about a millisecond, and small enough for the cache


@dataclass(frozen=True)
class Column:
    """A column, its kind, and where its buckets begin in the matrix."""

    name: str
    kind: Kind
    keep_missing: bool
    first_bucket: int

    def _cells(self):
        name, prefix = self.name.encode(), self.kind.prefix_of(self.name).encode()
        missing = self.kind.missing_of(self.name).encode() if self.keep_missing else None
        return engine.Cells(name, prefix, missing, self.first_bucket)

    def read(self, values, first, stop):
        """Return rows of a chunk as the engine reads them."""
        cells = self._cells()
        self._naming(self.kind.read, values, cells, first, stop)
        return cells

    def strings(self, values, first, stop):
        """Return what the rows' features are called, as the engine reads it, and how many; of codes, all categories."""
        codes = values.coded(first, stop)
        if codes is None:
            return self.read(values, first, stop), stop - first
        cells = self._cells()
        self._naming(codes.categories.read_strings, cells, 0, len(codes.categories))
        return cells, len(codes.categories)

    def numbers(self, values, first, stop):
        """Return rows of a chunk as float64."""
        return self._naming(finite_numbers, values, first, stop)

    def _naming(self, read, *arguments):
        """Says which column an error is about."""
        try:
            return read(*arguments)
        except ValueError as error:
            raise ValueError(f"Column {self.name!r} of X {error}.") from error
        except TypeError as error:
            raise TypeError(f"Column {self.name!r} of X {error}.") from error


def read_piece(columns, piece):
    """Return a piece of a frame as the engine reads it: its columns and its number of rows."""
    n_rows, places = piece
    return [column.read(values, first, first + n_rows) for column, (values, first) in zip(columns, places)], n_rows


def places_of(pieces, j):
    """Return the chunk, the first and the last row of column j in each piece of a frame."""
    return [(values[j][0], values[j][1], values[j][1] + n_rows) for n_rows, values in pieces]


def bucket_of(hashes, n_bits):
    """Return the buckets of 32-bit hashes, as FeatureHasher has them."""
    signed = np.asarray(hashes, dtype=np.uint32).view(np.int32).astype(np.int64)
    return np.abs(signed) & (2**n_bits - 1)
