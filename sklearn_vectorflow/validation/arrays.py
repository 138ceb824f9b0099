"""Checks of arrays that users give beside X: weights, groups, times, names."""

import decimal
import numbers

import numpy as np

from sklearn_vectorflow.validation.errors import brief, naming

SMALLEST_WEIGHT = 1e-300  # that the largest of all weights may be


def is_missing(item):
    """Whether a Python object stands for a missing value: None, NaN, pandas' NA or NaT."""
    if item is None or type(item).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(item, decimal.Decimal):
        return item.is_nan()
    return isinstance(item, (float, np.floating)) and item != item


def check_length(name, length, n_rows):
    """Raise unless there is a value for each row of X."""
    if length != n_rows:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n_rows}, {name} has {length}."
        )


def check_sample_weight(sample_weight, n_rows, name="sample_weight", some=True):
    """Return weights as float64 of shape (n_rows,), or None.

    Unless some=False, one of them must not be zero.

    Raises
    ------
    ValueError
        If they are of another shape, NaN, infinite, negative, all zero, or so small that they
        lose precision.
    """
    if sample_weight is None:
        return None
    if isinstance(sample_weight, numbers.Number):
        sample_weight = np.full(n_rows, sample_weight)
    weight = _real_numbers(name, sample_weight)
    if weight.shape != (n_rows,):
        raise ValueError(f"{name}.shape == {weight.shape}, expected ({n_rows},)!")
    _check_finite(name, weight)
    if weight.max() > np.finfo(np.float64).max / n_rows:
        raise ValueError(f"{name} is too large to be summed, got {weight.max():g}.")
    if np.any(weight < 0):
        raise ValueError(f"{name} must not be negative, got {weight.min():g}.")
    if 0 < weight.max() < SMALLEST_WEIGHT:
        raise ValueError(
            f"{name} is too small for double precision, at most {weight.max():g}: multiply all weights by a constant, "
            "as only their ratios count."
        )
    if some and not np.any(weight):
        raise ValueError(f"{name} must contain at least one non-zero number: all weights are zero.")
    return weight


def check_offset(offset, n_rows, name="offset"):
    """Return offsets as float64 of shape (n_rows,) or (n_rows, n_outputs), or None.

    Raises
    ------
    TypeError, ValueError
        If they are no real numbers, of another shape, NaN or infinite.
    """
    if offset is None:
        return None
    values = _real_numbers(name, offset)
    if values.ndim not in (1, 2) or len(values) != n_rows:
        raise ValueError(f"{name} must have shape ({n_rows},) or ({n_rows}, n_outputs), got {values.shape}.")
    _check_finite(name, values)
    return values


def check_numbers(name, values):
    """Return finite real numbers of any shape as float64.

    Raises
    ------
    TypeError, ValueError
        If they are none.
    """
    values = _real_numbers(name, values)
    _check_finite(name, values)
    return values


def _real_numbers(name, values):
    """Return numbers as a contiguous array of float64.

    Raises
    ------
    TypeError
        If they are complex, or no numbers.
    ValueError
        If some of them are masked.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(f"{name} has masked entries, but must have a number in each place.")
    try:
        values = np.asarray(values)
    except ValueError:  # lists of different lengths
        raise TypeError(f"{name} must be numbers, got {brief(values)}.") from None
    if values.dtype.kind == "c":
        raise TypeError(f"{name} must be real numbers, got dtype {values.dtype}.")
    if values.dtype.kind in "mM":
        raise TypeError(f"{name} must be numbers, got dtype {values.dtype}.")
    if values.dtype.kind not in "iufb":
        try:
            values = values.astype(np.float64)
        except (TypeError, ValueError):
            raise TypeError(f"{name} must be numbers, got dtype {values.dtype}.") from None
    return np.require(values, np.float64, "C")


def _check_finite(name, values):
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{name} contains NaN or infinity.")


def log_exposure(exposure, n_rows, name="exposure"):
    """Return the logarithms of exposures, shape (n_rows,).

    Raises
    ------
    TypeError, ValueError
        If they are no finite numbers > 0, one for each row.
    """
    values = check_offset(exposure, n_rows, name)
    if values.ndim != 1:
        raise ValueError(f"{name} must have shape ({n_rows},), got {values.shape}.")
    if np.any(values <= 0):
        raise ValueError(f"{name} must be > 0, got {values.min():g}.")
    return np.log(values)


def group_starts(groups, n_rows, name="groups"):
    """Return the row at which each group starts and, last, n_rows: int64 of shape (n_groups + 1,).

    Raises
    ------
    ValueError
        If there is not one group for each row, if a value is missing, or if rows of a group do
        not stand together.
    """
    groups = np.asarray(groups)
    if groups.shape != (n_rows,):
        raise ValueError(f"{name} must have one entry for each of the {n_rows} rows, got shape {groups.shape}.")
    check_names_of_groups(groups, name)
    starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]]))
    firsts, counts = np.unique(groups[starts], return_counts=True)
    if np.any(counts > 1):
        raise ValueError(
            f"Rows of a group must be contiguous, but {name} has {brief(firsts[counts > 1][0])} in {counts.max()} "
            f"places: sort the rows by {name}."
        )
    return np.append(starts, n_rows).astype(np.int64)


def check_names_of_groups(groups, name):
    """Raise if a row has no group, or if groups have no order.

    Raises
    ------
    ValueError
        If a value is None or NaN, or values are of kinds that do not compare.
    """
    if groups.dtype.kind not in "Of":
        return
    missing = np.equal(groups, None) | (groups != groups)  # NaN differs from itself
    if np.any(missing):
        row = int(np.flatnonzero(missing)[0])
        raise ValueError(f"{name} must have no missing values, got {brief(groups[row])} in row {row}.")
    try:
        np.unique(groups)
    except TypeError:
        raise ValueError(f"{name} must be all numbers or all strings, got {brief(groups)}.") from None


def check_times(times, *, ordered=True):
    """Return times as an array.

    Raises
    ------
    ValueError
        If they are not a row of finite numbers >= 0, or, if they have to be, not increasing.
    """
    with naming("times"):
        times = np.asarray(times, dtype=np.float64)
    if times.ndim != 1 or times.size == 0:
        raise ValueError(f"times must be a non-empty 1-D array, got shape {times.shape}.")
    if not np.all(np.isfinite(times)) or np.any(times < 0):
        raise ValueError(f"times must be finite and >= 0, got {brief(times)}.")
    if ordered and np.any(np.diff(times) < 0):
        raise ValueError("times must be increasing.")
    return times


def check_after(after, n_rows):
    """Return times up to which rows have had no event as an array of one for each row; None for None.

    Raises
    ------
    ValueError
        If they are not a number or one for each row, finite and >= 0.
    """
    if after is None:
        return None
    with naming("conditional_after"):
        given = np.asarray(after, dtype=np.float64)
    if given.ndim and given.shape != (n_rows,):
        raise ValueError(f"conditional_after must be a number or have shape ({n_rows},), got shape {given.shape}.")
    if not np.all(np.isfinite(given)) or np.any(given < 0):
        raise ValueError(f"conditional_after must be finite and >= 0, got {brief(after)}.")
    return np.broadcast_to(given, (n_rows,))


def check_column_names(table, parameter):
    """Refuse names that Arrow's strings of C cannot pass on: pyarrow cuts them, Polars aborts the process.

    Raises
    ------
    ValueError
        If the name of a column has a null character.
    """
    names = [*getattr(table, "column_names", ()), *getattr(table, "columns", ()), getattr(table, "name", None)]
    unfit = [name for name in names if isinstance(name, str) and "\0" in name]
    if unfit:
        raise ValueError(
            f"{parameter} has a column named {brief(unfit[0])}: names must have no null character. Rename it."
        )
