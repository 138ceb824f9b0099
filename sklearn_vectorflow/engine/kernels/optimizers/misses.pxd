# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

cdef extern from "kernels/optimizers/misses.h" nogil:
    ctypedef struct vf_copies:
        float *left
        float *threshold
        float *w
        float *s1
        float *s2
        float *row
        float *rate
        float *x
        int64_t *at
        const int32_t *feature
        float *l1
        float *l2
        float *center
        float *sign
        float *steps
        float *time
        float *clock
        float *stamp
        float *average

    bint vf_misses_each(int kind, int lazy)
    bint vf_holds_weights(int kind, int lazy)
    vf_copies vf_copies_from(int kind, int lazy, int64_t n_out, vf_copies copies, int64_t k)
