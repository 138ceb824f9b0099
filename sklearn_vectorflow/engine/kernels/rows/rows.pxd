# cython: language_level=3
from libc.stdint cimport int32_t, int64_t, uint64_t

cdef extern from "kernels/rows/rows.h" nogil:
    ctypedef struct vf_rows:
        const void *values
        const void *indices
        const void *indptr
        int32_t wide_values, wide_indices, wide_indptr
        int64_t n_rows, n_features, n_stored, first_row
    ctypedef struct vf_row:
        const int32_t *indices
        const float *values
        int64_t length
    ctypedef struct vf_input_dropout:
        float rate
        uint64_t seed
    vf_row vf_load(const vf_rows *rows, int64_t row, int32_t *indices, float *values,
                   const vf_input_dropout *dropout)
    int64_t vf_row_length(const vf_rows *rows, int64_t row)
    int64_t vf_compress(const float *dense, int64_t n, int32_t *indices, float *values)
    ctypedef struct vf_portion:
        int64_t part, n_parts
    void vf_prefetch_row(const vf_rows *rows, int64_t row, vf_portion portion, const float *record, int64_t stride)
    void vf_prefetch_data(const vf_rows *rows, int64_t row)
