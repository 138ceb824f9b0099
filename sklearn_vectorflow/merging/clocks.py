"""Clocks of records, which say what penalties and running means have caught up on, and those means."""

import numpy as np


def write_clock(record, layout, step, elapsed):
    """Say up to which step, and which sum of rates, records have caught up."""
    if layout.clock < 0:
        return
    record[:, layout.clock] = np.asarray(step, dtype=np.int64).ravel().astype(np.uint32).view(np.float32)
    if _clock_size(layout) == 3:
        times = np.ascontiguousarray(elapsed, dtype=np.float64)
        record[:, layout.clock + 1 : layout.clock + 3] = times.view(np.float32).reshape(-1, 2)


def _clock_size(layout):
    end = layout.average if layout.average >= 0 else layout.stride
    return min(end - layout.clock, 3)


def add_means(record, before, layout, since, steps):
    """Return what the sums behind running means gained in some steps since a state."""
    span = slice(layout.average, layout.average + layout.n_out)
    first, last = (max(step - since.average_from, 0) for step in (since.step, since.step + steps))
    return record[:, span].astype(np.float64) * last - before[:, span].astype(np.float64) * first
