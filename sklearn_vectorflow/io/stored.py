"""Arrays in files, read into memory of our own: a file that shrinks while it is mapped kills the process."""

import contextlib
import os
import threading
import weakref

import numpy as np


class StoredArray:
    """Entries of an array in a file, which stays open.

    Parameters
    ----------
    path : path-like
    dtype : dtype
    shape : tuple of int
    offset : int
        Bytes of the file before the array.

    Raises
    ------
    ValueError
        If the file is too short.
    """

    def __init__(self, path, dtype, shape, offset):
        self.path = os.path.abspath(path)
        self.dtype = dtype
        self.shape = tuple(shape)
        self.offset = offset
        self._entry = dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
        self._open()
        needed = offset + self._entry * len(self)
        if self.stamp()[0] < needed:
            raise ValueError(f"{self.path} is truncated: it has {self.stamp()[0]} bytes, expected {needed}.")

    @classmethod
    def of(cls, path):
        """Open a ``.npy`` file.

        Returns
        -------
        array : StoredArray, or ndarray for one that is not in C order

        Raises
        ------
        FileNotFoundError
        ValueError
            If it is no such file, is too short or holds objects.
        """
        mapped = open_map(path)
        if not mapped.flags.c_contiguous or mapped.ndim == 0:
            return np.array(mapped)
        return cls(path, mapped.dtype, mapped.shape, mapped.offset)

    def __len__(self):
        return self.shape[0]

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name not in ("_file", "_turn", "_memory")}

    def __setstate__(self, state):
        vars(self).update(state)
        self._open()

    def _open(self):
        self._file = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._file)
        self._turn = threading.Lock()
        self._memory = _Memory()

    def stamp(self):
        """Return the file's size and times, which change when somebody writes to it."""
        stat = os.fstat(self._file)
        return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns

    def read(self, start, end):
        """Return entries [start, end) in memory of their own.

        Raises
        ------
        ValueError
            If the file is too short by now.
        """
        shape = end - start, *self.shape[1:]
        if not end > start or not self._entry:
            return np.empty(shape, dtype=self.dtype)
        letters = self._memory.letters((end - start) * self._entry)
        self._fill(letters, self.offset + start * self._entry)
        return letters.view(self.dtype).reshape(shape)

    def release(self):
        """Let go of memory that waits for more to be read."""
        self._memory = _Memory()

    def _fill(self, letters, at):
        done = 0
        while done < len(letters):
            n = self._read_into(letters[done:], at + done)
            if not n:
                size = self.stamp()[0]
                raise ValueError(f"{self.path} has been truncated: it has {size} bytes, expected {at + len(letters)}.")
            done += n

    def _read_into(self, letters, at):
        if hasattr(os, "preadv"):
            return os.preadv(self._file, [letters], at)
        with self._turn:
            os.lseek(self._file, at, os.SEEK_SET)
            some = os.read(self._file, len(letters))
        letters[: len(some)] = np.frombuffer(some, dtype=np.uint8)
        return len(some)

    def mapped(self):
        """Return the array as users see it."""
        with self._turn, open(self._file, "rb", closefd=False) as file:
            return np.memmap(file, self.dtype, "r", self.offset, self.shape)


class _Memory:
    """Memory that arrays give back when nobody has them any more: fresh pages cost more than what is read into them."""

    def __init__(self):
        self._free = []

    def letters(self, n):
        """Return an array of n bytes."""
        try:
            whole = self._free.pop()
        except IndexError:
            whole = None
        if whole is None or len(whole) < n:
            whole = np.empty(n + n // 8, dtype=np.uint8)  # the next part may be a little longer
        return np.asarray(_Lease(whole, self._free))[:n]


class _Lease:
    """Bytes that go back to a list when the last array of them is gone."""

    def __init__(self, whole, free):
        self.__array_interface__ = whole.__array_interface__
        self._whole = whole
        self._free = free

    def __del__(self):
        self._free.append(self._whole)


def open_map(path):
    """Map a ``.npy`` file.

    Raises
    ------
    FileNotFoundError
    ValueError
        If it is no such file.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise
    except Exception as error:  # headers are parsed as Python: of a damaged one anything may be raised
        raise ValueError(f"{path} is not an array that can be mapped: {error}") from error


def check_map(array):
    """Raise if an array lies in a file that is mapped and shorter than it by now: reading it would kill the process.

    Raises
    ------
    ValueError
    """
    root = _map_of(array)
    if root is None or root.filename is None:
        return
    with contextlib.suppress(OSError):  # a file that has lost its name stays as it is
        size, needed = os.path.getsize(root.filename), root.offset + root.nbytes
        if size < needed:
            raise ValueError(f"{root.filename} has been truncated: it has {size} bytes, expected {needed}.")


def is_mapped(array):
    """Return whether an array lies in a file that is mapped."""
    return _map_of(array) is not None


def _map_of(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array if isinstance(array, np.memmap) else None
