"""The cache on disk: a folder of arrays that is complete or not there."""

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from pathlib import Path

import numpy as np
from scipy import sparse

VERSION = 1
HEADER = "header.json"
ABANDONED = 3600.0  # seconds without a write after which an unfinished folder is taken for a killed process's


def check(path, fingerprint=None):
    """Return the header of a cache.

    Parameters
    ----------
    path : Path
    fingerprint : str, default=None
        What the cache must be of; None takes all.

    Raises
    ------
    ValueError
        If the folder is no cache, of another version, damaged, incomplete or of other data.
    """
    try:
        text = (path / HEADER).read_text()
        checksum, _, body = text.partition("\n")
        header = json.loads(body)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a cache of rows: its header cannot be read.") from error
    if checksum != _checksum(body):
        raise ValueError(f"The cache {path} is damaged: its header does not match its checksum.")
    if header["version"] != VERSION:
        raise ValueError(f"The cache {path} has version {header['version']}, expected {VERSION}.")
    for name, size in header["arrays"].items():
        file = path / f"{name}.npy"
        if not file.exists() or file.stat().st_size != size:
            raise ValueError(f"The cache {path} is truncated: {name}.npy does not have {size} bytes.")
    if fingerprint is not None and header["fingerprint"] != fingerprint:
        raise ValueError(f"The cache {path} is stale: it is of other data, or they were read in another way.")
    return header


def _checksum(body):
    return hashlib.sha256(body.encode()).hexdigest()


class Writer:
    """Writes blocks into a new folder, which gets its name when it is complete.

    Parameters
    ----------
    path : Path
        A cache that is there is replaced; another folder or file is not.
    fingerprint : str

    Raises
    ------
    ValueError
        If something that is no cache is in the way.
    """

    def __init__(self, path, fingerprint):
        if path.exists() and not (path / HEADER).exists():
            raise ValueError(f"{path} is in the way: it exists, and is not a cache of rows.")
        self.path = path
        self.fingerprint = fingerprint
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        self.unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.unfinished")
        self.unfinished.mkdir()
        self._arrays = {}
        self._labels = None
        self._n_features = None
        self._n_nonzero = 0

    def add(self, block):
        """Append a `Checked` block.

        Raises
        ------
        ValueError
            If blocks differ in columns, types, or in having targets and weights.
        """
        X = block.matrix.values
        X = X if sparse.issparse(X) else sparse.csr_matrix(X)
        first, last = int(X.indptr[0]), int(X.indptr[-1])
        new = self._n_features is None
        if new:
            self._n_features = X.shape[1]
        if X.shape[1] != self._n_features:
            raise ValueError(f"Blocks differ in their number of features: {self._n_features} and {X.shape[1]}.")
        if new:
            self._array("indptr", np.zeros(1, dtype=np.int64), new)
        self._array("data", X.data[first:last], new)
        self._array("indices", X.indices[first:last], new)
        self._array("indptr", X.indptr[1:].astype(np.int64) + (self._n_nonzero - first), False)
        self._n_nonzero += last - first
        if block.y is not None or "y" in self._arrays:
            self._array("y", self._coded(block.y), new)
        if block.weight is not None or "sample_weight" in self._arrays:
            self._array("sample_weight", np.asarray(block.weight, dtype=np.float64), new)

    def _array(self, name, values, new):
        if new:
            self._arrays[name] = _Array(self.unfinished / f"{name}.npy", values.dtype, values.shape[1:])
        elif name not in self._arrays:
            raise ValueError(f"Either all blocks have {name} or none has.")
        self._arrays[name].append(values)

    def _coded(self, y):
        if y is None or sparse.issparse(y):
            given = "none" if y is None else "a sparse one"
            raise ValueError(f"A cache keeps y of every block, as an array; got {given}.")
        y = np.asarray(y)
        if y.dtype.kind not in "OUS":
            return y
        if self._labels is None:
            self._labels = {}
        labels, codes = np.unique(y.astype(str), return_inverse=True)
        numbers = [self._labels.setdefault(label, len(self._labels)) for label in labels.tolist()]
        return np.array(numbers, dtype=np.int32)[codes]

    def finish(self):
        """Give the folder its name.

        Raises
        ------
        ValueError
            If there are no rows.
        """
        if not self._arrays:
            raise ValueError("The source gave no rows.")
        sizes = {name: array.close() for name, array in self._arrays.items()}
        body = json.dumps(
            {
                "version": VERSION,
                "fingerprint": self.fingerprint,
                "n_features": self._n_features,
                "arrays": sizes,
                "labels": None if self._labels is None else list(self._labels),
            }
        )
        with open(self.unfinished / HEADER, "w") as file:
            file.write(f"{_checksum(body)}\n{body}")
            file.flush()
            os.fsync(file.fileno())
        if self.path.exists():
            shutil.rmtree(self.path)
        os.rename(self.unfinished, self.path)

    def discard(self):
        """Remove what has been written."""
        for array in self._arrays.values():
            array.file.close()
        shutil.rmtree(self.unfinished, ignore_errors=True)


@contextlib.contextmanager
def writing(path, fingerprint):
    """Give a Writer whose folder is finished at the end, or removed after an error."""
    writer = Writer(Path(path), fingerprint)
    try:
        yield writer
        writer.finish()
    except BaseException:
        writer.discard()
        raise


class _Array:
    """A ``.npy`` file that grows.

    Parameters
    ----------
    path : Path
    dtype : dtype
    shape : tuple of int
        Of an entry.
    """

    def __init__(self, path, dtype, shape):
        if dtype.hasobject:
            raise ValueError(f"{path.stem} must hold numbers or strings, got dtype {dtype}.")
        self.file = path.open("wb")
        self.dtype = dtype
        self.shape = shape
        self.length = 0
        self._write_header(0)

    def _write_header(self, length):
        description = np.lib.format.dtype_to_descr(self.dtype)
        # numpy leaves room for the length to grow
        np.lib.format.write_array_header_1_0(
            self.file, {"descr": description, "fortran_order": False, "shape": (length, *self.shape)}
        )

    def append(self, values):
        """Append entries, converted only if nothing is lost."""
        if values.shape[1:] != self.shape or not np.can_cast(values.dtype, self.dtype, "safe"):
            raise ValueError(
                f"A cache keeps arrays of one type: {self.dtype} with entries of shape {self.shape}, "
                f"got {values.dtype} and {values.shape[1:]}."
            )
        self.file.write(np.ascontiguousarray(values, dtype=self.dtype).data)
        self.length += len(values)

    def close(self):
        """Complete the file; return its size."""
        start = self.file.tell()
        self.file.seek(0)
        self._write_header(self.length)
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        return start


def _sweep(path):
    """Remove what killed processes left behind."""
    for left in path.parent.glob(f"{path.name}.*.unfinished"):
        with contextlib.suppress(OSError):
            newest = max((file.stat().st_mtime for file in left.iterdir()), default=left.stat().st_mtime)
            if time.time() - newest > ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
