# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Columns of a data frame, hashed into rows of a sparse matrix, into counts or into names.

Strings are read where they lie. The caller gives arrays that fit each other.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint8_t, uint32_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memmove, memset

import numpy as np

cdef extern from "text/sketch.h" nogil:
    uint32_t vf_estimate(const vf_sketch *sketch, uint32_t hash)

cdef extern from "Python.h" nogil:
    bint vf_is_str "PyUnicode_CheckExact"(PyObject *item)
    bint vf_is_ascii "PyUnicode_IS_COMPACT_ASCII"(PyObject *string)
    void *vf_ascii "PyUnicode_DATA"(PyObject *string)
    Py_ssize_t vf_length "PyUnicode_GET_LENGTH"(PyObject *string)

cdef enum:
    STRINGS_AHEAD = 32

OFFSETS, WIDE_OFFSETS, VIEWS, PLACES = VF_OFFSETS, VF_WIDE_OFFSETS, VF_VIEWS, VF_PLACES
SKETCH_DEPTH = VF_SKETCH_DEPTH


cdef const void *_address(array):
    return NULL if array is None else <const void *><uintptr_t>array.__array_interface__["data"][0]


cdef vf_murmur _prefix(bytes text, uint32_t seed=0) noexcept:
    return vf_murmur_prefix(<const uint8_t *>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), seed)


def murmur3(bytes text, bytes prefix=b"", uint32_t seed=0):
    """Return MurmurHash3_x86_32 of ``prefix + text`` as an unsigned number."""
    return vf_murmur_hash(_prefix(prefix, seed), <const uint8_t *>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))


def place_strings(items, as_string):
    """Give strings that Python holds to the engine: short ones are copied, of others it is told where they lie.

    Parameters
    ----------
    items : ndarray of object, shape (n,), contiguous
        str, bytes or anything.
    as_string : callable
        Gives a str, or None for a missing value, for what is neither str nor bytes.

    Returns
    -------
    places : ndarray of uint8, shape (n, 16)
        See ``vf_placed_at``.
    owned : list
        Strings that must outlive the places.

    Raises
    ------
    UnicodeEncodeError
        If a string is not valid text.
    ValueError
        If a string has 2 GiB or more.
    """
    cdef list owned = []
    cdef Py_ssize_t k, n = len(items)
    cdef PyObject **held = <PyObject **>_address(items)
    cdef PyObject *item
    places = np.empty((n, 16), dtype=np.uint8)
    cdef uint8_t *found = <uint8_t *>_address(places)
    for k in range(n):
        _prefetch(held[min(k + STRINGS_AHEAD, n - 1)])
        item = held[k]
        if item == NULL:  # an entry that was never written stands for None
            item = <PyObject *>None
        # Most are short; counting references to them would write to all of their memory.
        if vf_is_str(item) and vf_is_ascii(item) and vf_length(item) <= VF_INSIDE:
            vf_place(found + 16 * k, <const uint8_t *>vf_ascii(item), vf_length(item))
        else:
            _place(found + 16 * k, <object>item, as_string, owned)
    return places, owned


cdef inline void _prefetch(PyObject *string) noexcept:
    """Strings lie anywhere in memory, their text often one line of the cache after their type."""
    VF_PREFETCH_READ(string)
    VF_PREFETCH_READ(<const char *>string + 48)


cdef _place(uint8_t *place, item, as_string, list owned):
    cdef Py_ssize_t length = -1
    cdef const char *data = NULL
    if not isinstance(item, (str, bytes)):
        item = as_string(item)
    if isinstance(item, bytes):
        data, length = PyBytes_AS_STRING(item), PyBytes_GET_SIZE(item)
    elif item is not None:
        data = PyUnicode_AsUTF8AndSize(item, &length)
    if length > INT32_MAX:
        raise ValueError("holds a string of 2 GiB or more")
    if length > VF_INSIDE:
        owned.append(item)
    vf_place(place, <const uint8_t *>data, length)


cdef class Cells:
    """What the rows of one column hold, and how it is hashed.

    Parameters
    ----------
    name, prefix, missing : bytes
        What is hashed for a number, what stands before a string, and what is hashed for a
        missing value; ``missing`` may be None, and then nothing is.
    first_bucket : int
        Column of the matrix that bucket 0 is.
    """

    cdef vf_cells cells
    cdef list arrays
    cdef uint8_t **buffers

    def __cinit__(self, bytes name, bytes prefix, missing, int32_t first_bucket):
        memset(&self.cells, 0, sizeof(vf_cells))
        self.buffers = NULL
        self.arrays = []
        self.cells.name_hash = murmur3(name)
        self.cells.prefix = _prefix(prefix)
        self.cells.keep_missing = missing is not None
        self.cells.missing_hash = murmur3(missing or b"")
        self.cells.first_bucket = first_bucket

    def __dealloc__(self):
        free(self.buffers)

    cdef const void *_hold(self, array):
        self.arrays.append(array)
        return _address(array)

    def set_strings(self, int32_t layout, places, data, keep, int64_t first):
        """Read strings: offsets and their bytes, views and their buffers, or places.

        ``keep`` lives as long as the cells; row 0 is at ``first``.
        """
        cdef Py_ssize_t k
        self.cells.kind = VF_STRING_CELLS
        self.cells.first = first
        self.cells.strings.layout = layout
        self.cells.strings.places = self._hold(places)
        self.arrays.append(keep)
        if layout != VF_VIEWS:
            self.cells.strings.data = <const uint8_t *>self._hold(data)
            self.cells.strings.size = 0 if data is None else len(data)
            return
        self.buffers = <uint8_t **>malloc((len(data) + 1) * sizeof(uint8_t *))
        if self.buffers == NULL:
            raise MemoryError
        for k in range(len(data)):
            self.buffers[k] = <uint8_t *>self._hold(data[k])
        self.cells.strings.buffers = <const uint8_t **>self.buffers
        self.cells.strings.n_buffers = len(data)
        sizes = np.array([0 if buffer is None else len(buffer) for buffer in data], dtype=np.int64)
        self.cells.strings.sizes = <const int64_t *>self._hold(sizes)

    def strings_fit(self, int64_t n):
        """Return whether the first n strings lie in their buffers; they are read unchecked."""
        cdef bint fit
        with nogil:
            fit = vf_strings_fit(&self.cells.strings, self.cells.valid, self.cells.valid_first, self.cells.first, n)
        return fit

    def set_words(self, letters, int32_t shortest, int32_t from_n, int32_t to_n):
        """Read strings as texts: see ``vf_word_rules``."""
        self.cells.kind = VF_TEXT_CELLS
        self.cells.rules.letters = <const uint32_t *>self._hold(letters)
        self.cells.rules.n_letters = len(letters)
        self.cells.rules.shortest = shortest
        self.cells.rules.from_n = from_n
        self.cells.rules.to_n = to_n

    def set_integers(self, values):
        """Read the digits of numbers, ndarray of int64."""
        self.cells.kind = VF_INTEGER_CELLS
        self.cells.integers = <const int64_t *>self._hold(values)

    def set_codes(self, codes, hashes, int64_t first):
        """Read codes (int32, -1 is missing) of hashes (uint32) computed before."""
        self.cells.kind = VF_CODE_CELLS
        self.cells.valid = NULL  # which may be of the categories, read by the same cells
        self.cells.codes = <const int32_t *>self._hold(codes)
        self.cells.hashes = <const uint32_t *>self._hold(hashes if len(hashes) else np.zeros(1, dtype=np.uint32))
        self.cells.first = first

    def set_numbers(self, values):
        """Read values of one feature, ndarray of float64; NaN is missing."""
        self.cells.kind = VF_NUMBER_CELLS
        self.cells.numbers = <const double *>self._hold(values)

    def set_valid(self, bitmap, int64_t first):
        """Read an Arrow bitmap of cells; bit ``first`` is of place 0."""
        self.cells.valid = <const uint8_t *>self._hold(bitmap)
        self.cells.valid_first = first

    def set_lists(self, starts, bitmap, int64_t bitmap_first, int64_t first):
        """Make rows lists of cells: row r has cells starts[first + r] to starts[first + r + 1]."""
        self.cells.starts = <const int64_t *>self._hold(starts)
        self.cells.list_valid = <const uint8_t *>self._hold(bitmap)
        self.cells.list_valid_first = bitmap_first
        self.cells.first = first

    def hash_each(self, int64_t n):
        """Return the hashes of the first n strings, and which are missing."""
        hashes = np.empty(n, dtype=np.uint32)
        missing = np.empty(n, dtype=np.bool_)
        cdef uint32_t *found = <uint32_t *>_address(hashes)
        cdef uint8_t *absent = <uint8_t *>_address(missing)
        with nogil:
            vf_hash_each(&self.cells, n, found, absent)
        return hashes, missing


cdef class _Columns:
    """The cells of several columns in a row, and scratch for a block of rows of them."""

    cdef Py_ssize_t n
    cdef vf_cells *cells
    cdef vf_entries *entries
    cdef vf_words words

    def __cinit__(self, list columns):
        cdef Py_ssize_t j
        self.n = len(columns)
        memset(&self.words, 0, sizeof(vf_words))
        self.cells = <vf_cells *>malloc((self.n + 1) * sizeof(vf_cells))
        self.entries = <vf_entries *>calloc(self.n + 1, sizeof(vf_entries))
        if self.cells == NULL or self.entries == NULL:
            raise MemoryError
        for j in range(self.n):
            self.cells[j] = (<Cells>columns[j]).cells

    def __dealloc__(self):
        free(self.cells)
        free(self.entries)
        free(self.words.text)
        free(self.words.starts)
        free(self.words.ends)


cdef class Rules:
    """How hashes become columns and signs of a matrix.

    Parameters
    ----------
    n_bits : int
    signs : bool
    sketch : ndarray of uint32, shape (SKETCH_DEPTH, 2**bits), default=None
        With ``least_count`` leaves out features counted less often.
    least_count : int, default=0
    """

    cdef vf_sink sink
    cdef object sketch

    def __cinit__(self, int n_bits, bint signs, sketch=None, uint32_t least_count=0):
        memset(&self.sink, 0, sizeof(vf_sink))
        self.sink.purpose = VF_TO_MATRIX
        self.sink.mask = (<uint32_t>1 << n_bits) - 1
        self.sink.sign_bit = <uint32_t>1 << 31 if signs else 0
        self.sketch = sketch
        if sketch is not None:
            _set_sketch(&self.sink, sketch)
            self.sink.least_count = least_count


cdef int _set_sketch(vf_sink *sink, const uint32_t[:, ::1] sketch) except -1:
    cdef Py_ssize_t width = sketch.shape[1]
    if sketch.shape[0] != VF_SKETCH_DEPTH or width < 2 or width & (width - 1):
        raise ValueError(
            f"a sketch must have {VF_SKETCH_DEPTH} rows and a power of two of columns, got {sketch.shape[0]} and {width}"
        )
    sink.sketch.counters = <uint32_t *>&sketch[0, 0]
    sink.sketch.bits = (width - 1).bit_length()


cdef class Block:
    """Hashed rows, before they are put together with others.

    Attributes
    ----------
    n_nonzero : int
    lengths : ndarray of int32, shape (n_rows,)
    """

    cdef vf_sink sink
    cdef readonly object lengths

    def __cinit__(self):
        memset(&self.sink, 0, sizeof(vf_sink))

    def __dealloc__(self):
        free(self.sink.indices)
        free(self.sink.values)
        free(self.sink.ends)
        free(self.sink.text)
        free(self.sink.met.keys)

    cdef _run(self, list columns, int64_t n_rows):
        cdef _Columns given = _Columns(columns)
        self.lengths = np.zeros(n_rows, dtype=np.int32)
        cdef int32_t *lengths = <int32_t *>_address(self.lengths)
        with nogil:
            vf_encode(given.cells, given.n, n_rows, given.entries, &given.words, &self.sink, lengths)
        if self.sink.failed:
            raise MemoryError

    @property
    def n_nonzero(self):
        return self.sink.size

    def copy_to(self, int32_t[::1] indices, float[::1] values, int64_t start):
        """Copy the non-zeros into the arrays of the whole matrix."""
        if self.sink.size == 0:
            return
        with nogil:
            memcpy(&indices[start], self.sink.indices, self.sink.size * sizeof(int32_t))
            memcpy(&values[start], self.sink.values, self.sink.size * sizeof(float))


def encode(list columns, int64_t n_rows, Rules rules):
    """Hash rows of columns of `Cells` into a `Block`."""
    cdef Block block = Block()
    block.sink = rules.sink
    block._run(columns, n_rows)
    return block


def encode_into(list columns, int64_t n_rows, Rules rules, int32_t[::1] indices, float[::1] values,
                int32_t[::1] ends, int64_t start):
    """Hash rows of columns of one cell a row into arrays with room for every cell, from ``start``.

    ``ends`` becomes where each row ends, counted from there.
    """
    cdef _Columns given = _Columns(columns)
    with nogil:
        vf_encode_cells(given.cells, given.n, n_rows, given.entries, &rules.sink, &indices[start], &values[start],
                        &ends[0])


def move(int32_t[::1] indices, float[::1] values, int64_t to, int64_t start, int64_t n):
    """Move n non-zeros from ``start`` to a place before it."""
    if n == 0 or to == start:
        return
    with nogil:
        memmove(&indices[to], &indices[start], n * sizeof(int32_t))
        memmove(&values[to], &values[start], n * sizeof(float))


def count(list columns, int64_t n_rows, sketch):
    """Count the features of rows in a sketch, which other threads may share."""
    cdef Block block = Block()
    block.sink.purpose = VF_TO_COUNTS
    _set_sketch(&block.sink, sketch)
    block._run(columns, n_rows)


def estimate(uint32_t hash, sketch):
    """Return how often a sketch has counted a feature, by its hash; never too low."""
    cdef Block block = Block()
    _set_sketch(&block.sink, sketch)
    return vf_estimate(&block.sink.sketch, hash)


cdef class Names:
    """Distinct strings in the order in which they were met, with their hashes.

    Threads may call `find` at once, but not while another calls `add`.

    Parameters
    ----------
    prefix : bytes
        What is hashed before each string.
    """

    cdef Block block
    cdef readonly bytes prefix

    def __cinit__(self, bytes prefix):
        self.block = Block()
        self.block.sink.purpose = VF_TO_NAMES
        self.prefix = prefix

    def __len__(self):
        return self.block.sink.size

    def find(self, Cells column, int64_t n_rows):
        """Return the strings of a column that are not here yet, as `Names`."""
        cdef Names found = Names(self.prefix)
        found.block.sink.before = &self.block.sink.met
        found.block._run([column], n_rows)
        found.block.sink.before = NULL
        return found

    def add(self, Names found, int64_t most):
        """Take strings in until there are ``most`` new ones; return how many were."""
        cdef vf_sink *sink = &found.block.sink
        return self._take(sink.ends, sink.text, sink.indices, sink.size, most)

    cdef int64_t _take(self, const int64_t *ends, const uint8_t *text, const int32_t *hashes, int64_t n,
                       int64_t most) except -1:
        cdef int64_t before = self.block.sink.size
        with nogil:
            vf_take_names_of(&self.block.sink, ends, text, hashes, n, most)
        if self.block.sink.failed:
            raise MemoryError
        return self.block.sink.size - before

    def arrays(self):
        """Return the strings as (hashes, ends, text): ndarrays of uint32, int64 and uint8."""
        cdef vf_sink *sink = &self.block.sink
        cdef int64_t n = sink.size, length = sink.ends[n - 1] if n else 0
        hashes, ends, text = np.empty(n, np.uint32), np.empty(n, np.int64), np.empty(length, np.uint8)
        if n:
            memcpy(<void *>_address(hashes), sink.indices, n * sizeof(int32_t))
            memcpy(<void *>_address(ends), sink.ends, n * sizeof(int64_t))
            memcpy(<void *>_address(text), sink.text, length)
        return hashes, ends, text

    def extend(self, const int64_t[::1] ends, const uint8_t[::1] text):
        """Take in strings that lie one after the other, as `arrays` gives them.

        Raises
        ------
        ValueError
            If strings end where there is no text.
        """
        cdef vf_murmur prefix = _prefix(self.prefix)
        cdef int64_t k, start = 0, n = ends.shape[0]
        cdef int32_t[::1] hashes = np.empty(n + 1, dtype=np.int32)
        for k in range(n):
            if ends[k] < start or ends[k] > text.shape[0]:
                raise ValueError("a name ends where there is no text")
            hashes[k] = <int32_t>vf_murmur_hash(prefix, &text[0] + start, ends[k] - start)
            start = ends[k]
        if n:
            self._take(&ends[0], &text[0], &hashes[0], n, n)
        return self
