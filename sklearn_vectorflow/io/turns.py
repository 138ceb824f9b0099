"""Turns of processes and threads at a folder: who holds its lock file may change what others find there."""

import contextlib
import os
import time

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

LOCK = "lock"
LOOK = 0.05  # seconds between two tries, which an interrupt may end


@contextlib.contextmanager
def turn(folder, wait=True):
    """Hold a folder's lock, which the system frees when the process ends, however it ends.

    Parameters
    ----------
    folder : Path
        Made if there is none and `wait` is true.
    wait : bool, default=True
        Whether to wait for others.

    Yields
    ------
    alone : bool
        Whether the lock is held. If it is not, after waiting, the file system has no locks.
    """
    file = None
    try:
        while file is None:
            file, locked = _try(folder, wait)
            if locked is None or (locked is False and not wait):
                break
            if not locked:
                file = _close(file)
                time.sleep(LOOK)
            elif not _is_at(file, folder / LOCK):  # somebody removed the folder in the meantime
                file = _close(file)
        yield locked is True
    finally:
        _close(file)


def _try(folder, create):
    """Open and try to lock the file; False if another has it, None if there are no locks here."""
    if create:
        folder.mkdir(parents=True, exist_ok=True)
    file = open(folder / LOCK, "ab", buffering=0)  # lets go of the lock if an interrupt leaves it to be collected
    try:
        _lock(file)
    except (BlockingIOError, PermissionError):
        return file, False
    except OSError:
        return file, None
    return file, True


def _lock(file):
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)


def _is_at(file, path):
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except OSError:
        return False


def _close(file):
    if file is not None:
        file.close()
