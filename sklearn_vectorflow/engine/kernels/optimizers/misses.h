/* What is worked out when a row is read, and used again when it is updated: what
 * its features have missed, where all weights of a feature miss the same. */
#ifndef VF_MISSES_H
#define VF_MISSES_H

#include "kernels/optimizers/record.h"

/* One entry a non-zero, and room for VF_LANES more: what is computed in lanes may be
 * computed of what earlier rows left behind the last entry. Of several outputs, `left`, `threshold` and `w`
 * have an entry for each where vf_misses_each and vf_holds_weights say so. */
typedef struct {
    float *left, *threshold;
    float *w, *s1, *s2, *row; /* copies of records, see copied_numbers.h; of several outputs, w is what weights are worth */
    float *rate;              /* step sizes, of several outputs */
    float *x;                 /* values of the row, and zeros; of several outputs, mean squares of gradients */
    int64_t *at;              /* which they are, counted from the layer's first record, */
    const int32_t *feature;   /* and whose */
    float *l1, *l2, *center;  /* what acts on them, of VF_LAZY, */
    float *sign;              /* and what bounds them */
    float *steps, *time;      /* how long they have rested, and */
    float *clock, *stamp;     /* their clocks, and behind SGD's the step, as in vf_linear.clock_slot */
    float *average;           /* their means */
} vf_copies;

VF_INLINE int vf_shares_misses(const int kind, const int lazy, int32_t n_out) {
    return lazy && kind != VF_FTRL && (VF_ROW_RATE(kind) || n_out == 1);
}

/* Whether each weight of a feature has missed something else. */
VF_INLINE int vf_misses_each(const int kind, const int lazy) {
    return lazy && kind != VF_FTRL && !VF_ROW_RATE(kind);
}

/* Whether weights of several outputs are worth what no record says, not even times one number a feature. */
VF_INLINE int vf_holds_weights(const int kind, const int lazy) {
    return kind == VF_FTRL || lazy == VF_LAZY || vf_misses_each(kind, lazy);
}

/* The entries of copies from non-zero k on. */
static inline vf_copies vf_copies_from(int kind, int lazy, int64_t n_out, vf_copies copies, int64_t k) {
    const int64_t each = vf_misses_each(kind, lazy) ? n_out : 1;
    copies.left += k * each;
    copies.threshold += k * each;
    copies.w += k * n_out;
    return copies;
}

VF_INLINE vf_missed vf_missed_at(const int lazy, vf_copies copies, int64_t k) {
    const vf_missed out = {copies.left[k], lazy == VF_LAZY ? copies.threshold[k] : 0.0f, 0.0f};
    return out;
}

/* k[i] becomes (1 + rate[i] l2)**-k[i] - 1. */
VF_SIMD static void vf_decays(float *VF_RESTRICT k, const float *VF_RESTRICT rate, float l2, int64_t n, int small) {
    for (int64_t from = 0; from < n; from += VF_LANES)
        if (small)
            for (int64_t i = from; i < from + VF_LANES; i++)
                k[i] = vf_power_m1_small(rate[i] * l2, k[i]);
        else
            for (int64_t i = from; i < from + VF_LANES; i++)
                k[i] = vf_power_m1(0, rate[i] * l2, k[i]);
}

/* One L2 strength for all: the scattered numbers are read first, then computed with in lanes. */
VF_INLINE void vf_decay_row(const int kind, const vf_linear *layer, const vf_clock *clock, const int32_t *indices,
                            int64_t n, vf_copies copies) {
    const vf_optimizer o = layer->optimizer;
    const float l2 = layer->penalty.l2;
    float *VF_RESTRICT rate = copies.threshold, *VF_RESTRICT s1 = copies.s1, *VF_RESTRICT s2 = copies.s2;
    float *VF_RESTRICT row = copies.row;
    float largest = 0.0f;
    for (int64_t k = 0; k < n; k++) {
        const float *record = layer->record + indices[k] * (int64_t)layer->stride;
        const vf_state s = vf_read_state(kind, layer, record, 0, vf_read_row(kind, layer, record));
        copies.left[k] = vf_read_rest(kind, VF_DECAYING, layer, clock, record, indices[k]).steps;
        if (VF_USES_S1(kind))
            s1[k] = s.s1;
        if (VF_HAS_S2(kind))
            s2[k] = s.s2;
        if (VF_USES_ROW(kind))
            row[k] = s.row;
    }
    for (int64_t k = 0; k < n; k++) {
        const vf_state s = {s1[k], s2[k], row[k]};
        rate[k] = vf_resting_rate(kind, s, &o);
    }
    for (int64_t k = 0; k < n; k++)
        largest = rate[k] > largest ? rate[k] : largest;
    vf_decays(copies.left, copies.threshold, l2, n, !layer->is_divided && largest * l2 < 0.01f);
}

VF_INLINE void vf_miss_row(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                           const int32_t *indices, int64_t n, vf_copies copies) {
    if (!vf_shares_misses(kind, lazy, layer->n_out))
        return;
    if (lazy == VF_DECAYING && kind != VF_SGD) {
        vf_decay_row(kind, layer, clock, indices, n, copies);
        return;
    }
    for (int64_t k = 0; k < n; k++) {
        const float *record = layer->record + indices[k] * (int64_t)layer->stride;
        const vf_rest rest = vf_read_rest(kind, lazy, layer, clock, record, indices[k]);
        const vf_state s = vf_read_state(kind, layer, record, 0, vf_read_row(kind, layer, record));
        const vf_missed missed = vf_missed_by(kind, 1, s, rest, &layer->optimizer);
        copies.left[k] = missed.left;
        copies.threshold[k] = missed.threshold;
    }
}

#endif
