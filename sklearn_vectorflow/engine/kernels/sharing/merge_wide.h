/* Copies of records of any number of outputs, and of layers behind them. A copy keeps
 * the clock of all threads, so that one which its thread has not touched since the last merge
 * has nothing to add and is only read anew; else what its weights gained is what they are
 * worth now, less what those it started from would be. */
#ifndef VF_HOT_WIDE_H
#define VF_HOT_WIDE_H

#include "kernels/optimizers/average.h"
#include "kernels/rows/rows.h"
#include "kernels/sharing/slots.h"

/* A record, and what its weights have missed by now. */
typedef struct {
    const float *numbers;
    int64_t feature;
    float row, left; /* left: of all weights alike, where they miss the same */
    vf_rest rest;
} vf_rested;

VF_INLINE vf_rested vf_rested_of(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                                 const float *record, int64_t feature) {
    vf_rested out = {record, feature, vf_read_row(kind, layer, record), 0.0f, {0.0f, 0.0f, 0.0f, 0.0f, 0.0f}};
    if (!lazy)
        return out;
    out.rest = vf_read_rest(kind, lazy, layer, clock, record, feature);
    if (VF_ROW_RATE(kind))
        out.left = vf_missed_by(kind, 1, vf_read_state(kind, layer, record, 0, out.row), out.rest, &layer->optimizer).left;
    return out;
}

/* What weight c is worth now. */
VF_INLINE float vf_worth(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                         const vf_rested *rested, int64_t c) {
    const float w = rested->numbers[c];
    if (!lazy)
        return w;
    if (lazy == VF_DECAYING && VF_ROW_RATE(kind))
        return w + w * rested->left;
    const vf_state s = vf_read_state(kind, layer, rested->numbers, c, rested->row);
    const vf_value now = vf_now(kind, lazy, 1, w, vf_center(lazy, layer, rested->feature, c), s, rested->rest, clock, layer);
    return now.base + now.change;
}

/* A record with what it was, and what a copy of it became. */
typedef struct {
    vf_rested shared, own, before;
} vf_three;

VF_INLINE vf_three vf_three_of(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                               const float *shared, const float *own, const float *before, int64_t feature) {
    const vf_three out = {vf_rested_of(kind, lazy, layer, clock, shared, feature),
                          vf_rested_of(kind, lazy, layer, clock, own, feature),
                          vf_rested_of(kind, lazy, layer, clock, before, feature)};
    return out;
}

/* Means, before the weights change: a copy's weights differ from what they would have been by what its steps gained, and
 * so do its means. */
VF_INLINE void vf_merge_means(const int kind, const vf_linear *layer, const vf_clock *clock, const vf_three *three,
                              float *shared) {
    float now[VF_MEANS_SPAN], own[VF_MEANS_SPAN], before[VF_MEANS_SPAN];
    const vf_rested *r = &three->shared, *o = &three->own, *b = &three->before;
    for (int64_t from = 0; from < layer->n_out; from += VF_MEANS_SPAN) {
        const int64_t n = layer->n_out - from < VF_MEANS_SPAN ? layer->n_out - from : VF_MEANS_SPAN;
        vf_means_span(kind, layer, clock, r->numbers, r->feature, r->row, r->rest, from, n, now);
        vf_means_span(kind, layer, clock, o->numbers, o->feature, o->row, o->rest, from, n, own);
        vf_means_span(kind, layer, clock, b->numbers, b->feature, b->row, b->rest, from, n, before);
        for (int64_t c = 0; c < n; c++)
            shared[layer->average_slot + from + c] = now[c] + (own[c] - before[c]);
    }
}

/* Weights and AdaGrad's state. A copy's steps are shortened as much as others' gradients would have shortened them. */
VF_INLINE void vf_merge_weights(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                                float *shared, const float *VF_RESTRICT own, const float *VF_RESTRICT before,
                                int64_t feature) {
    const float epsilon = layer->optimizer.epsilon;
    const vf_three three = vf_three_of(kind, lazy, layer, clock, shared, own, before, feature);
    const int64_t s1 = layer->slot1, row = layer->row_slot;
    float share = 1.0f;
    if (lazy == VF_LAZY && layer->average_slot >= 0)
        vf_merge_means(kind, layer, clock, &three, shared);
    if (kind == VF_ADAGRAD_ROWWISE)
        share = vf_adagrad_share(vf_adagrad_merged(shared[row], before[row], own[row], epsilon), own[row]);
    for (int64_t c = 0; c < layer->n_out; c++) {
        const float worth = vf_worth(kind, lazy, layer, clock, &three.shared, c);
        const float own_worth = vf_worth(kind, lazy, layer, clock, &three.own, c);
        const float gained = own_worth - vf_worth(kind, lazy, layer, clock, &three.before, c);
        if (kind == VF_ADAGRAD) {
            const float merged = vf_adagrad_merged(shared[s1 + c], before[s1 + c], own[s1 + c], epsilon);
            share = vf_adagrad_share(merged, own[s1 + c]);
            shared[s1 + c] = merged;
        }
        shared[c] = lazy == VF_LAZY ? vf_merged_up_to(worth + share * gained, worth, own_worth,
                                                      vf_center(lazy, layer, feature, c))
                                    : worth + share * gained;
    }
    if (kind == VF_ADAGRAD_ROWWISE)
        shared[row] = vf_adagrad_merged(shared[row], before[row], own[row], epsilon);
}

/* FTRL's sums. What z takes off for the weights is that of roots that grow by the gradients of others, too: else weights that
 * begin far from zero, as those of hidden layers do, would grow with each merge. */
VF_INLINE void vf_merge_sums_of(const int lazy, const vf_linear *layer, const vf_clock *clock, int64_t feature,
                                float *VF_RESTRICT shared, const float *VF_RESTRICT own, const float *VF_RESTRICT before) {
    const vf_optimizer o = layer->optimizer;
    const vf_rest acts = vf_read_rest(VF_FTRL, lazy, layer, clock, own, feature);
    const int64_t s1 = layer->slot1, s2 = layer->slot2;
    const float steps = (float)clock->step, rate = 1.0f / o.learning_rate;
    for (int64_t c = 0; c < layer->n_out; c++) {
        const float root = vf_ftrl_grown(shared[s2 + c], before[s2 + c], own[s2 + c]);
        const float more = (own[s2 + c] - before[s2 + c]) - (root - shared[s2 + c]);
        const float w = vf_ftrl_weight(own[s1 + c], own[s2 + c], 0.0f, acts.l1, acts.l2, steps, &o);
        shared[s1 + c] += own[s1 + c] - before[s1 + c] + w * more * rate;
        shared[s2 + c] = root;
    }
}

/* Adam's moments, as in vf_add_group of merge_one.h. */
VF_INLINE void vf_merge_moments(const int kind, const vf_linear *layer, float *VF_RESTRICT shared,
                                const float *VF_RESTRICT own, const float *VF_RESTRICT before) {
    const int64_t s1 = layer->slot1, s2 = kind == VF_ADAM_ROWWISE ? layer->row_slot + 1 : layer->slot2, row = layer->row_slot;
    const vf_decay decay = vf_adam_decay(own[row] - before[row], &layer->optimizer);
    for (int64_t c = 0; c < layer->n_out; c++)
        shared[s1 + c] = vf_adam_first(shared[s1 + c], before[s1 + c], own[s1 + c], decay);
    for (int64_t c = 0; c < (kind == VF_ADAM_ROWWISE ? 1 : layer->n_out); c++)
        shared[s2 + c] = vf_adam_second(shared[s2 + c], before[s2 + c], own[s2 + c], decay);
    shared[row] += own[row] - before[row];
}

/* Adds what a copy gained since `before` to the shared record; all three are then the same. */
VF_INLINE void vf_merge_record(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                               int64_t feature, float *VF_RESTRICT shared, float *VF_RESTRICT own,
                               float *VF_RESTRICT before) {
    const size_t n_bytes = (size_t)layer->size * sizeof(float); /* records of other layers may lie between */
    const int touched = memcmp(own, before, n_bytes) != 0;
    if (touched && memcmp(shared, before, n_bytes) == 0)
        memcpy(shared, own, n_bytes); /* nobody else came here */
    else if (touched) {
        if (kind == VF_FTRL)
            vf_merge_sums_of(lazy, layer, clock, feature, shared, own, before);
        else
            vf_merge_weights(kind, lazy, layer, clock, shared, own, before, feature);
        if (VF_IS_ADAM(kind))
            vf_merge_moments(kind, layer, shared, own, before);
        if (lazy && kind != VF_FTRL)
            vf_touch(kind, layer, clock, shared);
    }
    memcpy(own, shared, n_bytes);
    memcpy(before, shared, n_bytes);
}

enum { VF_MERGE_AHEAD = 8 }; /* records between asking for one and merging it */

/* Merges n records: of the features given, or (NULL) the layer's first. in_place: copies lie as the records do, and not one
 * behind the other. */
VF_INLINE void vf_merge_wide(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                             const int32_t *features, int64_t n, int32_t in_place, float *own, float *before) {
    const int64_t stride = layer->stride;
    for (int64_t k = 0; k < n; k++) {
        const int64_t record = features ? features[k] : k, copy = in_place ? record : k;
        if (features && k + VF_MERGE_AHEAD < n)
            for (int64_t line = 0; line < layer->size; line += 16)
                VF_PREFETCH(layer->record + features[k + VF_MERGE_AHEAD] * stride + line);
        vf_merge_record(kind, lazy, layer, clock, record, layer->record + record * stride,
                        own + copy * stride, before + copy * stride);
    }
}

/* The place of a feature in a layer whose copies begin at record `first`, counted from the layer's own first: that of its copy
 * if it is hot. In bits: where compilers branch on whether it is, processors guess wrong every third time. */
VF_INLINE int64_t vf_place_in(const vf_hot *hot, int64_t first, int32_t feature) {
    const int64_t slot = vf_slot_of(feature, hot->bits, hot->shift), copy = first + hot->rank[slot];
    const int64_t is_hot = -(int64_t)(hot->owner[slot] == feature);
    return feature ^ ((feature ^ copy) & is_hot);
}

/* Those of a row's features. */
VF_SIMD static void vf_place_row(const vf_hot *given, int64_t first, const int32_t *indices, int64_t n, int32_t *places) {
    const vf_hot hot = *given; /* no store can alias it */
    for (int64_t k = 0; k < n; k++)
        places[k] = (int32_t)vf_place_in(&hot, first, indices[k]);
}

/* As vf_prefetch_row, of the records that a row reads beside copies. */
VF_INLINE void vf_prefetch_places(const vf_rows *rows, int64_t row, vf_portion portion, const vf_hot *hot, int64_t first,
                                  const float *record, int64_t stride) {
    if (rows->indices == NULL)
        return;
    const int64_t start = vf_row_start(rows, row), end = vf_row_start(rows, row + 1);
    const int64_t to = vf_portion_end(start, end, portion.part + 1, portion.n_parts);
    for (int64_t k = vf_portion_end(start, end, portion.part, portion.n_parts); k < to; k++)
        vf_prefetch_record(record + vf_place_in(hot, first, vf_index_at(rows, k)) * stride, stride < 64 ? stride : 64);
}

#endif
