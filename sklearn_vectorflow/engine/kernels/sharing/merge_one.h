/* Copies of records of one output, of any rule whose state adds up. A pass counts a
 * thread's own steps in its copies, and what all of them gained is added up: L2 acts on a
 * copy once a step of its thread. So a merge is the same arithmetic for every number of a
 * record, and runs over many records in vector lanes. */
#ifndef VF_HOT_ONE_H
#define VF_HOT_ONE_H

#include "kernels/optimizers/row_lanes.h"
#include "kernels/sharing/slots.h"

/* A thread's copies, and what the shared records were when they were last merged. */
typedef struct {
    float *records;            /* (n_slots, stride) */
    float *before;             /* (n_slots, stride), if there are parts */
    float *hot_before;         /* (n_hot, stride) */
    float *bias[2], *bias_before[2]; /* (stride) of each intercept, see vf_single */
    vf_clock clock;            /* of this thread's steps in this pass */
} vf_apart;

/* The layout of records of one output, as constants (network/records.py has the same). */
VF_INLINE vf_linear vf_plain(const int kind, const int lazy, const vf_linear *layer) {
    vf_linear out = *layer;
    const int size = kind == VF_FTRL ? 2 : 1 + VF_USES_S1(kind) + VF_USES_S2(kind) + VF_USES_ROW(kind);
    const int clock = lazy && kind != VF_FTRL;
    if (lazy != VF_LAZY) /* which may have running means, too */
        out.stride = size + clock == 3 ? 4 : size + clock == 5 ? 8 : size + clock;
    out.slot1 = kind == VF_FTRL ? 0 : VF_USES_S1(kind) ? 1 : -1;
    out.slot2 = kind == VF_FTRL ? 1 : VF_USES_S2(kind) ? 2 : -1;
    out.row_slot = VF_USES_ROW(kind) ? size - 1 : -1;
    out.clock_slot = clock ? size : -1;
    return out;
}

VF_INLINE int vf_is_plain(const int kind, const int lazy, const vf_linear *layer) {
    const vf_linear plain = vf_plain(kind, lazy, layer);
    return layer->n_out == 1 && layer->stride == plain.stride && layer->slot1 == plain.slot1
           && layer->slot2 == plain.slot2 && layer->row_slot == plain.row_slot
           && layer->clock_slot == plain.clock_slot && (lazy == VF_LAZY || layer->average_slot < 0);
}

/* Where the records of features are: counted from the first of the layer, or in the
 * slots, which begin at `from`. */
VF_INLINE void vf_find_hot(const vf_hot *hot, int64_t from, const int32_t *VF_RESTRICT indices, int64_t n,
                           int64_t *VF_RESTRICT at) {
    const int32_t *VF_RESTRICT owner = hot->owner;
    const int32_t bits = hot->bits, shift = hot->shift;
    for (int64_t k = 0; k < n; k++) {
        const int32_t feature = indices[k], slot = (int32_t)vf_slot_of(feature, bits, shift);
        const int64_t in_slot = from + slot;
        at[k] = owner[slot] == feature ? in_slot : feature;
    }
    vf_fill_places(at, n);
}

/* The numbers of a group of records, what they have missed, and room for what is made on the way. */
typedef struct {
    float w[VF_GROUP], s1[VF_GROUP], s2[VF_GROUP], row[VF_GROUP], clock[VF_GROUP], fill[VF_GROUP];
    float left[2 * VF_GROUP], rested[VF_GROUP];
    int64_t at[VF_GROUP];
} vf_group;

VF_INLINE vf_copies vf_in_group(vf_group *group) {
    vf_copies out = {group->left};
    out.w = group->w, out.s1 = group->s1, out.s2 = group->s2, out.row = group->row, out.at = group->at;
    out.clock = group->clock, out.average = group->fill, out.steps = out.time = group->rested;
    return out;
}

/* Reads the records of a group as they are worth by their thread's clock; NULL: they miss nothing. */
VF_INLINE void vf_read_group(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                             float *records, vf_group *group) {
    const int catches_up = clock && vf_catches_up(kind, lazy);
    const vf_copies copies = vf_in_group(group);
    vf_linear own = *layer;
    own.record = records;
    if (!catches_up) {
        vf_read_numbers(kind, VF_STATE, records, layer->stride, VF_GROUP, copies);
        return;
    }
    vf_copy_records(kind, lazy, &own, clock, NULL, VF_GROUP, copies);
    VF_EACH_LANE(k, VF_GROUP)
        copies.w[k] += copies.w[k] * copies.left[k];
}

/* Adds to the shared records what copies changed since they were as `before`. Adam's moments are sums that decay with
 * each touch: what a copy's touches added comes on top of what is there, decayed by as many. */
VF_INLINE void vf_add_group(const int kind, const vf_optimizer *given, vf_group *VF_RESTRICT shared,
                            const vf_group *VF_RESTRICT before, const vf_group *VF_RESTRICT own) {
    const vf_optimizer o = *given;
    VF_EACH_LANE(k, VF_GROUP) {
        float share = 1.0f;
        if (kind == VF_FTRL) {
            shared->s1[k] += own->s1[k] - before->s1[k];
            shared->s2[k] = vf_ftrl_grown(shared->s2[k], before->s2[k], own->s2[k]);
        }
        if (VF_IS_ADAM(kind)) {
            const float touches = own->row[k] - before->row[k];
            const float left1 = 1.0f + vf_expm1_negative(touches * o.log_decay1);
            const float left2 = 1.0f + vf_expm1_negative(touches * o.log_decay2);
            const float second = left2 * (shared->s2[k] - before->s2[k]) + own->s2[k];
            shared->s1[k] = left1 * (shared->s1[k] - before->s1[k]) + own->s1[k];
            shared->s2[k] = second > 0.0f ? second : 0.0f;
            shared->row[k] += touches;
        }
        if (kind == VF_ADAGRAD) {
            shared->s1[k] = vf_adagrad_merged(shared->s1[k], before->s1[k], own->s1[k], o.epsilon);
            share = vf_adagrad_share(shared->s1[k], own->s1[k]);
        }
        if (kind == VF_ADAGRAD_ROWWISE) {
            shared->row[k] = vf_adagrad_merged(shared->row[k], before->row[k], own->row[k], o.epsilon);
            share = vf_adagrad_share(shared->row[k], own->row[k]);
        }
        if (kind != VF_FTRL)
            shared->w[k] += share * (own->w[k] - before->w[k]);
    }
}

/* Adds what n copies, in the given slots (NULL: in order), changed to the shared records, and copies these anew. The
 * shared record has no clock during a pass: a copy's is its thread's, by which it has missed nothing then. */
VF_INLINE void vf_merge_records(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, int64_t n,
                                float *VF_RESTRICT shared, float *VF_RESTRICT own, const int64_t *slots,
                                float *VF_RESTRICT before) {
    const int64_t stride = layer->stride;
    const int which = clock && vf_catches_up(kind, lazy) ? VF_CLOCKS : VF_STATE;
    for (int64_t from = 0; from < n; from += VF_GROUP) {
        const int64_t size = n - from < VF_GROUP ? n - from : VF_GROUP;
        vf_group in, old, gained;
        for (int64_t i = 0; i < VF_GROUP; i++) {
            in.at[i] = old.at[i] = from + (i < size ? i : 0);
            gained.at[i] = slots ? slots[in.at[i]] : in.at[i];
        }
        vf_read_group(kind, lazy, layer, NULL, shared, &in);
        vf_read_group(kind, lazy, layer, NULL, before, &old);
        vf_read_group(kind, lazy, layer, clock, own, &gained);
        vf_add_group(kind, &layer->optimizer, &in, &old, &gained);
        vf_copies anew = vf_in_group(&in);
        vf_write_numbers(kind, VF_STATE, shared, stride, size, anew);
        vf_write_numbers(kind, VF_STATE, before, stride, size, anew);
        anew.at = gained.at, anew.clock = gained.clock, anew.average = gained.fill;
        vf_write_numbers(kind, which, own, stride, size, anew);
    }
}

/* The same for FTRL's records that lie one after the other: they need no places. */
VF_INLINE void vf_merge_sums(int64_t n, float *VF_RESTRICT shared, float *VF_RESTRICT own, float *VF_RESTRICT before) {
    for (int64_t k = 0; k < 2 * n; k += 2) {
        shared[k] = own[k] = before[k] = shared[k] + (own[k] - before[k]);
        shared[k + 1] = own[k + 1] = before[k + 1] = vf_ftrl_grown(shared[k + 1], before[k + 1], own[k + 1]);
    }
}

VF_INLINE void vf_merge_tier(const int kind, const int lazy, const vf_linear *weights,
                             const vf_linear *const *intercepts, const vf_hot *hot, vf_apart *apart, int64_t tier) {
    const vf_linear layer = vf_plain(kind, lazy, weights);
    const int64_t from = vf_tier_start(hot, tier), end = vf_tier_start(hot, tier + 1);
    const int64_t to = end < hot->n_hot ? end : hot->n_hot;
    int32_t *lock = hot->locks + tier * VF_LOCK_STRIDE;
    vf_lock(lock);
    vf_merge_records(kind, lazy, &layer, &apart->clock, to - from, hot->records + from * layer.stride, apart->records,
                     hot->slot + from, apart->hot_before + from * layer.stride);
    for (int64_t i = 0; tier == 0 && i < 2; i++)
        if (intercepts[i])
            vf_merge_records(kind, lazy, &layer, NULL, 1, intercepts[i]->record, apart->bias[i], NULL,
                             apart->bias_before[i]);
    VF_UNLOCK(lock);
}

enum { VF_MOST_STRIDE = 8 }; /* of a record of one output, see network/records.py */

/* Merges a range of features; the hot ones among them are left to their tiers. */
VF_INLINE void vf_merge_part(const int kind, const int lazy, const vf_linear *weights, const vf_hot *hot,
                             vf_apart *apart, int64_t part) {
    const vf_linear layer = vf_plain(kind, lazy, weights);
    const int64_t from = hot->n_slots * part / hot->n_parts, to = hot->n_slots * (part + 1) / hot->n_parts;
    const int64_t first = hot->part_hot[part], n_hot = hot->part_hot[part + 1] - first, stride = layer.stride;
    const size_t size = sizeof(float) * (size_t)stride;
    float kept[VF_PART_HOT * VF_MOST_STRIDE];
    int32_t *lock = hot->locks + (hot->n_tiers + part) * VF_LOCK_STRIDE;
    for (int64_t k = 0; k < n_hot; k++) {
        const int64_t at = hot->hot_slot[first + k] * stride;
        memcpy(kept + k * stride, apart->records + at, size);
        memcpy(apart->before + at, apart->records + at, size);
    }
    float *shared = weights->record + from * stride, *own = apart->records + from * stride;
    float *before = apart->before + from * stride;
    vf_lock(lock);
    if (kind == VF_FTRL)
        vf_merge_sums(to - from, shared, own, before);
    else
        vf_merge_records(kind, lazy, &layer, &apart->clock, to - from, shared, own, NULL, before);
    VF_UNLOCK(lock);
    for (int64_t k = 0; k < n_hot; k++)
        memcpy(apart->records + hot->hot_slot[first + k] * stride, kept + k * stride, size);
}

/* Takes the hot records out of the layer before a pass. What features have missed is
 * applied: in the pass each thread's own steps count. */
VF_INLINE void vf_load_hot(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                           const vf_hot *hot) {
    const int64_t stride = layer->stride;
    const int catches_up = lazy && kind != VF_FTRL;
    if (hot->n_parts && catches_up)
        vf_settle_copied(kind, lazy, layer, clock, 0, layer->n_in);
    for (int64_t k = 0; k < hot->n_hot; k++) {
        if (!hot->n_parts && catches_up)
            vf_settle_copied(kind, lazy, layer, clock, hot->feature[k], hot->feature[k] + 1);
        memcpy(hot->records + k * stride, layer->record + hot->feature[k] * stride, sizeof(float) * (size_t)stride);
    }
}

/* Puts them back after it. */
VF_INLINE void vf_store_hot(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                            const vf_hot *hot) {
    const int64_t stride = layer->stride;
    for (int64_t k = 0; k < hot->n_hot; k++) {
        float *record = layer->record + hot->feature[k] * stride;
        memcpy(record, hot->records + k * stride, sizeof(float) * (size_t)stride);
        if (lazy && !vf_is_untouched(layer, record))
            vf_touch(kind, layer, clock, record);
    }
    if (hot->n_parts && lazy && kind != VF_FTRL)
        for (int64_t feature = 0; feature < layer->n_in; feature++)
            if (!vf_is_untouched(layer, layer->record + feature * stride))
                vf_touch(kind, layer, clock, layer->record + feature * stride);
}

#endif
