/* All a feature owns lies together in one record, so that a non-zero costs one
 * cache miss: its n_out weights, then the optimizer's state, then its clock.
 * A slot of -1 means the layer has no such state. */
#ifndef VF_RECORD_H
#define VF_RECORD_H

#include "kernels/optimizers/optimizers.h"

typedef struct {
    float *record; /* (n_in, size), stride apart: records of other layers that read the same may lie between */
    float *values; /* (n_in, n_out), the weights if the records don't hold them, else NULL */
    int64_t n_in;
    int32_t n_out, stride, size;
    int32_t slot1, slot2; /* state with one number a weight */
    int32_t row_slot;     /* state of a feature: one number, two of row-wise Adam */
    int32_t clock_slot;   /* uint32 step; of SGD `elapsed`, and then the step if there is a mean */
    int32_t average_slot; /* running mean of the weights */
    int64_t average_from; /* steps before it are left out of the mean */
    int32_t gives_means;  /* outputs are those of the means, as far as there are any */
    int32_t is_divided;   /* several threads step a row's features: no step may depend on which features are read together */
    vf_optimizer optimizer;
    vf_penalty penalty;
} vf_linear;

/* How long a feature has rested, and the strengths that act on it. */
typedef struct {
    float steps, time; /* since its last touch: steps, and the sum of SGD's rates */
    float l1, l2;
    float sign; /* that its weights may have, as in vf_penalty */
} vf_rest;

/* Since a step that was marked; none where another thread is ahead. */
VF_INLINE float vf_steps_since(const vf_clock *clock, const float *mark) {
    uint32_t last;
    memcpy(&last, mark, 4);
    const int32_t steps = (int32_t)((uint32_t)clock->step - last);
    return steps > 0 ? (float)steps : 0.0f;
}

/* Of SGD, `elapsed` is rounded to single precision: the differences add up to the whole all the same. */
VF_INLINE vf_rest vf_read_rest(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                               const float *record, int64_t feature) {
    const vf_penalty *p = &layer->penalty;
    vf_rest out = {0.0f, 0.0f, lazy == VF_LAZY || kind == VF_FTRL ? p->l1 : 0.0f, p->l2, 0.0f};
    if (lazy == VF_LAZY && p->l1_each)
        out.l1 *= p->l1_each[feature];
    if (lazy == VF_LAZY && p->l2_each)
        out.l2 *= p->l2_each[feature];
    if (lazy == VF_LAZY && p->sign)
        out.sign = p->sign[feature];
    if (kind == VF_FTRL)
        return out;
    record += layer->clock_slot;
    if (kind == VF_SGD) {
        const float time = (float)clock->elapsed - *record;
        out.time = time > 0.0f ? time : 0.0f; /* another thread may be ahead */
    }
    if (kind != VF_SGD || layer->average_slot >= 0)
        out.steps = vf_steps_since(clock, record + (kind == VF_SGD));
    return out;
}

/* Marks a record as caught up. The mark never goes back: a worker whose clock lags
 * would have another one charge the same steps twice. */
VF_INLINE void vf_touch(const int kind, const vf_linear *layer, const vf_clock *clock, float *record) {
    const uint32_t now = (uint32_t)clock->step;
    if (kind == VF_FTRL)
        return;
    record += layer->clock_slot;
    if (kind == VF_SGD)
        *record = (float)clock->elapsed > *record ? (float)clock->elapsed : *record;
    if ((kind != VF_SGD || layer->average_slot >= 0) && vf_steps_since(clock, record + (kind == VF_SGD)) > 0.0f)
        memcpy(record + (kind == VF_SGD), &now, 4);
}

VF_INLINE vf_state vf_read_state(const int kind, const vf_linear *layer, const float *record, int64_t output, float row) {
    vf_state s = {0.0f, 0.0f, row};
    if (VF_USES_S1(kind))
        s.s1 = record[layer->slot1 + output];
    if (VF_USES_S2(kind))
        s.s2 = record[layer->slot2 + output];
    if (kind == VF_ADAM_ROWWISE)
        s.s2 = record[layer->row_slot + 1];
    return s;
}

VF_INLINE void vf_write_state(const int kind, const vf_linear *layer, float *record, int64_t output, vf_state s) {
    if (VF_USES_S1(kind))
        record[layer->slot1 + output] = s.s1;
    if (VF_USES_S2(kind))
        record[layer->slot2 + output] = s.s2;
    if (VF_USES_ROW(kind))
        record[layer->row_slot] = s.row;
    if (kind == VF_ADAM_ROWWISE)
        record[layer->row_slot + 1] = s.s2;
}

VF_INLINE float vf_read_row(const int kind, const vf_linear *layer, const float *record) {
    return VF_USES_ROW(kind) ? record[layer->row_slot] : 0.0f;
}

VF_INLINE float vf_center(const int lazy, const vf_linear *layer, int64_t feature, int64_t output) {
    const float *center = lazy == VF_LAZY ? layer->penalty.center : NULL;
    return center ? center[feature * layer->n_out + output] : 0.0f;
}

VF_INLINE vf_missed vf_missed_by(const int kind, const int branches, vf_state s, vf_rest rest, const vf_optimizer *o) {
    vf_missed out = kind == VF_SGD ? vf_miss_flow(rest.time, rest.l1, rest.l2)
                                   : vf_miss(branches, rest.steps, vf_resting_rate(kind, s, o), rest.l1, rest.l2);
    out.sign = rest.sign;
    return out;
}

/* What a weight is worth now. */
VF_INLINE vf_value vf_now(const int kind, const int lazy, const int branches, float w, float center, vf_state s, vf_rest rest,
                          const vf_clock *clock, const vf_linear *layer) {
    const vf_optimizer *o = &layer->optimizer;
    const float lower = layer->penalty.lower;
    if (kind == VF_FTRL) {
        const float now = vf_ftrl_weight(s.s1, s.s2, center, rest.l1, rest.l2, (float)clock->step, o);
        const vf_value out = {lazy == VF_LAZY ? vf_bounded(now, lower, rest.sign) : now, 0.0f};
        return out;
    }
    return vf_shrunk(lazy, w, center, vf_missed_by(kind, branches, s, rest, o), lower);
}

#endif
