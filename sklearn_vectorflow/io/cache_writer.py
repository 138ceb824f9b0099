"""Blocks written to the folder of a cache, part by part."""

import contextlib
import os
import uuid

import numpy as np
from scipy import sparse

from sklearn_vectorflow.io import folder
from sklearn_vectorflow.io.replacing import replace, sync_folder

PART = 2**22  # bytes of a part: neighbours on the disk that a shuffle leaves together
MULTIPLE = 64  # of which parts have rows


class CacheWriter:
    """Writes blocks into a new folder of arrays, which counts when the header names it.

    Parameters
    ----------
    path : Path
    fingerprint : str
    alone : bool
        Whether the caller holds the lock of `path`.

    Raises
    ------
    ValueError
        If something that is no cache is in the way.
    """

    def __init__(self, path, fingerprint, alone):
        self.path = path
        self.alone = alone
        number = uuid.uuid4().hex[:16]
        self._new_header = path / f"header.{number}.new"
        self._arrays = {}
        self._labels = None
        self._bytes = 0  # of the part begun
        self.header = folder.Header(fingerprint, f"rows-{number}", None, None, [0], [0], {})
        self._end = [0, 0]  # rows and non-zeros so far
        self.unfinished = path / self.header.folder
        self.unfinished.mkdir()

    def add(self, block):
        """Append a `Checked` block.

        Raises
        ------
        ValueError
            If blocks differ in columns, types, or in having targets, weights and offsets.
        """
        X = block.matrix.values
        X = X if sparse.issparse(X) else sparse.csr_matrix(X)
        if self.header.n_features is None:
            self.header.n_features = X.shape[1]
        if X.shape[1] != self.header.n_features:
            raise ValueError(f"Blocks differ in their number of features: {self.header.n_features} and {X.shape[1]}.")
        y, of_rows = None, {}
        if block.y is not None or "y" in self._arrays:
            y = self._coded(block.y)
        for name, values in (("sample_weight", block.weight), ("offset", block.offset)):
            if values is not None or name in self._arrays:
                of_rows[name] = np.asarray(values, dtype=np.float64)
        for start, end, full in self._spans(X):
            self._add_rows(X, y, of_rows, start, end)
            if full:
                self._cut()

    def _spans(self, X):
        """Return (start, end, whether a part ends there) for the rows of a block."""
        sizes = (X.indptr.astype(np.int64) - X.indptr[0]) * (X.data.itemsize + X.indices.itemsize)
        sizes += 8 * np.arange(len(sizes))
        start, n_rows = 0, X.shape[0]
        while start < n_rows:
            begun = self._end[0] - self.header.rows[-1]
            end = int(np.searchsorted(sizes, sizes[start] + PART - self._bytes))
            end += -(begun + end - start) % MULTIPLE
            full = end <= n_rows
            end = min(end, n_rows)
            self._bytes += int(sizes[end] - sizes[start])
            yield start, end, full
            start = end

    def _add_rows(self, X, y, of_rows, start, end):
        first, last = int(X.indptr[start]), int(X.indptr[end])
        new = not self._arrays
        if new:
            self._array("indptr", np.zeros(1, dtype=np.int64), new, counted=False)
        self._array("data", X.data[first:last], new)
        self._array("indices", X.indices[first:last], new)
        self._array("indptr", X.indptr[start + 1 : end + 1].astype(np.int64) + (self._end[1] - first), False)
        if y is not None:
            self._array("y", y[start:end], new)
        for name, values in of_rows.items():
            self._array(name, values[start:end], new)
        self._end[0] += end - start
        self._end[1] += last - first

    def _array(self, name, values, new, counted=True):
        if new:
            self._arrays[name] = _Array(self.unfinished / f"{name}.npy", values.dtype, values.shape[1:])
        elif name not in self._arrays:
            raise ValueError(f"Either all blocks have {name} or none has.")
        self._arrays[name].append(values, counted)

    def _cut(self):
        """End a part."""
        self._bytes = 0
        self.header.rows.append(self._end[0])
        self.header.nonzeros.append(self._end[1])
        for array in self._arrays.values():
            array.cut()

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
        """Let the header name the folder, and remove the one it named."""
        if self._end[0] > self.header.rows[-1]:
            self._cut()
        self.header.arrays = {name: array.close() for name, array in self._arrays.items()}
        self.header.labels = None if self._labels is None else list(self._labels)
        sync_folder(self.unfinished)
        with self._new_header.open("w") as file:
            file.write(self.header.text())
            file.flush()
            os.fsync(file.fileno())
        replace(self._new_header, self.path / folder.HEADER)
        sync_folder(self.path)
        folder.sweep(self.path, self.alone)

    def discard(self):
        """Remove what has been written."""
        for array in self._arrays.values():
            with contextlib.suppress(OSError):  # of a full disk: what waits in memory cannot be written
                array.file.close()
        folder.remove(self._new_header)
        folder.remove(self.unfinished)


def write(path, fingerprint, blocks, alone):
    """Write blocks as a cache; after an error the folder is as it was.

    Parameters
    ----------
    path : Path
    fingerprint : str
    blocks : iterable of Checked
    alone : bool
        Whether the caller holds the lock of `path`.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written.
    """
    writer = CacheWriter(path, fingerprint, alone)
    try:
        for block in blocks:
            writer.add(block)
        writer.finish()
    except BaseException as error:
        writer.discard()
        if isinstance(error, OSError) and error.filename is None and error.errno is not None:
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise


class _Array:
    """A ``.npy`` file that grows, with checksums of its parts.

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
        self.checksums = []
        self._checksum = 0
        self._write_header(0)

    def _write_header(self, length):
        description = np.lib.format.dtype_to_descr(self.dtype)
        # numpy leaves room for the length to grow
        np.lib.format.write_array_header_1_0(
            self.file, {"descr": description, "fortran_order": False, "shape": (length, *self.shape)}
        )

    def append(self, values, counted=True):
        """Append entries, converted only if nothing is lost; those not counted are of no part."""
        if values.shape[1:] != self.shape or not np.can_cast(values.dtype, self.dtype, "safe"):
            raise ValueError(
                f"A cache keeps arrays of one type: {self.dtype} with entries of shape {self.shape}, "
                f"got {values.dtype} and {values.shape[1:]}."
            )
        values = np.ascontiguousarray(values, dtype=self.dtype)
        self.file.write(values.reshape(-1).view(np.uint8))
        self.length += len(values)
        if counted:
            self._checksum = folder.checksum_of(values, self._checksum)

    def cut(self):
        """End a part."""
        self.checksums.append(self._checksum)
        self._checksum = 0

    def close(self):
        """Complete the file; return what the cache's header says of it."""
        self.file.seek(0)
        self._write_header(self.length)
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        described = np.lib.format.dtype_to_descr(self.dtype)
        return {"dtype": described, "shape": list(self.shape), "checksums": self.checksums}
