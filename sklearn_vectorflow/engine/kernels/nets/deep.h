/* Training of nets with hidden layers, one row a step, by AdaGrad: all that a row needs in one function. In front,
 * the hidden layer that reads the row, and a linear one of one output that may read it, too (wide and deep); behind
 * them, dense layers in arrays of their own (inner.h). */
#ifndef VF_DEEP_H
#define VF_DEEP_H

#include "kernels/nets/inner.h"
#include "kernels/nets/walk.h"
#include "kernels/sharing/slots.h"

/* The wide layer: its numbers lie in the same records as those of the hidden layer, and are added to the raw output. */
typedef struct {
    const vf_linear *layer; /* NULL: there is none */
    int64_t behind;         /* where in a record its numbers start, counted from those of the hidden layer */
    vf_copies copies;
    vf_intercepts intercepts;
} vf_wide;

typedef struct {
    vf_single data; /* its weights are those of the hidden layer */
    int32_t lazy;
    float **at;       /* records of the row at hand */
    const vf_hot *hot; /* NULL: all records are the shared ones */
    float *own;       /* (n_hot, stride): copies of the hot ones */
    vf_intercepts intercepts; /* of the hidden layer */
    vf_wide wide;
    int64_t n_layers;
    vf_inner *layers; /* the inner ones; the first one's inputs are the hidden units */
} vf_deep;

/* Fills arrays from records. */
static void vf_open_deep(const vf_deep *net) {
    for (int64_t i = 0; i < net->n_layers; i++)
        vf_open_inner(net->lazy, &net->layers[i]);
    vf_open_intercepts(&net->intercepts);
    vf_open_intercepts(&net->wide.intercepts);
}

/* The reverse. */
static void vf_close_deep(const vf_deep *net) {
    for (int64_t i = 0; i < net->n_layers; i++)
        vf_close_inner(net->lazy, &net->layers[i]);
    vf_close_intercepts(&net->intercepts);
    vf_close_intercepts(&net->wide.intercepts);
}

/* ---- the hidden layer --------------------------------------------------------------- */

/* Where a feature's copy is, floats behind the first; -1: it is not hot. */
VF_INLINE int64_t vf_find_copy(const vf_hot *hot, int32_t feature, int64_t stride) {
    const int64_t slot = vf_slot_of(feature, hot->bits, hot->shift);
    return hot->owner[slot] == feature ? hot->rank[slot] * stride : -1;
}

/* Finds the records of n features, their state, and what they have missed. */
VF_INLINE void vf_find_row(const int lazy, const vf_deep *net, const vf_linear *layer, const vf_clock *clock,
                           const int32_t *features, int64_t n, float **at, vf_copies copies) {
    float *const record = layer->record;
    const int64_t stride = layer->stride;
    const int32_t row_slot = layer->row_slot, clock_slot = layer->clock_slot;
    float largest = 0.0f;
    for (int64_t k = 0; k < n; k++) {
        const int64_t copy = net->hot ? vf_find_copy(net->hot, features[k], stride) : -1;
        at[k] = copy >= 0 ? net->own + copy : record + features[k] * stride;
    }
    for (int64_t k = 0; k < n; k++) {
        copies.row[k] = at[k][row_slot];
        if (lazy) {
            uint32_t last;
            memcpy(&last, at[k] + clock_slot, 4);
            const int32_t steps = (int32_t)((uint32_t)clock->step - last);
            copies.left[k] = steps > 0 ? (float)steps : 0.0f; /* another thread may be ahead */
        }
    }
    if (!lazy)
        return;
    for (int64_t k = 0; k < n; k++) {
        copies.threshold[k] = layer->optimizer.learning_rate * copies.row[k];
        largest = copies.threshold[k] > largest ? copies.threshold[k] : largest;
    }
    vf_decays(copies.left, copies.threshold, layer->penalty.l2, n, largest * layer->penalty.l2 < 0.01f);
}

/* Adds v[k] times columns [0, n) of the records; n is a constant for most. */
VF_INLINE void vf_sum_span(const int64_t n, float *const *at, int64_t from, const float *v, int64_t length,
                           float *VF_RESTRICT out) {
    int64_t k = 0;
    for (; k + 4 <= length; k += 4) {
        const float *const r[4] = {at[k] + from, at[k + 1] + from, at[k + 2] + from, at[k + 3] + from};
        vf_add_four(out + from, r, v + k, n);
    }
    for (; k < length; k++)
        for (int64_t c = 0; c < n; c++)
            out[from + c] += v[k] * at[k][from + c];
}

VF_INLINE void vf_sum_records(float *const *at, const float *v, int64_t length, float *out, int64_t n) {
    int64_t from = 0;
    for (; from + 64 <= n; from += 64)
        vf_sum_span(64, at, from, v, length, out);
    for (; from + 32 <= n; from += 32)
        vf_sum_span(32, at, from, v, length, out);
    for (; from + 16 <= n; from += 16)
        vf_sum_span(16, at, from, v, length, out);
    if (from < n)
        vf_sum_span(n - from, at, from, v, length, out);
}

VF_INLINE void vf_step_span(const int64_t n, const int lazy, float *VF_RESTRICT w, const float *VF_RESTRICT delta,
                            float left, float rate) {
    for (int64_t c = 0; c < n; c++)
        w[c] += lazy ? w[c] * left - rate * delta[c] : -(rate * delta[c]);
}

VF_INLINE void vf_step_records(const int lazy, const vf_deep *net, const vf_linear *layer, const vf_clock *clock,
                               vf_row x, const float *delta, float square) {
    const vf_copies copies = net->data.copies;
    const float learning_rate = layer->optimizer.learning_rate, epsilon = layer->optimizer.epsilon;
    const int64_t n = layer->n_out;
    for (int64_t k = 0; k < x.length; k++)
        copies.row[k] = vf_adagrad_scale(copies.row[k], x.values[k] * x.values[k] * square, epsilon);
    for (int64_t k = 0; k < x.length; k++) {
        float *w = net->at[k];
        const float left = lazy ? copies.left[k] : 0.0f, rate = learning_rate * copies.row[k] * x.values[k];
        int64_t from = 0;
        for (; from + 32 <= n; from += 32)
            vf_step_span(32, lazy, w + from, delta + from, left, rate);
        if (from < n)
            vf_step_span(n - from, lazy, w + from, delta + from, left, rate);
        w[layer->row_slot] = copies.row[k];
        if (lazy)
            vf_touch(VF_ADAGRAD_ROWWISE, layer, clock, w);
    }
}

/* ---- the wide layer ---------------------------------------------------------------------- */

/* Reads the numbers of n features, found by now. What is stored one by one is read as vectors later, after the sums of
 * the hidden layer. */
VF_INLINE void vf_take_wide(const int lazy, const vf_deep *net, const vf_linear *layer, const vf_clock *clock, int64_t n) {
    const vf_copies copies = net->wide.copies;
    const int64_t behind = net->wide.behind;
    const int32_t slot1 = layer->slot1, clock_slot = layer->clock_slot;
    for (int64_t k = 0; k < n; k++) {
        const float *record = net->at[k] + behind;
        copies.w[k] = record[0];
        copies.s1[k] = record[slot1];
        if (lazy)
            copies.left[k] = vf_steps_since(clock, record + clock_slot);
    }
}

/* Their products' sum. Lanes behind the last feature hold what earlier rows left there, and zeros as values. */
VF_INLINE float vf_sum_wide(const int lazy, const vf_deep *net, const vf_linear *layer, vf_row x) {
    const vf_copies copies = net->wide.copies;
    const float learning_rate = layer->optimizer.learning_rate;
    const float *VF_RESTRICT w = copies.w, *VF_RESTRICT s1 = copies.s1;
    float *VF_RESTRICT rate = copies.threshold, *VF_RESTRICT left = copies.left, *VF_RESTRICT v = copies.x;
    float sums[VF_LANES] = {0.0f}, largest = 0.0f, sum = 0.0f;
    memcpy(v, x.values, (size_t)x.length * sizeof(float));
    memset(v + x.length, 0, VF_LANES * sizeof(float));
    for (int64_t k = 0; k < x.length && lazy; k++) {
        rate[k] = learning_rate * s1[k];
        largest = rate[k] > largest ? rate[k] : largest;
    }
    if (lazy)
        vf_decays(left, rate, layer->penalty.l2, x.length, largest * layer->penalty.l2 < 0.01f);
    for (int64_t from = 0; from < x.length; from += VF_LANES)
        for (int64_t i = 0; i < VF_LANES; i++)
            sums[i] += v[from + i] * (w[from + i] + (lazy ? w[from + i] * left[from + i] : 0.0f));
    for (int64_t i = 0; i < VF_LANES; i++)
        sum += sums[i];
    return sum;
}

VF_INLINE void vf_step_wide(const int lazy, const vf_deep *net, const vf_linear *layer, const vf_clock *clock, int64_t n,
                            float gradient) {
    const vf_copies copies = net->wide.copies;
    const vf_optimizer o = layer->optimizer;
    float *VF_RESTRICT w = copies.w, *VF_RESTRICT s1 = copies.s1;
    const float *VF_RESTRICT left = copies.left, *VF_RESTRICT v = copies.x;
    VF_EACH_LANE(k, n, {
        const float g = v[k] * gradient, scale = vf_adagrad_scale(s1[k], g * g, o.epsilon);
        const float change = -o.learning_rate * scale * g;
        w[k] += lazy ? w[k] * left[k] + change : change;
        s1[k] = scale;
    });
    for (int64_t k = 0; k < n; k++) {
        float *record = net->at[k] + net->wide.behind;
        record[0] = w[k];
        record[layer->slot1] = s1[k];
        if (lazy)
            vf_touch(VF_ADAGRAD, layer, clock, record);
    }
}

/* ---- rows --------------------------------------------------------------------------------- */

/* Asks for a part of what coming rows need. */
VF_INLINE void vf_ask_ahead_deep(const vf_deep *net, const int64_t *queue, int64_t at, int64_t n_queued,
                                 vf_portion portion) {
    const vf_single *data = &net->data;
    const vf_rows *rows = data->rows;
    const vf_linear *layer = data->weights;
    if (portion.part == 0 && at + VF_AHEAD_DATA < n_queued) {
        vf_prefetch_data(rows, queue[at + VF_AHEAD_DATA]);
        vf_prefetch_targets(data, queue[at + VF_AHEAD_DATA]);
    }
    const float *base = layer->record + (net->wide.layer && net->wide.behind < 0 ? net->wide.behind : 0);
    if (!data->ahead || at + data->ahead >= n_queued || rows->indices == NULL)
        return;
    const int64_t row = queue[at + data->ahead], start = vf_row_start(rows, row), end = vf_row_start(rows, row + 1);
    const int64_t to = vf_portion_end(start, end, portion.part + 1, portion.n_parts);
    for (int64_t k = vf_portion_end(start, end, portion.part, portion.n_parts); k < to; k++) {
        const int32_t feature = vf_index_at(rows, k);
        if (net->hot && vf_find_copy(net->hot, feature, layer->stride) >= 0)
            continue;
        const float *record = base + feature * (int64_t)layer->stride;
        VF_PREFETCH(record);
        if (layer->stride > 16)
            VF_PREFETCH(record + 16);
        if (layer->stride > 32)
            VF_PREFETCH(record + 32);
        for (int64_t c = 48; c < layer->stride; c += 16)
            VF_PREFETCH(record + c);
    }
}

/* `last`: the last inner layer, which has k outputs, and no row-wise rule. */
VF_INLINE double vf_step_deep(const int wide, const int lazy, const int64_t k, const vf_deep *net, const vf_inner *last,
                              const vf_clock *clock, const int64_t *queue, int64_t at, int64_t n_queued) {
    const vf_portion first = {0, 2}, second = {1, 2};
    const vf_single *data = &net->data;
    const vf_inner *inner = net->layers;
    const int64_t row = queue[at];
    const vf_linear layer = *data->weights;
    float *units = inner->units;
    vf_ask_ahead_deep(net, queue, at, n_queued, first);
    const vf_row x = vf_load(data->rows, row, data->indices, data->values, data->dropout);
    vf_find_row(lazy, net, &layer, clock, x.indices, x.length, net->at, data->copies);
    if (wide)
        vf_take_wide(lazy, net, net->wide.layer, clock, x.length);
    memcpy(units, net->intercepts.numbers, (size_t)inner->n_in * sizeof(float));
    if (lazy) {
        for (int64_t i = 0; i < x.length; i++)
            data->copies.w[i] = x.values[i] * (1.0f + data->copies.left[i]);
        vf_sum_records(net->at, data->copies.w, x.length, units, inner->n_in);
    } else
        vf_sum_records(net->at, x.values, x.length, units, inner->n_in);
    vf_ask_ahead_deep(net, queue, at, n_queued, second);
    vf_activate_units(inner);
    for (int64_t i = 0; i + 1 < net->n_layers; i++) {
        vf_forward_layer(lazy, clock, inner + i);
        vf_activate_units(inner + i + 1);
    }
    vf_catch_up(0, lazy, clock, last, k);
    vf_forward_inner(last, k, last->out);
    if (wide)
        last->out[0] += net->wide.intercepts.numbers[0] + vf_sum_wide(lazy, net, net->wide.layer, x);
    for (int64_t c = 0; c < k; c++)
        data->raw[c] = last->out[c];
    const double loss = vf_evaluate_row(data, row);
    if (!isfinite(loss))
        return loss;
    for (int64_t c = 0; c < k; c++)
        last->gradient[c] = (float)data->gradient[c];
    vf_pass_back(last, k);
    vf_step_inner(0, lazy, clock, last, k, 0.0f);
    vf_step_intercepts(&last->intercepts, last->gradient, 0.0f);
    for (int64_t i = net->n_layers - 2; i >= 0; i--)
        vf_step_layer(lazy, clock, inner + i);
    const float square = vf_dot(inner->delta, inner->delta, inner->stride) / (float)inner->n_in;
    vf_step_intercepts(&net->intercepts, inner->delta, square);
    vf_step_records(lazy, net, &layer, clock, x, inner->delta, square);
    if (wide) {
        vf_step_wide(lazy, net, net->wide.layer, clock, x.length, last->gradient[0]);
        vf_step_intercepts(&net->wide.intercepts, last->gradient, 0.0f);
    }
    return loss;
}

/* Trains on rows queue[from:to] and moves the clock on; returns the sum of their
 * weighted losses, not finite as soon as one is not. */
VF_INLINE double vf_train_deep_as(const int wide, const int lazy, const vf_deep *given, vf_clock *given_clock,
                                  const int64_t *queue, int64_t from, int64_t to, int64_t n_queued) {
    const vf_deep net = *given; /* no store can alias them */
    const vf_inner last = net.layers[net.n_layers - 1];
    vf_clock now = *given_clock;
    double total = 0.0;
    for (int64_t at = from; at < to; at++) {
        total += wide || last.n_out == 1 ? vf_step_deep(wide, lazy, 1, &net, &last, &now, queue, at, n_queued)
                                         : vf_step_deep(0, lazy, last.n_out, &net, &last, &now, queue, at, n_queued);
        if (!isfinite(total))
            break;
        now.step++;
    }
    *given_clock = now;
    return total;
}

VF_INLINE double vf_train_deep_for(const int wide, const vf_deep *net, vf_clock *clock, const int64_t *queue, int64_t from,
                                   int64_t to, int64_t n_queued) {
    return net->lazy ? vf_train_deep_as(wide, VF_DECAYING, net, clock, queue, from, to, n_queued)
                     : vf_train_deep_as(wide, VF_EAGER, net, clock, queue, from, to, n_queued);
}

VF_SIMD static double vf_train_deep(const vf_deep *net, vf_clock *clock, const int64_t *queue, int64_t from, int64_t to,
                                    int64_t n_queued) {
    return net->wide.layer ? vf_train_deep_for(1, net, clock, queue, from, to, n_queued)
                           : vf_train_deep_for(0, net, clock, queue, from, to, n_queued);
}

#endif
