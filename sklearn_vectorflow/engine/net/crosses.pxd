# cython: language_level=3
from libc.stdint cimport int64_t
from sklearn_vectorflow.engine.data cimport Rows
from sklearn_vectorflow.engine.kernels.layers.crosses cimport vf_bags, vf_crosses


cdef class Crosses:
    cdef vf_crosses crosses
    cdef object arrays
    cdef int64_t most(self, Rows rows) except -1


cdef class Bags:
    cdef vf_bags bags
    cdef list owned
    cdef void *_take(self, size_t n_bytes) except NULL
