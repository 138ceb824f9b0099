# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

cdef extern from "kernels/layers/merging.h" nogil:
    void vf_place(const float *x, int64_t width, float *y, int64_t y_width, int64_t first, int64_t n)
    void vf_place_back(const double *of_y, int64_t y_width, int64_t first, double *of_x, int64_t width, int64_t n)
    void vf_add(const float *x, float *y, int64_t n)
    void vf_add_back(const double *of_y, double *of_x, int64_t n)
    void vf_multiply(const float *x, float *y, int64_t n)
    void vf_multiply_back(const float *const *factors, int64_t n_factors, int64_t which, const double *of_y,
                          double *of_x, int64_t n)
    void vf_scatter(const int32_t *indices, const float *values, int64_t length, float *y, int64_t width)
