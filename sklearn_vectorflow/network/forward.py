"""Outputs of a net for rows."""

import numpy as np

from sklearn_vectorflow.engine.net import worker as engine
from sklearn_vectorflow.threads import by_worker

MOST_RAW = 262_144  # raw outputs that a thread holds at once: its own cache keeps them
BLOCKS = 32  # of rows, at least, where there are many: their sums do not depend on how many threads add them up
FEW_ROWS = 2048  # one block
LINES_AHEAD = 256  # cache lines of weights asked for ahead of their use


class RawOutputs:
    """Raw outputs that stand for the rows they are of.

    Parameters
    ----------
    raw : ndarray of shape (n_rows, n_outputs)
    y, weight : array-like or None
    """

    def __init__(self, raw, y, weight):
        self.raw = raw
        self.y = y
        self.weight = weight


def rows_ahead(rows, network):
    """Return how many rows ahead weights are asked for: few if rows are long or wide.

    None if the weights stay in the processor's second cache anyway.
    """
    largest = max(network.parameters_of_rows, key=lambda parameters: parameters.record.nbytes)
    if largest.is_small:
        return 0
    per_row = max(1, rows.n_nonzero // rows.n_rows)
    stride = largest.record.strides[0] // largest.record.itemsize
    return max(1, min(4, LINES_AHEAD // (per_row * min(4, (stride + 15) // 16))))


def readable(matrix, network):
    """Return the matrix, its repeated columns summed if the net's layers are not linear in rows."""
    return matrix.summed() if network.graph.needs_canonical and not matrix.rows.canonical else matrix


def outputs(network, matrix, crew, place=None):
    """Return the outputs of a place of a net for every row; by default, the raw ones.

    Returns
    -------
    out : ndarray of float32, shape (n_rows, width)
    """
    matrix = readable(matrix, network)
    net, clock = network.predicting_net()
    net.measure(matrix.rows)
    n_rows = matrix.shape[0]
    width = network.n_outputs if place is None else place.width
    node = -1 if place is None else place.engine
    out = np.empty((n_rows, width), dtype=np.float32)
    ahead = rows_ahead(matrix.rows, network)
    edges = np.linspace(0, n_rows, (4 * crew.n_workers if crew.n_workers > 1 else 1) + 1).astype(np.int64).tolist()
    workers = [engine.Worker(net, matrix.rows.longest) for _ in range(crew.n_workers)]

    @by_worker
    def run(span, worker):
        workers[worker].predict(matrix.rows, clock, *span, out, ahead, node)

    crew.map(run, list(zip(edges[:-1], edges[1:])))
    return out


def map_raw(network, matrix, crew, function):
    """Return what a function makes of raw outputs, block of rows after block; a thread holds one block.

    Parameters
    ----------
    function : callable
        Called with the raw outputs, float32 of shape (n, n_outputs), which it must not keep, of
        rows [start, end), and with start and end.
    """
    matrix = readable(matrix, network)
    net, clock = network.predicting_net()
    net.measure(matrix.rows)
    n_rows, n_outputs = matrix.shape[0], network.n_outputs
    ahead = rows_ahead(matrix.rows, network)
    length = max(1, min(max(FEW_ROWS, -(-n_rows // BLOCKS)), MOST_RAW // n_outputs))
    workers = [engine.Worker(net, matrix.rows.longest) for _ in range(crew.n_workers)]
    room = [np.empty((length, n_outputs), dtype=np.float32) for _ in workers]

    @by_worker
    def run(start, worker):
        end = min(start + length, n_rows)
        workers[worker].predict(matrix.rows, clock, start, end, room[worker], ahead, first=start)
        return function(room[worker][: end - start], start, end)

    return crew.map(run, range(0, n_rows, length))


def raw_outputs(network, matrix, crew):
    """Return the raw outputs of a net for every row.

    Returns
    -------
    raw : ndarray of float64, shape (n_rows, n_outputs)
    """
    out = np.empty((matrix.shape[0], network.n_outputs))

    def keep(raw, start, end):
        out[start:end] = raw

    map_raw(network, matrix, crew, keep)
    return out
