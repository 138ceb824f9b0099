# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The caller's arrays as the engine reads them: rows of X, targets and weights.

Nothing is copied. Every index is checked here, once, in one pass without the
GIL; below this seam indices are trusted.
"""
from libc.math cimport fabs
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from sklearn_vectorflow.engine.kernels.platform cimport VF_PREFETCH_READ
from sklearn_vectorflow.engine.kernels.rows.offsets cimport vf_prefetch_offsets
from sklearn_vectorflow.engine.kernels.rows.checks cimport (
    VF_INFINITE, VF_ZERO, vf_check_columns32, vf_check_columns64, vf_check_doubles, vf_check_floats, vf_order,
)

ctypedef fused value_t:
    float
    double

ctypedef fused index_t:
    int32_t
    int64_t

ctypedef fused pointer_t:
    int32_t
    int64_t

cdef enum:
    BLOCK = 64          # rows looked at together
    FEW_VALUES = 4_096  # of a request: checked before another thread would have got the GIL

cdef double LARGEST = 3.4028234663852886e38  # of float32, in which the engine computes


cdef struct Findings:
    int64_t bad_row, longest
    int problem  # 0: none; else an index of PROBLEMS
    bint canonical


PROBLEMS = (
    None,
    "indptr decreases or points beyond the indices",
    "a column index is outside [0, n_features)",
    "a value is NaN, infinite or too large for float32",
)


cdef int32_t _check_values(const value_t *values, int64_t n) noexcept nogil:
    if value_t is float:
        return vf_check_floats(values, n)
    else:
        return vf_check_doubles(values, n)


cdef vf_order _check_columns(const index_t *indices, int64_t n, int64_t n_features) noexcept nogil:
    if index_t is int32_t:
        return vf_check_columns32(indices, n, min(n_features - 1, INT32_MAX))
    else:
        return vf_check_columns64(indices, n, n_features - 1)


cdef bint _monotone(vf_order found, const index_t *indices, const pointer_t *indptr, int64_t n_rows) noexcept nogil:
    """Whether columns increase in every row, or decrease in every row (as products of
    sparse matrices have them): the steps between rows are the only exceptions."""
    cdef int64_t row, n = max(indptr[n_rows] - indptr[0] - 1, 0)
    for row in range(1, n_rows):
        if indptr[0] < indptr[row] < indptr[row + 1]:
            found.ups -= indices[indptr[row]] > indices[indptr[row] - 1]
            found.downs -= indices[indptr[row]] < indices[indptr[row] - 1]
            n -= 1
    return found.ups == n or found.downs == n


cdef bint _repeats(const index_t *indices, int64_t n, int64_t first, int64_t *table, int bits) noexcept nogil:
    """Whether a column occurs twice. The table hashes `first` + column; `first` grows
    by n_features from row to row, so what earlier rows left behind is below it."""
    cdef int64_t k, key, at, mask = (<int64_t>1 << bits) - 1
    for k in range(n):
        key = first + indices[k]
        at = <int64_t>((<uint64_t>key * <uint64_t>0x9E3779B97F4A7C15) >> (64 - bits))
        while table[at] >= first:
            if table[at] == key:
                return True
            at = (at + 1) & mask
        table[at] = key
    return False


cdef bint _block_repeats(const index_t *indices, const pointer_t *indptr, int64_t from_row, int64_t to_row,
                         int64_t n_features, int64_t *table, int bits) noexcept nogil:
    cdef int64_t row
    for row in range(from_row, to_row):
        if _repeats(indices + indptr[row], indptr[row + 1] - indptr[row], row * n_features, table, bits):
            return True
    return False


cdef Findings _check_pointers(const pointer_t *indptr, int64_t stored, int64_t from_row, int64_t to_row) noexcept nogil:
    cdef Findings found = Findings(bad_row=-1, longest=0, problem=0, canonical=True)
    cdef int64_t row
    for row in range(from_row, to_row):
        if indptr[row] < 0 or indptr[row + 1] < indptr[row] or indptr[row + 1] > stored:
            found.problem = 1
            found.bad_row = row
            break
        found.longest = max(found.longest, indptr[row + 1] - indptr[row])
    return found


cdef int _problem(vf_order columns, int32_t values) noexcept nogil:
    if columns.outside:
        return 2
    return 3 if values & VF_INFINITE else 0


cdef int _problem_of_row(const value_t *values, const index_t *indices, const pointer_t *indptr, int64_t row,
                         int64_t n_features) noexcept nogil:
    cdef int64_t start = indptr[row], n = indptr[row + 1] - start
    return _problem(_check_columns(indices + start, n, n_features), _check_values(values + start, n))


cdef void _check_rows(const value_t *values, const index_t *indices, const pointer_t *indptr, int64_t n_features,
                      int64_t from_row, int64_t to_row, int64_t *table, int bits, Findings *found) noexcept nogil:
    cdef int64_t row, start, n, end = from_row
    cdef int32_t flags
    cdef vf_order columns
    while end < to_row:
        row = end
        end = min(row + BLOCK, to_row)
        start = indptr[row]
        n = indptr[end] - start
        columns = _check_columns(indices + start, n, n_features)
        flags = _check_values(values + start, n)
        if _problem(columns, flags):
            while not found.problem:
                found.bad_row = row
                found.problem = _problem_of_row(values, indices, indptr, row, n_features)
                row += 1
            return
        if flags & VF_ZERO:
            found.canonical = False
        if found.canonical and not _monotone(columns, indices, indptr + row, end - row):
            found.canonical = not _block_repeats(indices, indptr, row, end, n_features, table, bits)


cdef Findings _check_csr(const value_t *values, const index_t *indices, int64_t stored, const pointer_t *indptr,
                         int64_t n_features, int64_t from_row, int64_t to_row) noexcept nogil:
    """Check rows of a CSR matrix; the problem is -1 if memory is short."""
    cdef Findings found = _check_pointers(indptr, stored, from_row, to_row)
    cdef int64_t *table
    cdef int bits = 4
    if found.problem or found.longest == 0:
        return found
    while (<int64_t>1 << bits) < 8 * found.longest:
        bits += 1
    table = <int64_t *>malloc((<size_t>1 << bits) * sizeof(int64_t))
    if table == NULL:
        found.problem = -1
        return found
    memset(table, 0xFF, (<size_t>1 << bits) * sizeof(int64_t))
    _check_rows(values, indices, indptr, n_features, from_row, to_row, table, bits, &found)
    free(table)
    return found


def check_rows(const value_t[::1] values, const index_t[::1] indices, const pointer_t[::1] indptr,
               int64_t n_features, int64_t from_row, int64_t to_row):
    """Check rows [from_row, to_row) of a CSR matrix.

    Returns (problem, row, longest, canonical): an index into `PROBLEMS` and the row
    it was found in; the longest row; whether no column occurs twice in a row and no
    zero is stored.
    """
    cdef Findings found
    with nogil:
        found = _check_csr(&values[0], &indices[0], indices.shape[0], &indptr[0], n_features, from_row, to_row)
    if found.problem < 0:
        raise MemoryError
    return found.problem, found.bad_row, found.longest, bool(found.canonical)


def checked_rows(const value_t[::1] values, const index_t[::1] indices, const index_t[::1] indptr, int64_t n_rows,
                 int64_t n_features, owner):
    """Return the checked `Rows` of a CSR matrix, whose arrays the owner keeps; None if anything is wrong."""
    cdef Findings found
    cdef Rows rows
    if indptr.shape[0] != n_rows + 1 or values.shape[0] < indices.shape[0] or indptr[0] != 0:
        return None
    if indices.shape[0] < FEW_VALUES:
        found = _check_csr(&values[0], &indices[0], indices.shape[0], &indptr[0], n_features, 0, n_rows)
    else:
        with nogil:
            found = _check_csr(&values[0], &indices[0], indices.shape[0], &indptr[0], n_features, 0, n_rows)
    if found.problem:
        return None
    rows = Rows.__new__(Rows)
    rows.arrays = owner
    rows.rows.values = &values[0]
    rows.rows.indices = &indices[0]
    rows.rows.indptr = &indptr[0]
    rows.rows.wide_values = value_t is double
    rows.rows.wide_indices = rows.rows.wide_indptr = index_t is int64_t
    rows.rows.n_rows = n_rows
    rows.rows.n_features = n_features
    rows.rows.n_stored = indices.shape[0]
    rows.longest = found.longest
    rows.canonical = found.canonical
    rows.n_nonzero = indptr[n_rows]
    return rows


def check_dense(const value_t[:, ::1] values, int64_t from_row, int64_t to_row):
    """Like `check_rows`, for rows of a dense matrix."""
    cdef int64_t row, column
    cdef bint infinite = False
    with nogil:
        for row in range(from_row, to_row):
            for column in range(values.shape[1]):
                infinite |= not (fabs(<double>values[row, column]) <= LARGEST)
            if infinite:
                break
        else:
            row = -1
    return (3 if infinite else 0), row, values.shape[1], True


cdef const void *_address(array):
    return <const void *><uintptr_t>array.__array_interface__["data"][0]


cdef class Rows:
    """Rows of X: a checked CSR triplet, or a dense C-ordered matrix.

    Parameters
    ----------
    values : ndarray of float32 or float64, shape (n_nonzero,) or (n_rows, n_features)
    indices, indptr : ndarray of int32 or int64, or None for dense values
    n_rows, n_features : int
    longest : int
        Number of stored values in the longest row.
    canonical : bool
        Whether no column occurs twice in a row and no zero is stored.
    """

    def __init__(self, values, indices, indptr, n_rows, n_features, longest, canonical):
        self.arrays = (values, indices, indptr)
        self.rows.values = _address(values)
        self.rows.indices = NULL if indices is None else _address(indices)
        self.rows.indptr = NULL if indptr is None else _address(indptr)
        self.rows.wide_values = values.dtype.itemsize == 8
        self.rows.wide_indices = indices is not None and indices.dtype.itemsize == 8
        self.rows.wide_indptr = indptr is not None and indptr.dtype.itemsize == 8
        self.rows.n_rows = n_rows
        self.rows.n_features = n_features
        self.rows.n_stored = 0 if indices is None else min(len(values), len(indices))
        self.rows.first_row = 0
        self.longest = longest
        self.canonical = canonical
        self.n_nonzero = values.size if indptr is None or n_rows == 0 else int(indptr[n_rows]) - int(indptr[0])

    @property
    def n_rows(self):
        return self.rows.n_rows

    @property
    def n_features(self):
        return self.rows.n_features

    @property
    def first_row(self):
        """Number of the first row, where these rows are a part of more."""
        return self.rows.first_row

    @first_row.setter
    def first_row(self, int64_t row):
        self.rows.first_row = row


cdef class Targets:
    """Targets and weights of the rows.

    Parameters
    ----------
    y : ndarray of float64, shape (n_rows, n_targets), or a pair (indices, indptr)
        The pair is a CSR indicator matrix: int32 columns and int64 row starts.
    n_targets : int
    weight : ndarray of float64, shape (n_rows,), or None for ones
    starts : ndarray of int64, shape (n_groups + 1,), or None if rows are independent
        Row at which each group starts, and n_rows.
    offset : ndarray of float64, shape (n_rows, n_outputs), or None
        Added to raw outputs. It may be a view with any strides.
    """

    @property
    def is_dense(self):
        return self.dense != NULL

    def __init__(self, y, n_targets, weight=None, const int64_t[::1] starts=None, const double[:, :] offset=None):
        cdef const double[:, ::1] dense
        cdef const int32_t[::1] indices
        cdef const int64_t[::1] indptr
        cdef const double[::1] weights
        self.arrays = (y, weight, starts, offset)
        self.n_targets = n_targets
        self.dense = NULL
        self.indices = NULL
        self.indptr = NULL
        self.weight = NULL
        self.offsets = vf_offsets(NULL, 0, 0)
        self.starts = NULL if starts is None else &starts[0]
        if isinstance(y, tuple):
            indices, indptr = y
            self.n_rows = indptr.shape[0] - 1
            self.indptr = &indptr[0]
            if indices.shape[0]:
                self.indices = &indices[0]
        else:
            dense = y
            self.n_rows = dense.shape[0]
            if dense.shape[0]:
                self.dense = &dense[0, 0]
        if weight is not None:
            weights = weight
            if weights.shape[0] != self.n_rows:
                raise ValueError("weight and y differ in their number of rows")
            if weights.shape[0]:
                self.weight = &weights[0]

        if offset is not None:
            if offset.shape[0] != self.n_rows:
                raise ValueError("offset and y differ in their number of rows")
            if offset.shape[0] and offset.shape[1]:
                self.n_offsets = offset.shape[1]
                self.offsets = vf_offsets(&offset[0, 0], offset.strides[0] // <int64_t>sizeof(double),
                                          offset.strides[1] // <int64_t>sizeof(double))

    cdef void load(self, int64_t row, double *y) noexcept nogil:
        cdef int64_t k
        if self.dense != NULL:
            for k in range(self.n_targets):
                y[k] = self.dense[row * self.n_targets + k]
            return
        for k in range(self.n_targets):
            y[k] = 0.0
        for k in range(self.indptr[row], self.indptr[row + 1]):
            y[self.indices[k]] = 1.0

    cdef int64_t most_labels(self):
        """The most labels of a row."""
        cdef int64_t row, most = 1
        if self.indptr != NULL:
            for row in range(self.n_rows):
                most = max(most, self.indptr[row + 1] - self.indptr[row])
        return most

    cdef int64_t labels(self, int64_t row, int32_t *labels) noexcept nogil:
        """Writes a row's labels, or the number of its class; returns how many there are."""
        cdef int64_t k, start
        if self.indptr == NULL:
            labels[0] = <int32_t>self.dense[row * self.n_targets]
            return 1
        start = self.indptr[row]
        for k in range(self.indptr[row + 1] - start):
            labels[k] = self.indices[start + k]
        return self.indptr[row + 1] - start

    cdef void look_ahead(self, int64_t row) noexcept nogil:
        """Asks for a row's target, offset and weight before they are needed."""
        if self.dense != NULL:
            VF_PREFETCH_READ(self.dense + row * self.n_targets)
        vf_prefetch_offsets(&self.offsets, row)
        if self.weight != NULL:
            VF_PREFETCH_READ(self.weight + row)

    cdef double weight_of(self, int64_t row) noexcept nogil:
        return 1.0 if self.weight == NULL else self.weight[row]
