"""The first rows of a stream, kept until there are enough of them to estimate units."""

import copy
import zlib

import numpy as np
from scipy import sparse

from sklearn_vectorflow.io.blocks import join, join_targets
from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.training.data import Data
from sklearn_vectorflow.validation.arrays import check_sample_weight
from sklearn_vectorflow.validation.errors import brief, restoring
from sklearn_vectorflow.validation.sparse import checked_csr

ENOUGH = 1_024  # rows with values and a weight
MOST_ROWS = 16 * ENOUGH  # of any kind
MOST_VALUES = 1 << 23


class FirstRows:
    """The first rows of `partial_fit`, as an immutable object, so that an estimator can return to an earlier one.

    Units of the data determine learning rates, but the first rows of a stream may be few, empty, or have equal targets.
    So a model starts again each time their number has doubled, with the units of all of them. Later changes of the
    learning rates would not undo steps of the wrong size, and past rows would be gone. This costs at most two passes
    over the rows.

    Parameters
    ----------
    parts : tuple of Data, default=()
    counts : tuple of int, default=(0, 0, 0)
        Number of informative rows (with values and a weight), of all rows, and of values.
    n_begun : int, default=0
        Number of informative rows at the last start of the model.
    """

    def __init__(self, parts=(), counts=(0, 0, 0), n_begun=0):
        self.parts = parts
        self.counts = counts
        self.n_begun = n_begun

    @property
    def is_due(self):
        """Whether the model should start again."""
        return self.counts[0] >= 2 * self.n_begun

    @property
    def is_enough(self):
        """Whether there are enough rows."""
        return any(count >= most for count, most in zip(self.counts, (ENOUGH, MOST_ROWS, MOST_VALUES)))

    def plus(self, data):
        """Return these rows and those of a block, which is not copied."""
        counts = n_telling(data), data.matrix.shape[0], int(data.matrix.rows.n_nonzero)
        counts = tuple(old + new for old, new in zip(self.counts, counts))
        return FirstRows((*self.parts, data), counts, self.n_begun)

    def kept(self):
        """Return the rows with a copy of the last block, which the caller may overwrite."""
        return FirstRows((*self.parts[:-1], _copy(self.parts[-1])), self.counts, self.n_begun)

    def begun(self, joined):
        """Return the rows, in one part, at a start of the model; None if there are enough."""
        if self.is_enough:
            return None
        whole = _copy(joined) if len(self.parts) == 1 else joined
        return FirstRows((whole,), self.counts, max(1, self.counts[0]))

    def joined(self):
        """Return all rows as training data, without a copy if there is one block."""
        parts, starts = self.parts, None
        if len(parts) == 1:
            return parts[0]
        weights = [part.weight for part in parts]
        if any(weight is not None for weight in weights):
            weights = [np.ones(part.matrix.shape[0]) if part.weight is None else part.weight for part in parts]
        offsets = [part.offset for part in parts]
        shapes = [offset.shape for offset in offsets if offset is not None]
        if shapes:
            offsets = [
                np.zeros((part.matrix.shape[0], shapes[0][1])) if offset is None else offset
                for part, offset in zip(parts, offsets)
            ]
        if parts[0].starts is not None:
            firsts = np.cumsum([0, *(part.matrix.shape[0] for part in parts)])
            starts = np.concatenate([part.starts[:-1] + first for part, first in zip(parts, firsts)] + [firsts[-1:]])
        return Data(
            join(_alike([part.matrix for part in parts])),
            join_targets([part.encoded for part in parts]),
            join_targets(weights),
            starts,
            join_targets(offsets),
        )

    def grown(self, n_features, codes=None, n_labels=None):
        """Return the rows with more columns, which are empty, or with targets among more classes, or labels.

        Parameters
        ----------
        n_features : int
        codes : ndarray of int, default=None
            What each class is now; None where they stay as they are.
        n_labels : int, default=None
            Of an indicator matrix.
        """
        parts = tuple(_grown(part, n_features, codes, n_labels) for part in self.parts)
        return FirstRows(parts, self.counts, self.n_begun)

    def __getstate__(self):
        parts = [(one.matrix.values, one.encoded, one.weight, one.starts, one.offset) for one in self.parts]
        state = {"parts": parts, "counts": self.counts, "n_begun": self.n_begun}
        return {**state, "checksum": _checksum(state)}

    def __setstate__(self, state):
        with restoring():
            if _checksum(state) != state["checksum"]:
                raise ValueError("the first rows of the stream are not those that were stored.")
            self.parts = tuple(_restored(*part) for part in state["parts"])
            self.counts, self.n_begun = state["counts"], state["n_begun"]


def _checksum(state):
    """Return a checksum of all numbers of a state."""
    total = zlib.crc32(repr((state["counts"], state["n_begun"])).encode())
    for part in state["parts"]:
        for one in part:
            arrays = (one.data, one.indices, one.indptr) if sparse.issparse(one) else (one,)
            for array in arrays:
                total = zlib.crc32(b"" if array is None else np.ascontiguousarray(array).view(np.uint8), total)
    return total


def _restored(values, encoded, weight, starts, offset=None):
    """Return a block of a pickle, of which the engine reads what it is told to."""
    matrix = Matrix(values)
    n_rows = matrix.shape[0]
    if sparse.issparse(encoded):
        encoded = sparse.csr_array(checked_csr(encoded, "encoded"))
    elif not _is_array(encoded, np.float64, 2):
        raise ValueError(f"targets must be a matrix of float64, got {brief(encoded)}.")
    if encoded.shape[0] != n_rows:
        raise ValueError(f"{n_rows} rows have targets of shape {encoded.shape}.")
    if weight is not None:
        if not _is_array(weight, np.float64, 1):
            raise ValueError(f"weights must be float64, got {brief(weight)}.")
        weight = check_sample_weight(weight, n_rows, some=False)
    if starts is not None and not (
        _is_array(starts, np.int64, 1) and starts[0] == 0 and starts[-1] == n_rows and np.all(np.diff(starts) > 0)
    ):
        raise ValueError(f"groups of {n_rows} rows can't start at {brief(starts)}.")
    if offset is not None and not (_is_array(offset, np.float64, 2) and np.all(np.isfinite(offset))):
        raise ValueError(f"offsets must be a matrix of finite float64, got {brief(offset)}.")
    if offset is not None and len(offset) != n_rows:
        raise ValueError(f"{n_rows} rows have offsets of shape {offset.shape}.")
    return Data(matrix, encoded, weight, starts, offset)


def _grown(part, n_features, codes, n_labels):
    values, encoded = part.matrix.values, part.encoded
    if values.shape[1] < n_features:
        if sparse.issparse(values):
            values = sparse.csr_matrix((values.data, values.indices, values.indptr), (values.shape[0], n_features))
        else:
            values = np.pad(values, ((0, 0), (0, n_features - values.shape[1])))
    if n_labels is not None:
        wide = sparse.csr_array((encoded.shape[0], n_labels - encoded.shape[1]))
        stack = sparse.hstack([sparse.csr_array(encoded), wide], format="csr")
        encoded = stack.toarray() if isinstance(encoded, np.ndarray) else sparse.csr_array(stack)
    elif codes is not None:
        encoded = codes[encoded.astype(np.int64)].astype(np.float64)
    grown = copy.copy(part)
    grown.matrix, grown.encoded = Matrix(values), encoded
    return grown


def _is_array(array, dtype, n_dimensions):
    return isinstance(array, np.ndarray) and array.dtype == dtype and array.ndim == n_dimensions


def n_telling(data):
    """Count rows with values and a weight."""
    values = data.matrix.values
    telling = data.matrix.row_lengths() > 0 if sparse.issparse(values) else np.any(values, axis=1)
    return int(np.count_nonzero(telling if data.weight is None else telling & (data.weight > 0)))


def _copy(data):
    """Return a copy of a block, which the caller may overwrite."""
    found = data.matrix.rows.longest, bool(data.matrix.rows.canonical)
    weight, starts, offset = (None if one is None else one.copy() for one in (data.weight, data.starts, data.offset))
    return Data(Matrix(data.matrix.values.copy(), found=found), data.encoded.copy(), weight, starts, offset)


def _alike(matrices):
    """Return the matrices, as sparse ones if some are."""
    kinds = [sparse.issparse(one.values) for one in matrices]
    if all(kinds) or not any(kinds):
        return matrices
    return [one if kind else Matrix(sparse.csr_matrix(one.values)) for one, kind in zip(matrices, kinds)]
