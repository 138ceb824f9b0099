/* One output and at most one L2 strength: a row's records are copied when the row
 * is read, and written back when it is updated. The arithmetic between runs over
 * arrays, in vector lanes; only loading and storing are scattered. */
#ifndef VF_COPIED_H
#define VF_COPIED_H

#include "misses.h"
#include "rows.h"

VF_INLINE int vf_is_copied(const int kind, const int lazy, int32_t n_out) {
    return kind != VF_FIXED && lazy != VF_LAZY && n_out == 1;
}

/* left[k] holds the steps (SGD: the time) a weight has rested, and becomes its missed
 * factor less one. */
VF_INLINE void vf_decay_copies(const int kind, const vf_linear *layer, int64_t n, vf_copies copies, float largest_rate) {
    const vf_optimizer o = layer->optimizer;
    const float l2 = layer->penalty.l2;
    float *VF_RESTRICT left = copies.left;
    const float *VF_RESTRICT s1 = copies.s1, *VF_RESTRICT s2 = copies.s2, *VF_RESTRICT row = copies.row;
    if (kind == VF_SGD)
        for (int64_t k = 0; k < n; k++)
            left[k] = vf_expm1_negative(-left[k] * l2);
    else if (VF_USES_RESTING(kind) && largest_rate * l2 < 0.01f)
        for (int64_t k = 0; k < n; k++)
            left[k] = vf_power_m1_small(o.learning_rate * (kind == VF_ADAGRAD ? s1[k] : row[k]) * l2, left[k]);
    else
        for (int64_t k = 0; k < n; k++) {
            const vf_state s = {VF_USES_S1(kind) ? s1[k] : 0.0f, VF_USES_S2(kind) ? s2[k] : 0.0f,
                                VF_USES_ROW(kind) ? row[k] : 0.0f};
            left[k] = vf_power_m1(0, vf_resting_rate(kind, s, &o) * l2, left[k]);
        }
}

VF_INLINE void vf_copy_row(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                           const int32_t *indices, int64_t n, vf_copies copies) {
    const float *const records = layer->record;
    const int64_t stride = layer->stride, slot1 = layer->slot1, slot2 = layer->slot2, row_slot = layer->row_slot;
    float largest = 0.0f;
    for (int64_t k = 0; k < n; k++) {
        const float *record = records + indices[k] * stride;
        copies.w[k] = record[0];
        if (VF_USES_S1(kind))
            copies.s1[k] = record[slot1];
        if (VF_USES_S2(kind))
            copies.s2[k] = record[slot2];
        if (VF_USES_ROW(kind))
            copies.row[k] = record[row_slot];
        if (lazy && kind != VF_FTRL) {
            const vf_rest rest = vf_read_rest(kind, VF_DECAYING, layer, clock, record, indices[k]);
            const float rate = kind == VF_ADAGRAD ? record[slot1] : kind == VF_ADAGRAD_ROWWISE ? record[row_slot] : 0.0f;
            copies.left[k] = kind == VF_SGD ? rest.time : rest.steps;
            largest = rate > largest ? rate : largest;
        }
    }
    if (lazy && kind == VF_FTRL)
        for (int64_t k = 0; k < n; k++)
            copies.w[k] = vf_ftrl_weight(copies.s1[k], copies.s2[k], 0.0f, 0.0f, layer->penalty.l2, (float)clock->step,
                                         &layer->optimizer);
    else if (lazy)
        vf_decay_copies(kind, layer, n, copies, largest * layer->optimizer.learning_rate);
}

VF_INLINE float vf_copied_term(const int kind, const int lazy, vf_row row, vf_copies copies, int64_t k) {
    const float w = copies.w[k];
    return row.values[k] * (lazy && kind != VF_FTRL ? w + w * copies.left[k] : w);
}

/* Four sums, so that a row does not wait for its own additions. */
VF_INLINE float vf_forward_copied(const int kind, const int lazy, vf_row row, vf_copies copies) {
    float a = 0.0f, b = 0.0f, c = 0.0f, d = 0.0f;
    int64_t k = 0;
    for (; k + 4 <= row.length; k += 4) {
        a += vf_copied_term(kind, lazy, row, copies, k);
        b += vf_copied_term(kind, lazy, row, copies, k + 1);
        c += vf_copied_term(kind, lazy, row, copies, k + 2);
        d += vf_copied_term(kind, lazy, row, copies, k + 3);
    }
    for (; k < row.length; k++)
        a += vf_copied_term(kind, lazy, row, copies, k);
    return (a + b) + (c + d);
}

/* Advances the copies by one step. A missed change can be smaller than a rounding of
 * the weight, and survives if it is first added to the step's. */
VF_INLINE void vf_step_copies(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                              vf_row given, vf_copies copies, float delta) {
    const vf_optimizer o = layer->optimizer;
    const int64_t n = given.length;
    float *VF_RESTRICT w = copies.w, *VF_RESTRICT s1 = copies.s1, *VF_RESTRICT s2 = copies.s2;
    float *VF_RESTRICT row = copies.row;
    const float *VF_RESTRICT left = copies.left, *VF_RESTRICT values = given.values;
    for (int64_t k = 0; k < n; k++) {
        const float g = values[k] * delta;
        const float before = VF_USES_ROW(kind) ? row[k] : 0.0f, after = vf_step_row(kind, before, g * g, &o);
        const float rate = kind == VF_SGD ? (float)clock->rate : o.learning_rate * after;
        vf_state s = {VF_USES_S1(kind) ? s1[k] : 0.0f, VF_USES_S2(kind) ? s2[k] : 0.0f, after};
        const float change = vf_step(kind, &s, w[k], 0.0f, g, rate, &o);
        w[k] += lazy && kind != VF_FTRL ? w[k] * left[k] + change : change;
        if (VF_USES_S1(kind))
            s1[k] = s.s1;
        if (VF_USES_S2(kind))
            s2[k] = s.s2;
        if (VF_USES_ROW(kind))
            row[k] = after;
        if (kind == VF_FTRL)
            w[k] = vf_ftrl_weight(s.s1, s.s2, 0.0f, 0.0f, 0.0f, 0.0f, &o);
    }
}

/* Remembers copies as they are, to tell what a step changes. */
VF_INLINE void vf_keep_copies(const int kind, vf_copies copies, vf_copies before, int64_t n) {
    memcpy(before.w, copies.w, sizeof(float) * (size_t)n);
    if (VF_USES_S1(kind))
        memcpy(before.s1, copies.s1, sizeof(float) * (size_t)n);
    if (VF_USES_S2(kind))
        memcpy(before.s2, copies.s2, sizeof(float) * (size_t)n);
    if (VF_USES_ROW(kind))
        memcpy(before.row, copies.row, sizeof(float) * (size_t)n);
}

/* A sum of squares under its root grows by a factor; the first one is a value. */
VF_INLINE float vf_scaled(float scale, float before, float after) {
    return before > 0.0f && scale > 0.0f ? scale * (after / before) : after;
}

/* Adds what a step changed, so that what other threads did to the records meanwhile
 * stays: the way to store where several threads train. */
VF_INLINE void vf_add_copies(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                             const int32_t *indices, int64_t n, vf_copies before, vf_copies after) {
    const vf_linear fixed = *layer; /* no store can alias it */
    const int64_t stride = fixed.stride, slot1 = fixed.slot1, slot2 = fixed.slot2, row_slot = fixed.row_slot;
    for (int64_t k = 0; k < n; k++) {
        float *record = fixed.record + indices[k] * stride;
        if (kind == VF_ADAGRAD)
            record[slot1] = vf_scaled(record[slot1], before.s1[k], after.s1[k]);
        else if (VF_USES_S1(kind))
            record[slot1] += after.s1[k] - before.s1[k];
        if (VF_USES_S2(kind))
            record[slot2] += after.s2[k] - before.s2[k];
        if (kind == VF_ADAGRAD_ROWWISE)
            record[row_slot] = vf_scaled(record[row_slot], before.row[k], after.row[k]);
        else if (VF_USES_ROW(kind))
            record[row_slot] += after.row[k] - before.row[k];
        if (kind == VF_FTRL)
            record[0] = vf_ftrl_weight(record[slot1], record[slot2], 0.0f, 0.0f, 0.0f, 0.0f, &fixed.optimizer);
        else
            record[0] += after.w[k] - before.w[k];
        if (lazy)
            vf_touch(kind, &fixed, clock, record);
    }
}

VF_INLINE void vf_update_copied(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                                vf_row row, vf_copies copies, float delta) {
    const vf_linear fixed = *layer; /* no store can alias it */
    const int64_t stride = fixed.stride, slot1 = fixed.slot1, slot2 = fixed.slot2, row_slot = fixed.row_slot;
    vf_step_copies(kind, lazy, layer, clock, row, copies, delta);
    for (int64_t k = 0; k < row.length; k++) {
        float *record = fixed.record + row.indices[k] * stride;
        record[0] = copies.w[k];
        if (VF_USES_S1(kind))
            record[slot1] = copies.s1[k];
        if (VF_USES_S2(kind))
            record[slot2] = copies.s2[k];
        if (VF_USES_ROW(kind))
            record[row_slot] = copies.row[k];
        if (lazy)
            vf_touch(kind, &fixed, clock, record);
    }
}

#endif
