# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_portion, vf_row, vf_rows

cdef extern from "kernels/layers/columns.h" nogil:
    ctypedef struct vf_columns:
        int64_t first, width
        const int32_t *places
    int64_t vf_select(const vf_columns *columns, vf_row row, int32_t *indices, float *values)
    void vf_prefetch_columns(const vf_columns *columns, const vf_rows *rows, int64_t row, vf_portion portion,
                             const float *record, int64_t stride)
