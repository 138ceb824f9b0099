# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The caller's arrays as the engine reads them: rows of X, targets and weights.

Nothing is copied. Every index is checked here, once, in one pass without the
GIL; below this seam indices are trusted.
"""
from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t, uintptr_t

ctypedef fused value_t:
    float
    double

ctypedef fused index_t:
    int32_t
    int64_t

ctypedef fused pointer_t:
    int32_t
    int64_t

cdef double LARGEST = 3.4028234663852886e38  # of float32, in which the engine computes


cdef struct Findings:
    int64_t bad_row, longest
    int problem  # 0: none; else an index of PROBLEMS
    bint canonical


PROBLEMS = (
    None,
    "indptr decreases",
    "a column index is outside [0, n_features)",
    "a value is NaN, infinite or too large for float32",
)


cdef Findings _check_rows(const value_t[::1] values, const index_t[::1] indices, const pointer_t[::1] indptr,
                          int64_t n_features, int64_t from_row, int64_t to_row) noexcept nogil:
    cdef Findings found
    cdef int64_t row, k, start, end, stored = indices.shape[0]
    cdef index_t column, previous
    cdef bint outside, infinite
    found.problem = 0
    found.longest = 0
    found.canonical = True
    found.bad_row = -1
    for row in range(from_row, to_row):
        start = indptr[row]
        end = indptr[row + 1]
        if end < start or start < 0 or end > stored:
            found.problem = 1
            found.bad_row = row
            return found
        found.longest = max(found.longest, end - start)
        outside = False
        infinite = False
        previous = -1
        for k in range(start, end):
            column = indices[k]
            outside |= (column < 0) | (column >= n_features)
            infinite |= not (fabs(<double>values[k]) <= LARGEST)
            found.canonical &= column > previous
            previous = column
        if outside or infinite:
            found.problem = 2 if outside else 3
            found.bad_row = row
            return found
    return found


def check_rows(const value_t[::1] values, const index_t[::1] indices, const pointer_t[::1] indptr,
               int64_t n_features, int64_t from_row, int64_t to_row):
    """Check rows [from_row, to_row) of a CSR matrix.

    Returns (problem, row, longest, canonical): an index into `PROBLEMS` and the row
    it was found in; the longest row; whether columns strictly increase in every row.
    """
    cdef Findings found
    with nogil:
        found = _check_rows(values, indices, indptr, n_features, from_row, to_row)
    return found.problem, found.bad_row, found.longest, bool(found.canonical)


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
        Whether columns strictly increase in every row.
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
        self.longest = longest
        self.canonical = canonical
        self.n_nonzero = values.size if indptr is None or n_rows == 0 else int(indptr[n_rows]) - int(indptr[0])

    @property
    def n_rows(self):
        return self.rows.n_rows

    @property
    def n_features(self):
        return self.rows.n_features


cdef class Targets:
    """Targets and weights of the rows.

    Parameters
    ----------
    y : ndarray of float64, shape (n_rows, n_targets), or a pair (indices, indptr)
        The pair is a CSR indicator matrix: int32 columns and int64 row starts.
    n_targets : int
    weight : ndarray of float64, shape (n_rows,), or None for ones
    """

    def __init__(self, y, n_targets, weight=None):
        cdef const double[:, ::1] dense
        cdef const int32_t[::1] indices
        cdef const int64_t[::1] indptr
        cdef const double[::1] weights
        self.arrays = (y, weight)
        self.n_targets = n_targets
        self.dense = NULL
        self.indices = NULL
        self.indptr = NULL
        self.weight = NULL
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

    cdef double weight_of(self, int64_t row) noexcept nogil:
        return 1.0 if self.weight == NULL else self.weight[row]
