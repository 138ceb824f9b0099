/* The kernels of pairwise interactions (pairs.h), one of each for every rule, without and with lazily caught-up
 * state. The lanes of a vector unit are numbers of an embedding; what most models need is in pairs_scaled.h. */
#ifndef VF_PAIRS_RULES_H
#define VF_PAIRS_RULES_H

#include "kernels/layers/linear_kernels.h"
#include "kernels/layers/linear_wide.h"
#include "kernels/layers/pairs_scaled.h"

enum { VF_FACTORS = 16 }; /* numbers of an embedding that are worked on together, at most */

/* Runs the statement for all numbers [from, to), N at a time. */
#define VF_EACH_SPAN(from, to, statement)                                      \
    while (from < to) {                                                        \
        const int64_t N = to - from < VF_FACTORS ? to - from : VF_FACTORS;     \
        statement                                                              \
        from += N;                                                             \
    }

/* ---- forward ---------------------------------------------------------------------- */

/* Adds to numbers' sums and sums of squares over a row: of weights, or of their means. */
VF_INLINE void vf_add_factors(const int kind, const int lazy, const int means, const vf_linear *layer, const vf_clock *clock,
                              vf_row row, vf_copies copies, int64_t k, int64_t from, const int64_t n,
                              float *VF_RESTRICT sums, float *VF_RESTRICT squares) {
    const int64_t feature = row.indices[k];
    const float *record = layer->record + feature * layer->stride;
    float mean[VF_FACTORS];
    vf_factor x = {mean, row.values[k]};
    if (means)
        vf_means_span(kind, layer, clock, record, feature, vf_read_row(kind, layer, record),
                      vf_read_rest(kind, VF_LAZY, layer, clock, record, feature), from, n, mean);
    else {
        x = vf_factor_of(kind, lazy, layer, row, copies, k);
        x.weights += from;
    }
    for (int64_t i = 0; i < n; i++) {
        const float term = x.v * x.weights[i];
        sums[i] += term;
        squares[i] += term * term;
    }
}

/* Sets the row's sums of numbers [from, from + n); returns what they add to twice the output. */
VF_INLINE float vf_sum_factors(const int kind, const int lazy, const int means, const vf_linear *layer, const vf_clock *clock,
                               vf_row row, vf_copies copies, int64_t from, const int64_t n, float *VF_RESTRICT out) {
    float sums[VF_FACTORS] = {0.0f}, squares[VF_FACTORS] = {0.0f}, total = 0.0f;
    for (int64_t k = 0; k < row.length; k++)
        vf_add_factors(kind, lazy, means, layer, clock, row, copies, k, from, n, sums, squares);
    for (int64_t i = 0; i < n; i++) {
        out[from + i] = sums[i];
        total += sums[i] * sums[i] - squares[i];
    }
    return total;
}

VF_INLINE void vf_forward_pairs(const int kind, const int lazy, const int means, const vf_linear *given,
                                const vf_clock *given_clock, vf_row row, vf_copies copies, int64_t rank,
                                float *VF_RESTRICT sums, float *VF_RESTRICT out) {
    const vf_linear fixed = *given, *layer = &fixed; /* no store can alias them */
    const vf_clock now = *given_clock, *clock = &now;
    for (int64_t from = 0; from < layer->n_out; out++) {
        const int64_t to = from + rank;
        float total = 0.0f;
        VF_EACH_SPAN(from, to, total += vf_sum_factors(kind, lazy, means, layer, clock, row, copies, from, N, sums);)
        *out = 0.5f * total;
    }
}

/* ---- update ------------------------------------------------------------------------- */

/* Sets the gradient of the numbers of non-zero k over its value. */
VF_INLINE void vf_pull_record(const int kind, const int lazy, const vf_linear *layer, vf_row row, vf_copies copies, int64_t k,
                              int64_t rank, const float *VF_RESTRICT delta, const float *own, float *VF_RESTRICT gradient) {
    const vf_factor x = vf_factor_of(kind, lazy, layer, row, copies, k);
    for (int64_t from = 0; from < layer->n_out; from += rank, own++) {
        const float pull = x.v * *own;
        for (int64_t c = from; c < from + rank; c++)
            gradient[c] = delta[c] - pull * x.weights[c];
    }
}

VF_INLINE void vf_update_pairs_as(const int kind, const int lazy, const int centered, const vf_linear *given,
                                  const vf_clock *given_clock, vf_row row, vf_copies copies, int64_t rank,
                                  const float *delta, const float *own, float *step) {
    const vf_linear fixed = *given, *layer = &fixed; /* no store can alias them */
    const vf_clock now = *given_clock, *clock = &now;
    for (int64_t k = 0; k < row.length && VF_USES_SQUARE(kind); k++) {
        vf_pull_record(kind, lazy, layer, row, copies, k, rank, delta, own, step);
        copies.x[k] = row.values[k] * row.values[k] * vf_mean_square(step, layer->n_out);
    }
    if (VF_ROW_RATE(kind) || VF_USES_ROW(kind))
        vf_step_rows(kind, layer, clock, row, copies, copies.x);
    for (int64_t k = 0; k < row.length; k++) {
        vf_pull_record(kind, lazy, layer, row, copies, k, rank, delta, own, step);
        vf_update_record(kind, lazy, centered, layer, clock, row.indices, copies, step, row.values[k], k);
    }
}

VF_INLINE void vf_update_pairs(const int kind, const int lazy, const vf_pairs *p, vf_row row, const float *delta,
                               const float *own) {
    const vf_linear *layer = p->layer;
    int64_t done = 0;
    if (!vf_holds_weights(kind, lazy) && VF_ROW_RATE(kind) && p->rank == layer->n_out && !layer->is_divided) {
        if (p->rank == 4)
            done = vf_update_scaled_pairs(kind, lazy, 4, layer, p->clock, row, p->copies, delta, *own);
        else if (p->rank == 8)
            done = vf_update_scaled_pairs(kind, lazy, 8, layer, p->clock, row, p->copies, delta, *own);
        else if (p->rank == 16)
            done = vf_update_scaled_pairs(kind, lazy, 16, layer, p->clock, row, p->copies, delta, *own);
        else
            done = vf_update_scaled_pairs(kind, lazy, p->rank, layer, p->clock, row, p->copies, delta, *own);
    }
    row.indices += done, row.values += done, row.length -= done;
    const vf_copies copies = vf_copies_from(kind, lazy, layer->n_out, p->copies, done);
    if (lazy == VF_LAZY && layer->penalty.center)
        vf_update_pairs_as(kind, lazy, 1, layer, p->clock, row, copies, p->rank, delta, own, p->step);
    else
        vf_update_pairs_as(kind, lazy, 0, layer, p->clock, row, copies, p->rank, delta, own, p->step);
}

/* ---- backward ------------------------------------------------------------------------- */

/* The embeddings of a feature as they are now, up to a factor. */
VF_INLINE vf_factor vf_embedding_now(const int kind, const int lazy, const vf_pairs *p, int32_t feature) {
    const vf_linear *layer = p->layer;
    float left[2 * VF_LANES] = {0.0f}, threshold[2 * VF_LANES] = {0.0f};
    float s1[VF_LANES], s2[VF_LANES], row_state[VF_LANES];
    vf_copies copies = {left, threshold, p->step, s1, s2, row_state};
    vf_factor out = {layer->record + feature * (int64_t)layer->stride, 1.0f};
    vf_miss_row(kind, lazy, layer, p->clock, &feature, 1, copies);
    if (!vf_holds_weights(kind, lazy)) {
        out.v += lazy ? left[0] : 0.0f;
        return out;
    }
    if (vf_misses_each(kind, lazy)) {
        copies.left = p->step + layer->n_out;
        copies.threshold = p->step + 2 * layer->n_out;
    }
    if (lazy == VF_LAZY && layer->penalty.center)
        vf_read_held(kind, lazy, 1, layer, p->clock, &feature, 1, copies);
    else
        vf_read_held(kind, lazy, 0, layer, p->clock, &feature, 1, copies);
    out.weights = p->step;
    return out;
}

VF_INLINE void vf_backward_pairs(const int kind, const int lazy, const vf_pairs *p, const float *x, int64_t first, int64_t n,
                                 const float *sums, const double *delta, double *of_x) {
    for (int64_t i = 0; i < n; i++) {
        const vf_factor v = vf_embedding_now(kind, lazy, p, (int32_t)(first + i));
        for (int64_t c = 0; c < p->layer->n_out; c++) {
            const double now = v.v * v.weights[c];
            of_x[i] += now * (delta[c / p->rank] * ((double)sums[c] - now * x[i]));
        }
    }
}

/* ---- tables --------------------------------------------------------------------------- */

#define VF_DEFINE_PAIRS_AS(name, kind, lazy)                                                                          \
    VF_SIMD static void vf_read_pairs_##name(const vf_pairs *p, vf_row row) {                                        \
        vf_read_wide(kind, lazy, p->layer, p->clock, row.indices, row.length, p->copies);                            \
    }                                                                                                                \
    VF_SIMD static void vf_forward_pairs_##name(const vf_pairs *p, vf_row row, float *sums, float *out) {            \
        vf_read_wide(kind, lazy, p->layer, p->clock, row.indices, row.length, p->copies);                            \
        if (lazy == VF_LAZY && p->layer->gives_means && p->layer->average_slot >= 0)                                 \
            vf_forward_pairs(kind, lazy, 1, p->layer, p->clock, row, p->copies, p->rank, sums, out);                 \
        else if (!vf_holds_weights(kind, lazy) && p->rank == p->layer->n_out)                                        \
            vf_forward_scaled_pairs(lazy, p->layer, row, p->copies, sums, out);                                      \
        else                                                                                                         \
            vf_forward_pairs(kind, lazy, 0, p->layer, p->clock, row, p->copies, p->rank, sums, out);                 \
    }                                                                                                                \
    VF_SIMD static void vf_update_pairs_##name(const vf_pairs *p, vf_row row, const float *delta, const float *own) { \
        vf_update_pairs(kind, lazy, p, row, delta, own);                                                             \
    }                                                                                                                \
    VF_SIMD static void vf_backward_pairs_##name(const vf_pairs *p, const float *x, int64_t first, int64_t n,        \
                                                 const float *sums, const double *delta, double *of_x) {             \
        vf_backward_pairs(kind, lazy, p, x, first, n, sums, delta, of_x);                                            \
    }

#define VF_PAIRS_ENTRY(name) \
    {vf_forward_pairs_##name, vf_read_pairs_##name, vf_update_pairs_##name, vf_backward_pairs_##name}

/* All kernels of a rule, by what its weights have to catch up on. */
#define VF_DEFINE_PAIRS(name, kind)                                                                                   \
    VF_DEFINE_PAIRS_AS(name##_eager, kind, VF_EAGER)                                                                  \
    VF_DEFINE_PAIRS_AS(name##_decaying, kind, VF_DECAYING)                                                            \
    VF_DEFINE_PAIRS_AS(name##_lazy, kind, VF_LAZY)                                                                    \
    const vf_pairs_kernels vf_pairs_##name[VF_N_LAZY] = {                                                             \
        VF_PAIRS_ENTRY(name##_eager), VF_PAIRS_ENTRY(name##_decaying), VF_PAIRS_ENTRY(name##_lazy),                   \
    };

/* The same of weights that are not trained. */
#define VF_DEFINE_FIXED_PAIRS(name)                                                                                   \
    VF_DEFINE_PAIRS_AS(name, VF_FIXED, VF_EAGER)                                                                      \
    const vf_pairs_kernels vf_pairs_##name[VF_N_LAZY] = {                                                             \
        VF_PAIRS_ENTRY(name), VF_PAIRS_ENTRY(name), VF_PAIRS_ENTRY(name),                                             \
    };

#endif
