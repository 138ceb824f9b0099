"""Files that are replaced as a whole: who opens one finds the old or the new, never half of either."""

import contextlib
import os
import time
import uuid

REPLACES = 20  # tries to replace a file where others may have it open: on Windows


@contextlib.contextmanager
def replacing(path):
    """Open a new file that takes the place of another, of this name, once all is written.

    Parameters
    ----------
    path : Path

    Yields
    ------
    file : binary file

    Raises
    ------
    OSError
        If it cannot be written; the error names the path, and what was there stays.
    """
    new = path.with_name(f"{path.name}.{uuid.uuid4().hex[:16]}.new")
    try:
        with new.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        replace(new, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            new.unlink()
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, str(new)):
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise
    sync_folder(path.parent)


def replace(new, old):
    """Rename a file to one that may exist, and that others may have open."""
    for left in reversed(range(REPLACES)):
        try:
            os.replace(new, old)
            return
        except PermissionError:
            if os.name != "nt" or not left:
                raise
            time.sleep(0.05)


def sync_folder(path):
    """Let names reach the disk, where a folder can be opened."""
    if os.name == "nt":
        return
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
