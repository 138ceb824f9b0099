# cython: language_level=3
from libc.stdint cimport uint64_t

cdef extern from "kernels/denormals.h" nogil:
    uint64_t vf_flush_denormals()
    uint64_t vf_keep_denormals()
    void vf_restore_denormals(uint64_t before)
