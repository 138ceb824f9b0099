"""Rows of a source regrouped into windows, which training holds in memory one at a time."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sklearn_vectorflow.engine.data import Targets
from sklearn_vectorflow.io.blocks import join, join_targets, n_bytes, rows_of
from sklearn_vectorflow.io.matrix import Matrix


@dataclass
class Rows:
    """Rows with encoded targets and weights.

    Parameters
    ----------
    matrix : Matrix
    encoded : ndarray of shape (n_rows, n_targets) or csr_array
    weight : ndarray of shape (n_rows,) or None
    offset : ndarray of shape (n_rows, n_outputs) or None
    """

    matrix: Matrix
    encoded: object
    weight: object
    offset: object

    def between(self, start, end):
        """Return rows [start, end)."""
        weight, offset = (None if one is None else one[start:end] for one in (self.weight, self.offset))
        return Rows(rows_of(self.matrix, start, end), self.encoded[start:end], weight, offset)

    @classmethod
    def joined(cls, parts):
        """Return the rows of several parts together."""
        return cls(
            join([part.matrix for part in parts]),
            join_targets([part.encoded for part in parts]),
            join_targets([part.weight for part in parts]),
            join_targets([part.offset for part in parts]),
        )

    def targets(self):
        """Return the targets for the engine."""
        encoded = self.encoded
        if sparse.issparse(encoded):
            encoded = encoded.indices.astype(np.int32, copy=False), encoded.indptr.astype(np.int64, copy=False)
            return Targets(encoded, self.encoded.shape[1], self.weight, None, self.offset)
        return Targets(np.ascontiguousarray(encoded), encoded.shape[1], self.weight, None, self.offset)


def windows_of_rows(rows, counts):
    """Regroup rows into windows of given numbers of rows.

    Raises
    ------
    ValueError
        If there are more or fewer rows than these.
    """
    total, waiting, n_waiting = sum(counts), [], 0
    for count in counts:
        while n_waiting < count:
            part = next(rows, None)
            if part is None:
                raise ValueError(f"The source gave fewer rows than in its first pass, where it gave {total}.")
            waiting.append(part)
            n_waiting += part.matrix.shape[0]
        last = waiting[-1]
        left = n_waiting - count
        cut = last.matrix.shape[0] - left
        yield Rows.joined([*waiting[:-1], last.between(0, cut)])
        waiting, n_waiting = ([last.between(cut, last.matrix.shape[0])] if left else []), left
    if n_waiting or next(rows, None) is not None:
        raise ValueError(f"The source gave more rows than in its first pass, where it gave {total}.")


def windows_of_bytes(rows, most_bytes):
    """Group rows into windows of at least so many bytes."""
    waiting, size = [], 0
    for part in rows:
        waiting.append(part)
        size += n_bytes(part.matrix)
        if size > most_bytes:
            yield Rows.joined(waiting)
            waiting, size = [], 0
    if waiting:
        yield Rows.joined(waiting)
