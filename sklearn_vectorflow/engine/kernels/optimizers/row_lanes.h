/* One output: a row's records are copied when the row is read, and written back when it is
 * updated. The arithmetic between runs over arrays, in vector lanes; only loading and storing
 * are scattered. FTRL's records hold its two sums alone: weights are worked out of them, see
 * vf_linear.values. (Where more than one strength of L1 and L2 acts on FTRL's weights, its
 * records hold them, too, and linear_one.h reads these one by one.) */
#ifndef VF_COPIED_H
#define VF_COPIED_H

#include "kernels/optimizers/copied_means.h"
#include "kernels/rows/rows.h"

/* Copies the n records at copies.at. */
VF_INLINE void vf_copy_records(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                               const vf_own *own, int64_t n, vf_copies copies) {
    vf_read_numbers(kind, vf_copied_numbers(kind, lazy, layer), layer->record, layer->stride, n, copies);
    if (kind == VF_FTRL) {
        const float steps = lazy ? (float)clock->step : 0.0f, l1 = layer->penalty.l1, l2 = layer->penalty.l2;
        const vf_optimizer o = layer->optimizer;
        float *VF_RESTRICT w = copies.w;
        const float *VF_RESTRICT s1 = copies.s1, *VF_RESTRICT s2 = copies.s2;
        VF_EACH_LANE(k, n, { w[k] = vf_ftrl_weight(s1[k], s2[k], 0.0f, l1, l2, steps, &o); });
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
    copies.feature = indices;
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

/* The row's sum with means in place of weights. */
VF_INLINE float vf_forward_means(const int kind, const vf_linear *layer, const vf_clock *clock, int64_t n, vf_copies copies) {
    float sum = 0.0f;
    vf_average_copies(kind, layer, clock, NULL, n, copies);
    for (int64_t k = 0; k < n; k++)
        sum += copies.x[k] * copies.average[k];
    return sum;
}

/* Advances the copies by one step. A missed change can be smaller than a rounding of
 * the weight, and survives if it is first added to the step's. */
VF_INLINE void vf_step_copies(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                              const vf_own *own, int64_t n, vf_copies copies, float delta) {
    const vf_optimizer o = layer->optimizer;
    const float time_rate = (float)clock->rate, lower = layer->penalty.lower;
    float *VF_RESTRICT w = copies.w, *VF_RESTRICT s1 = copies.s1, *VF_RESTRICT s2 = copies.s2;
    float *VF_RESTRICT row = copies.row;
    const float *VF_RESTRICT left = copies.left, *VF_RESTRICT x = copies.x;
    const float *VF_RESTRICT threshold = copies.threshold, *VF_RESTRICT center = copies.center;
    const float *VF_RESTRICT sign = copies.sign;
    if (lazy == VF_LAZY && layer->average_slot >= 0)
        vf_average_copies(kind, layer, clock, own, n, copies);
    VF_EACH_LANE(k, n, {
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
    });
}

/* Stores the stepped copies. What another thread did to such a record since it was read is lost: that is rare, since
 * each has copies of its own of hot ones (merge_one.h). */
VF_INLINE void vf_put_copies(const int kind, const int lazy, const vf_linear *layer, int64_t n, vf_copies copies) {
    const vf_linear fixed = *layer; /* no store can alias it */
    vf_write_numbers(kind, vf_copied_numbers(kind, lazy, &fixed), fixed.record, fixed.stride, n, copies);
}

VF_INLINE void vf_update_copied(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                                vf_row row, vf_copies copies, float delta) {
    vf_take_values(row, 0, copies);
    vf_step_copies(kind, lazy, layer, clock, NULL, row.length, copies, delta);
    vf_put_copies(kind, lazy, layer, row.length, copies);
}

#endif
