"""Frames hashed into a matrix, piece by piece."""

import itertools
import threading

import numpy as np
from scipy import sparse

from sklearn_vectorflow.engine.text import hashing as engine
from sklearn_vectorflow.preprocessing.encoding.plan import PIECE, read_piece


def hash_frame(frame, columns, rules, width, crew):
    """Return the rows of a frame as a matrix.

    Parameters
    ----------
    frame : Frame
    columns : list of Column
        What becomes of its columns.
    rules : engine.Rules
    width : int
        Columns of the matrix.
    crew : Crew

    Returns
    -------
    X : csr_matrix of shape (n_rows, width), float32
    """
    pieces = list(frame.pieces(PIECE))
    hashed = _hash_cells if columns and all(column.kind.single for column in columns) else _hash_lists
    indices, values, indptr = hashed(frame.n_rows, pieces, columns, rules, crew)
    X = sparse.csr_matrix((values, indices, indptr), shape=(frame.n_rows, width))
    X.has_canonical_format = True
    return X


class _Closing:
    """Closes pieces up in order, each as soon as those before it are: then it is still in a cache.

    Parameters
    ----------
    arrays : tuple of ndarray
        Columns, values and row pointers of the matrix, the first two with room for every cell.
    firsts : list of int
        First row of each piece.
    n_columns : int
    """

    def __init__(self, arrays, firsts, n_columns):
        self.arrays, self.firsts, self.n_columns = arrays, firsts, n_columns
        self.size = 0
        self._n_closed = 0
        self._waiting = {}
        self._lock = threading.Lock()

    def start(self, k):
        """Return where piece k is to be written: where it stays, or would stay if no row before lacked a cell."""
        with self._lock:
            return self.size if k == self._n_closed else self.firsts[k] * self.n_columns

    def put(self, k, start, ends):
        """Take piece k, written from ``start``; ``ends`` are of its rows."""
        with self._lock:
            self._waiting[k] = start, ends
            while self._n_closed in self._waiting:
                self._close(self.firsts[self._n_closed], *self._waiting.pop(self._n_closed))
                self._n_closed += 1

    def _close(self, first, start, ends):
        indices, values, indptr = self.arrays
        engine.move(indices, values, self.size, start, int(ends[-1]))
        np.add(ends, self.size, out=indptr[first + 1 : first + 1 + len(ends)])
        self.size += int(ends[-1])


def _hash_cells(n_rows, pieces, columns, rules, crew):
    """One cell a column: pieces write where they would be if no row lacked one, and then close up."""
    n_columns = len(columns)
    indices, values = _empty(n_rows * n_columns)
    indptr = _pointers(n_rows, n_rows * n_columns)
    firsts = [0, *itertools.accumulate(n for n, _ in pieces)]
    closing = _Closing((indices, values, indptr), firsts, n_columns)

    def encode(k):
        cells, ends, start = read_piece(columns, pieces[k]), np.empty(pieces[k][0], dtype=np.int32), closing.start(k)
        engine.encode_into(*cells, rules, indices, values, ends, start)
        closing.put(k, start, ends)

    crew.map(encode, range(len(pieces)))
    indices.resize(closing.size, refcheck=False)
    values.resize(closing.size, refcheck=False)
    return indices, values, indptr


def _hash_lists(n_rows, pieces, columns, rules, crew):
    """Any number of features a cell: how many there are is known when all are hashed."""
    blocks = crew.map(lambda piece: engine.encode(*read_piece(columns, piece), rules), pieces)
    starts = np.cumsum([0] + [block.n_nonzero for block in blocks])
    indices, values = _empty(starts[-1])
    crew.map(lambda k: blocks[k].copy_to(indices, values, starts[k]), range(len(blocks)))
    indptr = _pointers(n_rows, starts[-1])
    np.cumsum(np.concatenate([block.lengths for block in blocks]), out=indptr[1:])
    return indices, values, indptr


def _empty(n):
    return np.empty(n, dtype=np.int32), np.empty(n, dtype=np.float32)


def _pointers(n_rows, size):
    """Row pointers for at most ``size`` entries."""
    return np.zeros(n_rows + 1, dtype=np.int32 if size < 2**31 else np.int64)
