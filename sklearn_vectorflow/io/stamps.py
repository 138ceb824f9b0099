"""What tells whether a file has changed."""

import os


def stamp(path):
    """Return what changes with a file: its size and time."""
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns


def check_stamp(path, before, file=None):
    """Raise if a file has changed since its stamp was taken.

    Parameters
    ----------
    path : path-like
    before : tuple
    file : file object, default=None
        The file, if it is open.

    Raises
    ------
    ValueError
    """
    if stamp(path if file is None else file.fileno()) != before:
        raise ValueError(f"{path} has changed since the source was made: make a new source.")


def fingerprint(path):
    """Return name, size and time of a file."""
    size, time = stamp(path)
    return f"{path.absolute()} {size} {time}"
