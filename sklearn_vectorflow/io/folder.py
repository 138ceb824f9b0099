"""The cache on disk: a folder whose header names the arrays that are complete.

::

    cache/
        header.json             what the cache is of, parts and checksums; replaced as a whole
        lock                    held by the process that writes
        rows-0123456789abcdef/  data.npy, indices.npy, indptr.npy, y.npy, sample_weight.npy,
                                offset.npy

A new cache is a new folder of arrays beside the old one. It counts once the header names it, and what the header
does not name is removed by the next process that has the lock.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sklearn_vectorflow.io.stored import StoredArray
from sklearn_vectorflow.io.turns import LOCK, turn

VERSION = 2
HEADER = "header.json"
ARRAYS = ("data", "indices", "indptr", "y", "sample_weight", "offset")
OF_ROWS = ARRAYS[3:]
TYPES = {"data": (np.float32, np.float64), "indices": (np.int32, np.int64), "indptr": (np.int64,)}
ROWS = re.compile(r"rows-[0-9a-f]{16}")
NEW_HEADER = re.compile(r"header\.[0-9a-f]{16}\.new")
MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
LARGEST = 2**60  # bytes or entries: what is beyond is no size
START = 128  # bytes of a .npy file before the array; enough for any length
TRIES = 100  # to open a cache that others replace in the meantime
ABANDONED = 3600.0  # seconds after which what has no owner is a dead process's, where there are no locks


class NoCache(ValueError):
    """There is no cache in a folder."""


class BrokenCache(ValueError):
    """A cache that cannot be read as it is, and may be written anew."""


@dataclass
class Header:
    """What a cache is of, and where its parts lie.

    Parameters
    ----------
    fingerprint : str
    folder : str
        Name of the folder of arrays.
    n_features : int
    labels : list of str or None
        What codes in y stand for, where y are strings.
    rows, nonzeros : list of int
        Row and non-zero at which each part starts, and their numbers.
    arrays : dict of str to dict
        Type, shape of an entry, and the checksum of each part.
    """

    fingerprint: str
    folder: str
    n_features: int
    labels: object
    rows: list
    nonzeros: list
    arrays: dict

    def text(self):
        """Return what the file holds."""
        body = json.dumps({"version": VERSION, **vars(self)})
        return f"{_checksum(body)}\n{body}"

    def length(self, name):
        """Return the number of entries of an array."""
        return self.nonzeros[-1] if name in ("data", "indices") else self.rows[-1] + (name == "indptr")


def read_header(path):
    """Return the header of a cache.

    Parameters
    ----------
    path : Path

    Raises
    ------
    NoCache
        If there is none.
    BrokenCache
        If it is damaged or of another version.
    """
    try:
        text = (path / HEADER).read_bytes().decode()
    except MISSING as error:
        raise NoCache(f"{path} is not a cache of rows: its header cannot be read.") from error
    except UnicodeDecodeError as error:
        raise BrokenCache(f"The cache {path} is damaged: its header is no text.") from error
    checksum, _, body = text.partition("\n")
    if checksum != _checksum(body):
        raise BrokenCache(f"The cache {path} is damaged: its header does not match its checksum.")
    try:
        fields = json.loads(body)
        version = fields.pop("version")
        if version == VERSION:
            header = Header(**fields)
            _check_header(header)
            return header
    except (ValueError, TypeError, LookupError, AttributeError, SyntaxError, RecursionError) as error:
        raise BrokenCache(f"The cache {path} is damaged: its header makes no sense ({error}).") from error
    raise BrokenCache(f"The cache {path} has version {version!r}, expected {VERSION}.")


def _checksum(body):
    return hashlib.sha256(body.encode()).hexdigest()


def _check_header(header):
    """Raise unless a header's fields are what they are used as."""
    if not ROWS.fullmatch(header.folder):
        raise ValueError(f"folder {header.folder!r}")
    if not set(TYPES) <= set(header.arrays) <= set(ARRAYS):
        raise ValueError(f"arrays {sorted(header.arrays)}")
    if not isinstance(header.fingerprint, str) or type(header.n_features) is not int or header.n_features < 1:
        raise ValueError(f"n_features {header.n_features!r}")
    if header.labels is not None and not all(isinstance(label, str) for label in header.labels):
        raise ValueError("labels")
    for name, strict in (("rows", True), ("nonzeros", False)):
        starts = getattr(header, name)
        rises = all(a + strict <= b for a, b in zip(starts, starts[1:]))
        if not all(type(start) is int for start in starts) or len(starts) < 2 or not rises:
            raise ValueError(name)
        if starts[0] != 0 or starts[-1] > LARGEST:
            raise ValueError(name)
    if len(header.rows) != len(header.nonzeros):
        raise ValueError("rows and nonzeros")
    for name, array in header.arrays.items():
        dtype = dtype_of(array["dtype"])
        if dtype.hasobject or len(array["checksums"]) != len(header.rows) - 1:
            raise ValueError(name)
        if not all(type(size) is int and 0 <= size <= LARGEST for size in array["shape"]):
            raise ValueError(f"shape of {name}")
        if name in TYPES and (array["shape"] or dtype not in TYPES[name]):
            raise ValueError(f"type of {name}")


def dtype_of(described):
    """Return the type that a header describes as ``.npy`` files do, in JSON."""
    if isinstance(described, list):
        described = [tuple(tuple(part) if isinstance(part, list) else part for part in field) for field in described]
    return np.lib.format.descr_to_dtype(described)


class OpenCache:
    """A cache that is read; it stays what it was when others replace it.

    Parameters
    ----------
    path : Path
    header : Header
    """

    def __init__(self, path, header):
        self.path = path
        self.header = header
        self.n_parts = len(header.rows) - 1
        self.arrays = {}
        self._verified = {}
        for name, array in header.arrays.items():
            file, dtype = path / header.folder / f"{name}.npy", dtype_of(array["dtype"])
            shape = header.length(name), *array["shape"]
            self.arrays[name] = StoredArray(file, dtype, shape, START)

    def part(self, number):
        """Return the arrays of a part by name, in memory of their own, as they were written.

        Raises
        ------
        BrokenCache
            If a file has been truncated or changed.
        """
        rows, nonzeros = (
            slice(starts[number], starts[number + 1]) for starts in (self.header.rows, self.header.nonzeros)
        )
        stamps = tuple(array.stamp() for array in self.arrays.values())
        found = {}
        for name, array in self.arrays.items():
            span, shift = nonzeros if name in ("data", "indices") else rows, int(name == "indptr")
            try:
                found[name] = array.read(span.start + shift, span.stop + shift)
            except ValueError as error:
                raise BrokenCache(f"The cache {self.path} is truncated: {error}") from error
        if self._verified.get(number) != stamps:
            self._verify(number, found)
            self._verified[number] = stamps
        found["indptr"] = np.concatenate([[0], found["indptr"] - nonzeros.start])
        return found

    def _verify(self, number, found):
        for name, values in found.items():
            if checksum_of(values) != self.header.arrays[name]["checksums"][number]:
                raise BrokenCache(
                    f"The cache {self.path} is damaged: rows from {self.header.rows[number]} of {name}.npy do not "
                    "match their checksum."
                )


def checksum_of(values, before=0):
    """Return the checksum of an array that is contiguous, or of one that follows on others."""
    return zlib.crc32(values.reshape(-1).view(np.uint8), before)


def open_cache(path, fingerprint=None):
    """Open a cache.

    Parameters
    ----------
    path : Path
    fingerprint : str, default=None
        What the cache must be of; None takes all.

    Raises
    ------
    NoCache, BrokenCache
        If there is none, or it is of another version, damaged, incomplete or of other data.
    """
    header = read_header(path)
    for _ in range(TRIES):
        if fingerprint is not None and header.fingerprint != fingerprint:
            raise BrokenCache(f"The cache {path} is stale: it is of other data, or of other parameters of the source.")
        try:
            return OpenCache(path, header)
        except (*MISSING, ValueError) as error:
            before, header = header, read_header(path)
            if header.folder == before.folder:
                raise BrokenCache(f"The cache {path} is truncated or incomplete: {error}") from error
    raise BrokenCache(f"The cache {path} is replaced again and again by other processes.")


def check_free(path):
    """Raise if what is no cache would be in the way of one.

    Raises
    ------
    ValueError
    """
    if not path.exists():
        return
    if path.is_dir() and all(_is_ours(name) for name in os.listdir(path)):
        return  # a cache, an empty folder, or what a killed process left
    try:
        read_header(path)
    except NoCache as error:
        raise ValueError(f"{path} exists and is not a cache of rows.") from error
    except BrokenCache as error:
        raise ValueError(f"{path} has other files than those of a cache. {error}") from error


def _is_ours(name):
    return name in (HEADER, LOCK) or bool(ROWS.fullmatch(name) or NEW_HEADER.fullmatch(name))


def _leftovers(path, current):
    """Return what killed processes, or those that replaced a cache that others read, left in a folder."""
    return [
        path / name
        for name in os.listdir(path)
        if (ROWS.fullmatch(name) and name != current) or NEW_HEADER.fullmatch(name)
    ]


def tidy(path, current):
    """Remove what nobody needs from a cache's folder, unless somebody writes there now or nobody may.

    Parameters
    ----------
    path : Path
    current : str
        The folder that the header named when it was read.
    """
    with contextlib.suppress(OSError, ValueError):
        if _leftovers(path, current):
            with turn(path, wait=False) as alone:
                sweep(path, alone)


def sweep(path, alone):
    """Remove what the header does not name, with the lock held if there are locks."""
    with contextlib.suppress(OSError, ValueError):
        for left in _leftovers(path, read_header(path).folder):
            if alone or time.time() - _last_write(left) > ABANDONED:
                remove(left)


def _last_write(path):
    return max(entry.stat().st_mtime for entry in ([path, *path.iterdir()] if path.is_dir() else [path]))


def remove(path):
    """Remove a file or a folder as far as that is possible now."""
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def resolved(path):
    """Return where a cache lies, behind symbolic links."""
    return Path(os.path.realpath(path))
