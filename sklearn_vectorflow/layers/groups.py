"""Groups of columns, as users name them."""

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
    if isinstance(columns, (slice, range)):
        if isinstance(columns, slice):
            try:
                return np.arange(n_columns)[columns]
            except (TypeError, ValueError) as error:  # a step of zero, or bounds that are not integers
                raise type(error)(f"{owner} must be a slice of column numbers, got {brief(columns)}.") from None
        columns = np.arange(columns.start, columns.stop, columns.step)
    chosen = np.atleast_1d(np.asarray(columns))
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
