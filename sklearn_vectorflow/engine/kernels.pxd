# cython: language_level=3
"""The C kernels (kernels/*.h) for Cython. What each does is said there."""
from libc.stdint cimport int32_t, int64_t, uint64_t


cdef extern from "kernels/rows.h" nogil:
    ctypedef struct vf_rows:
        const void *values
        const void *indices
        const void *indptr
        int32_t wide_values, wide_indices, wide_indptr
        int64_t n_rows, n_features, first_row
    ctypedef struct vf_row:
        const int32_t *indices
        const float *values
        int64_t length
    ctypedef struct vf_input_dropout:
        float rate
        uint64_t seed
    vf_row vf_load(const vf_rows *rows, int64_t row, int32_t *indices, float *values,
                   const vf_input_dropout *dropout)
    int64_t vf_compress(const float *dense, int64_t n, int32_t *indices, float *values)
    void vf_prefetch_row(const vf_rows *rows, int64_t row, const float *record, int64_t stride, int64_t lines)
    void vf_prefetch_data(const vf_rows *rows, int64_t row)


cdef extern from "kernels/random.h" nogil:
    uint64_t vf_mix(uint64_t x)
    uint64_t vf_next(uint64_t *state)
    float vf_unit(uint64_t bits)
    unsigned int vf_below(uint64_t *state, unsigned int n)
    void vf_shuffle(int64_t *items, int64_t n, uint64_t *state)


cdef extern from "kernels/denormals.h" nogil:
    uint64_t vf_flush_denormals()
    void vf_restore_denormals(uint64_t before)


cdef extern from "kernels/platform.h" nogil:
    const int VF_LANES
    void VF_LOCK(int32_t *flag)
    void VF_UNLOCK(int32_t *flag)
    void VF_PREFETCH_READ(const void *address)


cdef extern from "kernels/linear.h" nogil:
    ctypedef struct vf_optimizer:
        float learning_rate, epsilon, beta, decay1, decay2, log_decay1, log_decay2
    ctypedef struct vf_penalty:
        float l1, l2
        const float *l1_each
        const float *l2_each
        const float *center
        float lower
    ctypedef struct vf_clock:
        int64_t step
        double rate, elapsed
    ctypedef struct vf_linear:
        float *record
        int64_t n_in
        int32_t n_out, stride, slot1, slot2, row_slot, clock_slot, average_slot
        int64_t average_from
        vf_optimizer optimizer
        vf_penalty penalty
    ctypedef struct vf_copies:
        float *left
        float *threshold
        float *w
        float *s1
        float *s2
        float *row
    ctypedef struct vf_linear_kernels:
        void (*forward)(const vf_linear *, const vf_clock *, vf_row, vf_copies, float *) noexcept nogil
        void (*read)(const vf_linear *, const vf_clock *, vf_row, vf_copies) noexcept nogil
        void (*update)(const vf_linear *, const vf_clock *, vf_row, vf_copies, const float *) noexcept nogil
        void (*backward)(const vf_linear *, const vf_clock *, const double *, double *) noexcept nogil
        int64_t (*settle)(const vf_linear *, const vf_clock *, int64_t, int64_t) noexcept nogil
    const vf_linear_kernels VF_KERNELS[6][3]
    cdef enum:
        VF_EAGER
        VF_DECAYING
        VF_LAZY


cdef extern from "kernels/activations.h" nogil:
    void vf_activate(int kind, const float *x, float *y, int64_t n)
    void vf_activate_back(int kind, const float *y, const double *output_gradient,
                          double *input_gradient, int64_t n)


cdef extern from "kernels/gather.h" nogil:
    ctypedef struct vf_gathered:
        int64_t n_slots, capacity
        int32_t n_out, direct
        int32_t *slot_of
        int32_t *features
        double *gradient
    double *vf_gathered_row(vf_gathered *g, int32_t feature)
    void vf_gather_row(vf_gathered *g, vf_row row, const double *delta)
    void vf_gathered_clear(vf_gathered *g)
