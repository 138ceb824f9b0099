/* Copies of records of many outputs, and of layers behind them, under AdaGrad. A copy keeps
 * the clock of all threads, so that one which its thread has not touched since the last merge
 * has nothing to add and is only read anew; else what its weights gained is what they are
 * worth now, less what those it started from would be. */
#ifndef VF_HOT_WIDE_H
#define VF_HOT_WIDE_H

#include "kernels/sharing/slots.h"
#include "kernels/optimizers/misses.h"

/* What weight `output` of a record is worth now. */
VF_INLINE float vf_worth(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                         const float *record, int64_t output, float left) {
    if (!lazy)
        return record[output];
    if (!VF_ROW_RATE(kind)) {
        const vf_state s = vf_read_state(kind, layer, record, output, 0.0f);
        left = vf_missed_by(kind, 1, s, vf_read_rest(kind, lazy, layer, clock, record, 0), &layer->optimizer).left;
    }
    return record[output] + record[output] * left;
}

VF_INLINE float vf_left_of(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                           const float *record) {
    const vf_state s = {0.0f, 0.0f, vf_read_row(kind, layer, record)};
    if (!lazy || !VF_ROW_RATE(kind))
        return 0.0f;
    return vf_missed_by(kind, 1, s, vf_read_rest(kind, lazy, layer, clock, record, 0), &layer->optimizer).left;
}

VF_INLINE int vf_same_clock(const vf_linear *layer, const float *a, const float *b) {
    return memcmp(a + layer->clock_slot, b + layer->clock_slot, 4) == 0;
}

/* Adds what a copy gained since `before` to the shared record; all three are then the same. */
VF_INLINE void vf_merge_record(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                               float *VF_RESTRICT shared, float *VF_RESTRICT own, float *VF_RESTRICT before) {
    const size_t n_bytes = (size_t)layer->stride * sizeof(float);
    const float epsilon = layer->optimizer.epsilon;
    const int touched = !lazy || !vf_same_clock(layer, own, before);
    if (touched && lazy && vf_same_clock(layer, shared, before))
        memcpy(shared, own, n_bytes); /* nobody else came here */
    else if (touched) {
        const float left = vf_left_of(kind, lazy, layer, clock, shared);
        const float own_left = vf_left_of(kind, lazy, layer, clock, own);
        const float left_before = vf_left_of(kind, lazy, layer, clock, before);
        for (int64_t c = 0; c < layer->n_out; c++)
            shared[c] = vf_worth(kind, lazy, layer, clock, shared, c, left)
                      + (vf_worth(kind, lazy, layer, clock, own, c, own_left)
                         - vf_worth(kind, lazy, layer, clock, before, c, left_before));
        const int64_t s1 = layer->slot1, row = layer->row_slot;
        for (int64_t c = s1; VF_USES_S1(kind) && c < s1 + layer->n_out; c++)
            shared[c] = vf_adagrad_merged(shared[c], before[c], own[c], epsilon);
        if (VF_USES_ROW(kind))
            shared[row] = vf_adagrad_merged(shared[row], before[row], own[row], epsilon);
        if (lazy)
            vf_touch(kind, layer, clock, shared);
    }
    memcpy(own, shared, n_bytes);
    memcpy(before, shared, n_bytes);
}

enum { VF_MERGE_AHEAD = 8 }; /* records between asking for one and merging it */

/* Merges n records, with AdaGrad's state: those of the hottest features, or the layer's first n. */
VF_INLINE void vf_merge_as(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                           const vf_hot *hot, int64_t n, float *own, float *before) {
    const int64_t stride = layer->stride;
    for (int64_t k = 0; k < n; k++) {
        const int64_t record = hot ? hot->feature[k] : k;
        if (hot && k + VF_MERGE_AHEAD < n)
            for (int64_t line = 0; line < stride; line += 16)
                VF_PREFETCH(layer->record + hot->feature[k + VF_MERGE_AHEAD] * stride + line);
        vf_merge_record(kind, lazy, layer, clock, layer->record + record * stride, own + k * stride,
                        before + k * stride);
    }
}

VF_SIMD static void vf_merge(int rowwise, int lazy, const vf_linear *layer, const vf_clock *clock, const vf_hot *hot,
                             int64_t n, float *own, float *before) {
    if (rowwise && lazy)
        vf_merge_as(VF_ADAGRAD_ROWWISE, VF_DECAYING, layer, clock, hot, n, own, before);
    else if (rowwise)
        vf_merge_as(VF_ADAGRAD_ROWWISE, VF_EAGER, layer, clock, hot, n, own, before);
    else if (lazy)
        vf_merge_as(VF_ADAGRAD, VF_DECAYING, layer, clock, hot, n, own, before);
    else
        vf_merge_as(VF_ADAGRAD, VF_EAGER, layer, clock, hot, n, own, before);
}

#endif
