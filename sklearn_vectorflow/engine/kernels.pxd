# cython: language_level=3
"""The C kernels (kernels/*.h) for Cython. What each does is said there."""
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from sklearn_vectorflow.engine.contract cimport vf_loss


cdef extern from "kernels/rows.h" nogil:
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
    int64_t vf_compress(const float *dense, int64_t n, int32_t *indices, float *values)
    void vf_prefetch_row(const vf_rows *rows, int64_t row, const float *record, int64_t stride, int64_t lines)
    void vf_prefetch_data(const vf_rows *rows, int64_t row)


cdef extern from "kernels/checks.h" nogil:
    cdef enum:
        VF_INFINITE
        VF_ZERO
    ctypedef struct vf_order:
        int64_t ups, downs
        int32_t outside
    int32_t vf_check_floats(const float *values, int64_t n)
    int32_t vf_check_doubles(const double *values, int64_t n)
    vf_order vf_check_columns32(const int32_t *columns, int64_t n, int64_t last)
    vf_order vf_check_columns64(const int64_t *columns, int64_t n, int64_t last)


cdef extern from "kernels/random.h" nogil:
    uint64_t vf_mix(uint64_t x)
    uint64_t vf_next(uint64_t *state)
    float vf_unit(uint64_t bits)
    unsigned int vf_below(uint64_t *state, unsigned int n)
    void vf_shuffle(int64_t *items, int64_t n, uint64_t *state)


cdef extern from "kernels/denormals.h" nogil:
    uint64_t vf_flush_denormals()
    uint64_t vf_keep_denormals()
    void vf_restore_denormals(uint64_t before)


cdef extern from "kernels/platform.h" nogil:
    const int VF_LANES
    bint VF_TRY_LOCK(int32_t *flag)
    void VF_LOCK(int32_t *flag)
    void VF_UNLOCK(int32_t *flag)
    void VF_PREFETCH_READ(const void *address)


cdef extern from "kernels/hot.h" nogil:
    ctypedef struct vf_hot:
        int64_t n_slots
        const int32_t *owner
        const int32_t *rank
        int32_t bits, shift
        int64_t n_hot
        const int32_t *feature
        const int64_t *slot
        int64_t first, n_tiers
        int32_t *locks
        float *records
        int64_t n_parts
        const int64_t *part_hot
        const int64_t *hot_slot
    int64_t vf_slot_of(int32_t feature, int32_t bits, int32_t shift)
    int64_t vf_tier_start(const vf_hot *hot, int64_t tier)
    int64_t vf_tiers_due(const vf_hot *hot, int64_t n)
    cdef enum:
        VF_LOCK_STRIDE
        VF_PART_HOT


cdef extern from "kernels/walk.h" nogil:
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
    ctypedef struct vf_schedule:
        double rate, decay, power
    double vf_rate_at(vf_schedule schedule, int64_t step)
    ctypedef struct vf_linear:
        float *record
        float *values
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
        float *x
        int64_t *at
    ctypedef struct vf_apart:
        float *records
        float *before
        float *hot_before
        float *bias[2]
        float *bias_before[2]
        vf_clock clock
    cdef enum:
        VF_RING
    ctypedef struct vf_places:
        int64_t *at
        int64_t room, until
    ctypedef struct vf_single:
        const vf_linear *weights
        const vf_linear *intercepts[2]
        const vf_rows *rows
        const double *targets
        int64_t n_targets
        const double *sample_weight
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
        vf_places *places
        int64_t ahead
    ctypedef struct vf_single_kernels:
        double (*train)(const vf_single *, vf_clock *, const int64_t *, int64_t, int64_t, int64_t) noexcept nogil
        void (*merge_tier)(const vf_linear *, const vf_linear *const *, const vf_hot *, vf_apart *, int64_t) noexcept nogil
        void (*merge_part)(const vf_linear *, const vf_hot *, vf_apart *, int64_t) noexcept nogil
        void (*load)(const vf_linear *, const vf_clock *, const vf_hot *) noexcept nogil
        void (*store)(const vf_linear *, const vf_clock *, const vf_hot *) noexcept nogil
    ctypedef struct vf_linear_kernels:
        void (*forward)(const vf_linear *, const vf_clock *, vf_row, vf_copies, float *) noexcept nogil
        void (*read)(const vf_linear *, const vf_clock *, vf_row, vf_copies) noexcept nogil
        void (*update)(const vf_linear *, const vf_clock *, vf_row, vf_copies, const float *) noexcept nogil
        void (*backward)(const vf_linear *, const vf_clock *, const double *, double *) noexcept nogil
        int64_t (*settle)(const vf_linear *, const vf_clock *, int64_t, int64_t) noexcept nogil
        const vf_single_kernels *single
    cdef enum:
        VF_AHEAD_DATA


cdef extern from "kernels/walk.h" nogil:
    vf_linear vf_rows_of(const vf_linear *layer, int64_t first, int64_t n)


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


cdef extern from "kernels/orthogonal.h" nogil:
    void vf_add_orthogonality(const vf_linear *layer, vf_gathered *g, double strength, int64_t n_draws,
                              uint64_t *random)


cdef extern from "kernels/columns.h" nogil:
    ctypedef struct vf_columns:
        int64_t first, width
        const int32_t *places
    int64_t vf_select(const vf_columns *columns, vf_row row, int32_t *indices, float *values)
    void vf_prefetch_columns(const vf_columns *columns, const vf_rows *rows, int64_t row, const float *record,
                             int64_t stride, int64_t lines)


cdef extern from "kernels/crosses.h" nogil:
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


cdef extern from "kernels/merging.h" nogil:
    void vf_place(const float *x, int64_t width, float *y, int64_t y_width, int64_t first, int64_t n)
    void vf_place_back(const double *of_y, int64_t y_width, int64_t first, double *of_x, int64_t width, int64_t n)
    void vf_add(const float *x, float *y, int64_t n)
    void vf_add_back(const double *of_y, double *of_x, int64_t n)
    void vf_multiply(const float *x, float *y, int64_t n)
    void vf_multiply_back(const float *const *factors, int64_t n_factors, int64_t which, const double *of_y,
                          double *of_x, int64_t n)
    void vf_scatter(const int32_t *indices, const float *values, int64_t length, float *y, int64_t width)


cdef extern from "kernels/pairs.h" nogil:
    ctypedef struct vf_pairs:
        const vf_linear *layer
        const vf_linear_kernels *kernels
        const vf_clock *clock
        vf_copies copies
        int64_t rank
        float *embedding
    void vf_pairs_forward(const vf_pairs *p, vf_row row, float *sums, float *squares, float *out)
    void vf_pairs_update(const vf_pairs *p, vf_row row, const float *sums, const double *delta, float *step)
    void vf_pairs_gather(const vf_pairs *p, vf_row row, const float *sums, const double *delta, vf_gathered *g,
                         double *step)
    void vf_pairs_back(const vf_pairs *p, const float *x, int64_t first, int64_t n, const float *sums,
                       const double *delta, double *of_x)


cdef extern from "kernels/candidates.h" nogil:
    ctypedef struct vf_sampler:
        int64_t n_outputs, n_draws
        const float *keep
        const int32_t *alias
        const float *correction
        int32_t independent
    ctypedef struct vf_candidates:
        int64_t most, n_drawn, n_slots
        int32_t *drawn
        uint32_t *mark
        uint32_t stamp
        int32_t *slot_of
        int32_t *outputs
        int64_t *n_candidates
        int64_t *n_own
        int32_t *slot_output
        int64_t *first
        int64_t *next
    void vf_draw_outputs(const vf_sampler *s, vf_candidates *c, uint64_t *random)
    void vf_add_candidates(const vf_sampler *s, vf_candidates *c, int64_t r, int64_t n_own)
    void vf_link_candidates(const vf_sampler *s, vf_candidates *c, int64_t n)
    void vf_load_candidates(const vf_sampler *s, const vf_candidates *c, int64_t r, const float *scores, double *y,
                            double *raw)


cdef extern from "kernels/outputs.h" nogil:
    ctypedef struct vf_outputs:
        const vf_linear *first
        const vf_linear *bias
        vf_linear_kernels kernels, bias_kernels
        const vf_clock *clock
        vf_copies copies, bias_copies
    void vf_outputs_forward(const vf_outputs *o, vf_row x, const int32_t *outputs, int64_t n, float *scores)
    void vf_outputs_back(const vf_outputs *o, const int32_t *outputs, int64_t n, const double *delta, int64_t first,
                         int64_t width, double *of_x)
    void vf_outputs_update(const vf_outputs *o, int32_t output, vf_row x, float delta, float of_bias)
    int64_t vf_outputs_settle(const vf_linear *first, vf_linear_kernels kernels, const vf_clock *clock,
                              int64_t n_outputs)
