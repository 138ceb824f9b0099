/* Hot features: those that many rows have. Threads that write to the same cache lines at
 * every row wait for each other most of the time, so each steps its own copies of their
 * records, and adds what they changed to a shared table now and then. */
#ifndef VF_HOT_H
#define VF_HOT_H

#include "copied.h"

enum { VF_LOCK_STRIDE = 16 }; /* int32 between locks: a cache line each */

typedef struct {
    int64_t n_slots;
    const int32_t *feature; /* (n_slots) whose record a slot has, -1: nobody's; NULL: slot f is the layer's record f */
    int32_t bits;           /* n_slots is 2**bits if there are features */
    float *records;         /* (n_slots, stride), shared */
    int64_t n_parts;        /* ranges of slots that are merged at a time */
    int32_t *locks;         /* of every part, and of the intercept */
} vf_hot;

/* A thread's copies, and what the table's records were when they were last merged. */
typedef struct {
    float *records, *before;    /* (n_slots, stride) */
    float *bias, *bias_before;  /* (stride) */
    vf_clock clock;             /* of this thread's steps in this pass */
} vf_apart;

/* The layout of records of one output, as constants (parameters.py has the same). */
VF_INLINE vf_linear vf_plain(const int kind, const int lazy, const vf_linear *layer) {
    vf_linear out = *layer;
    const int size = kind == VF_FTRL ? 2 : 1 + VF_USES_S1(kind) + VF_USES_S2(kind) + VF_USES_ROW(kind);
    const int clock = !lazy || kind == VF_FTRL ? 0 : kind == VF_SGD ? 3 : 1;
    out.stride = size + clock == 3 ? 4 : size + clock;
    out.slot1 = kind == VF_FTRL ? 0 : VF_USES_S1(kind) ? 1 : -1;
    out.slot2 = kind == VF_FTRL ? 1 : VF_USES_S2(kind) ? 2 : -1;
    out.row_slot = VF_USES_ROW(kind) ? size - 1 : -1;
    out.clock_slot = clock ? size : -1;
    return out;
}

VF_INLINE int vf_is_plain(const int kind, const int lazy, const vf_linear *layer) {
    const vf_linear plain = vf_plain(kind, lazy, layer);
    return layer->n_out == 1 && layer->stride == plain.stride && layer->slot1 == plain.slot1 && layer->slot2 == plain.slot2
           && layer->row_slot == plain.row_slot && layer->clock_slot == plain.clock_slot && layer->average_slot < 0;
}

VF_INLINE int64_t vf_slot_of(int32_t feature, int32_t bits) {
    return (feature ^ (feature >> bits)) & (((int32_t)1 << bits) - 1);
}

/* Where the records of features are: floats behind the first of the layer, or in the
 * slots, which begin at `from`. */
VF_INLINE void vf_find_hot(const vf_hot *hot, int64_t from, const int32_t *VF_RESTRICT indices, int64_t n,
                           int64_t stride, int64_t *VF_RESTRICT at) {
    const int32_t *VF_RESTRICT owner = hot->feature;
    const int32_t bits = hot->bits;
    for (int64_t k = 0; k < n; k++) {
        const int32_t feature = indices[k], slot = (int32_t)vf_slot_of(feature, bits);
        const int64_t in_slot = from + slot * stride, in_layer = feature * stride;
        at[k] = owner[slot] == feature ? in_slot : in_layer;
    }
}

VF_INLINE float vf_squares(float r) {
    return r > 0.0f ? 1.0f / (r * r) : 0.0f;
}

/* The sum of squares that AdaGrad keeps, with what a copy's grew by. */
VF_INLINE float vf_merged_scale(float shared, float before, float after) {
    const float sum = vf_squares(shared) + (vf_squares(after) - vf_squares(before));
    return sum > 0.0f ? 1.0f / sqrtf(sum) : 0.0f;
}

/* Adds what n copies changed to the shared records, and copies these anew. Clocks stay:
 * those of copies are their thread's, and where threads step copies the table has none. */
VF_INLINE void vf_merge_records(const int kind, const vf_linear *layer, int64_t n, float *VF_RESTRICT shared,
                                float *VF_RESTRICT own, float *VF_RESTRICT before) {
    const int64_t stride = layer->stride, width = layer->clock_slot >= 0 ? layer->clock_slot : stride;
    for (int64_t k = 0; k < n * stride; k += stride)
        for (int64_t c = 0; c < width; c++) {
            const int is_scale = (kind == VF_ADAGRAD && c == layer->slot1) || (kind == VF_ADAGRAD_ROWWISE && c == layer->row_slot);
            const int is_root = kind == VF_FTRL && c == layer->slot2;
            const float merged = is_root ? vf_ftrl_grown(shared[k + c], before[k + c], own[k + c])
                                 : is_scale ? vf_merged_scale(shared[k + c], before[k + c], own[k + c])
                                          : shared[k + c] + (own[k + c] - before[k + c]);
            shared[k + c] = own[k + c] = before[k + c] = merged;
        }
}

VF_INLINE void vf_merge_part(const int kind, const int lazy, const vf_linear *weights, const vf_linear *bias,
                             const vf_hot *hot, vf_apart *apart, int64_t part) {
    vf_linear layer = vf_plain(kind, lazy, weights);
    const int64_t from = hot->n_slots * part / hot->n_parts, to = hot->n_slots * (part + 1) / hot->n_parts;
    const int64_t start = from * layer.stride;
    int32_t *lock = hot->locks + part * VF_LOCK_STRIDE, *bias_lock = hot->locks + hot->n_parts * VF_LOCK_STRIDE;
    layer.record = apart->records + start;
    if (lazy && kind != VF_FTRL)
        vf_settle_copied(kind, lazy, &layer, &apart->clock, 0, to - from);
    VF_LOCK(lock);
    vf_merge_records(kind, &layer, to - from, hot->records + start, apart->records + start, apart->before + start);
    VF_UNLOCK(lock);
    if (bias == NULL)
        return;
    VF_LOCK(bias_lock);
    vf_merge_records(kind, &layer, 1, bias->record, apart->bias, apart->bias_before);
    VF_UNLOCK(bias_lock);
}

/* Fills the table before a pass. What features have missed is applied: in the pass each
 * thread's own steps count. */
VF_INLINE void vf_load_hot(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, const vf_hot *hot) {
    const int64_t stride = layer->stride;
    for (int64_t slot = 0; slot < hot->n_slots; slot++) {
        const int64_t feature = hot->feature ? hot->feature[slot] : slot;
        if (feature < 0)
            continue;
        if (lazy && kind != VF_FTRL)
            vf_settle_copied(kind, lazy, layer, clock, feature, feature + 1);
        if (hot->feature)
            memcpy(hot->records + slot * stride, layer->record + feature * stride, sizeof(float) * (size_t)stride);
    }
}

/* Puts the table's records back after a pass. */
VF_INLINE void vf_store_hot(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, const vf_hot *hot) {
    const int64_t stride = layer->stride;
    for (int64_t slot = 0; slot < hot->n_slots; slot++) {
        const int64_t feature = hot->feature ? hot->feature[slot] : slot;
        if (feature < 0 || vf_is_untouched(layer, hot->records + slot * stride))
            continue;
        if (hot->feature)
            memcpy(layer->record + feature * stride, hot->records + slot * stride, sizeof(float) * (size_t)stride);
        if (lazy)
            vf_touch(kind, layer, clock, layer->record + feature * stride);
    }
}

#endif
