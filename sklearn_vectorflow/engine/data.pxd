# cython: language_level=3
from libc.stdint cimport int32_t, int64_t
from sklearn_vectorflow.engine.kernels.rows.offsets cimport vf_offsets
from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_rows


cdef class Rows:
    cdef vf_rows rows
    cdef readonly int64_t longest, n_nonzero
    cdef readonly bint canonical
    cdef object arrays


cdef class Targets:
    cdef readonly int64_t n_rows
    cdef readonly int32_t n_targets
    cdef const double *dense
    cdef const int32_t *indices
    cdef const int64_t *indptr
    cdef const double *weight
    cdef vf_offsets offsets
    cdef readonly int64_t n_offsets
    cdef const int64_t *starts
    cdef object arrays
    cdef void load(self, int64_t row, double *y) noexcept nogil
    cdef int64_t most_labels(self)
    cdef int64_t labels(self, int64_t row, int32_t *labels) noexcept nogil
    cdef void look_ahead(self, int64_t row) noexcept nogil
    cdef double weight_of(self, int64_t row) noexcept nogil
