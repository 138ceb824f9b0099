# cython: language_level=3
cimport cython
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.kernels cimport vf_apart, vf_hot
from sklearn_vectorflow.engine.net cimport Net


cdef enum:
    PUBLISH = 64         # steps between two looks at what workers share


@cython.final
cdef class Hot:
    cdef vf_hot hot
    cdef Net net
    cdef list arrays
    cdef int64_t cycle        # steps of all workers in which all parts are merged


@cython.final
cdef class Copies:
    cdef readonly Hot hot
    cdef vf_apart apart
    cdef int64_t part, merged_at
    cdef list arrays
    cdef void merge(self, int64_t part) noexcept nogil
    cdef void merge_next(self, int64_t step) noexcept nogil
