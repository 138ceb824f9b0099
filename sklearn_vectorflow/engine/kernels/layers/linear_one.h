/* The linear layer with one output: a loop over non-zeros, each a scattered record. */
#ifndef VF_LINEAR_ONE_H
#define VF_LINEAR_ONE_H

#include "kernels/optimizers/row_lanes.h"
#include "kernels/optimizers/misses.h"
#include "kernels/rows/rows.h"

/* What a weight that its record holds is worth now. FTRL's are not copied where more than one strength acts on
 * them, and those that are not trained never. */
VF_INLINE vf_value vf_value_of(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                               const float *record, int64_t feature) {
    const vf_value as_it_is = {record[0], 0.0f};
    return !lazy ? as_it_is
                 : vf_now(kind, lazy, 1, record[0], vf_center(lazy, layer, feature, 0),
                          vf_read_state(kind, layer, record, 0, 0.0f), vf_read_rest(kind, lazy, layer, clock, record, feature),
                          clock, layer);
}

VF_INLINE float vf_term(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, vf_row row,
                        int64_t k) {
    const int64_t feature = row.indices[k];
    return row.values[k] * vf_value_of(kind, lazy, layer, clock, layer->record + feature * layer->stride, feature).base;
}

/* Four sums, so that a row does not wait for its own additions. */
VF_INLINE float vf_forward_one(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, vf_row row,
                               vf_copies copies) {
    float a = 0.0f, b = 0.0f, c = 0.0f, d = 0.0f;
    int64_t k = 0;
    if (vf_is_copied(kind, lazy, 1)) {
        vf_take_values(row, 0, copies);
        if (lazy == VF_LAZY && layer->gives_means && layer->average_slot >= 0)
            return vf_forward_means(kind, layer, clock, row.length, copies);
        return vf_forward_copied(kind, lazy, layer, row.length, copies);
    }
    for (; k + 4 <= row.length; k += 4) {
        a += vf_term(kind, lazy, layer, clock, row, k);
        b += vf_term(kind, lazy, layer, clock, row, k + 1);
        c += vf_term(kind, lazy, layer, clock, row, k + 2);
        d += vf_term(kind, lazy, layer, clock, row, k + 3);
    }
    for (; k < row.length; k++)
        a += vf_term(kind, lazy, layer, clock, row, k);
    return (a + b) + (c + d);
}

/* The update of what is not copied. */
VF_INLINE void vf_update_in_place(const int kind, const int lazy, const vf_linear *given, const vf_clock *clock,
                                  vf_row row, float delta) {
    const vf_linear fixed = *given, *layer = &fixed; /* no store can alias it */
    for (int64_t k = 0; k < row.length; k++) {
        const int64_t feature = row.indices[k];
        float *record = layer->record + feature * layer->stride;
        vf_state s = vf_read_state(kind, layer, record, 0, 0.0f);
        const vf_value now = vf_value_of(kind, lazy, layer, clock, record, feature);
        record[0] = now.base + vf_step(kind, &s, now.base, vf_center(lazy, layer, feature, 0), row.values[k] * delta, 0.0f,
                                       &layer->optimizer);
        vf_write_state(kind, layer, record, 0, s);
    }
}

VF_INLINE void vf_update_one(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, vf_row row,
                             vf_copies copies, float delta) {
    if (vf_is_copied(kind, lazy, 1))
        vf_update_copied(kind, lazy, layer, clock, row, copies, delta);
    else
        vf_update_in_place(kind, lazy, layer, clock, row, delta);
}

#endif
