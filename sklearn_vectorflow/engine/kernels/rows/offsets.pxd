# cython: language_level=3
from libc.stdint cimport int64_t

cdef extern from "kernels/rows/offsets.h" nogil:
    ctypedef struct vf_offsets:
        const double *values
        int64_t row_step, output_step
    double vf_offset_of(const vf_offsets *offsets, int64_t row, int64_t output)
    void vf_add_offsets(const vf_offsets *offsets, int64_t row, int64_t n_outputs, double *raw)
    void vf_prefetch_offsets(const vf_offsets *offsets, int64_t row)
