# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.contract cimport vf_loss
from sklearn_vectorflow.engine.kernels.optimizers.misses cimport vf_copies
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock, vf_schedule
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.rows.batch_gradient cimport vf_gathered
from sklearn_vectorflow.engine.kernels.rows.offsets cimport vf_offsets
from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_input_dropout, vf_row, vf_rows
from sklearn_vectorflow.engine.kernels.sharing.merge_one cimport vf_apart
from sklearn_vectorflow.engine.kernels.sharing.slots cimport vf_hot

cdef extern from "kernels/nets/walk.h" nogil:
    cdef enum:
        VF_RING
    ctypedef struct vf_places:
        int64_t *at
        int64_t room, until
    cdef struct vf_aside:  # kernels/sharing/aside.h
        pass
    ctypedef struct vf_single:
        const vf_linear *weights
        const vf_linear *intercepts[2]
        const vf_rows *rows
        const double *targets
        int64_t n_targets
        const double *sample_weight
        vf_offsets offsets
        const vf_loss *loss
        double *y
        double *raw
        double *weight
        double *gradient
        const vf_input_dropout *dropout
        vf_schedule schedule
        vf_copies copies
        int32_t *indices
        float *values
        const vf_hot *hot
        vf_apart *apart
        vf_aside *aside
        vf_places *places
        int64_t ahead
    ctypedef struct vf_single_kernels:
        double (*train)(const vf_single *, vf_clock *, const int64_t *, int64_t, int64_t, int64_t) noexcept nogil
        void (*merge_tier)(const vf_linear *, const vf_linear *const *, const vf_hot *, vf_apart *, int64_t) noexcept nogil
        void (*merge_part)(const vf_linear *, const vf_hot *, vf_apart *, int64_t) noexcept nogil
        void (*load)(const vf_linear *, const vf_linear *const *, const vf_clock *, const vf_hot *) noexcept nogil
        void (*store)(const vf_linear *, const vf_linear *const *, const vf_clock *, const vf_hot *) noexcept nogil
        void (*publish)(const vf_linear *, const vf_linear *const *, const vf_hot *, vf_apart *, int64_t) noexcept nogil
        void (*take)(const vf_linear *, const vf_linear *const *, const vf_hot *, vf_apart *, int64_t) noexcept nogil
        void (*join)(const vf_linear *, const vf_linear *const *, const vf_hot *, vf_apart *const *, int64_t, vf_apart *,
                     int64_t) noexcept nogil
        void (*join_part)(const vf_linear *, const vf_hot *, vf_apart *const *, int64_t, float *, int64_t) noexcept nogil
        void (*add_aside)(const vf_linear *, const vf_clock *, const vf_hot *, const vf_apart *, const vf_aside *,
                          int64_t) noexcept nogil
    ctypedef struct vf_linear_kernels:
        void (*forward)(const vf_linear *, const vf_clock *, vf_row, vf_copies, float *) noexcept nogil
        void (*read)(const vf_linear *, const vf_clock *, vf_row, vf_copies) noexcept nogil
        void (*update)(const vf_linear *, const vf_clock *, vf_row, vf_copies, const float *) noexcept nogil
        void (*update_each)(const vf_linear *, const vf_clock *, const vf_gathered *, vf_copies) noexcept nogil
        void (*backward)(const vf_linear *, const vf_clock *, const double *, double *) noexcept nogil
        int64_t (*settle)(const vf_linear *, const vf_clock *, int64_t, int64_t) noexcept nogil
        void (*merge)(const vf_linear *, const vf_clock *, const int32_t *, int64_t, int32_t, float *, float *) noexcept nogil
        const vf_single_kernels *single
    cdef enum:
        VF_AHEAD_DATA
    vf_linear vf_rows_of(const vf_linear *layer, int64_t first, int64_t n)
