/* Copies of records of one output, of any rule. A pass counts a thread's own steps in its
 * copies: a penalty acts on a copy once a step of its thread, and its running mean becomes that
 * of the steps of all. What a copy's steps gained is what it is worth, less what it would be if
 * it had only rested since the last merge. The shared record rests as long, and then gains as
 * much: gains add up, and shares that a penalty leaves are multiplied. So a merge is the same
 * arithmetic for every number of a record, and runs over many records in vector lanes. */
#ifndef VF_HOT_ONE_H
#define VF_HOT_ONE_H

#include "kernels/optimizers/settle_one.h"
#include "kernels/sharing/slots.h"

/* A thread's copies, and what the shared records were when they were last merged. */
typedef struct {
    float *records;            /* (n_slots, stride) */
    float *before;             /* (n_slots, stride), if there are parts */
    float *hot_before;         /* (n_hot, stride) */
    float *bias[2], *bias_before[2]; /* (stride) of each intercept, see vf_single */
    vf_clock clock;            /* of this thread's steps in this pass */
    int64_t average_from;      /* the first of them that counts in means */
    int64_t *averaged;         /* (n_tiers + n_parts) steps that its copies gave to the means of each range */
    vf_clock *merged;          /* the same: its clock at the last merge of each */
} vf_apart;

/* What a range of copies gives to shared means: a sum over so many steps; and one over all steps that are in them then.
 * And the clock at its last merge. */
typedef struct {
    float gained, weight;
    vf_clock since;
} vf_tally;

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

/* The numbers of a group of records, what acts on them, what they have missed, and room for what is made on the way. */
typedef struct {
    float w[VF_GROUP], s1[VF_GROUP], s2[VF_GROUP], row[VF_GROUP], clock[VF_GROUP], stamp[VF_GROUP], average[VF_GROUP];
    float left[2 * VF_GROUP], threshold[2 * VF_GROUP], steps[VF_GROUP], time[VF_GROUP];
    float l1[VF_GROUP], l2[VF_GROUP], center[VF_GROUP], sign[VF_GROUP];
    int64_t at[VF_GROUP];
    int32_t feature[VF_GROUP];
} vf_group;

VF_INLINE vf_copies vf_in_group(vf_group *group) {
    vf_copies out = {group->left};
    out.threshold = group->threshold, out.at = group->at, out.feature = group->feature;
    out.w = group->w, out.s1 = group->s1, out.s2 = group->s2, out.row = group->row;
    out.clock = group->clock, out.stamp = group->stamp, out.average = group->average;
    out.steps = group->steps, out.time = group->time;
    out.l1 = group->l1, out.l2 = group->l2, out.center = group->center, out.sign = group->sign;
    return out;
}

/* Reads shared records, or those that copies were: they miss nothing. */
VF_INLINE void vf_read_group(const int kind, const int which, const vf_linear *layer, const float *records, vf_group *group) {
    vf_read_numbers(kind, which, records, layer->stride, VF_GROUP, vf_in_group(group));
}

/* What a weight is worth that has missed what the record k of a group has. */
VF_INLINE float vf_rested_weight(const int kind, const int lazy, const vf_linear *layer, const vf_group *group, int64_t k,
                                 float w) {
    const vf_value now = lazy == VF_LAZY ? vf_copied_now(kind, lazy, w, group->left[k], group->threshold[k], group->center[k],
                                                         layer->penalty.lower, group->sign[k])
                                         : vf_copied_now(kind, lazy, w, group->left[k], 0.0f, 0.0f, 0.0f, 0.0f);
    return now.base + now.change;
}

/* Reads records as they are worth by a clock. `own`: NULL, or all of them are a thread's own. */
VF_INLINE void vf_read_rested(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, const vf_own *own,
                              vf_group *group) {
    const vf_copies copies = vf_in_group(group);
    if (!vf_catches_up(kind, lazy)) {
        vf_read_group(kind, VF_STATE, layer, layer->record, group);
        return;
    }
    vf_copy_records(kind, lazy, layer, clock, own, VF_GROUP, copies);
    if (lazy == VF_LAZY && layer->average_slot >= 0)
        vf_average_copies(kind, layer, clock, own, VF_GROUP, copies);
    VF_EACH_LANE(k, VF_GROUP, { group->w[k] = vf_rested_weight(kind, lazy, layer, group, k, group->w[k]); });
}

/* Reads a thread's copies as they are worth by its clock. */
VF_INLINE void vf_read_own(const int kind, const int lazy, const vf_linear *layer, const vf_apart *apart, float *records,
                           vf_group *group) {
    const vf_own all = {0, VF_ALL, &apart->clock, apart->average_from};
    vf_linear own = *layer;
    own.record = records;
    vf_read_rested(kind, lazy, &own, &apart->clock, &all, group);
}

/* Finds what records have missed that were merged at a clock and have rested since then. */
VF_INLINE void vf_rest_group(const int kind, const int lazy, const vf_linear *layer, const vf_apart *apart, vf_clock since,
                             vf_group *group) {
    const vf_own all = {0, VF_ALL, &apart->clock, apart->average_from};
    const uint32_t step = (uint32_t)since.step;
    if (!vf_catches_up(kind, lazy))
        return;
    for (int64_t k = 0; k < VF_GROUP; k++) {
        group->stamp[k] = vf_from_bits(step);
        group->clock[k] = kind == VF_SGD ? (float)since.elapsed : vf_from_bits(step);
    }
    vf_read_misses(kind, lazy, layer, &apart->clock, &all, VF_GROUP, vf_in_group(group));
}

/* Adds to the shared records what the steps of copies gained since they were as `before`, which has what resting since then
 * makes records miss. */
VF_INLINE void vf_add_group(const int kind, const int lazy, const vf_linear *layer, vf_tally tally,
                            vf_group *VF_RESTRICT shared, const vf_group *VF_RESTRICT before,
                            const vf_group *VF_RESTRICT own) {
    const vf_optimizer o = layer->optimizer;
    VF_EACH_LANE(k, VF_GROUP, {
        float share = 1.0f;
        if (kind == VF_FTRL) {
            shared->s1[k] += own->s1[k] - before->s1[k];
            shared->s2[k] = vf_ftrl_grown(shared->s2[k], before->s2[k], own->s2[k]);
        }
        if (VF_IS_ADAM(kind)) {
            const float touches = own->row[k] - before->row[k];
            const vf_decay decay = vf_adam_decay(touches, &o);
            shared->s1[k] = vf_adam_first(shared->s1[k], before->s1[k], own->s1[k], decay);
            shared->s2[k] = vf_adam_second(shared->s2[k], before->s2[k], own->s2[k], decay);
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
        if (kind != VF_FTRL) {
            const float w = vf_rested_weight(kind, lazy, layer, before, k, shared->w[k]);
            const float rested = vf_rested_weight(kind, lazy, layer, before, k, before->w[k]);
            const float merged = w + share * (own->w[k] - rested);
            shared->w[k] = lazy == VF_LAZY ? vf_merged_up_to(merged, w, own->w[k], before->center[k]) : merged;
        }
        if (lazy == VF_LAZY && kind != VF_FTRL)
            shared->average[k] += (own->average[k] - tally.gained * shared->average[k]) * tally.weight;
    });
}

/* Records that are merged together: n shared ones, a thread's copies of them in the given slots (NULL: in order), what
 * these were, and whose they are (NULL: from `first` on). */
typedef struct {
    int64_t n;
    float *shared, *own, *before;
    const int64_t *slots;
    const int32_t *feature;
    int64_t first;
} vf_merged;

/* Adds what copies changed to the shared records, and copies these anew. A shared record has no clock during a pass: a
 * copy's is its thread's, by which it has missed nothing then. */
VF_INLINE void vf_merge_records(const int kind, const int lazy, const vf_linear *layer, const vf_apart *apart,
                                vf_tally tally, vf_merged range) {
    const int64_t stride = layer->stride;
    const int which = vf_copied_numbers(kind, lazy, layer), shared_which = which == VF_MEANS ? VF_MEANS : VF_STATE;
    float none[VF_GROUP] = {0.0f};
    for (int64_t from = 0; from < range.n; from += VF_GROUP) {
        const int64_t size = range.n - from < VF_GROUP ? range.n - from : VF_GROUP;
        vf_group in, old, gained;
        for (int64_t i = 0; i < VF_GROUP; i++) {
            in.at[i] = old.at[i] = from + (i < size ? i : 0);
            gained.at[i] = range.slots ? range.slots[in.at[i]] : in.at[i];
            gained.feature[i] = range.feature ? range.feature[in.at[i]] : (int32_t)(range.first + in.at[i]);
            old.feature[i] = gained.feature[i];
        }
        vf_read_group(kind, shared_which, layer, range.shared, &in);
        vf_read_group(kind, VF_STATE, layer, range.before, &old);
        vf_rest_group(kind, lazy, layer, apart, tally.since, &old);
        vf_read_own(kind, lazy, layer, apart, range.own, &gained);
        vf_add_group(kind, lazy, layer, tally, &in, &old, &gained);
        vf_copies anew = vf_in_group(&in);
        vf_write_numbers(kind, shared_which, range.shared, stride, size, anew);
        vf_write_numbers(kind, VF_STATE, range.before, stride, size, anew);
        anew.at = gained.at, anew.clock = gained.clock, anew.stamp = gained.stamp, anew.average = none;
        vf_write_numbers(kind, which, range.own, stride, size, anew);
    }
}

/* The same for FTRL's records that lie one after the other: they need no places. */
VF_INLINE void vf_merge_sums(vf_merged range) {
    float *VF_RESTRICT shared = range.shared, *VF_RESTRICT own = range.own, *VF_RESTRICT before = range.before;
    for (int64_t k = 0; k < 2 * range.n; k += 2) {
        shared[k] = own[k] = before[k] = shared[k] + (own[k] - before[k]);
        shared[k + 1] = own[k + 1] = before[k + 1] = vf_ftrl_grown(shared[k + 1], before[k + 1], own[k + 1]);
    }
}

/* The steps that a range of copies (a tier, or a part behind all tiers) gives to the means, and all that are in these then. */
VF_INLINE vf_tally vf_take_tally(const vf_hot *hot, vf_apart *apart, int64_t range) {
    const int64_t now = apart->clock.step > apart->average_from ? apart->clock.step - apart->average_from : 0;
    const int64_t gained = now - apart->averaged[range], all = hot->averaged[range] += gained;
    const vf_tally out = {(float)gained, all > 0 ? 1.0f / (float)all : 0.0f, apart->merged[range]};
    apart->averaged[range] = now;
    apart->merged[range] = apart->clock;
    return out;
}

VF_INLINE void vf_merge_tier(const int kind, const int lazy, const vf_linear *weights,
                             const vf_linear *const *intercepts, const vf_hot *hot, vf_apart *apart, int64_t tier) {
    const vf_linear layer = vf_plain(kind, lazy, weights);
    const int64_t from = vf_tier_start(hot, tier), end = vf_tier_start(hot, tier + 1);
    const int64_t n = (end < hot->n_hot ? end : hot->n_hot) - from;
    int32_t *lock = hot->locks + tier * VF_LOCK_STRIDE;
    vf_lock(lock);
    const vf_tally tally = vf_take_tally(hot, apart, tier);
    const vf_merged range = {n, hot->records + from * layer.stride, apart->records,
                             apart->hot_before + from * layer.stride, hot->slot + from, hot->feature + from, 0};
    vf_merge_records(kind, lazy, &layer, apart, tally, range);
    for (int64_t i = 0; tier == 0 && i < 2; i++)
        if (intercepts[i]) {
            const vf_linear intercept = vf_plain(kind, lazy, intercepts[i]);
            const vf_merged one = {1, intercept.record, apart->bias[i], apart->bias_before[i], NULL, NULL, 0};
            vf_merge_records(kind, lazy, &intercept, apart, tally, one);
        }
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
    const vf_merged range = {to - from, weights->record + from * stride, apart->records + from * stride,
                             apart->before + from * stride, NULL, NULL, from};
    vf_lock(lock);
    if (kind == VF_FTRL)
        vf_merge_sums(range);
    else
        vf_merge_records(kind, lazy, &layer, apart, vf_take_tally(hot, apart, hot->n_tiers + part), range);
    VF_UNLOCK(lock);
    for (int64_t k = 0; k < n_hot; k++)
        memcpy(apart->records + hot->hot_slot[first + k] * stride, kept + k * stride, size);
}

VF_INLINE void vf_settle_one(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, int64_t from,
                             int64_t to) {
    if (lazy == VF_LAZY)
        vf_settle_lazy(kind, layer, clock, from, to);
    else
        vf_settle_copied(kind, lazy, layer, clock, from, to);
}

/* Whether intercepts have clocks: a constant output of no averages has none, whatever the weights have. */
VF_INLINE int vf_has_clock(const vf_linear *intercept) {
    return intercept != NULL && intercept->clock_slot >= 0;
}

/* Takes the hot records out of the layer before a pass. What features have missed is
 * applied: in the pass each thread's own steps count. */
VF_INLINE void vf_load_hot(const int kind, const int lazy, const vf_linear *layer, const vf_linear *const *intercepts,
                           const vf_clock *clock, const vf_hot *hot) {
    const int64_t stride = layer->stride;
    const int catches_up = vf_catches_up(kind, lazy);
    if (hot->n_parts && catches_up)
        vf_settle_one(kind, lazy, layer, clock, 0, layer->n_in);
    for (int64_t i = 0; i < 2; i++)
        if (vf_has_clock(intercepts[i]) && catches_up)
            vf_settle_one(kind, lazy, intercepts[i], clock, 0, 1);
    for (int64_t k = 0; k < hot->n_hot; k++) {
        if (!hot->n_parts && catches_up)
            vf_settle_one(kind, lazy, layer, clock, hot->feature[k], hot->feature[k] + 1);
        memcpy(hot->records + k * stride, layer->record + hot->feature[k] * stride, sizeof(float) * (size_t)stride);
    }
}

/* The clocks of records go on to now: they have missed nothing. */
VF_INLINE void vf_touch_range(const int kind, const vf_linear *layer, const vf_clock *clock, int64_t from, int64_t to) {
    for (int64_t feature = from; feature < to; feature++) {
        float *record = layer->record + feature * layer->stride;
        if (!vf_is_untouched(layer, record))
            vf_touch(kind, layer, clock, record);
    }
}

/* Puts them back after it. */
VF_INLINE void vf_store_hot(const int kind, const int lazy, const vf_linear *layer, const vf_linear *const *intercepts,
                            const vf_clock *clock, const vf_hot *hot) {
    const int64_t stride = layer->stride;
    for (int64_t k = 0; k < hot->n_hot; k++) {
        memcpy(layer->record + hot->feature[k] * stride, hot->records + k * stride, sizeof(float) * (size_t)stride);
        if (vf_catches_up(kind, lazy))
            vf_touch_range(kind, layer, clock, hot->feature[k], hot->feature[k] + 1);
    }
    if (hot->n_parts && vf_catches_up(kind, lazy))
        vf_touch_range(kind, layer, clock, 0, layer->n_in);
    for (int64_t i = 0; i < 2; i++)
        if (vf_has_clock(intercepts[i]) && vf_catches_up(kind, lazy))
            vf_touch_range(kind, intercepts[i], clock, 0, 1);
}

#endif
