"""Which units of X and y single precision can work with."""

import numpy as np

from sklearn_vectorflow.defaults.columns import unsuitable_columns
from sklearn_vectorflow.io.matrix import median_length, row_lengths
from sklearn_vectorflow.validation.errors import brief, warn

RANGE = 1e-15, 1e15  # of lengths, raw outputs and their product, whose square is a typical gradient's
LENGTHS_OF_NETS = 0.03, 30.0  # for which the weights that nets start from are made
OUTPUTS_OF_NETS = 0.05, 1e3
FEWEST_ROWS = 16  # that tell what rows are like
MOST_NAMED = 5  # columns, in a warning
MOST_DOMINANT = 5  # columns, without which rows would be much shorter
DOMINANCE = 30.0  # times shorter
FARTHEST = 1e6  # from zero, in units of raw outputs, where single precision still tells them apart


def check_units(length, output, center, is_linear):
    """Refuse units that steps of single precision can't work with; warn of those that nets are not made for.

    Parameters
    ----------
    length : float
        Typical Euclidean length of the rows of X.
    output : float
        Typical size of raw outputs, which for losses in units of y is the standard deviation of y.
    center : float
        The distance from zero of a constant model's raw outputs, about the mean of y.
    is_linear : bool

    Raises
    ------
    ValueError
        If a unit is beyond single precision.

    Warns
    -----
    UserWarning
        If a net's initial weights and steps do not suit the units, or y is far from zero.
    """
    found = (("X", "the median length of its rows", length), ("y", "its standard deviation", output))
    for name, what, size in found:
        if not RANGE[0] <= size <= RANGE[1]:
            raise ValueError(
                f"{name} is outside the range of single precision: {what} is about {size:.2g}, but must be in "
                f"[{RANGE[0]:g}, {RANGE[1]:g}]. Multiply {name} by a constant that brings it near 1."
            )
    if not RANGE[0] <= length * output <= RANGE[1]:
        raise ValueError(
            "X and y together are outside the range of single precision: the median length of rows is "
            f"about {length:.2g} and the standard deviation of y {output:.2g}. Multiply both by constants that bring "
            "them near 1."
        )
    if center > RANGE[1]:
        raise ValueError(
            f"y is outside the range of single precision: its values are about {center:.3g}, but must be below "
            f"{RANGE[1]:g}. Divide y, or the offsets of the rows, by a constant."
        )
    if center > FARTHEST * output:
        warn(
            f"y is about {center:.3g} but varies by {output:.3g}, which is too little for single precision: subtract "
            "the mean from y."
        )
    if is_linear:
        return
    for (name, what, size), (low, high) in zip(found, (LENGTHS_OF_NETS, OUTPUTS_OF_NETS)):
        if not low <= size <= high:
            warn(
                f"Initial weights and steps of nets suit {name} of about unit size, but {what} is {size:.3g}, so the "
                f"fit may be poor. Scale {name} to bring it near 1.",
            )


def warn_of_dominant_columns(sample, names):
    """Warn of a few columns whose values are so large that the others can hardly be learnt beside them.

    Steps are made for rows of the typical length. Where that is the size of a few columns, steps are too short for the
    weights of the others, which have to be larger.

    Parameters
    ----------
    sample : Sample
        Rows that stand for all.
    names : array of str or None
        Names of all columns.

    Returns
    -------
    warned : bool
    """
    rows = sample.matrix.values
    if rows.shape[0] < FEWEST_ROWS or rows.shape[1] <= 1:
        return False
    squares = np.bincount(rows.indices, rows.data**2, minlength=rows.shape[1])
    largest = np.argsort(-squares, kind="stable")[: min(MOST_DOMINANT, rows.shape[1] - 1)]
    length = median_length(row_lengths(rows), sample.weight)
    if length <= DOMINANCE * _length_without(rows, largest, sample.weight)[0]:
        return False
    for count in range(1, len(largest) + 1):
        rest, has_values = _length_without(rows, largest[:count], sample.weight)
        if length > DOMINANCE * rest and has_values:
            which = _names_of(sample.columns[np.sort(largest[:count])], names)
            warn(
                f"A typical row of X is {length / rest:.3g} times as long as it would be without column(s) {which}, "
                "which hide the others from training. Scale them, for example by sklearn.preprocessing.MaxAbsScaler, "
                "or encode numbers that stand for categories by HashingEncoder."
            )
            return True
    return False


def warn_of_unsuitable_columns(sample, names):
    """Warn of columns whose values are far larger or smaller than those of most, or far from zero.

    Parameters
    ----------
    sample, names
        See `warn_of_dominant_columns`.
    """
    found = unsuitable_columns(sample.matrix.values)
    if len(found):
        which = _names_of(sample.columns[np.sort(found[:MOST_NAMED])], names)
        warn(
            f"Steps of one size do not suit column(s) {which} of X{', and others' * (len(found) > MOST_NAMED)}: their "
            "values are far larger or smaller than those of most columns, or far from zero beside their deviation. "
            "Scale them, for example by sklearn.preprocessing.StandardScaler."
        )


def _names_of(columns, names):
    return ", ".join(repr(str(names[column])) if names is not None else str(column) for column in columns)


def warn_of_few_units(hidden_layer_sizes, n_outputs, rank):
    """Warn of hidden layers through which a net cannot say what a linear model can.

    Raw outputs that a layer of few units leads to are no more independent than the units.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int
    n_outputs : int
    rank : int
        How many raw outputs of a linear model are independent, at most.
    """
    smallest, given = int(np.min(hidden_layer_sizes)), brief(hidden_layer_sizes)
    if smallest < rank:
        warn(
            f"hidden_layer_sizes={given} has a layer of {smallest} units for {n_outputs} outputs, so the net may be "
            f"worse than a linear model. Use at least {rank} units, or add a linear part: "
            f"network=wide_and_deep({given})."
        )


def _length_without(rows, columns, weight):
    """Return the median length of rows without some columns, and whether anything is left of them."""
    kept = np.ones(rows.shape[1])
    kept[columns] = 0.0
    values = rows.data * kept[rows.indices]
    others = type(rows)((values, rows.indices, rows.indptr), shape=rows.shape)
    return median_length(row_lengths(others), weight), bool(np.any(values))
