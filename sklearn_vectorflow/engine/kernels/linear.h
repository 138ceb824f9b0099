/* The linear layer: out = bias + x W for one sparse row, and its update.
 *
 * All a feature owns lies together in one record, so that a non-zero costs one
 * cache miss: its n_out weights, then the optimizer's state, then its clock.
 * A slot of -1 means the layer has no such state. */
#ifndef VF_LINEAR_H
#define VF_LINEAR_H

#include "optimizers.h"
#include "rows.h"

typedef struct {
    float *record; /* (n_in, stride) */
    int64_t n_in;
    int32_t n_out, stride;
    int32_t slot1, slot2; /* state with one number a weight */
    int32_t row_slot;     /* state with one number a feature */
    int32_t clock_slot;   /* uint32 step, then for SGD the double `elapsed` */
    int32_t average_slot; /* running mean of the weights */
    int64_t average_from; /* steps before it are left out of the mean */
    vf_optimizer optimizer;
    vf_penalty penalty;
} vf_linear;

/* ---- the clock of a record ------------------------------------------------- */

VF_INLINE void vf_read_clock(const int kind, const vf_linear *layer, const vf_clock *clock,
                             const float *record, vf_weight *x) {
    uint32_t last;
    memcpy(&last, record + layer->clock_slot, 4);
    const int32_t gap = (int32_t)((uint32_t)clock->step - last);
    x->gap = gap > 0 ? (float)gap : 0.0f; /* another thread may be ahead */
    x->elapsed = 0.0f;
    if (kind == VF_SGD) {
        double elapsed;
        memcpy(&elapsed, record + layer->clock_slot + 1, 8);
        elapsed = clock->elapsed - elapsed;
        x->elapsed = elapsed > 0.0 ? (float)elapsed : 0.0f;
    }
}

VF_INLINE void vf_write_clock(const int kind, const vf_linear *layer, const vf_clock *clock, float *record) {
    const uint32_t now = (uint32_t)clock->step;
    memcpy(record + layer->clock_slot, &now, 4);
    if (kind == VF_SGD)
        memcpy(record + layer->clock_slot + 1, &clock->elapsed, 8);
}

VF_INLINE void vf_read_penalty(const vf_linear *layer, int64_t feature, vf_weight *x) {
    const vf_penalty *p = &layer->penalty;
    x->l1 = p->l1_each ? p->l1 * p->l1_each[feature] : p->l1;
    x->l2 = p->l2_each ? p->l2 * p->l2_each[feature] : p->l2;
}

VF_INLINE float vf_center(const vf_linear *layer, int64_t feature, int64_t output) {
    const float *center = layer->penalty.center;
    return center ? center[feature * layer->n_out + output] : 0.0f;
}

/* Loads weight `output` of a record, the parts shared by the record being in x. */
VF_INLINE void vf_read_weight(const int kind, const int lazy, const vf_linear *layer, const float *record,
                              int64_t feature, int64_t output, vf_weight *x) {
    x->w = record[output];
    if (kind == VF_ADAGRAD || kind == VF_ADAM || kind == VF_FTRL)
        x->s1 = record[layer->slot1 + output];
    if (kind == VF_ADAM || kind == VF_FTRL)
        x->s2 = record[layer->slot2 + output];
    x->center = lazy ? vf_center(layer, feature, output) : 0.0f;
}

VF_INLINE void vf_read_record(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                              const float *record, int64_t feature, vf_weight *x) {
    x->row = (kind == VF_ADAGRAD_ROWWISE || kind == VF_ADAM) ? record[layer->row_slot] : 0.0f;
    x->l1 = x->l2 = x->gap = x->elapsed = 0.0f;
    if (lazy) {
        vf_read_penalty(layer, feature, x);
        if (kind != VF_FTRL)
            vf_read_clock(kind, layer, clock, record, x);
    }
}

/* ---- averaging ---------------------------------------------------------------- */

/* Sum of |u| over the next k steps of shrinking by `step_time` a step. */
static inline double vf_shrinking_sum(double u, double l1, double l2, double log_step, double step_time, double k) {
    if (l2 > 0.0 && log_step > 0.0) {
        const double c = l1 / l2;
        const double zero_after = l1 > 0.0 ? floor(log1p(u / c) / log_step) : k;
        const double m = zero_after < k ? zero_after : k;
        const double geometric = expm1(-m * log_step) / expm1(-log_step) * exp(-log_step);
        return (u + c) * geometric - c * m;
    }
    const double threshold = l1 * step_time;
    const double zero_after = threshold > 0.0 ? floor(u / threshold) : k;
    const double m = zero_after < k ? zero_after : k;
    return m * u - threshold * m * (m + 1.0) / 2.0;
}

/* Brings the mean of a weight up to the present: since its last touch the weight
 * took the values of k penalty steps, whose sum has a closed form. */
static inline void vf_average_weight(const int kind, const vf_linear *layer, const vf_clock *clock,
                                     const vf_weight *x, float *average) {
    const double now = (double)(clock->step - layer->average_from);
    if (now <= 0.0 || x->gap <= 0.0f)
        return;
    const double counted = x->gap < now ? x->gap : now, skipped = x->gap - counted;
    const double rate = kind == VF_SGD ? x->elapsed / x->gap : vf_rate(kind, x, &layer->optimizer);
    const double log_step = kind == VF_SGD ? rate * x->l2 : log1p(rate * x->l2);
    const double u = fabs((double)x->w - x->center);
    const double before = skipped > 0.0 ? vf_shrinking_sum(u, x->l1, x->l2, log_step, rate, skipped) : 0.0;
    const double sum = vf_shrinking_sum(u, x->l1, x->l2, log_step, rate, x->gap) - before;
    const double mean = x->center + copysign(sum / counted, (double)x->w - x->center);
    *average += (float)((mean - *average) * (counted / now));
}

static inline void vf_average_record(const int kind, const vf_linear *layer, const vf_clock *clock,
                                     float *record, int64_t feature, vf_weight x) {
    for (int64_t c = 0; c < layer->n_out; c++) {
        vf_read_weight(kind, 1, layer, record, feature, c, &x);
        vf_average_weight(kind, layer, clock, &x, record + layer->average_slot + c);
    }
}

/* ---- one output: lanes are features ------------------------------------------- */

typedef struct {
    float w[VF_LANES], s1[VF_LANES], s2[VF_LANES], row[VF_LANES], gap[VF_LANES], elapsed[VF_LANES];
    float l1[VF_LANES], l2[VF_LANES], center[VF_LANES], g[VF_LANES];
} vf_lanes;

VF_INLINE void vf_gather(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                         const int32_t *indices, int64_t n, vf_lanes *lanes) {
    for (int64_t i = 0; i < n; i++) {
        const int64_t feature = indices[i];
        const float *record = layer->record + feature * layer->stride;
        vf_weight x;
        vf_read_record(kind, lazy, layer, clock, record, feature, &x);
        vf_read_weight(kind, lazy, layer, record, feature, 0, &x);
        lanes->w[i] = x.w;
        if (kind == VF_ADAGRAD || kind == VF_ADAM || kind == VF_FTRL)
            lanes->s1[i] = x.s1;
        if (kind == VF_ADAM || kind == VF_FTRL)
            lanes->s2[i] = x.s2;
        if (kind == VF_ADAGRAD_ROWWISE || kind == VF_ADAM)
            lanes->row[i] = x.row;
        if (lazy) {
            lanes->gap[i] = x.gap;
            lanes->elapsed[i] = x.elapsed;
            lanes->l1[i] = x.l1;
            lanes->l2[i] = x.l2;
            lanes->center[i] = x.center;
        }
    }
}

VF_INLINE vf_weight vf_lane(const int kind, const int lazy, const vf_lanes *lanes, int64_t i) {
    vf_weight x = {lanes->w[i], 0, 0, 0, 0, 0, 0, 0, 0};
    if (kind == VF_ADAGRAD || kind == VF_ADAM || kind == VF_FTRL)
        x.s1 = lanes->s1[i];
    if (kind == VF_ADAM || kind == VF_FTRL)
        x.s2 = lanes->s2[i];
    if (kind == VF_ADAGRAD_ROWWISE || kind == VF_ADAM)
        x.row = lanes->row[i];
    if (lazy) {
        x.gap = lanes->gap[i];
        x.elapsed = lanes->elapsed[i];
        x.l1 = lanes->l1[i];
        x.l2 = lanes->l2[i];
        x.center = lanes->center[i];
    }
    return x;
}

VF_INLINE vf_value vf_now(const int kind, const int lazy, const vf_weight *x, const vf_optimizer *o, float steps) {
    if (lazy)
        return vf_current(kind, x, o, steps);
    const vf_value out = {x->w, 0.0f};
    return out;
}

VF_INLINE float vf_forward_one(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, vf_row row) {
    const float steps = (float)clock->step;
    float sum[VF_LANES] = {0};
    vf_lanes lanes = {{0}};
    for (int64_t base = 0; base < row.length; base += VF_LANES) {
        const int64_t n = row.length - base < VF_LANES ? row.length - base : VF_LANES;
        vf_gather(kind, lazy, layer, clock, row.indices + base, n, &lanes);
        float v[VF_LANES] = {0};
        for (int64_t i = 0; i < n; i++)
            v[i] = row.values[base + i];
        for (int64_t i = 0; i < VF_LANES; i++) {
            const vf_weight x = vf_lane(kind, lazy, &lanes, i);
            const vf_value now = vf_now(kind, lazy, &x, &layer->optimizer, steps);
            sum[i] += v[i] * (now.base + now.change);
        }
    }
    float total = 0.0f;
    for (int64_t i = 0; i < VF_LANES; i++)
        total += sum[i];
    return total;
}

VF_INLINE void vf_update_one(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                             vf_row row, float delta) {
    const vf_optimizer *o = &layer->optimizer;
    const float steps = (float)clock->step, rate = (float)clock->rate;
    vf_lanes lanes = {{0}};
    for (int64_t base = 0; base < row.length; base += VF_LANES) {
        const int64_t n = row.length - base < VF_LANES ? row.length - base : VF_LANES;
        const int32_t *indices = row.indices + base;
        vf_gather(kind, lazy, layer, clock, indices, n, &lanes);
        if (lazy && layer->average_slot >= 0)
            for (int64_t i = 0; i < n; i++) {
                const vf_weight x = vf_lane(kind, lazy, &lanes, i);
                vf_average_weight(kind, layer, clock, &x,
                                  layer->record + (int64_t)indices[i] * layer->stride + layer->average_slot);
            }
        for (int64_t i = 0; i < n; i++)
            lanes.g[i] = row.values[base + i] * delta;
        for (int64_t i = 0; i < VF_LANES; i++) {
            vf_weight x = vf_lane(kind, lazy, &lanes, i);
            const float g = lanes.g[i];
            const vf_value now = vf_now(kind, lazy, &x, o, steps);
            x.row = vf_step_row(kind, x.row, g * g);
            const float change = vf_step(kind, &x, now, g, o, rate);
            float w = now.base + (now.change + change);
            if (kind == VF_FTRL && !lazy)
                w = vf_ftrl_weight(&x, steps, o);
            lanes.w[i] = lazy && w < layer->penalty.lower ? layer->penalty.lower : w;
            if (kind == VF_ADAGRAD || kind == VF_ADAM || kind == VF_FTRL)
                lanes.s1[i] = x.s1;
            if (kind == VF_ADAM || kind == VF_FTRL)
                lanes.s2[i] = x.s2;
            if (kind == VF_ADAGRAD_ROWWISE || kind == VF_ADAM)
                lanes.row[i] = x.row;
        }
        for (int64_t i = 0; i < n; i++) {
            float *record = layer->record + (int64_t)indices[i] * layer->stride;
            record[0] = lanes.w[i];
            if (kind == VF_ADAGRAD || kind == VF_ADAM || kind == VF_FTRL)
                record[layer->slot1] = lanes.s1[i];
            if (kind == VF_ADAM || kind == VF_FTRL)
                record[layer->slot2] = lanes.s2[i];
            if (kind == VF_ADAGRAD_ROWWISE || kind == VF_ADAM)
                record[layer->row_slot] = lanes.row[i];
            if (lazy && kind != VF_FTRL)
                vf_write_clock(kind, layer, clock, record);
        }
    }
}

/* ---- several outputs: lanes are outputs ------------------------------------------ */

VF_INLINE void vf_forward_panel(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                                vf_row row, float *VF_RESTRICT out, const int64_t from, const int64_t width) {
    const float steps = (float)clock->step;
    float sum[4 * VF_LANES];
    for (int64_t c = 0; c < width; c++)
        sum[c] = out[from + c];
    for (int64_t k = 0; k < row.length; k++) {
        const int64_t feature = row.indices[k];
        const float *record = layer->record + feature * layer->stride;
        const float v = row.values[k];
        vf_weight shared;
        vf_read_record(kind, lazy, layer, clock, record, feature, &shared);
        for (int64_t c = 0; c < width; c++) {
            vf_weight x = shared;
            vf_read_weight(kind, lazy, layer, record, feature, from + c, &x);
            const vf_value now = vf_now(kind, lazy, &x, &layer->optimizer, steps);
            sum[c] += v * (now.base + now.change);
        }
    }
    for (int64_t c = 0; c < width; c++)
        out[from + c] = sum[c];
}

/* Widths known at compile time keep the sums in registers over the whole row. */
VF_INLINE void vf_forward_wide(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                               vf_row row, float *out) {
    int64_t from = 0;
    for (; from + 64 <= layer->n_out; from += 64)
        vf_forward_panel(kind, lazy, layer, clock, row, out, from, 64);
    for (; from + 32 <= layer->n_out; from += 32)
        vf_forward_panel(kind, lazy, layer, clock, row, out, from, 32);
    for (; from + 16 <= layer->n_out; from += 16)
        vf_forward_panel(kind, lazy, layer, clock, row, out, from, 16);
    for (; from + 8 <= layer->n_out; from += 8)
        vf_forward_panel(kind, lazy, layer, clock, row, out, from, 8);
    if (from < layer->n_out)
        vf_forward_panel(kind, lazy, layer, clock, row, out, from, layer->n_out - from);
}

VF_INLINE void vf_update_span(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                              float *VF_RESTRICT record, int64_t feature, const vf_weight *shared,
                              const float *VF_RESTRICT delta, float v, const int64_t from, const int64_t width) {
    const vf_optimizer *o = &layer->optimizer;
    const float steps = (float)clock->step, rate = (float)clock->rate, lower = layer->penalty.lower;
    const int32_t slot1 = layer->slot1, slot2 = layer->slot2;
    float before = shared->row; /* the rate of missed steps is the one before this step */
    for (int64_t c = from; c < from + width; c++) {
        vf_weight x = *shared;
        vf_read_weight(kind, lazy, layer, record, feature, c, &x);
        const vf_value now = vf_now(kind, lazy, &x, o, steps);
        const float g = v * delta[c];
        x.row = kind == VF_ADAGRAD_ROWWISE ? shared->s1 : vf_step_row(kind, before, 0.0f);
        const float change = vf_step(kind, &x, now, g, o, rate);
        float w = now.base + (now.change + change);
        if (kind == VF_FTRL && !lazy)
            w = vf_ftrl_weight(&x, steps, o);
        record[c] = lazy && w < lower ? lower : w;
        if (kind == VF_ADAGRAD || kind == VF_ADAM || kind == VF_FTRL)
            record[slot1 + c] = x.s1;
        if (kind == VF_ADAM || kind == VF_FTRL)
            record[slot2 + c] = x.s2;
    }
}

VF_INLINE void vf_update_wide(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                              vf_row row, const float *delta) {
    float mean_square = 0.0f;
    if (kind == VF_ADAGRAD_ROWWISE) {
        for (int64_t c = 0; c < layer->n_out; c++)
            mean_square += delta[c] * delta[c];
        mean_square /= (float)layer->n_out;
    }
    for (int64_t k = 0; k < row.length; k++) {
        const int64_t feature = row.indices[k], n_out = layer->n_out;
        const float v = row.values[k];
        float *record = layer->record + feature * layer->stride;
        vf_weight shared;
        vf_read_record(kind, lazy, layer, clock, record, feature, &shared);
        if (lazy && layer->average_slot >= 0)
            vf_average_record(kind, layer, clock, record, feature, shared);
        const float row_after = vf_step_row(kind, shared.row, v * v * mean_square);
        shared.s1 = row_after; /* row-wise rules have no state a weight */
        int64_t from = 0;
        for (; from + VF_LANES <= n_out; from += VF_LANES)
            vf_update_span(kind, lazy, layer, clock, record, feature, &shared, delta, v, from, VF_LANES);
        if (from < n_out)
            vf_update_span(kind, lazy, layer, clock, record, feature, &shared, delta, v, from, n_out - from);
        if (kind == VF_ADAGRAD_ROWWISE || kind == VF_ADAM)
            record[layer->row_slot] = row_after;
        if (lazy && kind != VF_FTRL)
            vf_write_clock(kind, layer, clock, record);
    }
}

/* ---- back to the inputs -------------------------------------------------------- */

/* Adds W delta to the gradient of the layer's inputs. */
VF_INLINE void vf_backward(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                           const double *VF_RESTRICT delta, double *VF_RESTRICT gradient) {
    const float steps = (float)clock->step;
    for (int64_t i = 0; i < layer->n_in; i++) {
        const float *record = layer->record + i * layer->stride;
        vf_weight shared;
        vf_read_record(kind, lazy, layer, clock, record, i, &shared);
        double sum = 0.0;
        for (int64_t c = 0; c < layer->n_out; c++) {
            vf_weight x = shared;
            vf_read_weight(kind, lazy, layer, record, i, c, &x);
            const vf_value now = vf_now(kind, lazy, &x, &layer->optimizer, steps);
            sum += (double)(now.base + now.change) * delta[c];
        }
        gradient[i] += sum;
    }
}

/* ---- kernels: one of each for every rule --------------------------------------- */

typedef void (*vf_forward_fn)(const vf_linear *, const vf_clock *, vf_row, float *);
typedef void (*vf_update_fn)(const vf_linear *, const vf_clock *, vf_row, const float *);
typedef void (*vf_backward_fn)(const vf_linear *, const vf_clock *, const double *, double *);
typedef int64_t (*vf_settle_fn)(const vf_linear *, const vf_clock *, int64_t, int64_t);

/* Applies what features [from, to) still miss; returns how many weights are not finite. */
VF_INLINE int64_t vf_settle(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                            int64_t from, int64_t to) {
    const float steps = (float)clock->step;
    int64_t bad = 0;
    for (int64_t feature = from; feature < to; feature++) {
        float *record = layer->record + feature * layer->stride;
        if (lazy) {
            vf_weight shared;
            vf_read_record(kind, lazy, layer, clock, record, feature, &shared);
            if (layer->average_slot >= 0)
                vf_average_record(kind, layer, clock, record, feature, shared);
            for (int64_t c = 0; c < layer->n_out; c++) {
                vf_weight x = shared;
                vf_read_weight(kind, lazy, layer, record, feature, c, &x);
                const vf_value now = vf_now(kind, lazy, &x, &layer->optimizer, steps);
                const float w = now.base + now.change;
                record[c] = w < layer->penalty.lower ? layer->penalty.lower : w;
            }
            if (kind != VF_FTRL)
                vf_write_clock(kind, layer, clock, record);
        }
        for (int64_t c = 0; c < layer->n_out; c++)
            bad += !(fabsf(record[c]) <= 3.0e38f);
    }
    return bad;
}

#define VF_DEFINE(name, kind, lazy)                                                                      \
    VF_SIMD static void vf_forward_##name(const vf_linear *layer, const vf_clock *clock, vf_row row,     \
                                          float *out) {                                                  \
        if (layer->n_out == 1)                                                                           \
            out[0] += vf_forward_one(kind, lazy, layer, clock, row);                                     \
        else                                                                                             \
            vf_forward_wide(kind, lazy, layer, clock, row, out);                                         \
    }                                                                                                    \
    VF_SIMD static void vf_update_##name(const vf_linear *layer, const vf_clock *clock, vf_row row,      \
                                         const float *delta) {                                           \
        if (layer->n_out == 1)                                                                           \
            vf_update_one(kind, lazy, layer, clock, row, delta[0]);                                      \
        else                                                                                             \
            vf_update_wide(kind, lazy, layer, clock, row, delta);                                        \
    }                                                                                                    \
    VF_SIMD static void vf_backward_##name(const vf_linear *layer, const vf_clock *clock, const double *delta, \
                                           double *gradient) {                                           \
        vf_backward(kind, lazy, layer, clock, delta, gradient);                                          \
    }                                                                                                    \
    static int64_t vf_settle_##name(const vf_linear *layer, const vf_clock *clock, int64_t from,         \
                                    int64_t to) {                                                        \
        return vf_settle(kind, lazy, layer, clock, from, to);                                            \
    }

VF_DEFINE(fixed, VF_FIXED, 0)
VF_DEFINE(sgd, VF_SGD, 0)
VF_DEFINE(sgd_lazy, VF_SGD, 1)
VF_DEFINE(adagrad, VF_ADAGRAD, 0)
VF_DEFINE(adagrad_lazy, VF_ADAGRAD, 1)
VF_DEFINE(rowwise, VF_ADAGRAD_ROWWISE, 0)
VF_DEFINE(rowwise_lazy, VF_ADAGRAD_ROWWISE, 1)
VF_DEFINE(adam, VF_ADAM, 0)
VF_DEFINE(adam_lazy, VF_ADAM, 1)
VF_DEFINE(ftrl, VF_FTRL, 0)
VF_DEFINE(ftrl_lazy, VF_FTRL, 1)

typedef struct {
    vf_forward_fn forward;
    vf_update_fn update;
    vf_backward_fn backward;
    vf_settle_fn settle;
} vf_linear_kernels;

#define VF_PLAIN(name) {vf_forward_fixed, vf_update_##name, vf_backward_fixed, vf_settle_fixed}
#define VF_LAZY(name) {vf_forward_##name, vf_update_##name, vf_backward_##name, vf_settle_##name}

/* by rule in the order of the enum, without and with lazily caught-up state */
static const vf_linear_kernels VF_KERNELS[6][2] = {
    {VF_PLAIN(fixed), VF_PLAIN(fixed)},
    {VF_PLAIN(sgd), VF_LAZY(sgd_lazy)},
    {VF_PLAIN(adagrad), VF_LAZY(adagrad_lazy)},
    {VF_PLAIN(rowwise), VF_LAZY(rowwise_lazy)},
    {VF_PLAIN(adam), VF_LAZY(adam_lazy)},
    {VF_PLAIN(ftrl), VF_LAZY(ftrl_lazy)},
};

#endif
