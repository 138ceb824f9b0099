"""Columns that steps of one size do not suit: some much larger than others, or far from zero."""

import math

import numpy as np

MOST_COLUMNS = 512  # of which Newton's steps take all second derivatives together
FEWEST_ROWS = 16  # that tell what columns are like
UNLIKE = 10.0  # times: sizes of the values of two columns
UNLIKE_IN_NETS = 3.0  # whose units see all columns at once
FEWEST_VALUES = 16  # of a column, that tell so small a difference
OUTLYING = 30.0  # times: sizes of the values of a column, and of those of most of many
VERY_FAR = 10.0  # times: the mean of a column, and its deviation
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
    moments = _moments(rows)
    if rows.shape[1] > MOST_COLUMNS or moments is None or not _are_unlike(*moments, UNLIKE, 1):
        return None
    sizes, varies = _sizes(rows.shape[0], *moments)
    return np.where(varies, sizes, np.median(sizes[varies])) if np.any(varies) else None


def outlying_columns(rows):
    """Return the sizes of many columns, those of most of them taken as 1, if some are far from that; else None.

    Parameters
    ----------
    rows : csr_matrix of shape (n_rows, n_columns)
        That stand for all.
    """
    chosen, typical = _outlying(rows)
    sizes, varies = _sizes(rows.shape[0], *_moments(rows)) if np.any(chosen) else (None, False)
    chosen &= varies
    return np.where(chosen, sizes / typical, 1.0) if np.any(chosen) else None


def unsuitable_columns(rows):
    """Return the columns that steps of one size, which a user asks for, do not suit: the worst first.

    Their values are far larger or smaller than those of most columns, or, where rows differ by little of their lengths,
    far from zero beside their deviation.

    Parameters
    ----------
    rows : csr_matrix of shape (n_rows, n_columns)
        That stand for all.
    """
    chosen, typical = _outlying(rows)
    moments = _moments(rows)
    if moments is None:
        return np.zeros(0, dtype=int)
    counts, mean, squares = moments
    sizes, varies = _sizes(rows.shape[0], *moments)
    values = np.sqrt(squares * rows.shape[0] / np.maximum(counts, 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        unlike = np.where(chosen, np.abs(np.log(values / typical)) / math.log(OUTLYING), 0.0)
        far = np.where(counts == rows.shape[0], np.abs(mean) / (VERY_FAR * sizes), 0.0) * _are_far(mean, squares)
    badness = np.where(varies, np.maximum(unlike, far), 0.0)
    order = np.argsort(-badness, kind="stable")
    return order[badness[order] > 1.0]


def _sizes(n_rows, counts, mean, squares):
    """Return deviations of columns, over the root of the share of rows with values, and which of them vary."""
    variances = np.maximum(squares - mean**2, 0.0)
    sizes = np.sqrt(variances * n_rows / np.maximum(counts, 1.0))
    return sizes, (counts > 0) & (sizes > 1e-6 * np.abs(mean))


def columns_to_scale(rows, n_columns, is_linear):
    """Return which columns need other units, where steps of one size do not suit them all.

    Of few columns these are all. Of many, most of which are categories or words, these are the few whose values are
    far larger or smaller than is typical.

    Parameters
    ----------
    rows : csr_matrix of shape (n_rows, n_columns)
        That stand for all, with the columns alone that have values among them.
    n_columns : int
        Of all rows.
    is_linear : bool
        Whether no hidden units read them.

    Returns
    -------
    chosen : ndarray of bool, shape (n_columns,)
    typical : float
        The size of values that suits the others.
    """
    if n_columns > MOST_COLUMNS:
        return _outlying(rows)
    moments = _moments(rows)
    limits = (UNLIKE, 1) if is_linear else (UNLIKE_IN_NETS, FEWEST_VALUES)
    are_unlike = moments is not None and _are_unlike(*moments, *limits)
    return np.full(rows.shape[1], are_unlike), 1.0


def _outlying(rows):
    """Return the columns whose values have a size far from that of the median column, and this size."""
    counts = np.bincount(rows.indices, rows.data != 0, minlength=rows.shape[1])
    squares = np.bincount(rows.indices, rows.data.astype(np.float64) ** 2, minlength=rows.shape[1])
    sizes = np.sqrt(squares / np.maximum(counts, 1.0))
    typical = float(np.median(sizes[counts > 0])) if np.any(counts) else 1.0
    is_far = (sizes > OUTLYING * typical) | (OUTLYING * sizes < typical)
    return is_far & (counts >= FEWEST_VALUES), typical


def _moments(rows):
    """Return how many values columns have, their means and their mean squares; None of few rows."""
    n_rows, n_columns = rows.shape
    if n_rows < FEWEST_ROWS:
        return None
    values = rows.data.astype(np.float64)
    squares, sums = (np.bincount(rows.indices, power, minlength=n_columns) for power in (values**2, values))
    counts = np.bincount(rows.indices, values != 0, minlength=n_columns)
    return (counts, sums / n_rows, squares / n_rows) if np.any(counts) else None


def _are_unlike(counts, mean, squares, times, fewest):
    known = counts >= fewest
    size_of_values = np.sqrt(squares[known] / counts[known])
    differ = np.any(known) and size_of_values.max() > times * size_of_values.min()
    return differ or _are_far(mean, squares)


def _are_far(mean, squares):
    """Whether rows differ by little of their lengths."""
    return squares.sum() > FAR**2 * np.maximum(squares - mean**2, 0.0).sum()
