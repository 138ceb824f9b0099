"""Memory for the records of a layer."""

import contextlib
import os

import numpy as np

LINE = 16  # numbers of a cache line


def padded(size):
    """Round up the numbers of a record, if that costs a third at most, such that it lies in as few lines as it can."""
    whole = LINE * -(-size // LINE) if size > LINE else 1 << (size - 1).bit_length()
    if 3 * whole <= 4 * size:
        return whole
    return min(range(size, 4 * size // 3 + 1), key=lambda stride: (_lines_of(size, stride), stride))


def _lines_of(size, stride):
    """How many lines as many records of some numbers lie in as a line has places, counted for each."""
    return sum(-(-(first + size) // LINE) for first in (k * stride % LINE for k in range(LINE)))


def of_records(n, stride):
    """Return zeros for records, in as few cache lines as they can lie in.

    NumPy's arrays start at any four numbers. Where records are of whole half lines, every second one would lie in a
    line more, which nothing asks for ahead.
    """
    return lines(n, stride) if stride % (LINE // 2) == 0 else zeros(n, stride)


def lines(n, width):
    """Return zeros of shape (n, width) that start with a cache line."""
    array = zeros(n, width, more=LINE)
    start = -array.ctypes.data // array.itemsize % LINE
    return array[start : start + n * width].reshape(n, width)


def zeros(n, width, more=0):
    """Return zeros of shape (n, width), or some numbers more in a row.

    Raises
    ------
    MemoryError
        If the system does not give them, with what would fit.
    """
    try:
        return np.zeros((n, width) if more == 0 else n * width + more, dtype=np.float32)
    except (MemoryError, ValueError) as error:  # the latter where the size is no number of the machine
        raise MemoryError(_too_large(n, width)) from error


def _too_large(n, width):
    """Say how much memory n records would take, and how many would fit."""
    text = f"{n:,} inputs (columns of X) with {width:,} numbers each, weights and the optimizer's state, take"
    text += f" {n * width * 4 / 2**30:,.0f} GiB, which the system cannot allocate."
    with contextlib.suppress(AttributeError, ValueError, OSError):  # not every system tells
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        text += f" In the {memory / 2**30:,.0f} GiB of this machine about {memory // (4 * width):,} such inputs fit."
    return f"{text} Hash features to fewer columns, or take fewer hidden units, factors or outputs."
