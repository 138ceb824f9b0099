# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_row

cdef extern from "kernels/layers/crosses.h" nogil:
    const int VF_MOST_FACTORS
    ctypedef struct vf_crosses:
        const int32_t *group_of
        const int32_t *starts
        const int32_t *factors
        int32_t n_groups, n_crosses
        int64_t n_features
    ctypedef struct vf_bags:
        int64_t *bag
        int32_t *columns
        float *values
        int32_t *slot_of
        int32_t *home_of
        int64_t capacity
    int64_t vf_cross_row(const vf_crosses *crosses, vf_row row, vf_bags *bags, int32_t *indices, float *values)
    int64_t vf_cross_count(const vf_crosses *crosses, vf_row row, int64_t *counts)
