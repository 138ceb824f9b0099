/* Training of the plainest net, one linear layer of one output, one row a step: all
 * that a row needs in one function. Rows of a few dozen non-zeros would cost as much
 * in the general walk's calls as in work. */
#ifndef VF_SINGLE_H
#define VF_SINGLE_H

#include "kernels/nets/walk.h"
#include "kernels/sharing/aside.h"

/* What of a vf_single a row needs at hand. */
typedef struct {
    vf_linear weights;
    vf_own own;
    int64_t slots; /* where the copies begin, as in vf_copies.at */
} vf_base;

VF_INLINE vf_base vf_base_of(const int kind, const int lazy, const vf_single *net) {
    vf_base out = {vf_plain(kind, lazy, net->weights), {0, 0, NULL, 0}, 0};
    if (net->hot == NULL)
        return out;
    if (net->hot->owner)
        out.slots = ((intptr_t)net->apart->records - (intptr_t)out.weights.record)
                    / ((intptr_t)sizeof(float) * out.weights.stride); /* whole records, see Copies */
    else
        out.weights.record = net->apart->records;
    out.own.from = out.slots;
    out.own.size = net->hot->owner ? net->hot->n_slots : VF_ALL;
    out.own.clock = &net->apart->clock;
    out.own.average_from = net->apart->average_from;
    return out;
}

VF_INLINE void vf_find(const vf_single *net, const vf_base *base, const int32_t *indices, int64_t n, int64_t *at) {
    if (net->hot && net->hot->owner)
        vf_find_hot(net->hot, base->slots, indices, n, at);
    else
        vf_find_records(indices, n, at);
}

/* Asks for the records of the row that was looked up last, up to its entry `to`. The
 * processor has few misses in flight: asked for at once, most would wait for the first ones. */
VF_INLINE void vf_ask(const vf_base *base, vf_places *places, int64_t to) {
    const int64_t *at = places->latest;
    to = to < places->length ? to : places->length;
    for (int64_t k = places->asked; k < to; k++)
        VF_PREFETCH_READ(base->weights.record + at[k] * base->weights.stride);
    places->asked = to;
}

/* Looks up the records of a coming row. */
VF_INLINE void vf_find_ahead(const vf_single *net, const vf_base *base, int64_t row, int64_t *at) {
    const vf_rows *rows = net->rows;
    const int64_t start = vf_row_start(rows, row), n = vf_row_start(rows, row + 1) - start;
    const int32_t *indices = (const int32_t *)rows->indices + start;
    if (rows->wide_indices) {
        for (int64_t k = 0; k < n; k++)
            net->indices[k] = vf_index_at(rows, start + k);
        indices = net->indices;
    }
    vf_find(net, base, indices, n, at);
    net->places->latest = at;
    net->places->length = n;
    net->places->asked = 0;
}

VF_INLINE void vf_look_ahead(const vf_single *net, const vf_base *base, const int64_t *queue, int64_t at, int64_t n_queued) {
    vf_places *places = net->places;
    if (at + VF_AHEAD_DATA < n_queued) {
        vf_prefetch_data(net->rows, queue[at + VF_AHEAD_DATA]);
        vf_prefetch_targets(net, queue[at + VF_AHEAD_DATA]);
    }
    if (net->ahead == 0 || net->rows->indices == NULL || net->dropout->rate > 0.0f)
        return;
    if (places->until <= at)
        places->until = at + 1;
    for (; places->until <= at + net->ahead && places->until < n_queued; places->until++) {
        vf_ask(base, places, INT64_MAX);
        vf_find_ahead(net, base, queue[places->until], places->at + (places->until % VF_RING) * places->room);
    }
}

/* Values from the row's first on, if it is read where the caller has it. */
VF_INLINE int64_t vf_readable(const vf_rows *rows, int64_t row, vf_row x) {
    const float *values = (const float *)rows->values;
    const int64_t start = rows->indices ? vf_row_start(rows, row) : 0;
    return rows->indices && x.values == values + start ? rows->n_stored - start : 0;
}

/* An intercept: a feature of ones, which no penalty acts on. */
typedef struct {
    float w;
    vf_state state;
} vf_one;

VF_INLINE vf_one vf_read_one(const int kind, const vf_linear *layer) {
    const float *record = layer->record;
    const vf_state s = vf_read_state(kind, layer, record, 0, vf_read_row(kind, layer, record));
    const vf_one out = {kind == VF_FTRL ? vf_ftrl_weight(s.s1, s.s2, 0.0f, 0.0f, 0.0f, 0.0f, &layer->optimizer)
                                        : record[0], s};
    return out;
}

VF_INLINE void vf_step_one(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, const vf_own *own,
                           vf_one one, float g) {
    const vf_optimizer *o = &layer->optimizer;
    float *record = layer->record;
    vf_state s = one.state;
    if (lazy == VF_LAZY && layer->average_slot >= 0) { /* it was as it is since the last touch */
        const vf_clock *its = own ? own->clock : clock;
        const vf_rest rest = vf_read_rest(kind, lazy, layer, its, record, 0);
        const vf_both_counts counts = vf_both_counts_of(layer, clock, own);
        const float counted = vf_counted_of(own != NULL, rest.steps, counts);
        float *average = record + layer->average_slot;
        *average = vf_taken_up(own != NULL, *average, one.w, counted, 1.0f / counts.all.now);
        vf_touch(kind, layer, its, record);
    }
    const float rate = vf_step_row(kind, &s, g * g, (float)clock->rate, o);
    const float change = vf_step(kind, &s, one.w, 0.0f, g, rate, o);
    if (kind != VF_FTRL)
        record[0] = one.w + change;
    vf_write_state(kind, layer, record, 0, s);
}

/* Trains on rows queue[from:to] and moves the clock on; returns the sum of their
 * weighted losses, not finite as soon as one is not. */
VF_INLINE double vf_train_single(const int kind, const int lazy, const vf_single *given, vf_clock *given_clock,
                                 const int64_t *queue, int64_t from, int64_t to, int64_t n_queued) {
    const vf_single net = *given; /* no store can alias it */
    const vf_base base = vf_base_of(kind, lazy, &net);
    const vf_own *own = net.apart ? &base.own : NULL;
    vf_linear inner[2] = {{0}, {0}};
    vf_clock now = *given_clock, *clock = &now; /* not in memory beside another thread's */
    double total = 0.0;
    for (int64_t i = 0; i < 2; i++)
        if (net.intercepts[i]) {
            inner[i] = vf_plain(kind, lazy, net.intercepts[i]);
            inner[i].record = net.apart ? net.apart->bias[i] : inner[i].record;
        }
    for (int64_t at = from; at < to; at++) {
        const int64_t row = queue[at];
        vf_copies copies = net.copies;
        vf_one ones[2] = {{0.0f}, {0.0f}};
        float gradient;
        const vf_row x = vf_load(net.rows, row, net.indices, net.values, net.dropout);
        if (at < net.places->until)
            copies.at = net.places->at + (at % VF_RING) * net.places->room;
        else
            vf_find(&net, &base, x.indices, x.length, copies.at);
        copies.feature = x.indices;
        vf_take_values(x, vf_readable(net.rows, row, x), copies);
        vf_copy_records(kind, lazy, &base.weights, clock, own, x.length, copies);
        if (net.aside)
            vf_set_aside(&base.weights, net.hot, net.aside, base.slots, x.length, copies.at);
        for (int64_t i = 0; i < 2; i++) {
            if (net.intercepts[i])
                ones[i] = vf_read_one(kind, &inner[i]);
            if (i < net.loss->n_outputs)
                net.raw[i] = ones[i].w;
        }
        net.raw[0] = (float)net.raw[0] + vf_forward_copied(kind, lazy, &base.weights, x.length, copies);
        vf_look_ahead(&net, &base, queue, at, n_queued);
        vf_ask(&base, net.places, net.places->length / 2);
        total += vf_evaluate_row(&net, row);
        if (!isfinite(total))
            break;
        gradient = (float)*net.gradient;
        if (kind == VF_SGD)
            clock->rate = vf_rate_at(net.schedule, clock->step);
        vf_step_copies(kind, lazy, &base.weights, clock, own, x.length, copies, gradient);
        vf_ask(&base, net.places, INT64_MAX);
        vf_put_copies(kind, lazy, &base.weights, x.length, copies);
        for (int64_t i = 0; i < 2; i++)
            if (net.intercepts[i])
                vf_step_one(kind, lazy, &inner[i], clock, own, ones[i], (float)net.gradient[i]);
        if (net.apart) {
            net.apart->clock.elapsed += clock->rate;
            net.apart->clock.step++;
        }
        clock->elapsed += clock->rate;
        clock->step++;
    }
    *given_clock = now;
    return total;
}

#endif
