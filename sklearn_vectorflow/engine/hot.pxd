# cython: language_level=3
cimport cython
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.kernels cimport vf_apart, vf_hot
from sklearn_vectorflow.engine.net cimport Net


@cython.final
cdef class Hot:
    cdef vf_hot hot
    cdef Net net
    cdef list arrays


@cython.final
cdef class Copies:
    cdef readonly Hot hot
    cdef vf_apart apart
    cdef int64_t part
    cdef list arrays
    cdef void begin(self) noexcept nogil
    cdef int64_t next_part(self) noexcept nogil
