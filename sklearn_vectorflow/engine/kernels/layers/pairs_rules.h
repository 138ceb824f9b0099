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

/* ---- embeddings as they are now ------------------------------------------------- */

/* What all numbers of a feature's embeddings share. */
typedef struct {
    int64_t feature;
    const float *record;
    float row;
    vf_rest rest;
    vf_missed missed;
} vf_embedding;

VF_INLINE vf_embedding vf_find_embedding(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                                         int64_t feature, vf_missed missed) {
    const float *record = layer->record + feature * layer->stride;
    vf_embedding e = {feature, record, vf_read_row(kind, layer, record), {0.0f, 0.0f, 0.0f, 0.0f}, missed};
    if (lazy)
        e.rest = vf_read_rest(kind, lazy, layer, clock, record, feature);
    return e;
}

/* Numbers [from, from + n): weights, or their means. */
VF_INLINE void vf_factors_now(const int kind, const int lazy, const int means, const vf_linear *layer, const vf_clock *clock,
                              vf_embedding e, int64_t from, const int64_t n, float *VF_RESTRICT now) {
    const float *VF_RESTRICT s1 = e.record + layer->slot1, *VF_RESTRICT s2 = e.record + layer->slot2;
    const float lower = layer->penalty.lower;
    if (means) {
        vf_means_span(kind, layer, clock, e.record, e.feature, e.row, e.rest, from, n, now);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t c = from + i;
        const float w = e.record[c], center = vf_center(lazy, layer, e.feature, c);
        const vf_state s = {VF_USES_S1(kind) ? s1[c] : 0.0f, VF_USES_S2(kind) ? s2[c] : 0.0f, e.row};
        vf_value value = {w, 0.0f};
        if (lazy)
            value = VF_ROW_RATE(kind) ? vf_shrunk(lazy, w, center, e.missed, lower)
                                      : vf_now(kind, lazy, 0, w, center, s, e.rest, clock, layer);
        now[i] = value.base + value.change;
    }
}

/* ---- forward ---------------------------------------------------------------------- */

/* Adds to numbers' sums and sums of squares over a row. */
VF_INLINE void vf_add_factors(const int kind, const int lazy, const int means, const vf_linear *layer, const vf_clock *clock,
                              vf_row row, vf_copies copies, int64_t k, int64_t from, const int64_t n,
                              float *VF_RESTRICT sums, float *VF_RESTRICT squares) {
    float now[VF_FACTORS];
    const vf_embedding e = vf_find_embedding(kind, lazy, layer, clock, row.indices[k], vf_row_missed(kind, lazy, copies, k));
    vf_factors_now(kind, lazy, means, layer, clock, e, from, n, now);
    for (int64_t i = 0; i < n; i++) {
        const float term = row.values[k] * now[i];
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

/* Sets the gradient, over x, of numbers [from, from + n); `pull` is x times the own part's factor. */
VF_INLINE void vf_pull_factors(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, vf_embedding e,
                               const float *VF_RESTRICT delta, float pull, int64_t from, const int64_t n,
                               float *VF_RESTRICT gradient) {
    float now[VF_FACTORS];
    vf_factors_now(kind, lazy, 0, layer, clock, e, from, n, now);
    for (int64_t i = 0; i < n; i++)
        gradient[i] = delta[from + i] - pull * now[i];
}

/* The sum of the squares of a few numbers. */
VF_INLINE float vf_sum_squares(const float *VF_RESTRICT x, const int64_t n) {
    float sums[VF_FACTORS] = {0.0f};
    for (int64_t i = 0; i < n; i++)
        sums[i] = x[i] * x[i];
    for (int64_t half = VF_FACTORS / 2; half > 0; half /= 2)
        for (int64_t i = 0; i < half; i++)
            sums[i] += sums[i + half];
    return sums[0];
}

/* The mean square of the gradient of a feature's embeddings. */
VF_INLINE float vf_mean_square(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, vf_embedding e,
                               int64_t rank, float x, const float *delta, const float *own) {
    float total = 0.0f;
    for (int64_t from = 0; from < layer->n_out; own++) {
        const int64_t to = from + rank;
        VF_EACH_SPAN(from, to, float gradient[VF_FACTORS];
                     vf_pull_factors(kind, lazy, layer, clock, e, delta, x * *own, from, N, gradient);
                     total += vf_sum_squares(gradient, N);)
    }
    return x * x * total / (float)layer->n_out;
}

/* The gradient of a feature's embeddings over x. */
VF_INLINE void vf_pull_record(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, vf_embedding e,
                              int64_t rank, float x, const float *delta, const float *own, float *VF_RESTRICT gradient) {
    for (int64_t from = 0; from < layer->n_out; own++) {
        const int64_t to = from + rank;
        VF_EACH_SPAN(from, to, vf_pull_factors(kind, lazy, layer, clock, e, delta, x * *own, from, N, gradient + from);)
    }
}

VF_INLINE void vf_update_pairs_as(const int kind, const int lazy, const int centered, const vf_linear *given,
                                  const vf_clock *given_clock, vf_row row, vf_copies copies, int64_t rank,
                                  const float *delta, const float *own, float *step) {
    const vf_linear fixed = *given, *layer = &fixed; /* no store can alias them */
    const vf_clock now = *given_clock, *clock = &now;
    for (int64_t k = 0; k < row.length && VF_USES_SQUARE(kind); k++) {
        const vf_embedding e = vf_find_embedding(kind, lazy, layer, clock, row.indices[k],
                                                 vf_row_missed(kind, lazy, copies, k));
        copies.x[k] = vf_mean_square(kind, lazy, layer, clock, e, rank, row.values[k], delta, own);
    }
    vf_step_rows(kind, layer, clock, row, copies, copies.x);
    for (int64_t k = 0; k < row.length; k++) {
        const vf_missed missed = vf_row_missed(kind, lazy, copies, k);
        const vf_embedding e = vf_find_embedding(kind, lazy, layer, clock, row.indices[k], missed);
        vf_pull_record(kind, lazy, layer, clock, e, rank, row.values[k], delta, own, step);
        vf_update_record(kind, lazy, centered, layer, clock, row.indices[k], step, row.values[k],
                         vf_shared_at(kind, layer, e.record, copies, k), missed);
    }
}

/* The row without its first n entries. */
VF_INLINE void vf_skip(vf_row *row, vf_copies *copies, int64_t n) {
    row->indices += n, row->values += n, row->length -= n;
    copies->left += n, copies->threshold += n;
}

VF_INLINE void vf_update_pairs(const int kind, const int lazy, const vf_pairs *p, vf_row row, const float *delta,
                               const float *own) {
    const vf_linear *layer = p->layer;
    vf_copies copies = p->copies;
    int64_t done = 0;
    if (vf_is_scaled(kind, lazy) && VF_ROW_RATE(kind) && p->rank == layer->n_out) {
        if (p->rank == 4)
            done = vf_update_scaled_pairs(kind, lazy, 4, layer, p->clock, row, copies, delta, *own);
        else if (p->rank == 8)
            done = vf_update_scaled_pairs(kind, lazy, 8, layer, p->clock, row, copies, delta, *own);
        else if (p->rank == 16)
            done = vf_update_scaled_pairs(kind, lazy, 16, layer, p->clock, row, copies, delta, *own);
        else
            done = vf_update_scaled_pairs(kind, lazy, p->rank, layer, p->clock, row, copies, delta, *own);
    }
    vf_skip(&row, &copies, done);
    if (lazy == VF_LAZY && layer->penalty.center)
        vf_update_pairs_as(kind, lazy, 1, layer, p->clock, row, copies, p->rank, delta, own, p->step);
    else
        vf_update_pairs_as(kind, lazy, 0, layer, p->clock, row, copies, p->rank, delta, own, p->step);
}

/* ---- backward ------------------------------------------------------------------------- */

VF_INLINE double vf_back_factors(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                                 vf_embedding e, int64_t rank, float x, const float *sums, const double *delta) {
    double of_x = 0.0;
    for (int64_t c = 0; c < layer->n_out; c++) {
        float now;
        vf_factors_now(kind, lazy, 0, layer, clock, e, c, 1, &now);
        of_x += now * (delta[c / rank] * ((double)sums[c] - (double)now * x));
    }
    return of_x;
}

VF_INLINE void vf_backward_pairs(const int kind, const int lazy, const vf_pairs *p, const float *x, int64_t first, int64_t n,
                                 const float *sums, const double *delta, double *of_x) {
    float left[2 * VF_LANES] = {0.0f}, threshold[2 * VF_LANES] = {0.0f};
    float s1[VF_LANES], s2[VF_LANES], row_state[VF_LANES];
    vf_copies copies = {left, threshold};
    copies.s1 = s1, copies.s2 = s2, copies.row = row_state;
    for (int64_t i = 0; i < n; i++) {
        const int32_t feature = (int32_t)(first + i);
        vf_miss_row(kind, lazy, p->layer, p->clock, &feature, 1, copies);
        const vf_embedding e = vf_find_embedding(kind, lazy, p->layer, p->clock, feature, vf_row_missed(kind, lazy, copies, 0));
        of_x[i] += vf_back_factors(kind, lazy, p->layer, p->clock, e, p->rank, x[i], sums, delta);
    }
}

/* ---- tables --------------------------------------------------------------------------- */

#define VF_DEFINE_PAIRS_AS(name, kind, lazy)                                                                          \
    VF_SIMD static void vf_read_pairs_##name(const vf_pairs *p, vf_row row) {                                        \
        vf_miss_row(kind, lazy, p->layer, p->clock, row.indices, row.length, p->copies);                             \
    }                                                                                                                \
    VF_SIMD static void vf_forward_pairs_##name(const vf_pairs *p, vf_row row, float *sums, float *out) {            \
        vf_miss_row(kind, lazy, p->layer, p->clock, row.indices, row.length, p->copies);                             \
        if (lazy == VF_LAZY && p->layer->gives_means && p->layer->average_slot >= 0)                                 \
            vf_forward_pairs(kind, lazy, 1, p->layer, p->clock, row, p->copies, p->rank, sums, out);                 \
        else if (vf_is_scaled(kind, lazy) && p->rank == p->layer->n_out)                                             \
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
