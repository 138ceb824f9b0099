# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.kernels.layers.fields cimport vf_fields
from sklearn_vectorflow.engine.kernels.layers.pairs cimport vf_pairs, vf_pairs_kernels
from sklearn_vectorflow.engine.kernels.rows.batch_gradient cimport vf_gathered
from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_row

cdef extern from "kernels/layers/field_pairs.h" nogil:
    vf_row vf_order_by_field(vf_fields *f, vf_row x, const int32_t *places)
    void vf_forward_fields(const vf_fields *f, const vf_pairs *pairs, const vf_pairs_kernels *kernels, int rule, int lazy,
                           vf_row row, float *sums, float *out)
    void vf_update_fields(const vf_fields *f, const vf_pairs *pairs, const vf_pairs_kernels *kernels, int rule, int lazy,
                          vf_row row, const float *sums, const float *delta)
    void vf_gather_fields(vf_gathered *batch, const vf_fields *f, vf_row row, const double *delta, const float *sums)
    void vf_back_fields(const vf_fields *f, const vf_pairs *pairs, const vf_pairs_kernels *kernels, const float *x,
                        int64_t first, int64_t n, const float *sums, const double *delta, double *of_x)
