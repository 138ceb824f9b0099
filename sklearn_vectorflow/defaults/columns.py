"""Columns that steps of one size do not suit: some much larger than others, or far from zero."""

import numpy as np

MOST_COLUMNS = 512  # of which Newton's steps take all second derivatives together
FEWEST_ROWS = 16  # that tell what columns are like
UNLIKE = 10.0  # times: sizes of the values of two columns
FAR = 3.0  # times: the length of rows, and that of what they differ by from the mean row


def unlike_columns(rows):
    """Return the sizes of columns if steps of one size do not suit them all, else None.

    Parameters
    ----------
    rows : csr_matrix of shape (n_rows, n_columns)
        That stand for all.

    Returns
    -------
    sizes : ndarray of shape (n_columns,) or None
        Standard deviations of columns, over the root of the share of their rows with values: 1 for a rare category and
        for a standardised number. A column without values has the median.
    """
    n_rows, n_columns = rows.shape
    if n_rows < FEWEST_ROWS or n_columns > MOST_COLUMNS:
        return None
    values = rows.data.astype(np.float64)
    squares, sums = (np.bincount(rows.indices, power, minlength=n_columns) for power in (values**2, values))
    counts = np.bincount(rows.indices, values != 0, minlength=n_columns)
    has_values = counts > 0
    if not np.any(has_values):
        return None
    size_of_values = np.sqrt(squares[has_values] / counts[has_values])
    mean = sums / n_rows
    variances = np.maximum(squares / n_rows - mean**2, 0.0)
    is_unlike = size_of_values.max() > UNLIKE * size_of_values.min()
    is_far = squares.sum() / n_rows > FAR**2 * variances.sum()
    if not (is_unlike or is_far):
        return None
    sizes = np.sqrt(variances * n_rows / np.maximum(counts, 1.0))
    varies = has_values & (sizes > 1e-6 * np.abs(mean))
    if not np.any(varies):
        return None
    return np.where(varies, sizes, np.median(sizes[varies]))
