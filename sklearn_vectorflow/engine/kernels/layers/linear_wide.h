/* The linear layer with several outputs: each non-zero is a contiguous row of
 * weights, and the lanes of a vector unit are outputs. Of eight outputs and more, all lanes are
 * full: the last group ends with the record and may have outputs of the one before, too. */
#ifndef VF_LINEAR_WIDE_H
#define VF_LINEAR_WIDE_H

#include "kernels/lanes.h"
#include "kernels/optimizers/average.h"
#include "kernels/optimizers/misses.h"
#include "kernels/optimizers/row_lanes.h"
#include "kernels/rows/batch_gradient.h"

/* ---- reading: what weights have missed, and are worth ----------------------------------- */

/* What acts on the weights of a record. */
typedef struct {
    vf_rest rest;
    vf_missed missed; /* of rules whose weights miss the same */
    float row, steps; /* steps: of FTRL's clock */
} vf_acts;

/* Sets what n weights are worth, and where each misses something else, what that is. Where groups overlap, numbers
 * that one has just written must not be read by the next, which would wait for them. */
VF_INLINE void vf_read_span(const int kind, const int lazy, const int centered, const int power, const vf_linear *layer,
                            vf_acts acts, const float *record, const float *center, float *left, float *threshold,
                            float *w, const int64_t n) {
    const vf_optimizer o = layer->optimizer;
    const float lower = layer->penalty.lower, l1 = acts.rest.l1, l2 = acts.rest.l2, steps = acts.rest.steps;
    const float l1_steps = l1 * steps, share = l2 > 0.0f ? l1 / l2 : 0.0f;
    const float *s1 = record + layer->slot1, *s2 = record + layer->slot2;
    VF_ONE_GROUP for (int64_t c = 0; c < n; c++) {
        const float middle = centered ? center[c] : 0.0f;
        if (kind == VF_FTRL) {
            const float now = vf_ftrl_weight(s1[c], s2[c], middle, l1, l2, acts.steps, &o);
            w[c] = lazy == VF_LAZY ? vf_bounded(now, lower, acts.rest.sign) : now;
        } else {
            vf_missed missed = acts.missed;
            if (vf_misses_each(kind, lazy)) {
                const vf_state s = {s1[c], VF_USES_S2(kind) ? s2[c] : 0.0f, acts.row};
                const float rate = vf_resting_rate(kind, s, &o);
                missed.left = power == VF_NO_POWER      ? 0.0f
                              : power == VF_TINY_POWER  ? vf_power_m1_tiny(rate * l2, steps)
                              : power == VF_SMALL_POWER ? vf_power_m1_small(rate * l2, steps)
                                                        : vf_power_m1(0, rate * l2, steps);
                missed.threshold = l2 > 0.0f ? -missed.left * share : l1_steps * rate;
                left[c] = missed.left;
                if (lazy == VF_LAZY)
                    threshold[c] = missed.threshold;
            }
            missed.sign = acts.rest.sign;
            const vf_value now = vf_shrunk(lazy, record[c], middle, missed, lower);
            w[c] = now.base + now.change;
        }
    }
}

/* Sets `left`, `threshold` and `w` of a record. */
VF_INLINE void vf_read_as(const int kind, const int lazy, const int centered, const int power, const vf_linear *layer,
                          vf_acts acts, int64_t feature, float *left, float *threshold, float *w) {
    const int64_t n = layer->n_out;
    const float *record = layer->record + feature * layer->stride;
    const float *center = centered ? layer->penalty.center + feature * n : record;
    if (n < VF_GROUP)
        vf_read_span(kind, lazy, centered, power, layer, acts, record, center, left, threshold, w, n);
    else
        for (int64_t from = 0; from < n; from = vf_next_group(from, n))
            vf_read_span(kind, lazy, centered, power, layer, acts, record + from, center + from, left + from,
                         threshold + from, w + from, VF_GROUP);
}

/* `most`: what of a weight a step decays, at most. */
VF_INLINE void vf_read_record(const int kind, const int lazy, const int centered, const int power,
                              const vf_linear *layer, const vf_clock *clock, int64_t feature, vf_missed missed,
                              float most, float *left, float *threshold, float *w) {
    const float *record = layer->record + feature * layer->stride;
    const vf_acts acts = {vf_read_rest(kind, lazy, layer, clock, record, feature), missed,
                          vf_read_row(kind, layer, record), lazy ? (float)clock->step : 0.0f};
    if (power == VF_SMALL_POWER && most * acts.rest.steps < 0.01f)
        vf_read_as(kind, lazy, centered, VF_TINY_POWER, layer, acts, feature, left, threshold, w);
    else
        vf_read_as(kind, lazy, centered, power, layer, acts, feature, left, threshold, w);
}

VF_INLINE vf_missed vf_row_missed(const int kind, const int lazy, vf_copies copies, int64_t k) {
    const vf_missed none = {0.0f, 0.0f, 0.0f};
    return vf_catches_up(kind, lazy) && VF_ROW_RATE(kind) ? vf_missed_at(lazy, copies, k) : none;
}

VF_INLINE void vf_read_records(const int kind, const int lazy, const int centered, const int power,
                               const vf_linear *layer, const vf_clock *clock, const int32_t *indices, int64_t length,
                               float most, vf_copies copies) {
    const int64_t n = layer->n_out, each = vf_misses_each(kind, lazy) ? n : 0;
    for (int64_t k = 0; k < length; k++)
        vf_read_record(kind, lazy, centered, power, layer, clock, indices[k], vf_row_missed(kind, lazy, copies, k),
                       most, copies.left + k * each, copies.threshold + k * each, copies.w + k * n);
}

/* The largest of AdaGrad's step sizes at which a row's weights rest. */
VF_INLINE float vf_largest_rate(const vf_linear *layer, const int32_t *indices, int64_t length) {
    const int64_t n = layer->n_out;
    vf_floats_8 most = {0};
    float lanes[VF_GROUP], largest = 0.0f;
    for (int64_t k = 0; k < length; k++) {
        const float *r = layer->record + indices[k] * (int64_t)layer->stride + layer->slot1;
        if (n >= VF_GROUP)
            for (int64_t from = 0; from < n; from = vf_next_group(from, n))
                vf_take_larger(&most, r + from);
        else
            for (int64_t c = 0; c < n; c++)
                largest = r[c] > largest ? r[c] : largest;
    }
    memcpy(lanes, &most, sizeof lanes);
    for (int64_t i = 0; i < VF_GROUP; i++)
        largest = lanes[i] > largest ? lanes[i] : largest;
    return largest * layer->optimizer.learning_rate;
}

VF_INLINE void vf_read_held(const int kind, const int lazy, const int centered, const vf_linear *layer,
                            const vf_clock *clock, const int32_t *indices, int64_t length, vf_copies copies) {
    const vf_penalty *p = &layer->penalty;
    const int decays = vf_misses_each(kind, lazy) && !(lazy == VF_LAZY && p->l2 == 0.0f);
    float most = INFINITY;
    if (decays && kind == VF_ADAGRAD && !p->l2_each && !layer->is_divided)
        most = vf_largest_rate(layer, indices, length) * p->l2;
    if (!decays)
        vf_read_records(kind, lazy, centered, VF_NO_POWER, layer, clock, indices, length, most, copies);
    else if (kind == VF_ADAGRAD && most < 0.01f)
        vf_read_records(kind, lazy, centered, VF_SMALL_POWER, layer, clock, indices, length, most, copies);
    else
        vf_read_records(kind, lazy, centered, VF_ANY_POWER, layer, clock, indices, length, most, copies);
}

VF_INLINE void vf_read_wide(const int kind, const int lazy, const vf_linear *given, const vf_clock *given_clock,
                            const int32_t *indices, int64_t length, vf_copies copies) {
    const vf_linear fixed = *given, *layer = &fixed; /* no store can alias them */
    const vf_clock now = *given_clock, *clock = &now;
    vf_miss_row(kind, lazy, layer, clock, indices, length, copies);
    if (!vf_holds_weights(kind, lazy))
        return;
    if (lazy == VF_LAZY && layer->penalty.center)
        vf_read_held(kind, lazy, 1, layer, clock, indices, length, copies);
    else
        vf_read_held(kind, lazy, 0, layer, clock, indices, length, copies);
}

/* ---- forward ----------------------------------------------------------------- */

/* out += v0 r0 + v1 r1 + v2 r2 + v3 r3: four non-zeros for one pass over the sums. */
VF_INLINE void vf_add_four(float *VF_RESTRICT out, const float *const *r, const float *v, int64_t n) {
    const float *r0 = r[0], *r1 = r[1], *r2 = r[2], *r3 = r[3];
    const float v0 = v[0], v1 = v[1], v2 = v[2], v3 = v[3];
    for (int64_t c = 0; c < n; c++)
        out[c] += (v0 * r0[c] + v1 * r1[c]) + (v2 * r2[c] + v3 * r3[c]);
}

/* The weights of non-zero k, and what they are multiplied with: as they are in the records, up to a factor a
 * feature, or worked out when the row was read. */
typedef struct {
    const float *weights;
    float v;
} vf_factor;

VF_INLINE vf_factor vf_factor_of(const int kind, const int lazy, const vf_linear *layer, vf_row row, vf_copies copies,
                                 int64_t k) {
    vf_factor out = {copies.w + k * layer->n_out, row.values[k]};
    if (!vf_holds_weights(kind, lazy)) {
        out.weights = layer->record + row.indices[k] * (int64_t)layer->stride;
        out.v = lazy ? out.v * (1.0f + copies.left[k]) : out.v;
    }
    return out;
}

/* Adds the products of `groups` groups of outputs, from output `from` on; the last one may end before. */
VF_INLINE void vf_forward_groups(const int groups, const int kind, const int lazy, const vf_linear *layer, vf_row row,
                                 vf_copies copies, int64_t from, float *VF_RESTRICT out) {
    const int64_t last = layer->n_out - VF_GROUP, end = from + VF_GROUP * (groups - 1), at = end < last ? end : last;
    vf_floats_8 a = {0}, b = {0}, c = {0}, ending = {0};
    float sums[VF_GROUP];
    for (int64_t k = 0; k < row.length; k++) {
        const vf_factor x = vf_factor_of(kind, lazy, layer, row, copies, k);
        if (groups > 1)
            vf_add_scaled(&a, x.v, x.weights + from);
        if (groups > 2)
            vf_add_scaled(&b, x.v, x.weights + from + VF_GROUP);
        if (groups > 3)
            vf_add_scaled(&c, x.v, x.weights + from + 2 * VF_GROUP);
        vf_add_scaled(&ending, x.v, x.weights + at);
    }
    const vf_floats_8 *const whole[3] = {&a, &b, &c};
    for (int64_t g = 0; g < groups - 1; g++) {
        memcpy(sums, whole[g], sizeof sums);
        for (int64_t i = 0; i < VF_GROUP; i++)
            out[from + g * VF_GROUP + i] += sums[i];
    }
    memcpy(sums, &ending, sizeof sums);
    for (int64_t i = end - at; i < VF_GROUP; i++)
        out[at + i] += sums[i];
}

VF_INLINE void vf_forward_few(const int kind, const int lazy, const vf_linear *layer, vf_row row, vf_copies copies,
                              float *VF_RESTRICT out) {
    const int64_t n = layer->n_out;
    int64_t k = 0;
    for (; k + 4 <= row.length; k += 4) {
        const float *r[4];
        float v[4];
        for (int64_t i = 0; i < 4; i++) {
            const vf_factor x = vf_factor_of(kind, lazy, layer, row, copies, k + i);
            r[i] = x.weights;
            v[i] = x.v;
        }
        vf_add_four(out, r, v, n);
    }
    for (; k < row.length; k++) {
        const vf_factor x = vf_factor_of(kind, lazy, layer, row, copies, k);
        for (int64_t c = 0; c < n; c++)
            out[c] += x.v * x.weights[c];
    }
}

/* Adds v times the means of a record's weights. */
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

VF_INLINE void vf_forward_wide(const int kind, const int lazy, const vf_linear *given, const vf_clock *clock,
                               vf_row row, vf_copies copies, float *VF_RESTRICT out) {
    const vf_linear fixed = *given, *layer = &fixed; /* no store can alias it */
    const int64_t n = layer->n_out;
    if (lazy == VF_LAZY && layer->gives_means && layer->average_slot >= 0) {
        for (int64_t k = 0; k < row.length; k++)
            vf_add_means(kind, layer, clock, row.indices[k], row.values[k], out);
        return;
    }
    if (n < VF_GROUP) {
        vf_forward_few(kind, lazy, layer, row, copies, out);
        return;
    }
    for (int64_t from = 0; from < n; from += 4 * VF_GROUP) {
        const int64_t groups = (n - from + VF_GROUP - 1) / VF_GROUP;
        if (groups >= 4)
            vf_forward_groups(4, kind, lazy, layer, row, copies, from, out);
        else if (groups == 3)
            vf_forward_groups(3, kind, lazy, layer, row, copies, from, out);
        else if (groups == 2)
            vf_forward_groups(2, kind, lazy, layer, row, copies, from, out);
        else
            vf_forward_groups(1, kind, lazy, layer, row, copies, from, out);
    }
}

/* ---- update -------------------------------------------------------------------- */

/* What all weights of a feature share in a step: their state before and after it, and the step size. */
typedef struct {
    vf_state before, after;
    float rate;
} vf_shared;

/* Some outputs of a record: their weights and state. */
typedef struct {
    float *w, *s1, *s2;
} vf_span;

VF_INLINE vf_span vf_span_of(const vf_linear *layer, float *record, int64_t from) {
    const vf_span out = {record + from, record + layer->slot1 + from, record + layer->slot2 + from};
    return out;
}

/* One step on n outputs, from one place to another. What was read of them is at `left`, `threshold` and `worth`. */
VF_INLINE void vf_update_span(const int kind, const int lazy, const int centered, const vf_linear *layer, vf_span old,
                              vf_span new, const float *center, const float *delta, float v, vf_shared shared,
                              vf_missed missed, const float *left, const float *threshold, const float *worth,
                              const int64_t n) {
    const vf_optimizer o = layer->optimizer;
    const float lower = layer->penalty.lower;
    VF_ONE_GROUP for (int64_t c = 0; c < n; c++) {
        const float middle = centered ? center[c] : 0.0f, g = v * delta[c];
        vf_state s = shared.before;
        s.s1 = VF_USES_S1(kind) ? old.s1[c] : 0.0f;
        s.s2 = VF_USES_S2(kind) ? old.s2[c] : s.s2;
        vf_value now = {kind == VF_FTRL ? worth[c] : old.w[c], 0.0f};
        if (vf_misses_each(kind, lazy)) {
            missed.left = left[c];
            missed.threshold = lazy == VF_LAZY ? threshold[c] : 0.0f;
        }
        if (vf_catches_up(kind, lazy))
            now = vf_shrunk(lazy, old.w[c], middle, missed, lower);
        s.row = shared.after.row;
        const float change = vf_step(kind, &s, now.base, middle, g, shared.rate, &o);
        if (kind != VF_FTRL) /* whose weights follow from its state */
            new.w[c] = now.base + (now.change + change);
        if (VF_USES_S1(kind))
            new.s1[c] = s.s1;
        if (VF_USES_S2(kind))
            new.s2[c] = s.s2;
    }
}

/* The step of all outputs. The last group is read before those that it may share outputs with are written. */
VF_INLINE void vf_update_outputs(const int kind, const int lazy, const int centered, const vf_linear *layer,
                                 float *record, const float *center, const float *delta, float v, vf_shared shared,
                                 vf_missed missed, const float *left, const float *threshold, const float *worth) {
    const int64_t n = layer->n_out, last = n - VF_GROUP, whole = n & -VF_GROUP;
    float w[VF_GROUP], s1[VF_GROUP], s2[VF_GROUP];
    const vf_span kept = {w, s1, s2}, ending = vf_span_of(layer, record, last), all = vf_span_of(layer, record, 0);
    if (n < VF_GROUP) {
        vf_update_span(kind, lazy, centered, layer, all, all, center, delta, v, shared, missed, left, threshold, worth, n);
        return;
    }
    if (whole < n)
        vf_update_span(kind, lazy, centered, layer, ending, kept, center + last, delta + last, v, shared, missed,
                       left + last, threshold + last, worth + last, VF_GROUP);
    for (int64_t from = 0; from < whole; from += VF_GROUP) {
        const vf_span at = vf_span_of(layer, record, from);
        vf_update_span(kind, lazy, centered, layer, at, at, center + from, delta + from, v, shared, missed, left + from,
                       threshold + from, worth + from, VF_GROUP);
    }
    if (whole < n) {
        if (kind != VF_FTRL)
            memcpy(ending.w, w, sizeof w);
        if (VF_USES_S1(kind))
            memcpy(ending.s1, s1, sizeof s1);
        if (VF_USES_S2(kind))
            memcpy(ending.s2, s2, sizeof s2);
    }
}

/* The step of what features keep for all their weights, in lanes of features: copies.row and s2 become their
 * state after it, and copies.rate the step sizes. `squares`: the mean over its weights of each one's squared gradient,
 * for rules that keep it. */
VF_INLINE void vf_step_rows(const int kind, const vf_linear *layer, const vf_clock *clock, vf_row row, vf_copies copies,
                            const float *VF_RESTRICT squares) {
    const vf_optimizer o = layer->optimizer;
    const float time_rate = (float)clock->rate;
    float *VF_RESTRICT state = copies.row, *VF_RESTRICT second = copies.s2, *VF_RESTRICT rate = copies.rate;
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

VF_INLINE void vf_update_record(const int kind, const int lazy, const int centered, const vf_linear *layer,
                                const vf_clock *clock, const int32_t *features, vf_copies copies, const float *delta,
                                float v, int64_t k) {
    const int64_t feature = features[k], n = layer->n_out, each = vf_misses_each(kind, lazy) ? n : 0;
    float *record = layer->record + feature * layer->stride;
    const float *center = centered ? layer->penalty.center + feature * n : record;
    vf_shared shared = {{0.0f}, {0.0f}, 0.0f};
    shared.before.row = vf_read_row(kind, layer, record);
    if (VF_ROW_RATE(kind))
        shared.rate = copies.rate[k];
    if (VF_USES_ROW(kind))
        shared.after.row = copies.row[k];
    if (lazy == VF_LAZY && layer->average_slot >= 0)
        vf_average_record(kind, layer, clock, record, feature, shared.before.row,
                          vf_read_rest(kind, lazy, layer, clock, record, feature));
    vf_missed missed = vf_row_missed(kind, lazy, copies, k);
    if (lazy == VF_LAZY && layer->penalty.sign)
        missed.sign = layer->penalty.sign[feature];
    vf_update_outputs(kind, lazy, centered, layer, record, center, delta, v, shared, missed,
                      copies.left + k * each, copies.threshold + k * each, copies.w + k * n);
    if (VF_USES_ROW(kind))
        record[layer->row_slot] = copies.row[k];
    if (kind == VF_ADAM_ROWWISE)
        record[layer->row_slot + 1] = copies.s2[k];
    if (lazy)
        vf_touch(kind, layer, clock, record);
}

VF_INLINE void vf_update_wide(const int kind, const int lazy, const vf_linear *given, const vf_clock *given_clock,
                              vf_row row, vf_copies copies, const float *delta) {
    const vf_linear fixed = *given, *layer = &fixed; /* no store can alias them */
    const vf_clock now = *given_clock, *clock = &now;
    if (VF_ROW_RATE(kind) || VF_USES_ROW(kind)) {
        vf_square_row(kind, layer, row, copies, delta);
        vf_step_rows(kind, layer, clock, row, copies, copies.x);
    }
    if (lazy == VF_LAZY && layer->penalty.center)
        for (int64_t k = 0; k < row.length; k++)
            vf_update_record(kind, lazy, 1, layer, clock, row.indices, copies, delta, row.values[k], k);
    else
        for (int64_t k = 0; k < row.length; k++)
            vf_update_record(kind, lazy, 0, layer, clock, row.indices, copies, delta, row.values[k], k);
}

/* The mean over n outputs of the squared gradient. */
VF_INLINE float vf_mean_square(const float *gradient, int64_t n) {
    float sums[VF_GROUP] = {0.0f}, sum = 0.0f;
    int64_t c = 0;
    for (; c + VF_GROUP <= n; c += VF_GROUP)
        VF_ONE_GROUP for (int64_t i = 0; i < VF_GROUP; i++)
            sums[i] += gradient[c + i] * gradient[c + i];
    for (; c < n; c++)
        sum += gradient[c] * gradient[c];
    for (int64_t i = 0; i < VF_GROUP; i++)
        sum += sums[i];
    return sum / (float)n;
}

enum { VF_AHEAD_RECORDS = 4 }; /* between asking for a record and stepping it */

/* The step of features that have a gradient each. */
VF_INLINE void vf_update_each_wide(const int kind, const int lazy, const vf_linear *given, const vf_clock *given_clock,
                                   const vf_gathered *g, vf_copies copies) {
    const vf_linear fixed = *given, *layer = &fixed; /* no store can alias them */
    const vf_clock now = *given_clock, *clock = &now;
    const vf_row slots = vf_gathered_features(g);
    const int64_t n = layer->n_out;
    for (int64_t k = 0; k < slots.length && VF_USES_SQUARE(kind); k++)
        copies.x[k] = vf_mean_square(vf_rounded(g, k * n, n), n);
    if (VF_ROW_RATE(kind) || VF_USES_ROW(kind))
        vf_step_rows(kind, layer, clock, slots, copies, copies.x);
    for (int64_t k = 0; k < slots.length; k++) {
        if (k + VF_AHEAD_RECORDS < slots.length)
            vf_prefetch_record(layer->record + slots.indices[k + VF_AHEAD_RECORDS] * (int64_t)layer->stride, layer->stride);
        const float *gradient = vf_rounded(g, k * n, n);
        if (lazy == VF_LAZY && layer->penalty.center)
            vf_update_record(kind, lazy, 1, layer, clock, slots.indices, copies, gradient, 1.0f, k);
        else
            vf_update_record(kind, lazy, 0, layer, clock, slots.indices, copies, gradient, 1.0f, k);
    }
}

/* ---- settling ------------------------------------------------------------------ */

/* As vf_settle_sums, of several outputs. */
VF_INLINE int64_t vf_settle_wide_sums(const int lazy, const vf_linear *layer, const vf_clock *clock, int64_t from,
                                      int64_t to) {
    const float steps = lazy ? (float)clock->step : 0.0f, l1 = layer->penalty.l1, l2 = layer->penalty.l2;
    const vf_optimizer o = layer->optimizer;
    const int64_t n = layer->n_out;
    int64_t bad = 0;
    for (; from < to; from++)
        for (int64_t c = 0; c < n; c += VF_LANES) {
            const int64_t size = n - c < VF_LANES ? n - c : VF_LANES;
            const float *VF_RESTRICT s1 = layer->record + from * layer->stride + layer->slot1 + c;
            const float *VF_RESTRICT s2 = layer->record + from * layer->stride + layer->slot2 + c;
            float *values = layer->values + from * n + c, w[VF_LANES];
            int32_t moved = 0;
            for (int64_t i = 0; i < size; i++) {
                w[i] = vf_ftrl_weight(s1[i], s2[i], 0.0f, l1, l2, steps, &o);
                moved |= (w[i] != 0.0f) | (values[i] != 0.0f);
                bad += vf_is_bad(w[i]);
            }
            if (moved)
                memcpy(values, w, sizeof(float) * (size_t)size);
        }
    return bad;
}

#endif
