"""Columns of Arrow tables, where they lie."""

import numpy as np

from sklearn_vectorflow.engine.text import arrow
from sklearn_vectorflow.engine.text import hashing as engine
from sklearn_vectorflow.preprocessing.encoding.values import Codes, Lists, Numbers, Objects, Strings, Unreadable
from sklearn_vectorflow.validation.arrays import check_column_names

NUMBERS = {
    "c": np.int8, "C": np.uint8, "s": np.int16, "S": np.uint16, "i": np.int32, "I": np.uint32,
    "l": np.int64, "L": np.uint64, "e": np.float16, "f": np.float32, "g": np.float64,
}  # fmt: skip
STRINGS = {
    "u": (engine.OFFSETS, np.int32),
    "z": (engine.OFFSETS, np.int32),
    "U": (engine.WIDE_OFFSETS, np.int64),
    "Z": (engine.WIDE_OFFSETS, np.int64),
}
VIEWS = ("vu", "vz")
LISTS = {"+l": np.int32, "+L": np.int64}


def read_table(table):
    """Return the names of a table's columns, and for each the list of its chunks."""
    check_column_names(table, "X")
    form, names, chunks = arrow.read_stream(table.__arrow_c_stream__(None))  # None: polars 1.3 has no default
    if form != "+s":
        raise TypeError("X must be a table: got a stream of one column.")
    return names, [[_values(chunk.children[j], chunk) for chunk in chunks] for j in range(len(names))]


def read_column(stream):
    """Return the chunks of a stream that is one column."""
    return [_values(chunk) for chunk in arrow.read_stream(stream)[2]]


def _values(node, table=None):
    """What a column holds; rows of a table may begin later than those of its columns."""
    first = node.offset + (0 if table is None else table.offset)
    values = _read(node, first, node.length if table is None else table.length)
    values.keep = node  # arrays are views of its memory
    return values


def _read(node, first, length):
    if node.dictionary is not None:
        return _codes(node, first, length)
    if node.format in NUMBERS:
        return Numbers(node.buffer(1, NUMBERS[node.format], first + length)[first:], _missing(node, first, length))
    if node.format == "b":
        bits = node.buffer(1, np.uint8, (first + length + 7) // 8)
        values = np.unpackbits(bits, bitorder="little")[first : first + length].astype(bool)
        return Numbers(values, _missing(node, first, length))
    if node.format == "n":
        return Objects(np.full(length, None))
    if node.format in STRINGS or node.format in VIEWS:
        return _strings(node, first, length)
    if node.format in LISTS:
        starts = node.buffer(1, LISTS[node.format], first + length + 1)
        starts = np.zeros(1, np.int64) if starts is None else starts[first:].astype(np.int64)
        return Lists(starts, _values(node.children[0]), _valid(node, first, length), first)
    return Unreadable(length, f"values of Arrow type {node.format!r}")


def _valid(node, first, length):
    if node.null_count == 0:
        return None
    return node.buffer(0, np.uint8, (first + length + 7) // 8)


def _missing(node, first, length):
    valid = _valid(node, first, length)
    return None if valid is None else np.unpackbits(valid, bitorder="little")[first : first + length] == 0


def _strings(node, first, length):
    if node.format in VIEWS:
        layout = engine.VIEWS
        places = node.buffer(1, np.uint8, 16 * (first + length))
        sizes = node.buffer(node.n_buffers - 1, np.int64, node.n_buffers - 3)
        data = [node.buffer(2 + k, np.uint8, size) for k, size in enumerate([] if sizes is None else sizes)]
    else:
        layout, dtype = STRINGS[node.format]
        places = node.buffer(1, dtype, first + length + 1)
        data = node.buffer(2, np.uint8, 0 if places is None else max(0, int(places[-1])))
    return Strings(length, layout, places, data, _valid(node, first, length), first)


def _codes(node, first, length):
    codes = node.buffer(1, NUMBERS[node.format], first + length)[first:]
    missing = _missing(node, first, length)
    if missing is not None:
        codes = np.where(missing, -1, codes.astype(np.int64))
    categories = _values(node.dictionary)
    if isinstance(categories, Numbers):
        categories = categories.as_strings()
    return Codes(codes, categories)
