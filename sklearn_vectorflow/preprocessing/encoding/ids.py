"""Columns of whole numbers that look like ids, which are no numbers."""

import numpy as np

from sklearn_vectorflow.validation.errors import warn

SPANS, LENGTH = 4, 256  # of rows that are looked at
MANY = 100  # different values: ages, years and days of a month have fewer
SPREAD = 10  # times as many values are possible
LOW = 0.1  # of the range: counts and amounts lie mostly below, ids do not


def warn_of_ids(name, chunks):
    """Warn of a column of numbers that nobody named, if they look like ids.

    Parameters
    ----------
    name : str
    chunks : list of Values
    """
    chunk = max(chunks, key=len)
    if len(chunk) > MANY and look_like_ids(_some(chunk)):
        warn(
            f"Column {name!r} of X holds whole numbers of many values, as ids do, and is encoded as a number. Declare "
            f'it in columns: {name!r}: "categorical" if it is an id, {name!r}: "numeric" if it is a quantity.'
        )


def look_like_ids(values):
    """Return whether numbers are whole, of many values, and spread over many more that they could have had."""
    values = values[np.isfinite(values)]
    if len(values) <= MANY or np.any(values != np.rint(values)):
        return False
    different = np.unique(values)
    lowest, highest = float(different[0]), float(different[-1])
    if len(different) <= MANY or highest - lowest < SPREAD * len(different):
        return False
    return float(np.median(values)) - lowest > LOW * (highest - lowest)


def _some(chunk):
    """Read some rows from all over a chunk."""
    if len(chunk) <= SPANS * LENGTH:
        return chunk.numbers(0, len(chunk))
    firsts = np.linspace(0, len(chunk) - LENGTH, SPANS).astype(int).tolist()
    return np.concatenate([chunk.numbers(first, first + LENGTH) for first in firsts])
