# cython: language_level=3
from libc.stdint cimport int64_t

cdef extern from "kernels/losses/classes.h" nogil:
    enum:
        VF_CLASSES
    double vf_softmax(int64_t n, const double *raw, double weight, double *share)
    double vf_softplus(int64_t n, const double *raw, double weight, double *gradient)
