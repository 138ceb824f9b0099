# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

cdef extern from "kernels/rows/checks.h" nogil:
    cdef enum:
        VF_INFINITE
        VF_ZERO
    ctypedef struct vf_order:
        int64_t ups, downs
        int32_t outside
    int32_t vf_check_floats(const float *values, int64_t n)
    int32_t vf_check_doubles(const double *values, int64_t n)
    vf_order vf_check_columns32(const int32_t *columns, int64_t n, int64_t last)
    vf_order vf_check_columns64(const int64_t *columns, int64_t n, int64_t last)
