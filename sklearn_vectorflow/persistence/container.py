"""The file: arrays that can be mapped behind a JSON header with checksums, in the safetensors format.

::

    8 bytes      length of the header, little-endian
    header       JSON: type, shape and place of every array; under __metadata__ all else, as strings
    arrays       one behind the other, uncompressed

The format is public, has no code in it, and is so plain that NumPy and json read and write it here. Any safetensors
reader finds the arrays, too.
"""

import hashlib
import json
import math
import os

import numpy as np

from sklearn_vectorflow.io.folder import checksum_of
from sklearn_vectorflow.io.replacing import replacing

FORMAT = "sklearn_vectorflow"
VERSION = 1
META = "__metadata__"
LENGTH = 8  # bytes before the header
LARGEST_HEADER = 100_000_000  # bytes, as for other readers of the format
ALIGNED = 64  # bytes at whose multiples the largest array starts
UNSIGNED = "0" * 64  # in the place of the header's checksum when that is taken
TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
NAMES = {np.dtype(code): name for name, code in TYPES.items()}


def write(path, model, arrays):
    """Write a file, which takes the place of another once it is complete.

    Parameters
    ----------
    path : Path
    model : JSON value
    arrays : dict of str to ndarray
        Of numbers or booleans.

    Raises
    ------
    OSError
    """
    arrays = {name: _little_endian(array) for name, array in arrays.items()}
    by_alignment = sorted(arrays, key=lambda name: (-arrays[name].itemsize, -arrays[name].nbytes, name))
    entries, end = {}, 0
    for name in by_alignment:
        array = arrays[name]
        entries[name] = {
            "dtype": NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [end, end := end + array.nbytes],
        }
    largest = max(by_alignment, key=lambda name: arrays[name].nbytes, default=None)
    before = entries[largest]["data_offsets"][0] if largest is not None else 0
    checksums = {name: checksum_of(arrays[name]) for name in by_alignment}
    header = _header(entries, model, checksums, before)
    with replacing(path) as file:
        file.write(len(header).to_bytes(LENGTH, "little"))
        file.write(header)
        for name in by_alignment:
            if arrays[name].nbytes:
                file.write(memoryview(arrays[name].reshape(-1).view(np.uint8)))


def _little_endian(array):
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)


def _header(entries, model, checksums, before):
    """Return the header's bytes, of such a length that the array behind `before` bytes is aligned."""
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "model": json.dumps(model, allow_nan=False),
        "crc32": json.dumps(checksums),
        "sha256": UNSIGNED,
    }
    header = json.dumps({META: metadata, **entries}).encode()
    header += b" " * (-(LENGTH + len(header) + before // LENGTH * LENGTH) % ALIGNED)
    return header.replace(UNSIGNED.encode(), _sha256(header), 1)


def _sha256(header):
    return hashlib.sha256(header).hexdigest().encode()


def read(path, mmap):
    """Read a file that `write` has made.

    Parameters
    ----------
    path : Path
    mmap : bool
        Whether arrays lie in the file, read-only, and not in memory of their own.

    Returns
    -------
    model : JSON value
    arrays : dict of str to ndarray

    Raises
    ------
    OSError
    ValueError
        If it is no such file, is of a later version, truncated or changed.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        header, start = _read_header(file, size)
        metadata = header.pop(META)
        _check_places(header, size, start)
        whole = np.memmap(file, np.uint8, "r") if mmap and size > start else None
        arrays = {}
        for name, entry in header.items():
            array = _read_array(file, start, entry) if whole is None else _mapped(whole, start, entry)
            if checksum_of(array) != metadata["crc32"][name]:
                raise ValueError(f"the array {name} does not match its checksum.")
            arrays[name] = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    return metadata["model"], arrays


def _read_header(file, size):
    """Return the header, with metadata parsed, and where arrays start."""
    length = int.from_bytes(file.read(LENGTH), "little")
    if size < LENGTH or length > min(size - LENGTH, LARGEST_HEADER):
        raise ValueError(
            f"it has {size} bytes, which is too few for its header. It is truncated, or not a saved model."
        )
    raw = file.read(length)
    header = json.loads(raw.decode())
    metadata = header.get(META, {}) if isinstance(header, dict) else {}
    if metadata.get("format") != FORMAT:
        raise ValueError("its header is not that of a saved model.")
    if metadata["version"] != str(VERSION):
        raise ValueError(f"it has version {metadata['version']} of the format, and this release reads {VERSION}.")
    given = str(metadata["sha256"]).encode()
    if len(given) != len(UNSIGNED) or _sha256(raw.replace(given, UNSIGNED.encode(), 1)) != given:
        raise ValueError("its header does not match its checksum.")
    for name in ("model", "crc32"):
        metadata[name] = json.loads(metadata[name])
    return header, LENGTH + length


def _check_places(entries, size, start):
    """Raise unless arrays follow each other up to the end of the file."""
    end = 0
    for name, entry in entries.items():
        sizes = [np.dtype(TYPES[entry["dtype"]]).itemsize, *entry["shape"]]
        if not all(type(one) is int and one >= 0 for one in sizes) or entry["data_offsets"][0] != end:
            raise ValueError(f"the array {name} cannot be where the header says, {entry}.")
        if (start + end) % sizes[0]:
            raise ValueError(f"the array {name} is not aligned, {entry}.")
        end += math.prod(sizes)
        if entry["data_offsets"][1] != end:
            raise ValueError(f"the array {name} does not take the bytes that the header says, {entry}.")
    if size != start + end:
        raise ValueError(f"it has {size} bytes, expected {start + end}.")


def _mapped(whole, start, entry):
    first, last = entry["data_offsets"]
    return whole[start + first : start + last].view(np.ndarray).view(TYPES[entry["dtype"]]).reshape(entry["shape"])


def _read_array(file, start, entry):
    array = np.empty(entry["shape"], TYPES[entry["dtype"]])
    file.seek(start + entry["data_offsets"][0])
    if array.nbytes and file.readinto(memoryview(array.reshape(-1).view(np.uint8))) != array.nbytes:
        raise ValueError("it became shorter while it was read.")
    return array
