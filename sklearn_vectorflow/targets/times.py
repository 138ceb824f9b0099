"""Times to an event, in all accepted forms."""

from dataclasses import dataclass

import numpy as np

from sklearn_vectorflow.validation.arrays import check_length
from sklearn_vectorflow.validation.errors import brief

CENSORED, EVENT, INTERVAL = 0, 1, 2  # kinds of times, as engine/losses/survival.pyx reads them
MOST_CAUSES = 100  # more distinct events are taken for times
NAMES = ("event", "time", "entry", "lower", "upper")
FORMS = (
    "a structured array with a bool event and a float time (as of sksurv.util.Surv), a tuple (event, time), or a data "
    "frame or dict with event and time, optionally entry, or with lower and upper (optionally entry)"
)


@dataclass
class Times:
    """Checked times of rows, in the unit of y.

    Parameters
    ----------
    kind : ndarray of int8, shape (n_rows,)
        CENSORED, EVENT or INTERVAL.
    time : ndarray of float64, shape (n_rows,)
        Time of the event or of censoring, or lower end of an interval.
    upper : ndarray of float64, shape (n_rows,), or None
        Upper end of an interval, otherwise `time`. None if there are no intervals.
    entry : ndarray of float64, shape (n_rows,), or None
        Time from which on a row was observed. None if all rows were observed from time zero on.
    cause : ndarray of float64, shape (n_rows,), or None
        Number of the cause of the event, from 1 on, 0 without an event. None if causes are not distinguished.
    """

    kind: np.ndarray
    time: np.ndarray
    upper: np.ndarray | None = None
    entry: np.ndarray | None = None
    cause: np.ndarray | None = None

    def __len__(self):
        return len(self.time)

    @property
    def event(self):
        """Whether each row has an event at a known time."""
        return self.kind == EVENT

    def check_events(self):
        """Raise ValueError if all rows are censored."""
        if np.all(self.kind == CENSORED):
            raise ValueError(f"y: all samples are censored, none of {len(self)} rows has an event.")

    def unit(self):
        """Return the observed time per event, as the scale of time."""
        about = self.time if self.upper is None else (self.time + self.upper) / 2
        observed = about.sum() - (0.0 if self.entry is None else self.entry.sum())
        return float(observed / max(1, np.count_nonzero(self.kind != CENSORED)))


def parse(y, n_rows=None, *, all_censored=False, causes=False):
    """Check times to an event.

    Parameters
    ----------
    y : structured array, tuple, data frame or dict
        See the estimator's `fit`.
    n_rows : int, default=None
        Number of rows of X.
    all_censored : bool
        Whether rows may all be censored.
    causes : bool
        Whether events are numbers of causes, with 0 for none.

    Raises
    ------
    TypeError
        If y has another form.
    ValueError
        If a value is invalid. The message names it and its row.
    """
    columns = _columns(y)
    _check_lengths(columns, n_rows)
    if "lower" in columns:
        times = _intervals(_numbers(columns, "lower"), _numbers(columns, "upper", infinite=True))
    else:
        times = _times(columns, causes)
    if "entry" in columns:
        times.entry = _entry(_numbers(columns, "entry"), times)
    if not all_censored:
        times.check_events()
    return times


def joined(parts):
    """Return the times of several blocks as one."""
    fields = {"kind": [part.kind for part in parts], "time": [part.time for part in parts]}
    if any(part.upper is not None for part in parts):
        fields["upper"] = [part.time if part.upper is None else part.upper for part in parts]
    if any(part.entry is not None for part in parts):
        fields["entry"] = [np.zeros(len(part)) if part.entry is None else part.entry for part in parts]
    if any(part.cause is not None for part in parts):
        fields["cause"] = [part.event.astype(np.float64) if part.cause is None else part.cause for part in parts]
    return Times(**{name: np.concatenate(arrays) for name, arrays in fields.items()})


def _columns(y):
    """Name the parts of y."""
    names = getattr(getattr(y, "dtype", None), "names", None)
    if names is not None:
        columns = {name: y[name] for name in names}
        if len(names) == 2 and set(names) not in ({"event", "time"}, {"lower", "upper"}):  # others are in this order
            return dict(zip(("event", "time"), columns.values()))
    elif isinstance(y, tuple) and len(y) == 2:
        return {"event": y[0], "time": y[1]}
    elif isinstance(y, dict) or hasattr(y, "columns"):
        columns = {name: y[name] for name in (y if isinstance(y, dict) else y.columns)}
    else:
        raise TypeError(f"y must be {FORMS}; got {_describe(y)}.")
    return _check_names({name: part for name, part in columns.items() if part is not None})


def _describe(y):
    shape, dtype = getattr(y, "shape", None), getattr(y, "dtype", None)
    return type(y).__name__ + ("" if shape is None else f" of shape {shape} and dtype {dtype}")


def _check_names(columns):
    unknown = [name for name in columns if name not in NAMES]
    if unknown:
        raise ValueError(f"y has unknown columns {brief(unknown)}; the known ones are {list(NAMES)!r}.")
    if ("lower" in columns) != ("upper" in columns):
        raise ValueError(f"y needs lower and upper together, got {brief(list(columns))}.")
    if "lower" in columns and {"event", "time"} & columns.keys():
        raise ValueError(
            "y has lower and upper as well as event or time: pass intervals alone (lower == upper is an event at that "
            "time, upper = inf is censored at lower)."
        )
    if "lower" not in columns and not {"event", "time"} <= columns.keys():
        raise ValueError(f"y needs event and time, or lower and upper; got {brief(list(columns))}.")
    return columns


def _check_lengths(columns, n_rows):
    for name, part in columns.items():
        columns[name] = part = np.asarray(part)
        if part.ndim != 1:
            raise ValueError(f"y: {name} must have one dimension, got shape {part.shape}.")
        n_rows = len(part) if n_rows is None else n_rows
        check_length(f"{name} in y", len(part), n_rows)


def _numbers(columns, name, infinite=False):
    values = columns[name]
    if values.dtype.kind not in "iuf":
        hint = " (are event and time swapped?)" if name == "time" and values.dtype.kind == "b" else ""
        raise ValueError(f"y: {name} must be numbers, got dtype {values.dtype}{hint}.")
    values = values.astype(np.float64)
    _refuse(np.isnan(values), values, name, "must not be NaN")
    if not infinite:
        _refuse(np.isinf(values), values, name, "must be finite")
    return values


def _refuse(bad, values, name, rule):
    if np.any(bad):
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"y: {name} {rule}, got {brief(values[row])} in row {row} ({np.count_nonzero(bad)} such row(s))."
        )


def _event(event):
    """Return events as bool, also from the numbers 0 and 1."""
    if event.dtype.kind == "b":
        return event
    if event.dtype.kind in "iuf" and np.all((event == 0) | (event == 1)):
        return event.astype(bool)
    if event.dtype.kind not in "iuf":
        raise ValueError(f"y: event must be bool (or 0 and 1), got dtype {event.dtype}.")
    hint = "; are event and time swapped?" if len(np.unique(event)) > 2 else "."
    if hint != "." and _are_codes(event):
        hint = "; numbers of causes need distribution='competing_risks' (or are event and time swapped?)"
    other = event[(event != 0) & (event != 1)][0]
    raise ValueError(f"y: event must be bool (or 0 and 1), got {brief(other)}{hint}")


def _are_codes(event):
    return event.dtype.kind in "biuf" and np.all((event >= 0) & (event == np.floor(event)) & (event <= MOST_CAUSES))


def _cause(event):
    """Return numbers of causes as float64."""
    if not _are_codes(event):
        got = f"dtype {event.dtype}"
        if event.dtype.kind in "iuf":
            got = brief(event[~((event >= 0) & (event == np.floor(event)) & (event <= MOST_CAUSES))][0])
        raise ValueError(
            f"y: event must be 0 (censored) or the number of a cause, 1, 2, ... up to {MOST_CAUSES}, got {got} "
            "(are event and time swapped?)."
        )
    return event.astype(np.float64)


def _times(columns, causes=False):
    cause = _cause(columns["event"]) if causes else None
    event, time = _event(columns["event"]) if cause is None else cause > 0, _numbers(columns, "time")
    _refuse(time < 0, time, "time", "must not be negative")
    positive = "must be greater than 0 (an event at time 0 has no duration; shift or drop such rows)"
    _refuse(time == 0, time, "time", positive)
    return Times(np.where(event, EVENT, CENSORED).astype(np.int8), time, cause=cause)


def _intervals(lower, upper):
    _refuse(lower < 0, lower, "lower", "must not be negative")
    _refuse(upper <= 0, upper, "upper", "must be greater than 0")
    _refuse(lower > upper, lower, "lower", "must not be greater than upper (are they swapped?)")
    _refuse(
        (lower == 0) & np.isinf(upper), lower, "lower", "of 0 with an upper of inf has no information about the time"
    )
    kind = np.full(len(lower), INTERVAL, dtype=np.int8)
    kind[lower == upper] = EVENT
    kind[np.isinf(upper)] = CENSORED
    return Times(kind, lower, np.where(kind == INTERVAL, upper, lower))


def _entry(entry, times):
    _refuse(entry < 0, entry, "entry", "must not be negative")
    late = entry > times.time if times.upper is not None else entry >= times.time
    late |= (times.kind != INTERVAL) & (entry == times.time)
    _refuse(late, entry, "entry", "must be before time (or lower)")
    return entry
