"""Frames hashed into a matrix, piece by piece."""
import numpy as np
from scipy import sparse

from sklearn_vectorflow.engine import hashing as engine
from sklearn_vectorflow.io.encoding.plan import PIECE, read_piece


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
    hashed = _hash_cells if all(column.kind.single for column in columns) else _hash_lists
    indices, values, lengths = hashed(frame.n_rows, pieces, columns, rules, crew)
    indptr = np.zeros(len(lengths) + 1, dtype=np.int32 if len(indices) < 2**31 else np.int64)
    np.cumsum(lengths, out=indptr[1:])
    X = sparse.csr_matrix((values, indices, indptr), shape=(len(lengths), width))
    X.has_canonical_format = True
    return X


def _hash_cells(n_rows, pieces, columns, rules, crew):
    """One cell a column: pieces write where they would be if no row lacked one, and then close up."""
    n_columns = len(columns)
    indices, values = _empty(n_rows * n_columns)
    lengths = np.empty(n_rows, dtype=np.int32)
    edges = np.cumsum([0] + [piece[0] for piece in pieces])

    def encode(k):
        first, stop = edges[k], edges[k + 1]
        cells = read_piece(columns, pieces[k])
        return engine.encode_into(*cells, rules, indices, values, lengths[first:stop], first * n_columns)

    end = 0
    for first, size in zip(edges, crew.map(encode, range(len(pieces)))):
        engine.move(indices, values, end, first * n_columns, size)
        end += size
    indices.resize(end, refcheck=False)
    values.resize(end, refcheck=False)
    return indices, values, lengths


def _hash_lists(n_rows, pieces, columns, rules, crew):
    """Any number of features a cell: how many there are is known when all are hashed."""
    blocks = crew.map(lambda piece: engine.encode(*read_piece(columns, piece), rules), pieces)
    starts = np.cumsum([0] + [block.n_nonzero for block in blocks])
    indices, values = _empty(starts[-1])
    crew.map(lambda k: blocks[k].copy_to(indices, values, starts[k]), range(len(blocks)))
    return indices, values, np.concatenate([block.lengths for block in blocks])


def _empty(n):
    return np.empty(n, dtype=np.int32), np.empty(n, dtype=np.float32)
