# cython: language_level=3
from libc.stdint cimport int64_t

cdef extern from "kernels/layers/activations.h" nogil:
    void vf_activate(int kind, const float *x, float *y, int64_t n)
    void vf_activate_back(int kind, const float *y, const double *output_gradient,
                          double *input_gradient, int64_t n)
