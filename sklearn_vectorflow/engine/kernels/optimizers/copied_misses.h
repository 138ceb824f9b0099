/* How long copied records have rested, and what their weights have missed meanwhile, in lanes. */
#ifndef VF_COPIED_MISSES_H
#define VF_COPIED_MISSES_H

#include "kernels/optimizers/copied_numbers.h"

/* Records that only this thread writes: its steps alone make their clocks go on. In place of means they hold sums of
 * what weights were worth in the steps since the last merge, from `average_from` on. */
typedef struct {
    int64_t from, size; /* which they are, as in vf_copies.at; VF_ALL: all that are read */
    const vf_clock *clock;
    int64_t average_from;
} vf_own;

#define VF_ALL INT64_MAX

VF_INLINE int vf_is_own(const vf_own *own, int64_t at) { return (uint64_t)(at - own->from) < (uint64_t)own->size; }

/* How much of a power has to be computed: none where nothing decays; where steps shrink little, few terms, and
 * where all of them together do, fewer. */
enum { VF_NO_POWER, VF_TINY_POWER, VF_SHORT_POWER, VF_SMALL_POWER, VF_ANY_POWER };

#define VF_SMALL 0.01f        /* how little a step shrinks a weight whose powers need few terms */
#define VF_SHORT_STEPS 20.0f /* and so many such steps need fewer */

/* The factor, less one, of a weight that has rested: SGD's is given the time in place of steps. */
VF_INLINE float vf_left_lane(const int kind, const int power, float strength, float rested) {
    return power == VF_NO_POWER      ? 0.0f
           : kind == VF_SGD          ? vf_expm1_negative(-rested * strength)
           : power == VF_SHORT_POWER ? vf_power_m1_short(strength, rested)
           : power == VF_SMALL_POWER ? vf_power_m1_small(strength, rested)
                                     : vf_power_m1(0, strength, rested);
}

VF_INLINE float vf_copied_rate(const int kind, vf_state s, const vf_optimizer *o) {
    return kind == VF_SGD ? 1.0f : vf_resting_rate(kind, s, o);
}

/* What weights miss that have rested for copies.steps, or SGD's for copies.time. */
VF_INLINE void vf_miss_lanes(const int kind, const int power, const vf_linear *layer, int64_t n, vf_copies copies) {
    const vf_optimizer o = layer->optimizer;
    float *VF_RESTRICT left = copies.left, *VF_RESTRICT threshold = copies.threshold;
    const float *VF_RESTRICT l1 = copies.l1, *VF_RESTRICT l2 = copies.l2;
    const float *VF_RESTRICT rested = kind == VF_SGD ? copies.time : copies.steps;
    const float *VF_RESTRICT s1 = copies.s1, *VF_RESTRICT s2 = copies.s2, *VF_RESTRICT row = copies.row;
    VF_EACH_LANE(k, n, {
        const float rate = vf_copied_rate(kind, vf_copied_state(kind, s1, s2, row, k), &o);
        const float missed = vf_left_lane(kind, power, rate * l2[k], rested[k]);
        left[k] = missed;
        threshold[k] = power != VF_NO_POWER && l2[k] > 0.0f ? -missed * (l1[k] / l2[k]) : l1[k] * rested[k] * rate;
    });
}

/* The same of one L2 strength for all; returns by how much a step shrinks the weight that it shrinks most. With a short
 * power, by how much all steps do: those that the weight has rested, or VF_SHORT_STEPS where they are fewer. */
VF_INLINE float vf_decay_lanes(const int kind, const int power, const vf_linear *layer, int64_t n, vf_copies copies) {
    const vf_optimizer o = layer->optimizer;
    const float l2 = layer->penalty.l2;
    float *VF_RESTRICT left = copies.left, most[VF_LANES] = {0.0f};
    const float *VF_RESTRICT rested = kind == VF_SGD ? copies.time : copies.steps;
    const float *VF_RESTRICT s1 = copies.s1, *VF_RESTRICT s2 = copies.s2, *VF_RESTRICT row = copies.row;
    VF_EACH_LANE(k, n, {
        const float strength = l2 * vf_copied_rate(kind, vf_copied_state(kind, s1, s2, row, k), &o);
        left[k] = vf_left_lane(kind, power, strength, rested[k]);
        const float steps = rested[k] > VF_SHORT_STEPS ? rested[k] : VF_SHORT_STEPS;
        const float size = power == VF_SHORT_POWER ? strength * steps : strength;
        most[lane] = size > most[lane] ? size : most[lane];
    });
    return vf_most_of(most);
}

/* A number that is the same for all features, or times one of each. */
VF_INLINE void vf_read_each(float same, const float *each, const int32_t *VF_RESTRICT feature, int64_t n,
                            float *VF_RESTRICT out) {
    if (each)
        for (int64_t k = 0; k < n; k++)
            out[k] = same * each[feature[k]];
    else
        VF_EACH_LANE(k, n, { out[k] = same; });
}

/* What acts on the copied weights. */
VF_INLINE void vf_read_strengths(const vf_linear *layer, int64_t n, vf_copies copies) {
    const vf_penalty *p = &layer->penalty;
    vf_read_each(p->l1, p->l1_each, copies.feature, n, copies.l1);
    vf_read_each(p->l2, p->l2_each, copies.feature, n, copies.l2);
    vf_read_each(p->center ? 1.0f : 0.0f, p->center, copies.feature, n, copies.center);
    vf_read_each(p->sign ? 1.0f : 0.0f, p->sign, copies.feature, n, copies.sign);
}

/* What clocks of copies are compared with: a step, or the sum of SGD's rates. */
typedef struct {
    uint32_t step;
    float time;
} vf_now_at;

VF_INLINE vf_now_at vf_now_of(const vf_clock *clock) {
    const vf_now_at out = {(uint32_t)clock->step, (float)clock->elapsed};
    return out;
}

/* How long a copied record has rested; and its clock goes on to now, unless another thread was ahead. */
VF_INLINE float vf_rest_lane(const int timed, vf_now_at now, float *mark) {
    const float then = *mark, time = now.time - then;
    const int32_t steps = (int32_t)(now.step - vf_to_bits(then));
    if (timed) {
        *mark = time > 0.0f ? now.time : then;
        return time > 0.0f ? time : 0.0f;
    }
    *mark = vf_from_bits(steps > 0 ? now.step : vf_to_bits(then));
    return (float)(steps > 0 ? steps : 0);
}

VF_INLINE void vf_rest_lanes(const int timed, const vf_clock *clock, const vf_own *own, int64_t n,
                             const int64_t *VF_RESTRICT at, float *VF_RESTRICT marks, float *VF_RESTRICT rested) {
    const vf_own none = {0, VF_ALL, clock, 0}, its_own = own ? *own : none;
    const vf_now_at now = vf_now_of(clock), own_now = vf_now_of(its_own.clock);
    if (its_own.size == VF_ALL)
        VF_EACH_LANE(k, n, { rested[k] = vf_rest_lane(timed, own_now, marks + k); });
    else
        VF_EACH_LANE(k, n, {
            const int is_own = vf_is_own(&its_own, at[k]);
            const vf_now_at its = {is_own ? own_now.step : now.step, is_own ? own_now.time : now.time};
            rested[k] = vf_rest_lane(timed, its, marks + k);
        });
}

VF_INLINE void vf_miss_copies(const int kind, const vf_linear *layer, int64_t n, vf_copies copies) {
    const vf_penalty *p = &layer->penalty;
    const float *rates = kind == VF_ADAGRAD ? copies.s1 : copies.row;
    vf_read_strengths(layer, n, copies);
    if (p->l2 == 0.0f)
        vf_miss_lanes(kind, VF_NO_POWER, layer, n, copies);
    else if (VF_USES_RESTING(kind) && !p->l2_each && !layer->is_divided
             && vf_largest(rates, n) * layer->optimizer.learning_rate * p->l2 < VF_SMALL)
        vf_miss_lanes(kind, VF_SMALL_POWER, layer, n, copies);
    else
        vf_miss_lanes(kind, VF_ANY_POWER, layer, n, copies);
    memset(copies.threshold + n, 0, sizeof(float) * VF_GROUP);
}

/* What copied records have missed. Behind the last it becomes zero: what earlier rows left there times a value of zero
 * must stay zero, which an overflow would not. */
VF_INLINE void vf_read_misses(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                              const vf_own *own, int64_t n, vf_copies copies) {
    float *rested = kind == VF_SGD ? copies.time : copies.steps;
    vf_rest_lanes(kind == VF_SGD, clock, own, n, copies.at, copies.clock, rested);
    if (kind == VF_SGD && lazy == VF_LAZY && layer->average_slot >= 0)
        vf_rest_lanes(0, clock, own, n, copies.at, copies.stamp, copies.steps);
    if (lazy == VF_LAZY)
        vf_miss_copies(kind, layer, n, copies);
    else if (kind == VF_SGD || layer->is_divided
             || (!(vf_decay_lanes(kind, VF_SHORT_POWER, layer, n, copies) < VF_SHORT_STEPS * VF_SMALL)
                 && !(vf_decay_lanes(kind, VF_SMALL_POWER, layer, n, copies) < VF_SMALL)))
        vf_decay_lanes(kind, VF_ANY_POWER, layer, n, copies);
    memset(copies.left + n, 0, sizeof(float) * VF_GROUP);
}

#endif
