/* The linear layer with one output: a loop over non-zeros, each a scattered record. */
#ifndef VF_LINEAR_ONE_H
#define VF_LINEAR_ONE_H

#include "kernels/optimizers/average.h"
#include "kernels/optimizers/row_lanes.h"
#include "kernels/optimizers/misses.h"
#include "kernels/rows/rows.h"

/* What a weight that catches up is worth now; of FTRL's, only its state knows. */
VF_INLINE vf_value vf_value_of(const int kind, const vf_linear *layer, const vf_clock *clock, const float *record,
                               int64_t feature, vf_copies copies, int64_t k) {
    const float center = vf_center(VF_LAZY, layer, feature, 0);
    if (kind != VF_FTRL)
        return vf_shrunk(VF_LAZY, record[0], center, vf_missed_at(VF_LAZY, copies, k), layer->penalty.lower);
    return vf_now(kind, VF_LAZY, 1, record[0], center, vf_read_state(kind, layer, record, 0, 0.0f),
                  vf_read_rest(kind, VF_LAZY, layer, clock, record, feature), clock, layer);
}

VF_INLINE float vf_term(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, vf_row row,
                        vf_copies copies, int64_t k) {
    const int64_t feature = row.indices[k];
    const float *record = layer->record + feature * layer->stride;
    if (!lazy)
        return row.values[k] * record[0];
    const vf_value now = vf_value_of(kind, layer, clock, record, feature, copies, k);
    return row.values[k] * (now.base + now.change);
}

/* Four sums, so that a row does not wait for its own additions. */
VF_INLINE float vf_forward_one(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, vf_row row,
                               vf_copies copies) {
    float a = 0.0f, b = 0.0f, c = 0.0f, d = 0.0f;
    int64_t k = 0;
    if (vf_is_copied(kind, lazy, 1)) {
        vf_take_values(row, 0, copies);
        return vf_forward_copied(kind, lazy, row.length, copies);
    }
    for (; k + 4 <= row.length; k += 4) {
        a += vf_term(kind, lazy, layer, clock, row, copies, k);
        b += vf_term(kind, lazy, layer, clock, row, copies, k + 1);
        c += vf_term(kind, lazy, layer, clock, row, copies, k + 2);
        d += vf_term(kind, lazy, layer, clock, row, copies, k + 3);
    }
    for (; k < row.length; k++)
        a += vf_term(kind, lazy, layer, clock, row, copies, k);
    return (a + b) + (c + d);
}

/* The update with all that a weight can catch up on. */
VF_INLINE void vf_update_lazy(const int kind, const vf_linear *given, const vf_clock *clock, vf_row row,
                              vf_copies copies, float delta) {
    const vf_linear fixed = *given, *layer = &fixed; /* no store can alias it */
    const vf_optimizer *o = &layer->optimizer;
    for (int64_t k = 0; k < row.length; k++) {
        const int64_t feature = row.indices[k];
        const float g = row.values[k] * delta, center = vf_center(VF_LAZY, layer, feature, 0);
        float *record = layer->record + feature * layer->stride;
        const float before = vf_read_row(kind, layer, record);
        vf_state s = vf_read_state(kind, layer, record, 0, before);
        if (layer->average_slot >= 0)
            vf_average_record(kind, layer, clock, record, feature, before,
                              vf_read_rest(kind, VF_LAZY, layer, clock, record, feature));
        const vf_value now = vf_value_of(kind, layer, clock, record, feature, copies, k);
        const float rate = vf_step_row(kind, &s, g * g, (float)clock->rate, o);
        const float change = vf_step(kind, &s, now.base, center, g, rate, o);
        record[0] = now.base + (now.change + change);
        vf_write_state(kind, layer, record, 0, s);
        vf_touch(kind, layer, clock, record);
    }
}

VF_INLINE void vf_update_one(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, vf_row row,
                             vf_copies copies, float delta) {
    if (lazy == VF_LAZY)
        vf_update_lazy(kind, layer, clock, row, copies, delta);
    else
        vf_update_copied(kind, lazy, layer, clock, row, copies, delta);
}

#endif
