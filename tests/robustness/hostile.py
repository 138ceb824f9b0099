"""Sparse matrices with corrupt parts, and what a careful reader in plain Python makes of them."""

import numpy as np
from scipy import sparse

FORMATS = ("csr", "csc", "bsr", "coo", "dia", "dok", "lil")
VALUES = ("f4", "f8", "f2", "g", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", ">f4", ">f8", ">i4")
SET_LATER = ("f2", ">f4", ">f8", ">i4")  # types that scipy's constructors refuse or convert
INDICES = ("i4", "i8", "u4", "u8", "i2", "u1", ">i4", ">i8")
WILD = (-1, 1, -2, 10**6, 10**9, 2**31 - 1, 2**31, -(2**31), 2**32, 2**40, 2**62, 2**63 - 1, -(2**63), 2**63, 2**64 - 1)
LARGEST = float(np.finfo(np.float32).max)


class Malformed(Exception):
    """What the plain reader says of a matrix that has to be refused."""


# ---- making them ------------------------------------------------------------------


def make(rng, n_columns, n_rows=None, formats=FORMATS):
    """Return a random sparse matrix, sound or corrupt."""
    n_rows = int(rng.integers(1, 20)) if n_rows is None else n_rows
    form = str(rng.choice(formats))
    density = rng.choice([0.0, 0.05, 0.3, 0.9])
    dense = (rng.random((n_rows, n_columns)) < density) * rng.integers(1, 5, (n_rows, n_columns))
    dtype = str(rng.choice(VALUES))
    kind = sparse.coo_array if rng.random() < 0.5 else sparse.coo_matrix
    X = kind(dense.astype("f4" if dtype == "f2" else np.dtype(dtype).newbyteorder("="))).asformat(form)
    if dtype in SET_LATER and form not in ("dok", "lil"):
        X.data = X.data.astype(dtype)
    if form in ("csr", "csc", "bsr", "dia") and rng.random() < 0.5:
        _change_index_types(rng, X)
    for _ in range(rng.integers(0, 4)):
        _corrupt(rng, X)
    return X


def _index_names(X):
    return {"csr": ("indices", "indptr"), "csc": ("indices", "indptr"), "bsr": ("indices", "indptr"),
            "coo": ("row", "col"), "dia": ("offsets",)}[X.format]  # fmt: skip


def _change_index_types(rng, X):
    for name in _index_names(X):
        values = getattr(X, name).astype(np.int64)
        dtype = np.dtype(str(rng.choice(INDICES)))
        if np.all(values == values.astype(dtype).astype(np.int64)):
            setattr(X, name, values.astype(dtype))


def _corrupt(rng, X):
    if X.format == "dok":
        _corrupt_dok(rng, X)
    elif X.format == "lil":
        _corrupt_lil(rng, X)
    elif rng.random() < 0.08:
        _corrupt_header(rng, X)
    else:
        name = str(rng.choice([*_index_names(X), "data"]))
        setattr(X, name, _corrupted(rng, getattr(X, name), X.shape))


def _corrupt_header(rng, X):
    which = rng.integers(4)
    if which == 0:
        X._shape = tuple(int(size) + int(rng.integers(-1, 2)) for size in X.shape)
    elif which == 1:
        X._shape = (X.shape[0], int(rng.choice([0, 2**31, 1000])))
    elif X.format in ("csr", "csc", "bsr"):
        X.has_canonical_format = True
        X.has_sorted_indices = True


def _corrupted(rng, array, shape):
    """An array with an entry, its length, its type or its place in memory changed."""
    if not isinstance(array, np.ndarray):
        return array
    array, way = array.copy(), int(rng.integers(17))
    if way < 8 and array.size:
        return _with_wild_entry(rng, array, shape)
    if way == 8:
        return array[: int(rng.integers(0, len(array) + 1))] if array.ndim else array
    if way == 9:
        return np.concatenate([array, array[: int(rng.integers(0, 5))]]) if array.ndim else array
    if way == 10:
        return array[::-1]
    if way == 11:
        return np.repeat(array, 2, axis=0)[::2] if array.ndim else array  # strided
    if way == 12:
        return array[None]
    if way == 13:
        with np.errstate(invalid="ignore"):
            return array.astype(rng.choice(["f8", "i8", "O", "c16", "?", "u8"]))
    if way == 14:
        return array.tolist()
    if way == 15:
        array.flags.writeable = False
        return array
    if array.dtype.hasobject:
        return array
    memory = np.zeros(array.nbytes + 1, np.uint8)  # not aligned
    other = memory[1 : 1 + array.nbytes].view(array.dtype).reshape(array.shape)
    other[...] = array
    return other


def _with_wild_entry(rng, array, shape):
    at = np.unravel_index(int(rng.integers(array.size)), array.shape)
    if array.dtype.kind in "iu":
        number = int(rng.choice([*map(float, shape), 0])) if rng.random() < 0.3 else WILD[rng.integers(len(WILD))]
        array[at] = np.array(number % 2**64, dtype=np.uint64).astype(array.dtype)
    elif array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            array[at] = rng.choice([np.nan, np.inf, -np.inf, 1e39, 0.0, -1.5])
    return array


def _corrupt_dok(rng, X):
    entries = X._dict if hasattr(X, "_dict") else X
    number = WILD[rng.integers(len(WILD))]
    key = [(number, 0), (0, number), (0,), (0, 0, 0), "ab", 3, (0.5, 1), (True, False), (None, 1)][rng.integers(9)]
    value = [1, 2.5, np.nan, "a", None, 10**40, [1]][rng.integers(7)]
    dict.__setitem__(entries, key if rng.random() < 0.7 else (0, 0), value if rng.random() < 0.4 else 1)


def _corrupt_lil(rng, X):
    row, way = int(rng.integers(X.shape[0])), int(rng.integers(8))
    rows, data = X.rows, X.data
    number = [*WILD, X.shape[1], 0, 0.5, True, None, "a", (1,)][rng.integers(len(WILD) + 7)]
    if np.ndim(rows) != 1 or len(rows) <= row or not isinstance(rows[row], list):
        return
    if way == 0:
        rows[row].append(number)
        if isinstance(data[row], list):
            data[row].append(1)
    elif way == 1 and rows[row]:
        rows[row][0] = number
    elif way == 2:
        rows[row].append(0)
    elif way == 3 and isinstance(data[row], list):
        data[row].append(number)
    elif way == 4:
        rows[row] = [None, 5, (0,), np.array([0, 1]), "01"][rng.integers(5)]
    elif way == 5:
        X.rows = rows[:-1]
    elif way == 6:
        X.data = list(data)
    elif way == 7 and isinstance(data[row], list) and data[row]:
        data[row][0] = [np.nan, 10**40, "a", None, [1, 2], 2.5][rng.integers(6)]


# ---- reading them -------------------------------------------------------------------


def read(X):
    """Return a dense float64 array of what a matrix holds, repeated entries summed.

    Raises
    ------
    Malformed
        If it must be refused.
    """
    _require(X.shape[1] < 2**31)
    dense = np.zeros(tuple(X.shape))
    for row, column, value in _READERS[X.format](X):
        _require(0 <= row < X.shape[0] and 0 <= column < X.shape[1])
        value = float(value)
        _require(abs(value) <= LARGEST)
        dense[int(row), int(column)] += value
    return dense


def _require(fine):
    if not fine:
        raise Malformed


def _integers(array):
    array = np.asarray(array)
    _require(array.dtype.kind in "iu" and array.ndim == 1)
    return array.tolist()


def _numbers(array):
    array = np.asarray(array)
    _require(array.dtype.kind in "fiub")
    return array


def _compressed(X):
    values, indices, indptr = _numbers(X.data), _integers(X.indices), _integers(X.indptr)
    blocks = X.format == "bsr"
    _require(values.ndim == (3 if blocks else 1) and len(values) >= len(indices))
    height, width = values.shape[1:] if blocks else (1, 1)
    _require(height > 0 and width > 0 and X.shape[0] % height == 0 and X.shape[1] % width == 0)
    n_major = X.shape[1] if X.format == "csc" else X.shape[0] // height
    _require(len(indptr) == n_major + 1 and indptr[0] == 0 and indptr[-1] <= len(indices))
    _require(all(start <= end for start, end in zip(indptr[:-1], indptr[1:])))
    for major in range(n_major):
        for k in range(indptr[major], indptr[major + 1]):
            if X.format == "csr":
                yield major, indices[k], values[k]
            elif X.format == "csc":
                yield indices[k], major, values[k]
            else:
                for r, c in np.ndindex(height, width):
                    yield major * height + r, indices[k] * width + c, values[k, r, c]


def _coo(X):
    values, rows, columns = _numbers(X.data), _integers(X.row), _integers(X.col)
    _require(values.ndim == 1 and len(values) == len(rows) == len(columns))
    yield from zip(rows, columns, values.tolist())


def _dia(X):
    values, offsets = _numbers(X.data), _integers(X.offsets)
    _require(values.ndim == 2 and len(values) == len(offsets) == len(set(offsets)))
    for offset, diagonal in zip(offsets, values.tolist()):
        for column, value in enumerate(diagonal[: X.shape[1]]):
            if 0 <= column - offset < X.shape[0]:
                yield column - offset, column, value


def _is_integer(item):
    return isinstance(item, (int, np.integer))


def _value(item):
    _require(isinstance(item, (int, float, np.number, np.bool_)) and abs(item) < np.inf)
    return item


def _dok(X):
    for key, value in X.items():
        _require(isinstance(key, tuple) and len(key) == 2 and all(map(_is_integer, key)))
        yield *key, np.array(_value(value)).astype(X.dtype)


def _lil(X):
    _require(len(X.rows) == X.shape[0] == len(X.data))
    for row, (columns, values) in enumerate(zip(X.rows, X.data)):
        _require(hasattr(columns, "__len__") and hasattr(values, "__len__") and len(columns) == len(values))
        for column, value in zip(columns, values):
            _require(_is_integer(column))
            yield row, column, np.array(_value(value)).astype(X.dtype)


_READERS = {"csr": _compressed, "csc": _compressed, "bsr": _compressed, "coo": _coo, "dia": _dia, "dok": _dok,
            "lil": _lil}  # fmt: skip
