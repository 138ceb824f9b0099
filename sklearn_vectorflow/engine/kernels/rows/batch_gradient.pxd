# cython: language_level=3
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t

from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_row

cdef extern from "kernels/rows/batch_gradient.h" nogil:
    ctypedef struct vf_table_entry:
        int32_t feature, slot
    ctypedef struct vf_listed:
        pass
    ctypedef struct vf_gathered:
        int64_t n_slots
        int32_t n_out, most_bits
        vf_table_entry *table
        uint16_t *direct
        uint32_t *places
        int32_t *features
        double *sums
        float *rounded
        vf_listed *touches
        int32_t *first
    void vf_gathered_open(vf_gathered *g, int64_t n)
    double *vf_gathered_row(vf_gathered *g, int32_t feature)
    void vf_gather_row(vf_gathered *g, vf_row row, const double *delta)
    void vf_link_row(vf_gathered *g, vf_row row, int32_t number)
    void vf_sum_lists(const vf_gathered *g, const double *delta)
    const float *vf_rounded(const vf_gathered *g, int64_t start, int64_t n)
    vf_row vf_gathered_features(const vf_gathered *g)
    vf_row vf_gathered_values(const vf_gathered *g)
    void vf_gathered_clear(vf_gathered *g)
