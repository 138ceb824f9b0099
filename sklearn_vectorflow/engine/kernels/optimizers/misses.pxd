# cython: language_level=3
from libc.stdint cimport int64_t

cdef extern from "kernels/optimizers/misses.h" nogil:
    ctypedef struct vf_copies:
        float *left
        float *threshold
        float *w
        float *s1
        float *s2
        float *row
        float *x
        int64_t *at
        float *l1
        float *l2
        float *center
        float *steps
        float *time
        float *clock
        float *average
