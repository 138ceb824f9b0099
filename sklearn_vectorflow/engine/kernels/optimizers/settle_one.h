/* Brings records up to the present: what their weights still miss is applied. */
#ifndef VF_SETTLE_ONE_H
#define VF_SETTLE_ONE_H

#include "kernels/optimizers/row_lanes.h"

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

VF_INLINE int64_t vf_settle_lazy(const int kind, const vf_linear *layer, const vf_clock *clock, int64_t from, int64_t to) {
    int64_t bad = 0;
    for (int64_t feature = from; feature < to; feature++) {
        float *record = layer->record + feature * layer->stride;
        if (vf_is_untouched(layer, record))
            continue;
        const float row = vf_read_row(kind, layer, record);
        const vf_rest rest = vf_read_rest(kind, VF_LAZY, layer, clock, record, feature);
        if (layer->average_slot >= 0)
            vf_average_record(kind, layer, clock, record, feature, row, rest);
        for (int64_t c = 0; c < layer->n_out; c++) {
            const vf_state s = vf_read_state(kind, layer, record, c, row);
            const vf_value now = vf_now(kind, VF_LAZY, 1, record[c], vf_center(VF_LAZY, layer, feature, c), s, rest, clock, layer);
            record[c] = now.base + now.change;
            bad += vf_is_bad(record[c]);
        }
        vf_touch(kind, layer, clock, record);
    }
    return bad;
}

#endif
