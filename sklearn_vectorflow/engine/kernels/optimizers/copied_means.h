/* Running means of copied records, in lanes. */
#ifndef VF_COPIED_MEANS_H
#define VF_COPIED_MEANS_H

#include "kernels/optimizers/average.h"
#include "kernels/optimizers/copied_misses.h"

/* A mean with steps whose mean is another, `rate` being one over all steps; or, of a thread's own records, a sum with them. */
VF_INLINE float vf_taken_up(const int is_own, float average, float mean, float counted, float rate) {
    return average + (mean - (is_own ? 0.0f : average)) * (counted * (is_own ? 1.0f : rate));
}

/* Of all records, and of a thread's own ones. */
typedef struct {
    vf_counts all, own;
} vf_both_counts;

VF_INLINE vf_both_counts vf_both_counts_of(const vf_linear *layer, const vf_clock *clock, const vf_own *own) {
    const vf_counts all = vf_counts_of(layer, clock, INFINITY);
    const vf_both_counts out = {all, own ? vf_counts_from(own->average_from, own->clock, INFINITY) : all};
    return out;
}

VF_INLINE float vf_counted_of(const int is_own, float steps, vf_both_counts counts) {
    const float most = is_own ? counts.own.counted : counts.all.counted;
    return steps < most ? steps : most;
}

/* The mean over `counted` of the steps that a weight, u from its centre, has rested. `skips`: whether there are others. */
VF_INLINE float vf_mean_of_lane(const int kind, const int skips, const int threshold, float u, float left, vf_state s,
                                vf_rest rest, float counted, const vf_optimizer *o) {
    const float skipped = rest.steps - counted, strength = vf_strength(kind, s, rest, o);
    if (threshold) { /* of L1: as vf_strength of L2 */
        const float size = fabsf(u), before = skips ? vf_falling_sum(size, strength, skipped) : 0.0f;
        const float mean = (vf_falling_sum(size, strength, rest.steps) - before) / (counted > 0.0f ? counted : 1.0f);
        return copysignf(mean, u);
    }
    const float before = skips ? vf_left_after(kind, strength, skipped) : 0.0f;
    return u * vf_mean_left(kind, strength, before, left, counted);
}

/* Which of the records that are read together are a thread's own. */
enum { VF_NONE_OWN, VF_SOME_OWN, VF_ALL_OWN };

/* Where L2 alone, or L1 alone, acts between touches. */
VF_INLINE void vf_means_lanes(const int kind, const int whose, const int skips, const int threshold, const vf_linear *layer,
                              vf_both_counts counts, const vf_own *own, int64_t n, vf_copies copies) {
    const vf_optimizer o = layer->optimizer;
    const vf_own none = {0, 0, NULL, 0}, its_own = own ? *own : none;
    const int64_t *VF_RESTRICT at = copies.at;
    const float *VF_RESTRICT w = copies.w, *VF_RESTRICT left = copies.left;
    const float *VF_RESTRICT acts = threshold ? copies.l1 : copies.l2;
    const float *VF_RESTRICT center = copies.center, *VF_RESTRICT steps = copies.steps, *VF_RESTRICT time = copies.time;
    const float *VF_RESTRICT s1 = copies.s1, *VF_RESTRICT s2 = copies.s2, *VF_RESTRICT row = copies.row;
    float *VF_RESTRICT average = copies.average;
    const float rate = 1.0f / counts.all.now;
    VF_EACH_LANE(k, n, {
        const int is_own = whose == VF_SOME_OWN ? vf_is_own(&its_own, at[k]) : whose == VF_ALL_OWN;
        const vf_rest rest = {steps[k], time[k], 0.0f, acts[k], 0.0f};
        const vf_state s = vf_copied_state(kind, s1, s2, row, k);
        const float counted = vf_counted_of(is_own, steps[k], counts), u = w[k] - center[k];
        const float mean = center[k] + vf_mean_of_lane(kind, skips, threshold, u, left[k], s, rest, counted, &o);
        average[k] = vf_taken_up(is_own, average[k], mean, counted, rate);
    });
}

/* Where anything acts between touches. */
VF_INLINE void vf_means_each(const int kind, const vf_linear *layer, vf_both_counts counts, const vf_own *own, int64_t n,
                             vf_copies copies) {
    for (int64_t k = 0; k < n; k++) {
        const int is_own = own && vf_is_own(own, copies.at[k]);
        const vf_rest rest = {copies.steps[k], copies.time[k], copies.l1[k], copies.l2[k], copies.sign[k]};
        const vf_state s = vf_copied_state(kind, copies.s1, copies.s2, copies.row, k);
        const float counted = vf_counted_of(is_own, copies.steps[k], counts);
        const float mean = vf_mean_rested(kind, layer, copies.w[k], copies.center[k], s, rest, counted);
        copies.average[k] = vf_taken_up(is_own, copies.average[k], mean, counted, 1.0f / counts.all.now);
    }
}

/* As above, with constants that spare what rows do not need. */
VF_INLINE void vf_means_acting(const int kind, const int threshold, const vf_linear *layer, vf_both_counts counts,
                               const vf_own *own, int64_t n, vf_copies copies) {
    const int skips = vf_largest(copies.steps, n) > counts.all.counted || (own && own->average_from > 0);
    if (skips)
        vf_means_lanes(kind, VF_SOME_OWN, 1, threshold, layer, counts, own, n, copies);
    else if (!own)
        vf_means_lanes(kind, VF_NONE_OWN, 0, threshold, layer, counts, NULL, n, copies);
    else if (own->size == VF_ALL)
        vf_means_lanes(kind, VF_ALL_OWN, 0, threshold, layer, counts, own, n, copies);
    else
        vf_means_lanes(kind, VF_SOME_OWN, 0, threshold, layer, counts, own, n, copies);
}

/* copies.average become the means as of now, before the weights change. own: NULL where no other thread trains. */
VF_INLINE void vf_average_copies(const int kind, const vf_linear *layer, const vf_clock *clock, const vf_own *own, int64_t n,
                                 vf_copies copies) {
    const vf_both_counts counts = vf_both_counts_of(layer, clock, own);
    const int acting = vf_acting(layer);
    if (acting == VF_DECAY)
        vf_means_acting(kind, 0, layer, counts, own, n, copies);
    else if (acting == VF_THRESHOLD)
        vf_means_acting(kind, 1, layer, counts, own, n, copies);
    else
        vf_means_each(kind, layer, counts, own, n, copies);
}

#endif
