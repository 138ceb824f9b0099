/* One output: a row's records are copied when the row is read, and written back when it is
 * updated. The arithmetic between runs over arrays, in vector lanes; only loading and storing
 * are scattered. FTRL's records hold its two sums alone: weights are worked out of them, see
 * vf_linear.values. (Where more than one strength of L1 and L2 acts on FTRL's weights, its
 * records hold them, too, and linear_one.h reads these one by one.) */
#ifndef VF_COPIED_H
#define VF_COPIED_H

#include "kernels/lanes.h"
#include "kernels/optimizers/average.h"
#include "kernels/optimizers/misses.h"
#include "kernels/rows/rows.h"

VF_INLINE int vf_is_copied(const int kind, const int lazy, int32_t n_out) {
    return kind != VF_FIXED && n_out == 1 && !(kind == VF_FTRL && lazy == VF_LAZY);
}

/* Whether weights are anything but what their copies hold. */
VF_INLINE int vf_catches_up(const int kind, const int lazy) { return lazy && kind != VF_FTRL; }

/* The state of copy k; the arrays, which don't overlap, are given one by one. */
VF_INLINE vf_state vf_copied_state(const int kind, const float *s1, const float *s2, const float *row, int64_t k) {
    const vf_state s = {VF_USES_S1(kind) ? s1[k] : 0.0f, VF_HAS_S2(kind) ? s2[k] : 0.0f, VF_USES_ROW(kind) ? row[k] : 0.0f};
    return s;
}

/* The largest of a group of numbers. */
VF_INLINE float vf_most_of(const float *group) {
    float most[VF_GROUP];
    memcpy(most, group, sizeof most);
    for (int64_t half = VF_GROUP / 2; half > 0; half /= 2)
        for (int64_t i = 0; i < half; i++)
            most[i] = most[i] > most[i + half] ? most[i] : most[i + half];
    return most[0];
}

/* How much of a power has to be computed: none where nothing decays; where steps shrink little, few terms, and
 * where all of them together do, fewer. */
enum { VF_NO_POWER, VF_TINY_POWER, VF_SMALL_POWER, VF_ANY_POWER };

#define VF_SMALL 0.01f /* how little a step shrinks a weight whose powers need few terms */

/* The factor, less one, of a weight that has rested: SGD's is given the time in place of steps. */
VF_INLINE float vf_left_lane(const int kind, const int power, float strength, float rested) {
    return power == VF_NO_POWER      ? 0.0f
           : kind == VF_SGD          ? vf_expm1_negative(-rested * strength)
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
    VF_EACH_LANE(k, n) {
        const float rate = vf_copied_rate(kind, vf_copied_state(kind, s1, s2, row, k), &o);
        const float missed = vf_left_lane(kind, power, rate * l2[k], rested[k]);
        left[k] = missed;
        threshold[k] = power != VF_NO_POWER && l2[k] > 0.0f ? -missed * (l1[k] / l2[k]) : l1[k] * rested[k] * rate;
    }
}

/* The same of one L2 strength for all; returns by how much a step shrinks the weight that it shrinks most. */
VF_INLINE float vf_decay_lanes(const int kind, const int power, const vf_linear *layer, int64_t n, vf_copies copies) {
    const vf_optimizer o = layer->optimizer;
    const float l2 = layer->penalty.l2;
    float *VF_RESTRICT left = copies.left, most[VF_GROUP] = {0.0f};
    const float *VF_RESTRICT rested = kind == VF_SGD ? copies.time : copies.steps;
    const float *VF_RESTRICT s1 = copies.s1, *VF_RESTRICT s2 = copies.s2, *VF_RESTRICT row = copies.row;
    VF_EACH_LANE(k, n) {
        const float strength = l2 * vf_copied_rate(kind, vf_copied_state(kind, s1, s2, row, k), &o);
        left[k] = vf_left_lane(kind, power, strength, rested[k]);
        most[lane] = strength > most[lane] ? strength : most[lane];
    }
    return vf_most_of(most);
}

/* A number that is the same for all features, or times one of each. */
VF_INLINE void vf_read_each(float same, const float *each, const int64_t *VF_RESTRICT at, int64_t n, float *VF_RESTRICT out) {
    if (each)
        for (int64_t k = 0; k < n; k++)
            out[k] = same * each[at[k]];
    else
        VF_EACH_LANE(k, n)
            out[k] = same;
}

/* What acts on the copied weights. */
VF_INLINE void vf_read_strengths(const vf_linear *layer, int64_t n, vf_copies copies) {
    const vf_penalty *p = &layer->penalty;
    vf_read_each(p->l1, p->l1_each, copies.at, n, copies.l1);
    vf_read_each(p->l2, p->l2_each, copies.at, n, copies.l2);
    vf_read_each(p->center ? 1.0f : 0.0f, p->center, copies.at, n, copies.center);
    vf_read_each(p->sign ? 1.0f : 0.0f, p->sign, copies.at, n, copies.sign);
}

/* Records that only this thread writes: its steps alone make their clocks go on. */
typedef struct {
    int64_t from, size; /* which they are, as in vf_copies.at */
    const vf_clock *clock;
} vf_own;

/* Which numbers of records are copied: weights and state alone; their clocks, too; or all there are. */
enum { VF_STATE, VF_CLOCKS, VF_MEANS };

VF_INLINE int vf_copied_numbers(const int kind, const int lazy, const vf_linear *layer) {
    return !vf_catches_up(kind, lazy) ? VF_STATE : lazy == VF_LAZY && layer->average_slot >= 0 ? VF_MEANS : VF_CLOCKS;
}

/* The arrays of copies that hold the numbers of a record, in its order. What fills a record up is copied, too. */
typedef struct {
    float *of[6];
    int32_t n;
} vf_numbers;

VF_INLINE vf_numbers vf_numbers_of(const int kind, const int which, vf_copies copies) {
    const int32_t n_sgd = which == VF_STATE ? 1 : which == VF_CLOCKS ? 2 : 4;
    const int32_t n_adagrad = which == VF_STATE ? 2 : 4, n_adam = which == VF_STATE ? 4 : 6;
    const vf_numbers sgd = {{copies.w, copies.clock, copies.stamp, copies.average}, n_sgd};
    const vf_numbers ftrl = {{copies.s1, copies.s2}, 2};
    const vf_numbers adagrad = {{copies.w, copies.s1, copies.clock, copies.average}, n_adagrad};
    const vf_numbers rowwise = {{copies.w, copies.row, copies.clock, copies.average}, n_adagrad};
    const vf_numbers adam = {{copies.w, copies.s1, copies.s2, copies.row, copies.clock, copies.average}, n_adam};
    const vf_numbers adam_rowwise = {{copies.w, copies.s1, copies.row, copies.s2, copies.clock, copies.average}, n_adam};
    return kind == VF_SGD ? sgd : kind == VF_ADAGRAD ? adagrad : kind == VF_ADAM ? adam : kind == VF_FTRL ? ftrl
           : kind == VF_ADAM_ROWWISE ? adam_rowwise : rowwise;
}

/* In groups, see vf_fill_places. */
VF_INLINE void vf_read_numbers(const int kind, const int which, const float *records, int64_t stride, int64_t n,
                               vf_copies copies) {
    const vf_numbers numbers = vf_numbers_of(kind, which, copies);
    const int32_t pair = numbers.n & 2 ? numbers.n - 2 : 0;
    float *const *of = numbers.of;
    for (int64_t k = 0; k < n && numbers.n == 1; k++)
        of[0][k] = records[copies.at[k] * stride];
    for (int64_t k = 0; k < n && numbers.n >= 4; k += VF_GROUP)
        vf_load_quads(records, stride, copies.at + k, of[0] + k, of[1] + k, of[2] + k, of[3] + k);
    for (int64_t k = 0; k < n && numbers.n & 2; k += VF_GROUP / 2)
        vf_load_pairs_4(records + pair, stride, copies.at + k, of[pair] + k, of[pair + 1] + k);
}

VF_INLINE void vf_write_numbers(const int kind, const int which, float *records, int64_t stride, int64_t n,
                                vf_copies copies) {
    const vf_numbers numbers = vf_numbers_of(kind, which, copies);
    const int32_t pair = numbers.n & 2 ? numbers.n - 2 : 0;
    const int64_t last = n ? (n - 1) / VF_GROUP * VF_GROUP : -VF_GROUP;
    float *const *of = numbers.of;
    for (int64_t k = 0; k < n && numbers.n == 1; k++)
        records[copies.at[k] * stride] = of[0][k];
    for (int64_t k = last; k >= 0 && numbers.n >= 4; k -= VF_GROUP)
        vf_store_quads(records, stride, copies.at + k, of[0] + k, of[1] + k, of[2] + k, of[3] + k);
    for (int64_t k = (n - 1) / 4 * 4; k >= 0 && n && numbers.n & 2; k -= VF_GROUP / 2)
        vf_store_pairs_4(records + pair, stride, copies.at + k, of[pair] + k, of[pair + 1] + k);
}

VF_INLINE float vf_largest(const float *VF_RESTRICT x, int64_t n) {
    float most[VF_GROUP] = {0.0f};
    VF_EACH_LANE(k, n)
        most[lane] = x[k] > most[lane] ? x[k] : most[lane];
    return vf_most_of(most);
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
    const vf_now_at now = vf_now_of(clock), own_now = vf_now_of(own ? own->clock : clock);
    const int64_t from = own ? own->from : 0;
    const uint64_t size = own ? (uint64_t)own->size : 0;
    if (size == 0)
        VF_EACH_LANE(k, n)
            rested[k] = vf_rest_lane(timed, now, marks + k);
    else
        VF_EACH_LANE(k, n) {
            const int is_own = (uint64_t)(at[k] - from) < size;
            const vf_now_at its = {is_own ? own_now.step : now.step, is_own ? own_now.time : now.time};
            rested[k] = vf_rest_lane(timed, its, marks + k);
        }
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
               || !(vf_decay_lanes(kind, VF_SMALL_POWER, layer, n, copies) < VF_SMALL))
        vf_decay_lanes(kind, VF_ANY_POWER, layer, n, copies);
    memset(copies.left + n, 0, sizeof(float) * VF_GROUP);
}

/* Copies the n records at copies.at. */
VF_INLINE void vf_copy_records(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                               const vf_own *own, int64_t n, vf_copies copies) {
    vf_read_numbers(kind, vf_copied_numbers(kind, lazy, layer), layer->record, layer->stride, n, copies);
    if (kind == VF_FTRL) {
        const float steps = lazy ? (float)clock->step : 0.0f, l1 = layer->penalty.l1, l2 = layer->penalty.l2;
        const vf_optimizer o = layer->optimizer;
        float *VF_RESTRICT w = copies.w;
        const float *VF_RESTRICT s1 = copies.s1, *VF_RESTRICT s2 = copies.s2;
        VF_EACH_LANE(k, n)
            w[k] = vf_ftrl_weight(s1[k], s2[k], 0.0f, l1, l2, steps, &o);
    } else if (lazy)
        vf_read_misses(kind, lazy, layer, clock, own, n, copies);
}

VF_INLINE void vf_find_records(const int32_t *VF_RESTRICT indices, int64_t n, int64_t *VF_RESTRICT at) {
    for (int64_t k = 0; k < n; k++)
        at[k] = indices[k];
    vf_fill_places(at, n);
}

VF_INLINE void vf_copy_row(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                           const int32_t *indices, int64_t n, vf_copies copies) {
    vf_find_records(indices, n, copies.at);
    vf_copy_records(kind, lazy, layer, clock, NULL, n, copies);
}

/* `readable`: how many values there are from the row's first on, in rows to come too. */
VF_INLINE void vf_take_values(vf_row row, int64_t readable, vf_copies copies) {
    float *VF_RESTRICT x = copies.x;
    const float *VF_RESTRICT values = row.values;
    const int64_t whole = row.length / VF_GROUP * VF_GROUP;
    if (row.length + VF_GROUP > readable) {
        for (int64_t k = 0; k < row.length; k++)
            x[k] = values[k];
        memset(x + row.length, 0, sizeof(float) * VF_GROUP);
        return;
    }
    for (int64_t from = 0; from < whole; from += VF_GROUP)
        memcpy(x + from, values + from, sizeof(float) * VF_GROUP);
    const int32_t length = (int32_t)(row.length - whole);
    uint32_t bits[VF_GROUP]; /* with a mask: compilers would branch for every one instead */
    memcpy(bits, values + whole, sizeof bits);
    VF_ONE_GROUP
    for (int32_t i = 0; i < VF_GROUP; i++)
        bits[i] &= 0u - (uint32_t)(i < length);
    memcpy(x + whole, bits, sizeof bits);
}

/* What a weight is worth now whose copy holds w. */
VF_INLINE vf_value vf_copied_now(const int kind, const int lazy, float w, float left, float threshold, float center,
                                 float lower, float sign) {
    const vf_value as_it_is = {w, 0.0f};
    const vf_missed missed = {left, threshold, sign};
    return vf_catches_up(kind, lazy) ? vf_shrunk(lazy, w, center, missed, lower) : as_it_is;
}

/* A sum a lane, so that a row does not wait for its own additions. */
VF_INLINE float vf_forward_copied(const int kind, const int lazy, const vf_linear *layer, int64_t n, vf_copies copies) {
    const float *VF_RESTRICT w = copies.w, *VF_RESTRICT left = copies.left, *VF_RESTRICT x = copies.x;
    const float *VF_RESTRICT threshold = copies.threshold, *VF_RESTRICT center = copies.center;
    const float *VF_RESTRICT sign = copies.sign;
    const float lower = layer->penalty.lower;
    float sums[VF_GROUP] = {0.0f};
    for (int64_t from = 0; from < n; from += VF_GROUP)
        for (int64_t i = 0; i < VF_GROUP; i++) {
            const int64_t k = from + i;
            const vf_value now = vf_copied_now(kind, lazy, w[k], left[k], lazy == VF_LAZY ? threshold[k] : 0.0f,
                                               lazy == VF_LAZY ? center[k] : 0.0f, lower,
                                               lazy == VF_LAZY ? sign[k] : 0.0f);
            sums[i] += x[k] * (now.base + now.change);
        }
    for (int64_t half = VF_GROUP / 2; half > 0; half /= 2)
        for (int64_t i = 0; i < half; i++)
            sums[i] += sums[i + half];
    return sums[0];
}

VF_INLINE void vf_means_lanes(const int kind, const int skips, const vf_linear *layer, vf_counts all, int64_t n,
                              vf_copies copies) {
    const vf_optimizer o = layer->optimizer;
    const float *VF_RESTRICT w = copies.w, *VF_RESTRICT left = copies.left, *VF_RESTRICT l2 = copies.l2;
    const float *VF_RESTRICT center = copies.center, *VF_RESTRICT steps = copies.steps, *VF_RESTRICT time = copies.time;
    const float *VF_RESTRICT s1 = copies.s1, *VF_RESTRICT s2 = copies.s2, *VF_RESTRICT row = copies.row;
    float *VF_RESTRICT average = copies.average;
    VF_EACH_LANE(k, n) {
        const vf_rest rest = {steps[k], time[k], 0.0f, l2[k], 0.0f};
        const vf_counts counts = {steps[k] < all.counted ? steps[k] : all.counted, all.now};
        const float strength = vf_strength(kind, vf_copied_state(kind, s1, s2, row, k), rest, &o);
        const float before = skips ? vf_left_after(kind, strength, steps[k] - counts.counted) : 0.0f;
        const float share = vf_mean_left(kind, strength, before, left[k], counts.counted);
        average[k] = vf_averaged(average[k], center[k] + (w[k] - center[k]) * share, counts);
    }
}

/* copies.average become the means as of now, before the weights change. */
VF_INLINE void vf_average_copies(const int kind, const vf_linear *layer, const vf_clock *clock, int64_t n, vf_copies copies) {
    const vf_counts all = vf_counts_of(layer, clock, INFINITY);
    if (!vf_decays_alone(layer))
        for (int64_t k = 0; k < n; k++) {
            const int64_t feature = copies.at[k];
            const float *record = layer->record + feature * layer->stride;
            vf_means_span(kind, layer, clock, record, feature, vf_read_row(kind, layer, record),
                          vf_read_rest(kind, VF_LAZY, layer, clock, record, feature), 0, 1, copies.average + k);
        }
    else if (vf_largest(copies.steps, n) > all.counted)
        vf_means_lanes(kind, 1, layer, all, n, copies);
    else
        vf_means_lanes(kind, 0, layer, all, n, copies);
}

/* The row's sum with means in place of weights. */
VF_INLINE float vf_forward_means(const int kind, const vf_linear *layer, const vf_clock *clock, int64_t n, vf_copies copies) {
    float sum = 0.0f;
    vf_average_copies(kind, layer, clock, n, copies);
    for (int64_t k = 0; k < n; k++)
        sum += copies.x[k] * copies.average[k];
    return sum;
}

/* Advances the copies by one step. A missed change can be smaller than a rounding of
 * the weight, and survives if it is first added to the step's. */
VF_INLINE void vf_step_copies(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                              int64_t n, vf_copies copies, float delta) {
    const vf_optimizer o = layer->optimizer;
    const float time_rate = (float)clock->rate, lower = layer->penalty.lower;
    float *VF_RESTRICT w = copies.w, *VF_RESTRICT s1 = copies.s1, *VF_RESTRICT s2 = copies.s2;
    float *VF_RESTRICT row = copies.row;
    const float *VF_RESTRICT left = copies.left, *VF_RESTRICT x = copies.x;
    const float *VF_RESTRICT threshold = copies.threshold, *VF_RESTRICT center = copies.center;
    const float *VF_RESTRICT sign = copies.sign;
    if (lazy == VF_LAZY && layer->average_slot >= 0)
        vf_average_copies(kind, layer, clock, n, copies);
    VF_EACH_LANE(k, n) {
        const float g = x[k] * delta, middle = lazy == VF_LAZY ? center[k] : 0.0f;
        const vf_value now = vf_copied_now(kind, lazy, w[k], left[k], lazy == VF_LAZY ? threshold[k] : 0.0f, middle, lower,
                                           lazy == VF_LAZY ? sign[k] : 0.0f);
        vf_state s = vf_copied_state(kind, s1, s2, row, k);
        const float rate = vf_step_row(kind, &s, g * g, time_rate, &o);
        const float change = vf_step(kind, &s, now.base, middle, g, rate, &o);
        w[k] = now.base + (vf_catches_up(kind, lazy) ? now.change + change : change);
        if (VF_USES_S1(kind))
            s1[k] = s.s1;
        if (VF_HAS_S2(kind))
            s2[k] = s.s2;
        if (VF_USES_ROW(kind))
            row[k] = s.row;
    }
}

/* Stores the stepped copies. What another thread did to such a record since it was read is lost: that is rare, since
 * each has its own copies of hot ones (merge_one.h). */
VF_INLINE void vf_put_copies(const int kind, const int lazy, const vf_linear *layer, int64_t n, vf_copies copies) {
    const vf_linear fixed = *layer; /* no store can alias it */
    vf_write_numbers(kind, vf_copied_numbers(kind, lazy, &fixed), fixed.record, fixed.stride, n, copies);
}

VF_INLINE void vf_update_copied(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                                vf_row row, vf_copies copies, float delta) {
    vf_take_values(row, 0, copies);
    vf_step_copies(kind, lazy, layer, clock, row.length, copies, delta);
    vf_put_copies(kind, lazy, layer, row.length, copies);
}

/* Features that never came have nothing to catch up on, unless zero is not where they
 * belong. They are left alone: their memory is only reserved. */
VF_INLINE int vf_is_untouched(const vf_linear *layer, const float *record) {
    if (layer->penalty.center || layer->penalty.lower > 0.0f)
        return 0;
    for (int64_t c = 0; c < layer->size; c++)
        if (record[c] != 0.0f)
            return 0;
    return 1;
}

VF_INLINE int vf_is_bad(float w) {
    return (vf_to_bits(w) & 0x7F800000) == 0x7F800000; /* infinite or NaN */
}

/* In blocks of features, as if each were a row. */
VF_INLINE int64_t vf_settle_copied(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                                   int64_t from, int64_t to) {
    float w[VF_GROUP] = {0.0f}, s1[VF_GROUP] = {0.0f}, s2[VF_GROUP] = {0.0f}, row[VF_GROUP] = {0.0f};
    float left[2 * VF_GROUP] = {0.0f}, marks[VF_GROUP] = {0.0f}, average[VF_GROUP] = {0.0f}, rested[VF_GROUP] = {0.0f};
    int64_t at[2 * VF_GROUP];
    vf_copies copies = {left};
    int32_t features[VF_GROUP];
    int64_t bad = 0;
    copies.w = w, copies.s1 = s1, copies.s2 = s2, copies.row = row, copies.at = at;
    copies.clock = marks, copies.average = average, copies.steps = copies.time = rested;
    for (; from < to; from += VF_GROUP) {
        int64_t n = 0;
        for (int64_t feature = from; feature < to && feature < from + VF_GROUP; feature++) {
            features[n] = (int32_t)feature;
            n += !vf_is_untouched(layer, layer->record + feature * layer->stride);
        }
        if (n == 0)
            continue;
        vf_copy_row(kind, lazy, layer, clock, features, n, copies);
        for (int64_t k = 0; k < n; k++) {
            float *record = layer->record + at[k] * layer->stride;
            record[0] = w[k] + w[k] * left[k];
            vf_touch(kind, layer, clock, record);
            bad += vf_is_bad(record[0]);
        }
    }
    return bad;
}

/* Works FTRL's weights out of their sums. Weights of zero that are zero are not written, so that their memory stays
 * only reserved. The stride is a constant where this has to be quick. */
VF_INLINE int64_t vf_settle_sums(const int lazy, const vf_linear *layer, const vf_clock *clock, int64_t from, int64_t to,
                                 const int64_t stride) {
    enum { BLOCK = 16 * VF_GROUP };
    const float steps = lazy ? (float)clock->step : 0.0f, l1 = layer->penalty.l1, l2 = layer->penalty.l2;
    const vf_optimizer o = layer->optimizer;
    int64_t bad = 0;
    for (; from < to; from += BLOCK) {
        const int64_t n = to - from < BLOCK ? to - from : BLOCK;
        const float *VF_RESTRICT sums = layer->record + stride * from;
        float *values = layer->values + from, w[BLOCK];
        int32_t moved = 0;
        for (int64_t k = 0; k < n; k++) {
            w[k] = vf_ftrl_weight(sums[stride * k], sums[stride * k + 1], 0.0f, l1, l2, steps, &o);
            moved |= (w[k] != 0.0f) | (values[k] != 0.0f);
            bad += vf_is_bad(w[k]);
        }
        if (moved)
            memcpy(values, w, sizeof(float) * (size_t)n);
    }
    return bad;
}

#endif
