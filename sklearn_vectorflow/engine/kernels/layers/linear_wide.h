/* The linear layer with several outputs: each non-zero is a contiguous row of
 * weights, and the lanes of a vector unit are outputs. */
#ifndef VF_LINEAR_WIDE_H
#define VF_LINEAR_WIDE_H

#include "kernels/optimizers/average.h"
#include "kernels/optimizers/misses.h"
#include "kernels/rows/rows.h"

/* ---- forward ----------------------------------------------------------------- */

/* out += v0 r0 + v1 r1 + v2 r2 + v3 r3: four non-zeros for one pass over the sums. */
VF_INLINE void vf_add_four(float *VF_RESTRICT out, const float *const *r, const float *v, int64_t n) {
    const float *r0 = r[0], *r1 = r[1], *r2 = r[2], *r3 = r[3];
    const float v0 = v[0], v1 = v[1], v2 = v[2], v3 = v[3];
    for (int64_t c = 0; c < n; c++)
        out[c] += (v0 * r0[c] + v1 * r1[c]) + (v2 * r2[c] + v3 * r3[c]);
}

/* Whether weights are stored as they are, up to a factor a feature. */
VF_INLINE int vf_is_scaled(const int kind, const int lazy) {
    return lazy == VF_EAGER || (lazy == VF_DECAYING && VF_ROW_RATE(kind));
}

/* The sums of such weights. */
VF_INLINE void vf_forward_scaled(const int lazy, const vf_linear *layer, vf_row row, vf_copies copies,
                                 float *VF_RESTRICT out) {
    const int64_t n = layer->n_out;
    int64_t k = 0;
    for (; k + 4 <= row.length; k += 4) {
        const float *r[4];
        float v[4];
        for (int64_t i = 0; i < 4; i++) {
            const int64_t feature = row.indices[k + i];
            r[i] = layer->record + feature * layer->stride;
            v[i] = lazy ? row.values[k + i] * (1.0f + copies.left[k + i]) : row.values[k + i];
        }
        vf_add_four(out, r, v, n);
    }
    for (; k < row.length; k++) {
        const int64_t feature = row.indices[k];
        const float *r = layer->record + feature * layer->stride;
        const float v = lazy ? row.values[k] * (1.0f + copies.left[k]) : row.values[k];
        for (int64_t c = 0; c < n; c++)
            out[c] += v * r[c];
    }
}

VF_INLINE vf_missed vf_row_missed(const int kind, const int lazy, vf_copies copies, int64_t k) {
    const vf_missed none = {0.0f, 0.0f};
    return lazy && VF_ROW_RATE(kind) ? vf_missed_at(lazy, copies, k) : none;
}

/* Adds v times the current weights of a record. */
VF_INLINE void vf_add_now(const int kind, const int lazy, const int centered, const vf_linear *layer, const vf_clock *clock,
                          int64_t feature, float v, vf_missed missed, float *VF_RESTRICT out) {
    const float lower = layer->penalty.lower;
    const float *VF_RESTRICT record = layer->record + feature * layer->stride;
    const float *VF_RESTRICT s1 = record + layer->slot1, *VF_RESTRICT s2 = record + layer->slot2;
    const float *VF_RESTRICT center = centered ? layer->penalty.center + feature * layer->n_out : NULL;
    const vf_rest rest = vf_read_rest(kind, lazy, layer, clock, record, feature);
    const float row = vf_read_row(kind, layer, record);
    const int64_t n = layer->n_out;
    for (int64_t c = 0; c < n; c++) {
        const vf_state s = {VF_USES_S1(kind) ? s1[c] : 0.0f, VF_USES_S2(kind) ? s2[c] : 0.0f, row};
        const float middle = centered ? center[c] : 0.0f;
        const vf_value now = VF_ROW_RATE(kind) ? vf_shrunk(lazy, record[c], middle, missed, lower)
                                               : vf_now(kind, lazy, 0, record[c], middle, s, rest, clock, layer);
        out[c] += v * (now.base + now.change);
    }
}

/* The same with its means in place of weights. */
VF_INLINE void vf_add_means(const int kind, const vf_linear *layer, const vf_clock *clock, int64_t feature, float v,
                            float *VF_RESTRICT out) {
    const float *record = layer->record + feature * layer->stride;
    const vf_rest rest = vf_read_rest(kind, VF_LAZY, layer, clock, record, feature);
    float means[VF_MEANS_SPAN];
    for (int64_t from = 0; from < layer->n_out; from += VF_MEANS_SPAN) {
        const int64_t n = layer->n_out - from < VF_MEANS_SPAN ? layer->n_out - from : VF_MEANS_SPAN;
        vf_means_span(kind, layer, clock, record, feature, vf_read_row(kind, layer, record), rest, from, n, means);
        for (int64_t i = 0; i < n; i++)
            out[from + i] += v * means[i];
    }
}

VF_INLINE void vf_forward_wide(const int kind, const int lazy, const vf_linear *given, const vf_clock *given_clock,
                               vf_row row, vf_copies copies, float *VF_RESTRICT out) {
    const vf_linear fixed = *given, *layer = &fixed; /* no store can alias them */
    const vf_clock now = *given_clock, *clock = &now;
    if (lazy == VF_LAZY && layer->gives_means && layer->average_slot >= 0)
        for (int64_t k = 0; k < row.length; k++)
            vf_add_means(kind, layer, clock, row.indices[k], row.values[k], out);
    else if (vf_is_scaled(kind, lazy))
        vf_forward_scaled(lazy, layer, row, copies, out);
    else if (lazy == VF_LAZY && layer->penalty.center)
        for (int64_t k = 0; k < row.length; k++)
            vf_add_now(kind, lazy, 1, layer, clock, row.indices[k], row.values[k], vf_row_missed(kind, lazy, copies, k), out);
    else
        for (int64_t k = 0; k < row.length; k++)
            vf_add_now(kind, lazy, 0, layer, clock, row.indices[k], row.values[k], vf_row_missed(kind, lazy, copies, k), out);
}

/* ---- update -------------------------------------------------------------------- */

/* What all weights of a feature share in a step: their state before and after it, and the step size. */
typedef struct {
    vf_state before, after;
    float rate;
} vf_shared;

/* One step on outputs [from, from + n) of a record; n is a constant for most. */
VF_INLINE void vf_update_span(const int kind, const int lazy, const int centered, const vf_linear *layer,
                              const vf_clock *clock, float *VF_RESTRICT record, const float *VF_RESTRICT center,
                              const float *VF_RESTRICT delta, float v, vf_shared shared, vf_rest rest,
                              vf_missed missed, const int64_t from, const int64_t n) {
    const vf_optimizer o = layer->optimizer;
    const float lower = layer->penalty.lower;
    float *VF_RESTRICT s1 = record + layer->slot1, *VF_RESTRICT s2 = record + layer->slot2;
    for (int64_t c = from; c < from + n; c++) {
        const float middle = centered ? center[c] : 0.0f, g = v * delta[c];
        vf_state s = shared.before;
        s.s1 = VF_USES_S1(kind) ? s1[c] : 0.0f;
        s.s2 = VF_USES_S2(kind) ? s2[c] : 0.0f;
        vf_value now = {record[c], 0.0f};
        if (lazy)
            now = VF_ROW_RATE(kind) ? vf_shrunk(lazy, record[c], middle, missed, lower)
                                    : vf_now(kind, lazy, 0, record[c], middle, s, rest, clock, layer);
        s.row = shared.after.row;
        const float change = vf_step(kind, &s, now.base, middle, g, shared.rate, &o);
        float w = now.base + (now.change + change);
        if (kind == VF_FTRL && !lazy)
            w = vf_ftrl_weight(s.s1, s.s2, 0.0f, 0.0f, 0.0f, 0.0f, &o);
        record[c] = w;
        if (VF_USES_S1(kind))
            s1[c] = s.s1;
        if (VF_USES_S2(kind))
            s2[c] = s.s2;
    }
}

VF_INLINE void vf_update_record(const int kind, const int lazy, const int centered, const vf_linear *layer,
                                const vf_clock *clock, int64_t feature, const float *delta, float v, vf_shared shared,
                                vf_missed missed) {
    float *record = layer->record + feature * layer->stride;
    const float *center = centered ? layer->penalty.center + feature * layer->n_out : NULL;
    const int64_t n = layer->n_out;
    vf_rest rest = {0.0f, 0.0f, 0.0f, 0.0f};
    if (lazy) {
        rest = vf_read_rest(kind, lazy, layer, clock, record, feature);
        if (lazy == VF_LAZY && layer->average_slot >= 0)
            vf_average_record(kind, layer, clock, record, feature, shared.before.row, rest);
    }
    int64_t from = 0;
    for (; from + 16 <= n; from += 16)
        vf_update_span(kind, lazy, centered, layer, clock, record, center, delta, v, shared, rest, missed, from, 16);
    if (from < n)
        vf_update_span(kind, lazy, centered, layer, clock, record, center, delta, v, shared, rest, missed, from, n - from);
    if (VF_USES_ROW(kind))
        record[layer->row_slot] = shared.after.row;
    if (kind == VF_ADAM_ROWWISE)
        record[layer->row_slot + 1] = shared.after.s2;
    if (lazy)
        vf_touch(kind, layer, clock, record);
}

/* The step of what features keep for all their weights, in lanes of features: copies.row and s2 become their
 * state after it, and copies.w the step sizes. `squares`: the mean over its outputs of each one's squared gradient,
 * for rules that keep it. */
VF_INLINE void vf_step_rows(const int kind, const vf_linear *layer, const vf_clock *clock, vf_row row, vf_copies copies,
                            const float *VF_RESTRICT squares) {
    const vf_optimizer o = layer->optimizer;
    const float time_rate = (float)clock->rate;
    float *VF_RESTRICT state = copies.row, *VF_RESTRICT second = copies.s2, *VF_RESTRICT rate = copies.w;
    if (VF_USES_ROW(kind)) {
        const float *records = layer->record + layer->row_slot;
        for (int64_t k = 0; k < row.length; k++) {
            state[k] = records[row.indices[k] * (int64_t)layer->stride];
            if (kind == VF_ADAM_ROWWISE)
                second[k] = records[row.indices[k] * (int64_t)layer->stride + 1];
        }
    }
    for (int64_t k = 0; k < row.length; k++) {
        vf_state s = {0.0f, kind == VF_ADAM_ROWWISE ? second[k] : 0.0f, VF_USES_ROW(kind) ? state[k] : 0.0f};
        rate[k] = vf_step_row(kind, &s, VF_USES_SQUARE(kind) ? squares[k] : 0.0f, time_rate, &o);
        if (VF_USES_ROW(kind))
            state[k] = s.row;
        if (kind == VF_ADAM_ROWWISE)
            second[k] = s.s2;
    }
}

/* Sets copies.x: what vf_step_rows needs of a row. */
VF_INLINE void vf_square_row(const int kind, const vf_linear *layer, vf_row row, vf_copies copies, const float *delta) {
    float *VF_RESTRICT squares = copies.x, square = 0.0f;
    const float *VF_RESTRICT values = row.values;
    for (int64_t c = 0; c < layer->n_out; c++)
        square += delta[c] * delta[c];
    square /= (float)layer->n_out;
    for (int64_t k = 0; k < row.length && VF_USES_SQUARE(kind); k++)
        squares[k] = values[k] * values[k] * square;
}

/* What vf_step_rows found for entry k of the row. */
VF_INLINE vf_shared vf_shared_at(const int kind, const vf_linear *layer, const float *record, vf_copies copies, int64_t k) {
    vf_shared shared = {{0.0f}, {0.0f}, copies.w[k]};
    shared.before.row = vf_read_row(kind, layer, record);
    shared.after.row = VF_USES_ROW(kind) ? copies.row[k] : 0.0f;
    shared.after.s2 = kind == VF_ADAM_ROWWISE ? copies.s2[k] : 0.0f;
    return shared;
}

VF_INLINE void vf_update_records(const int kind, const int lazy, const int centered, const vf_linear *layer,
                                 const vf_clock *clock, vf_row row, vf_copies copies, const float *delta) {
    for (int64_t k = 0; k < row.length; k++) {
        const float *record = layer->record + row.indices[k] * (int64_t)layer->stride;
        vf_update_record(kind, lazy, centered, layer, clock, row.indices[k], delta, row.values[k],
                         vf_shared_at(kind, layer, record, copies, k), vf_row_missed(kind, lazy, copies, k));
    }
}

VF_INLINE void vf_update_wide(const int kind, const int lazy, const vf_linear *given, const vf_clock *given_clock,
                              vf_row row, vf_copies copies, const float *delta) {
    const vf_linear fixed = *given, *layer = &fixed; /* no store can alias them */
    const vf_clock now = *given_clock, *clock = &now;
    vf_square_row(kind, layer, row, copies, delta);
    vf_step_rows(kind, layer, clock, row, copies, copies.x);
    if (lazy == VF_LAZY && layer->penalty.center)
        vf_update_records(kind, lazy, 1, layer, clock, row, copies, delta);
    else
        vf_update_records(kind, lazy, 0, layer, clock, row, copies, delta);
}

#endif
