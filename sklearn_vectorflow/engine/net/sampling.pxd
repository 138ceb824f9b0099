# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.kernels.layers.candidates cimport vf_candidates, vf_sampler


cdef class Sampler:
    cdef vf_sampler sampler
    cdef object arrays
    cdef int64_t most_candidates(self, int64_t most_own)


cdef class Candidates:
    cdef vf_candidates candidates
    cdef list owned           # addresses to free
    cdef void *_take(self, size_t n_bytes) except NULL
