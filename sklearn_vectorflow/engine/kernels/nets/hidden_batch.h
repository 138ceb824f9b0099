/* The same in mini-batches (deep.h). A row's forward pass notes which features the mini-batch has, and each
 * one's touches; so its record is found once, what it misses is worked out once, and its gradient is summed in
 * registers, from which it goes into the record. */
#ifndef VF_HIDDEN_BATCH_H
#define VF_HIDDEN_BATCH_H

#include "kernels/nets/deep.h"
#include "kernels/rows/batch_gradient.h"

/* What a mini-batch needs. Of its features, by slot, `data.copies` has what they miss and their state. */
typedef struct {
    int64_t stride;        /* units of a row, filled up with zeros to whole lanes */
    vf_gathered *features; /* and their touches */
    int64_t *place;        /* (slots) of its record */
    int32_t *slots;        /* of the row at hand */
    float *units, *delta;  /* (rows, stride): outputs of the activation; gradients before it */
    float *gradient;       /* (rows, n_outputs) */
    float *squares;        /* (rows) their means of a row's `delta` */
    float *total;          /* (n_outputs, stride): sums over the mini-batch; or those of some features, (VF_SLOTS, n_units) */
    int32_t *order;        /* (slots) in which they are stepped */
} vf_hidden_batch;

/* The inner layers as row r sees them. */
VF_INLINE vf_inner vf_inner_of(const vf_inner *in, const vf_hidden_batch *batch, int64_t r) {
    vf_inner out = *in;
    out.units = batch->units + r * batch->stride;
    out.delta = batch->delta + r * batch->stride;
    out.gradient = batch->gradient + r * in->n_out;
    return out;
}

/* ---- forward ------------------------------------------------------------------------ */

/* At most how many features n rows of the queue have. */
VF_INLINE int64_t vf_most_features(const vf_deep *net, const int64_t *queue, int64_t at, int64_t n) {
    const vf_rows *rows = net->data.rows;
    int64_t most = 0;
    for (int64_t r = 0; r < n; r++)
        most += rows->indices ? vf_row_length(rows, queue[at + r]) : rows->n_features;
    return most;
}

VF_INLINE int64_t vf_note_touches(const int direct, const vf_gathered *g, int64_t *slots_so_far, vf_row row, int32_t r,
                                  int32_t *VF_RESTRICT slots) {
    int64_t n_slots = *slots_so_far, n = 0;
    for (int64_t k = 0; k < row.length; k++) {
        if (row.values[k] == 0.0f) /* a stored zero is no touch */
            continue;
        const int64_t slot = direct ? vf_direct_slot(g, &n_slots, row.indices[k])
                                    : vf_gathered_slot(g, &n_slots, row.indices[k]);
        const vf_listed touch = {row.values[k], r, g->first[slot]};
        g->touches[g->n_touches + n] = touch;
        g->first[slot] = (int32_t)(g->n_touches + n);
        slots[n++] = (int32_t)slot;
    }
    *slots_so_far = n_slots;
    return n;
}

/* Notes the touches of row r, before those of earlier rows, and their slots; returns how many there are. */
VF_SIMD static int64_t vf_note_row(vf_gathered *given, vf_row row, int64_t r, int32_t *slots) {
    const vf_gathered g = *given; /* no store can alias it */
    int64_t n_slots = g.n_slots;
    const int64_t n = g.direct != NULL ? vf_note_touches(1, &g, &n_slots, row, (int32_t)r, slots)
                                       : vf_note_touches(0, &g, &n_slots, row, (int32_t)r, slots);
    given->n_slots = n_slots;
    given->n_touches = g.n_touches + n;
    return n;
}

/* Finds the records of features [from, n_slots), and what these have missed. */
static void vf_find_slots(const vf_deep *net, const vf_clock *clock, const vf_hidden_batch *batch, int64_t from) {
    const vf_gathered *g = batch->features;
    vf_copies copies = net->data.copies;
    copies.row += from, copies.left += from, copies.clock += from, copies.steps += from;
    copies.at = batch->place + from;
    vf_find_front(net, clock, g->features + from, g->n_slots - from, &copies);
}

/* Sets what vf_sum_records needs of the touches from `first` on: where their records are, and factors. */
VF_SIMD static void vf_take_touches(const vf_deep *net, const vf_hidden_batch *batch, int64_t first, int64_t n) {
    const vf_copies copies = net->data.copies; /* no store can alias them */
    const vf_listed *touches = batch->features->touches + first;
    const int32_t *slots = batch->slots;
    const int64_t *place = batch->place;
    float *VF_RESTRICT v = copies.w;
    for (int64_t k = 0; k < n; k++) {
        copies.at[k] = place[slots[k]];
        v[k] = touches[k].value * (net->lazy ? 1.0f + copies.left[slots[k]] : 1.0f);
    }
    copies.at[n] = n ? copies.at[0] : 0; /* sums are of pairs of records */
    v[n] = 0.0f;
}

/* Sets the units of row r, at `place` in the queue. */
static void vf_forward_units(const vf_deep *net, const vf_inner *in, const vf_clock *clock, const vf_hidden_batch *batch,
                             int64_t r, const int64_t *queue, int64_t place, int64_t n_queued) {
    const vf_single *data = &net->data;
    const vf_gathered *g = batch->features;
    const int64_t before = g->n_slots, first = g->n_touches;
    const vf_inner one = vf_inner_of(in, batch, r);
    vf_coming coming = vf_look_for_entries(data, queue, place, n_queued);
    const vf_row x = vf_load(data->rows, queue[place], data->indices, data->values, data->dropout);
    const int64_t length = vf_note_row(batch->features, x, r, batch->slots);
    vf_find_slots(net, clock, batch, before);
    vf_take_touches(net, batch, first, length);
    memcpy(one.units, net->intercepts.numbers, (size_t)in->n_in * sizeof(float));
    vf_sum_records(net, data->copies.at, data->copies.w, length, in->n_in, &coming, one.units);
    vf_ask_entries(data, &net->spread, &coming);
}

/* ---- inner layers ------------------------------------------------------------------------- */

/* Sets the raw outputs of n rows. */
VF_SIMD static void vf_forward_behind(const vf_deep *net, const vf_hidden_batch *batch, const vf_clock *clock, int64_t n) {
    const vf_inner in = net->layers[0];
    const int64_t k = in.n_out;
    vf_catch_up(net->lazy, clock, &in);
    for (int64_t r = 0; r < n; r++) {
        const vf_inner one = vf_inner_of(&in, batch, r);
        vf_activate_units(&one);
        vf_forward_inner(&one, one.gradient); /* their room, until they have them */
        for (int64_t c = 0; c < k; c++)
            net->data.raw[r * k + c] = one.gradient[c];
    }
}

/* The loss of n rows of the queue, from `at` on, and its gradient. */
static double vf_evaluate_rows(const vf_single *data, const int64_t *queue, int64_t at, int64_t n, int64_t k) {
    for (int64_t r = 0; r < n; r++) {
        const int64_t row = queue[at + r];
        vf_add_offsets(&data->offsets, row, k, data->raw + r * k);
        for (int64_t c = 0; c < data->n_targets; c++)
            data->y[r * data->n_targets + c] = data->targets[row * data->n_targets + c];
        data->weight[r] = data->sample_weight ? data->sample_weight[row] : 1.0;
    }
    return data->loss->evaluate(n, data->y, data->raw, data->weight, data->gradient, data->loss);
}

/* Adds n rows of numbers, from the first one of each. */
VF_INLINE void vf_add_rows(const float *rows, int64_t stride, int64_t n, int64_t width, float *VF_RESTRICT out) {
    memset(out, 0, (size_t)width * sizeof(float));
    for (int64_t r = 0; r < n; r++)
        for (int64_t c = 0; c < width; c++)
            out[c] += rows[r * stride + c];
}

/* Sums the gradient of the output layer over n rows. */
VF_INLINE void vf_sum_output(const vf_inner *in, const vf_hidden_batch *batch, int64_t n) {
    const int64_t k = in->n_out;
    float *VF_RESTRICT total = batch->total;
    memset(total, 0, (size_t)(in->stride * k) * sizeof(float));
    for (int64_t r = 0; r < n; r++) {
        const float *VF_RESTRICT units = batch->units + r * batch->stride, *VF_RESTRICT gradient = batch->gradient + r * k;
        for (int64_t c = 0; c < k; c++)
            VF_WHOLE_LANES(i, in->stride, { total[c * in->stride + i] += units[i] * gradient[c]; })
    }
}

/* Steps the output layer by that sum. Units whose gradients are zero are no touch; which ones `now` tells, of no use by
 * then. */
VF_INLINE void vf_step_output_batch(const int lazy, const vf_clock *clock, const vf_inner *in,
                                    const float *VF_RESTRICT total) {
    const vf_optimizer o = in->layer->optimizer;
    const uint32_t step = (uint32_t)clock->step;
    float *VF_RESTRICT active = in->now;
    uint32_t *VF_RESTRICT touched = in->touched;
    memset(active, 0, (size_t)in->stride * sizeof(float));
    for (int64_t c = 0; c < in->n_out; c++)
        VF_WHOLE_LANES(i, in->stride, { active[i] = total[c * in->stride + i] != 0.0f ? 1.0f : active[i]; })
    for (int64_t c = 0; c < in->n_out; c++)
        VF_WHOLE_LANES(i, in->stride, {
            vf_step_weight(&o, in->weights, in->square, in->left, c * in->stride + i, total[c * in->stride + i],
                           active[i] != 0.0f);
        })
    if (lazy)
        VF_WHOLE_LANES(i, in->stride, { touched[i] = active[i] != 0.0f ? step : touched[i]; })
}

/* Passes the gradients of n rows back, and steps the output layer and the intercepts. */
VF_SIMD static void vf_step_behind(const vf_deep *net, const vf_clock *clock, const vf_hidden_batch *batch, int64_t n) {
    const vf_inner in = net->layers[0];
    const int64_t k = in.n_out;
    for (int64_t c = 0; c < n * k; c++)
        batch->gradient[c] = (float)(net->data.gradient[c] / (double)n);
    for (int64_t r = 0; r < n; r++) {
        const vf_inner one = vf_inner_of(&in, batch, r);
        vf_pass_back(&one);
        batch->squares[r] = vf_mean_square(one.delta, in.n_in);
    }
    vf_sum_output(&in, batch, n);
    vf_step_output_batch(net->lazy, clock, &in, batch->total);
    vf_add_rows(batch->delta, batch->stride, n, in.n_in, in.delta);
    vf_add_rows(batch->gradient, k, n, k, in.gradient);
    vf_step_intercepts(&net->intercepts, in.delta, vf_dot(in.delta, in.delta, in.stride) / (float)in.n_in);
    vf_step_intercepts(&in.intercepts, in.gradient, 0.0f);
}

/* ---- the hidden layer's step ---------------------------------------------------------------- */

enum { VF_SLOTS = 16 }; /* features that are stepped together */

/* Sets `sum`: values times gradients of a feature's touches. Whole groups of units, so many, are summed in registers. */
VF_INLINE void vf_sum_of_groups(const int groups, const vf_listed *touches, int32_t at, const float *delta,
                                int64_t stride, float *sum) {
    vf_floats_8 a = {0}, b = {0}, c = {0}, d = {0};
    for (; at >= 0; at = touches[at].next) {
        const float value = touches[at].value, *of_row = delta + touches[at].row * stride;
        vf_add_scaled(&a, value, of_row);
        if (groups > 1)
            vf_add_scaled(&b, value, of_row + VF_GROUP);
        if (groups > 2)
            vf_add_scaled(&c, value, of_row + 2 * VF_GROUP);
        if (groups > 3)
            vf_add_scaled(&d, value, of_row + 3 * VF_GROUP);
    }
    memcpy(sum, &a, sizeof a);
    if (groups > 1)
        memcpy(sum + VF_GROUP, &b, sizeof b);
    if (groups > 2)
        memcpy(sum + 2 * VF_GROUP, &c, sizeof c);
    if (groups > 3)
        memcpy(sum + 3 * VF_GROUP, &d, sizeof d);
}

VF_INLINE void vf_sum_of_touches(const int64_t n, const vf_listed *touches, int32_t at, const float *delta,
                                 int64_t stride, float *sum) {
    int64_t from = 0;
    for (; from + 4 * VF_GROUP <= n; from += 4 * VF_GROUP)
        vf_sum_of_groups(4, touches, at, delta + from, stride, sum + from);
    for (; from + 2 * VF_GROUP <= n; from += 2 * VF_GROUP)
        vf_sum_of_groups(2, touches, at, delta + from, stride, sum + from);
    for (; from + VF_GROUP <= n; from += VF_GROUP)
        vf_sum_of_groups(1, touches, at, delta + from, stride, sum + from);
    for (int64_t c = from; c < n; c++)
        sum[c] = 0.0f;
    for (; from < n && at >= 0; at = touches[at].next)
        for (int64_t c = from; c < n; c++)
            sum[c] += touches[at].value * delta[touches[at].row * stride + c];
}

/* Sorts features: those with one touch come first; returns how many. Most have one, and guessing which costs more. */
VF_INLINE int64_t vf_sort_slots(const vf_hidden_batch *batch) {
    const vf_gathered g = *batch->features;
    int32_t *VF_RESTRICT order = batch->order;
    int64_t n_single = 0;
    for (int64_t slot = 0; slot < g.n_slots; slot++) {
        order[n_single] = (int32_t)slot;
        order[g.n_slots - 1 - (slot - n_single)] = (int32_t)slot;
        n_single += g.touches[g.first[slot]].next < 0;
    }
    return n_single;
}

/* Features that are stepped together: each one's gradient is a value times some numbers, one a unit. */
typedef struct {
    float value[VF_SLOTS], square[VF_SLOTS], state[VF_SLOTS], left[VF_SLOTS];
    const float *numbers[VF_SLOTS];
    float *record[VF_SLOTS];
} vf_stepped;

/* Sets them to those of order[from:from + size]. n, the units, is a constant for most. */
VF_INLINE void vf_take_slots(const int single, const int64_t n, const vf_deep *net,
                             const vf_hidden_batch *batch, int64_t from, int64_t size, vf_stepped *out) {
    const vf_gathered *g = batch->features;
    for (int64_t i = 0; i < size; i++) {
        const int64_t slot = batch->order[from + i], first = g->first[slot];
        float *sum = batch->total + i * n;
        out->record[i] = net->data.weights->record + batch->place[slot] * net->data.weights->stride;
        vf_prefetch_record(out->record[i], n + 2);
        out->state[i] = net->data.copies.row[slot];
        out->left[i] = net->lazy ? net->data.copies.left[slot] : 0.0f;
        if (single) {
            const vf_listed touch = g->touches[first];
            out->value[i] = touch.value;
            out->numbers[i] = batch->delta + touch.row * batch->stride;
            out->square[i] = touch.value * touch.value * batch->squares[touch.row];
        } else {
            vf_sum_of_touches(n, g->touches, (int32_t)first, batch->delta, batch->stride, sum);
            out->value[i] = 1.0f;
            out->numbers[i] = sum;
            out->square[i] = vf_mean_square(sum, n);
        }
    }
}

VF_INLINE void vf_step_taken(const int lazy, const int64_t n, const vf_linear *layer, const vf_clock *clock, int64_t size,
                             vf_stepped *taken) {
    const float learning_rate = layer->optimizer.learning_rate, epsilon = layer->optimizer.epsilon;
    for (int64_t i = 0; i < VF_SLOTS; i++)
        taken->state[i] = vf_adagrad_scale(taken->state[i], taken->square[i], epsilon);
    for (int64_t i = 0; i < size; i++) {
        float *w = taken->record[i];
        const float rate = learning_rate * taken->state[i] * taken->value[i];
        vf_step_span(VF_ADAGRAD_ROWWISE, n, 0.0f, w, NULL, taken->numbers[i], taken->left[i], rate, 0.0f);
        w[layer->row_slot] = taken->state[i];
        if (lazy)
            vf_touch(VF_ADAGRAD_ROWWISE, layer, clock, w);
    }
}

VF_INLINE void vf_step_order(const int single, const int64_t n, const vf_deep *net, const vf_linear *layer,
                             const vf_clock *clock, const vf_hidden_batch *batch, int64_t from, int64_t to) {
    vf_stepped taken = {{0.0f}};
    for (; from < to; from += VF_SLOTS) {
        const int64_t size = to - from < VF_SLOTS ? to - from : VF_SLOTS;
        vf_take_slots(single, n, net, batch, from, size, &taken);
        vf_step_taken(net->lazy, n, layer, clock, size, &taken);
    }
}

VF_INLINE void vf_step_slots(const int64_t n, const vf_deep *net, const vf_linear *layer, const vf_clock *clock,
                             const vf_hidden_batch *batch) {
    const int64_t n_single = vf_sort_slots(batch);
    vf_step_order(1, n, net, layer, clock, batch, 0, n_single);
    vf_step_order(0, n, net, layer, clock, batch, n_single, batch->features->n_slots);
}

/* Steps the records of all features. Widths that are known beforehand are quicker. */
VF_SIMD static void vf_step_features(const vf_deep *net, const vf_clock *clock, const vf_hidden_batch *batch) {
    const vf_linear layer = *net->data.weights;
    if (layer.n_out == 16)
        vf_step_slots(16, net, &layer, clock, batch);
    else if (layer.n_out == 32)
        vf_step_slots(32, net, &layer, clock, batch);
    else if (layer.n_out == 64)
        vf_step_slots(64, net, &layer, clock, batch);
    else
        vf_step_slots(layer.n_out, net, &layer, clock, batch);
}

/* ---- mini-batches ----------------------------------------------------------------------------- */

/* Trains on one mini-batch, rows queue[at:at + n], and moves the clock on; returns the sum of their weighted
 * losses, perhaps not finite. */
static double vf_train_hidden_batch(const vf_deep *net, const vf_hidden_batch *batch, vf_clock *clock,
                                    const int64_t *queue, int64_t at, int64_t n, int64_t n_queued) {
    const vf_clock now = *clock;
    const vf_inner *in = net->layers;
    clock->step++;
    vf_gathered_open(batch->features, vf_most_features(net, queue, at, n));
    for (int64_t r = 0; r < n; r++)
        vf_forward_units(net, in, &now, batch, r, queue, at + r, n_queued);
    vf_forward_behind(net, batch, &now, n);
    const double loss = vf_evaluate_rows(&net->data, queue, at, n, in->n_out);
    if (isfinite(loss)) {
        vf_step_behind(net, &now, batch, n);
        vf_step_features(net, &now, batch);
    }
    vf_gathered_clear(batch->features);
    return loss;
}

#endif
