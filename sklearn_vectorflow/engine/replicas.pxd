# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.kernels cimport vf_hot_table


cdef class HotTable:
    cdef readonly int64_t n_copies, every, first
    cdef vf_hot_table hot
    cdef const int32_t *features  # (n_copies)
    cdef int32_t lock             # held by the thread that merges
    cdef object arrays
