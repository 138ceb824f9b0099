"""Which rows of many stand for all: drawn, not strided, and the same however the rows are cut into blocks."""

import numpy as np

SMALL_SAMPLE = 1_024  # rows that tell what rows are like, at least
LARGE_SAMPLE = 8_192  # rows that tell which of two models is better, at least


def sample_step(n_rows, fewest):
    """Return how many rows one row of a sample of at least so many rows stands for.

    A power of two: a stream of unknown length can be thinned to it.
    """
    return 1 << max(0, (n_rows // fewest).bit_length() - 1)


def sampled_rows(start, end, step):
    """Return the rows of a sample that lie in a range.

    Of each `step` neighbouring rows one is drawn. A larger step chooses among the rows of a smaller one, so the rows
    that a stream has kept so far can be thinned.

    Parameters
    ----------
    start, end : int
    step : int
        A power of two.

    Returns
    -------
    rows : ndarray of int64
        In ascending order.
    """
    rows = np.arange(start // step, -(-end // step), dtype=np.int64)
    for level in range(step.bit_length() - 1, 0, -1):
        rows = 2 * rows + _bits(rows, level)
    return rows[(start <= rows) & (rows < end)]


def _bits(numbers, level):
    """Return a random bit for each number: the top one of its hash (splitmix64's mixing)."""
    mixed = numbers.astype(np.uint64) * np.uint64(64) + np.uint64(level) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(63)).astype(np.int64)
