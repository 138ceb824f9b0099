/* Merges of copies of one output whose workers all wait for them (engine/net/rounds.pyx). Each publishes what its copies
 * of hot features have become, one thread joins those of all, and each takes what came of it: the copies are scattered
 * over the lines of their worker's records, and published ones lie side by side, since other threads read them. Copies of
 * the other features are joined a range at a time, where they are. */
#ifndef VF_ROUNDS_ONE_H
#define VF_ROUNDS_ONE_H

#include "kernels/sharing/merge_one.h"

enum { VF_MOST_WORKERS = 16 }; /* that a range is joined of */

/* Where copies are, in their slots, or in order where there are none. */
VF_INLINE void vf_seek_group(vf_merged range, int64_t from, int64_t size, vf_group *in_order, vf_group *own) {
    for (int64_t i = 0; i < VF_GROUP; i++) {
        in_order->at[i] = from + (i < size ? i : 0);
        own->at[i] = range.slots ? range.slots[in_order->at[i]] : in_order->at[i];
        own->feature[i] = range.feature ? range.feature[in_order->at[i]] : 0;
    }
}

/* Writes what copies are worth by their worker's clock to `before`. */
VF_INLINE void vf_publish_records(const int kind, const int lazy, const vf_linear *layer, const vf_apart *apart,
                                  vf_merged range) {
    const int which = vf_copied_numbers(kind, lazy, layer) == VF_MEANS ? VF_MEANS : VF_STATE;
    for (int64_t from = 0; from < range.n; from += VF_GROUP) {
        const int64_t size = range.n - from < VF_GROUP ? range.n - from : VF_GROUP;
        vf_group to, own;
        vf_seek_group(range, from, size, &to, &own);
        vf_read_own(kind, lazy, layer, apart, range.own, &own);
        vf_copies published = vf_in_group(&own);
        published.at = to.at;
        vf_write_numbers(kind, which, range.before, layer->stride, size, published);
    }
}

/* Adds what a worker published to the shared records; `before` is what these were when all took them. */
VF_INLINE void vf_join_records(const int kind, const int lazy, const vf_linear *layer, const vf_apart *apart,
                               vf_tally tally, vf_merged range) {
    const int64_t stride = layer->stride;
    const int which = vf_copied_numbers(kind, lazy, layer) == VF_MEANS ? VF_MEANS : VF_STATE;
    for (int64_t from = 0; from < range.n; from += VF_GROUP) {
        const int64_t size = range.n - from < VF_GROUP ? range.n - from : VF_GROUP;
        vf_group in, old, gained;
        vf_seek_group(range, from, size, &in, &gained);
        memcpy(gained.at, in.at, sizeof in.at);
        memcpy(old.at, in.at, sizeof in.at);
        memcpy(old.feature, gained.feature, sizeof gained.feature);
        vf_read_group(kind, which, layer, range.shared, &in);
        vf_read_group(kind, VF_STATE, layer, range.before, &old);
        vf_rest_group(kind, lazy, layer, apart, tally.since, &old);
        vf_read_group(kind, which, layer, range.own, &gained);
        vf_add_group(kind, lazy, layer, tally, &in, &old, &gained);
        vf_write_numbers(kind, which, range.shared, stride, size, vf_in_group(&in));
    }
}

/* Copies the shared records anew. They have missed nothing by the worker's clock. */
VF_INLINE void vf_take_records(const int kind, const int lazy, const vf_linear *layer, const vf_apart *apart,
                               vf_merged range) {
    const int which = vf_copied_numbers(kind, lazy, layer);
    float none[VF_GROUP] = {0.0f};
    for (int64_t from = 0; from < range.n; from += VF_GROUP) {
        const int64_t size = range.n - from < VF_GROUP ? range.n - from : VF_GROUP;
        vf_group in, own;
        vf_seek_group(range, from, size, &in, &own);
        if (which != VF_STATE) /* for their clocks */
            vf_read_own(kind, lazy, layer, apart, range.own, &own);
        vf_read_group(kind, VF_STATE, layer, range.shared, &in);
        vf_copies anew = vf_in_group(&in);
        anew.at = own.at, anew.clock = own.clock, anew.stamp = own.stamp, anew.average = none;
        vf_write_numbers(kind, which, range.own, layer->stride, size, anew);
    }
}

/* The hottest features, of the first n tiers. */
VF_INLINE vf_merged vf_first_tiers(const vf_hot *hot, vf_apart *apart, int64_t n_tiers) {
    const int64_t end = vf_tier_start(hot, n_tiers), n = end < hot->n_hot ? end : hot->n_hot;
    const vf_merged out = {n, hot->records, apart->records, apart->hot_before, hot->slot, hot->feature, 0};
    return out;
}

/* A worker publishes its copies of the first n tiers, and of the intercepts, where others keep what they were. */
VF_INLINE void vf_publish(const int kind, const int lazy, const vf_linear *weights, const vf_linear *const *intercepts,
                          const vf_hot *hot, vf_apart *apart, int64_t n_tiers) {
    const vf_linear layer = vf_plain(kind, lazy, weights);
    vf_publish_records(kind, lazy, &layer, apart, vf_first_tiers(hot, apart, n_tiers));
    for (int64_t i = 0; i < 2; i++)
        if (intercepts[i]) {
            const vf_linear intercept = vf_plain(kind, lazy, intercepts[i]);
            const vf_merged one = {1, NULL, apart->bias[i], apart->bias_before[i], NULL, NULL, 0};
            vf_publish_records(kind, lazy, &intercept, apart, one);
        }
}

VF_INLINE void vf_take(const int kind, const int lazy, const vf_linear *weights, const vf_linear *const *intercepts,
                       const vf_hot *hot, vf_apart *apart, int64_t n_tiers) {
    const vf_linear layer = vf_plain(kind, lazy, weights);
    vf_take_records(kind, lazy, &layer, apart, vf_first_tiers(hot, apart, n_tiers));
    for (int64_t i = 0; i < 2; i++)
        if (intercepts[i]) {
            const vf_linear intercept = vf_plain(kind, lazy, intercepts[i]);
            const vf_merged one = {1, intercepts[i]->record, apart->bias[i], NULL, NULL, NULL, 0};
            vf_take_records(kind, lazy, &intercept, apart, one);
        }
}

/* Joins what all workers published of a tier, one after the other. `before`: the shared records when all took them. */
VF_INLINE void vf_join(const int kind, const int lazy, const vf_linear *weights, const vf_linear *const *intercepts,
                       const vf_hot *hot, vf_apart *const *apart, int64_t n_workers, vf_apart *before, int64_t tier) {
    const vf_linear layer = vf_plain(kind, lazy, weights);
    const int64_t from = vf_tier_start(hot, tier), end = vf_tier_start(hot, tier + 1), stride = layer.stride;
    const int64_t n = (end < hot->n_hot ? end : hot->n_hot) - from;
    float *shared = hot->records + from * stride, *old = before->hot_before + from * stride;
    for (int64_t w = 0; w < n_workers; w++) {
        const vf_tally tally = vf_take_tally(hot, apart[w], tier);
        const vf_merged range = {n, shared, apart[w]->hot_before + from * stride, old, NULL, hot->feature + from, 0};
        vf_join_records(kind, lazy, &layer, apart[w], tally, range);
        for (int64_t i = 0; tier == 0 && i < 2; i++)
            if (intercepts[i]) {
                const vf_linear intercept = vf_plain(kind, lazy, intercepts[i]);
                const vf_merged one = {1, intercept.record, apart[w]->bias_before[i], before->bias_before[i], NULL, NULL, 0};
                vf_join_records(kind, lazy, &intercept, apart[w], tally, one);
            }
    }
    memcpy(old, shared, sizeof(float) * (size_t)(n * stride));
    for (int64_t i = 0; tier == 0 && i < 2; i++)
        if (intercepts[i])
            memcpy(before->bias_before[i], intercepts[i]->record, sizeof(float) * (size_t)intercepts[i]->stride);
}

/* Joins n records of all workers that lie one after the other from `first` on, and copies the result to all. */
VF_INLINE void vf_join_range(const int kind, const int lazy, const vf_linear *layer, const vf_hot *hot,
                             vf_apart *const *apart, int64_t n_workers, int64_t range, int64_t first, int64_t n) {
    const int64_t stride = layer->stride;
    const int which = vf_copied_numbers(kind, lazy, layer), shared_which = which == VF_MEANS ? VF_MEANS : VF_STATE;
    float *shared = layer->record + first * stride, none[VF_GROUP] = {0.0f};
    float clock[VF_MOST_WORKERS][VF_GROUP], stamp[VF_MOST_WORKERS][VF_GROUP];
    vf_tally tally[VF_MOST_WORKERS];
    for (int64_t w = 0; w < n_workers; w++)
        tally[w] = vf_take_tally(hot, apart[w], range);
    for (int64_t from = 0; from < n; from += VF_GROUP) {
        const int64_t size = n - from < VF_GROUP ? n - from : VF_GROUP;
        vf_group in, old, own;
        for (int64_t i = 0; i < VF_GROUP; i++) {
            in.at[i] = old.at[i] = own.at[i] = from + (i < size ? i : 0);
            own.feature[i] = old.feature[i] = (int32_t)(first + in.at[i]);
        }
        vf_read_group(kind, shared_which, layer, shared, &in);
        vf_read_group(kind, VF_STATE, layer, shared, &old);
        for (int64_t w = 0; w < n_workers; w++) {
            vf_read_own(kind, lazy, layer, apart[w], apart[w]->records + first * stride, &own);
            vf_rest_group(kind, lazy, layer, apart[w], tally[w].since, &old);
            vf_add_group(kind, lazy, layer, tally[w], &in, &old, &own);
            memcpy(clock[w], own.clock, sizeof own.clock);
            memcpy(stamp[w], own.stamp, sizeof own.stamp);
        }
        vf_copies anew = vf_in_group(&in);
        vf_write_numbers(kind, shared_which, shared, stride, size, anew);
        for (int64_t w = 0; w < n_workers; w++) {
            anew.clock = clock[w], anew.stamp = stamp[w], anew.average = none;
            vf_write_numbers(kind, which, apart[w]->records + first * stride, stride, size, anew);
        }
    }
}

/* The same for FTRL's records, whose two sums need no places. */
VF_INLINE void vf_join_sums(float *shared, vf_apart *const *apart, int64_t n_workers, int64_t first, int64_t n) {
    enum { SPAN = 2 * VF_GROUP };
    for (int64_t from = 0; from < 2 * n; from += SPAN) {
        const int64_t size = 2 * n - from < SPAN ? 2 * n - from : SPAN, at = 2 * first + from;
        float old[SPAN] = {0.0f}, in[SPAN], own[SPAN] = {0.0f};
        memcpy(old, shared + at, sizeof(float) * (size_t)size);
        memcpy(in, old, sizeof old);
        for (int64_t w = 0; w < n_workers; w++) {
            memcpy(own, apart[w]->records + at, sizeof(float) * (size_t)size);
            for (int64_t k = 0; k < SPAN; k += 2) {
                in[k] += own[k] - old[k];
                in[k + 1] = vf_ftrl_grown(in[k + 1], old[k + 1], own[k + 1]);
            }
        }
        memcpy(shared + at, in, sizeof(float) * (size_t)size);
        for (int64_t w = 0; w < n_workers; w++)
            memcpy(apart[w]->records + at, in, sizeof(float) * (size_t)size);
    }
}

/* Copies the records of the hot features of a part out of records, or back. */
VF_INLINE void vf_keep_hot(const vf_hot *hot, int64_t part, int64_t stride, float *records, float *kept, int back) {
    const size_t size = sizeof(float) * (size_t)stride;
    for (int64_t k = hot->part_hot[part]; k < hot->part_hot[part + 1]; k++, kept += stride) {
        float *record = records + hot->hot_slot[k] * stride;
        memcpy(back ? record : kept, back ? kept : record, size);
    }
}

/* Joins a part; the hot features among it are left to their tiers. Shared records are what all workers took last. */
VF_INLINE void vf_join_part(const int kind, const int lazy, const vf_linear *weights, const vf_hot *hot,
                            vf_apart *const *apart, int64_t n_workers, float *kept, int64_t part) {
    const vf_linear layer = vf_plain(kind, lazy, weights);
    const int64_t from = hot->n_slots * part / hot->n_parts, to = hot->n_slots * (part + 1) / hot->n_parts;
    const int64_t n_kept = (hot->part_hot[part + 1] - hot->part_hot[part]) * layer.stride;
    vf_keep_hot(hot, part, layer.stride, layer.record, kept, 0);
    for (int64_t w = 0; w < n_workers; w++)
        vf_keep_hot(hot, part, layer.stride, apart[w]->records, kept + (w + 1) * n_kept, 0);
    if (kind == VF_FTRL)
        vf_join_sums(layer.record, apart, n_workers, from, to - from);
    else
        vf_join_range(kind, lazy, &layer, hot, apart, n_workers, hot->n_tiers + part, from, to - from);
    vf_keep_hot(hot, part, layer.stride, layer.record, kept, 1);
    for (int64_t w = 0; w < n_workers; w++)
        vf_keep_hot(hot, part, layer.stride, apart[w]->records, kept + (w + 1) * n_kept, 1);
}

#endif
