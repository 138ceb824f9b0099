"""Groups of columns, as users name them: those that layers cross, and fields."""

import numpy as np

from sklearn_vectorflow.validation.errors import brief


def columns_of(owner, columns, n_columns, feature_names=None):
    """Return the numbers of the columns of a group.

    Parameters
    ----------
    owner : str
        Beginning of messages.
    columns : slice, range, array-like of int or of str
    n_columns : int
        Number of columns of X.
    feature_names : array-like of str, default=None
        Names of the columns.

    Raises
    ------
    TypeError, ValueError
        If they are not columns of X.
    """
    if isinstance(columns, slice):
        return _sliced(owner, columns, n_columns)
    if isinstance(columns, range):
        columns = np.arange(columns.start, columns.stop, columns.step)
    chosen = np.atleast_1d(np.asarray(columns))
    if not chosen.size:
        return np.empty(0, dtype=np.int64)
    if chosen.dtype.kind in "UO" and all(isinstance(one, str) for one in chosen.ravel()):
        known = {} if feature_names is None else {one: place for place, one in enumerate(feature_names)}
        unknown = [one for one in chosen if one not in known]
        if unknown:
            raise ValueError(f"{owner}: X has no feature named {brief(unknown[0])}.")
        return np.array([known[one] for one in chosen], dtype=np.int64)
    if chosen.dtype.kind not in "iu":
        raise TypeError(f"{owner} must be a slice, column numbers or feature names, got {brief(columns)}.")
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= n_columns):
        raise ValueError(f"{owner} has columns that X, with {n_columns}, does not have.")
    return chosen


def _sliced(owner, columns, n_columns):
    try:
        chosen = np.arange(n_columns)[columns]
    except (TypeError, ValueError) as error:  # a step of zero, or bounds that are not integers
        raise type(error)(f"{owner} must be a slice of column numbers, got {brief(columns)}.") from None
    if columns.stop is not None and columns.stop > n_columns:
        raise ValueError(f"{owner} has columns that X, with {n_columns}, does not have.")
    return chosen


def group_numbers(owner, what, groups, n_columns, feature_names=None):
    """Return the number of the group of each column, -1 for none.

    Parameters
    ----------
    owner : str
        Beginning of messages.
    what : str
        What a group is called in messages.
    groups : dict of {name: columns}
        See `columns_of`.
    n_columns, feature_names
        As for `columns_of`.

    Raises
    ------
    TypeError, ValueError
        If they are not columns of X, or are in several groups.
    """
    numbers = np.full(n_columns, -1, dtype=np.int32)
    for number, (name, columns) in enumerate(groups.items()):
        of_group = f"{owner}: {what} {name!r}"
        chosen = columns_of(of_group, columns, n_columns, feature_names)
        if np.any(numbers[chosen] >= 0):
            raise ValueError(f"{of_group} has columns of another {what}.")
        numbers[chosen] = number
    return numbers
