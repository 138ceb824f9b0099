# cython: language_level=3
cimport cython
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.kernels.sharing.merge_one cimport vf_apart
from sklearn_vectorflow.engine.kernels.sharing.slots cimport vf_hot
from sklearn_vectorflow.engine.net.plan cimport Net


@cython.final
cdef class Hot:
    cdef vf_hot hot
    cdef readonly int64_t period, n_parts  # period: steps of a worker between two of its merges
    cdef readonly object features  # the hottest first
    cdef Net net
    cdef int64_t step              # before the pass
    cdef int64_t[::1] averaged
    cdef list arrays
    cdef const void *_keep(self, array)


@cython.final
cdef class Copies:
    cdef readonly Hot hot
    cdef vf_apart apart
    cdef int64_t merges, part, n_workers
    cdef int64_t[::1] averaged
    cdef unsigned char[::1] merged
    cdef list arrays
    cdef void _rewind(self, float *records, int64_t n) noexcept nogil
    cdef void merge_tier(self, int64_t tier) noexcept nogil
    cdef void merge_part(self, int64_t part) noexcept nogil
    cdef void merge_due(self) noexcept nogil
