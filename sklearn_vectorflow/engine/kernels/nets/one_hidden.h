/* Training of a net with one hidden layer, one row a step, by AdaGrad: all that a row
 * needs in one function. The layers behind the first are small, and every row reads and
 * writes all of them: they are trained in arrays of their own, see vf_inner. */
#ifndef VF_HIDDEN_H
#define VF_HIDDEN_H

#include "kernels/layers/activations.h"
#include "kernels/sharing/slots.h"
#include "kernels/layers/linear_wide.h"
#include "kernels/nets/walk.h"

/* The output layer and the intercepts, with their state, and room for what a row makes
 * of them. Arrays of units are filled up with zeros to whole lanes. */
typedef struct {
    int64_t n_units, n_outputs;
    float *weights, *state; /* (n_units, n_outputs) */
    float *left, *rate;     /* the same: what the weights have missed */
    float *now;             /* the same: what they are worth */
    uint32_t *touched;      /* (n_units): step */
    float *intercepts, *output_intercepts, *output_state;
    float row_state;        /* of the hidden layer's intercepts */
    float *units, *delta;   /* (n_units): outputs of the activation; gradient before it */
    float *gradient;        /* (n_outputs) */
} vf_inner;

typedef struct {
    vf_single data; /* its weights and bias are those of the hidden layer */
    const vf_linear *output, *output_bias;
    int32_t activation, lazy;
    float **at;       /* records of the row at hand */
    const vf_hot *hot; /* NULL: all records are the shared ones */
    float *own;       /* (n_hot, stride): copies of the hot ones */
} vf_hidden;

/* ---- between records and arrays --------------------------------------------------- */

VF_INLINE void vf_open_bias(const vf_linear *bias, const float *record, float *w, float *state) {
    memcpy(w, record, (size_t)bias->n_out * sizeof(float));
    if (state)
        memcpy(state, record + bias->slot1, (size_t)bias->n_out * sizeof(float));
}

/* Fills the arrays from records: the output layer's, and those of the two intercepts. */
static void vf_open_inner(const vf_hidden *net, vf_inner *in, const float *record, const float *bias,
                          const float *output_bias) {
    const vf_linear *output = net->output;
    const int64_t k = in->n_outputs;
    for (int64_t i = 0; i < in->n_units; i++, record += output->stride) {
        memcpy(in->weights + i * k, record, (size_t)k * sizeof(float));
        memcpy(in->state + i * k, record + output->slot1, (size_t)k * sizeof(float));
        if (net->lazy)
            memcpy(in->touched + i, record + output->clock_slot, 4);
    }
    if (bias) {
        memcpy(in->intercepts, bias, (size_t)in->n_units * sizeof(float));
        in->row_state = bias[net->data.intercepts[0]->row_slot];
    }
    if (output_bias)
        vf_open_bias(net->output_bias, output_bias, in->output_intercepts, in->output_state);
}

/* The reverse. */
static void vf_close_inner(const vf_hidden *net, const vf_inner *in, float *record, float *bias, float *output_bias) {
    const vf_linear *output = net->output;
    const int64_t k = in->n_outputs;
    for (int64_t i = 0; i < in->n_units; i++, record += output->stride) {
        memcpy(record, in->weights + i * k, (size_t)k * sizeof(float));
        memcpy(record + output->slot1, in->state + i * k, (size_t)k * sizeof(float));
        if (net->lazy)
            memcpy(record + output->clock_slot, in->touched + i, 4);
    }
    if (bias) {
        memcpy(bias, in->intercepts, (size_t)in->n_units * sizeof(float));
        bias[net->data.intercepts[0]->row_slot] = in->row_state;
    }
    if (output_bias) {
        memcpy(output_bias, in->output_intercepts, (size_t)k * sizeof(float));
        memcpy(output_bias + net->output_bias->slot1, in->output_state, (size_t)k * sizeof(float));
    }
}

/* ---- the hidden layer --------------------------------------------------------------- */

/* Where a feature's copy is, floats behind the first; -1: it is not hot. */
VF_INLINE int64_t vf_find_copy(const vf_hot *hot, int32_t feature, int64_t stride) {
    const int64_t slot = vf_slot_of(feature, hot->bits, hot->shift);
    return hot->owner[slot] == feature ? hot->rank[slot] * stride : -1;
}

/* Finds the records of n features, their state, and what they have missed. */
VF_INLINE void vf_find_row(const int lazy, const vf_hidden *net, const vf_linear *layer, const vf_clock *clock,
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

VF_INLINE void vf_step_records(const int lazy, const vf_hidden *net, const vf_linear *layer, const vf_clock *clock,
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

/* ---- the output layer ----------------------------------------------------------------- */

VF_INLINE int64_t vf_lanes(int64_t n) { return (n + VF_LANES - 1) / VF_LANES * VF_LANES; }

VF_INLINE float vf_dot(const float *VF_RESTRICT a, const float *VF_RESTRICT b, int64_t n) {
    float sums[VF_LANES] = {0.0f}, sum = 0.0f;
    for (int64_t from = 0; from < n; from += VF_LANES)
        for (int64_t i = 0; i < VF_LANES; i++)
            sums[i] += a[from + i] * b[from + i];
    for (int64_t i = 0; i < VF_LANES; i++)
        sum += sums[i];
    return sum;
}

/* Sets `now`: the weights of every unit, caught up. */
VF_INLINE void vf_catch_up(const int lazy, const vf_linear *output, const vf_clock *clock, const vf_inner *in,
                           const int64_t k) {
    const int64_t n = in->n_units * k, padded = vf_lanes(n);
    const float learning_rate = output->optimizer.learning_rate, l2 = output->penalty.l2;
    float *VF_RESTRICT left = in->left, *VF_RESTRICT rate = in->rate, *VF_RESTRICT now = in->now;
    const float *VF_RESTRICT w = in->weights, *VF_RESTRICT state = in->state;
    const uint32_t step = (uint32_t)clock->step;
    float largest = 0.0f;
    if (!lazy) {
        memcpy(now, w, (size_t)n * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < in->n_units; i++)
        for (int64_t c = 0; c < k; c++)
            left[i * k + c] = (float)(int32_t)(step - in->touched[i]);
    for (int64_t j = 0; j < padded; j++)
        rate[j] = learning_rate * state[j];
    for (int64_t j = 0; j < n; j++)
        largest = rate[j] > largest ? rate[j] : largest;
    vf_decays(left, rate, l2, n, largest * l2 < 0.01f);
    for (int64_t j = 0; j < padded; j++)
        now[j] = w[j] + w[j] * left[j];
}

VF_INLINE void vf_forward_output(const vf_inner *in, const int64_t k, double *raw) {
    if (k == 1) {
        raw[0] = in->output_intercepts[0] + vf_dot(in->units, in->now, in->n_units);
        return;
    }
    float *VF_RESTRICT out = in->gradient;
    memcpy(out, in->output_intercepts, (size_t)k * sizeof(float));
    for (int64_t i = 0; i < in->n_units; i++)
        for (int64_t c = 0; c < k; c++)
            out[c] += in->units[i] * in->now[i * k + c];
    for (int64_t c = 0; c < k; c++)
        raw[c] = out[c];
}

/* Sets the gradient of the units before the activation. */
VF_INLINE void vf_backward_output(int activation, const vf_inner *in, const int64_t k) {
    float *VF_RESTRICT delta = in->delta;
    const float *VF_RESTRICT units = in->units;
    for (int64_t i = 0; i < in->n_units; i++) {
        float sum = 0.0f;
        for (int64_t c = 0; c < k; c++)
            sum += in->now[i * k + c] * in->gradient[c];
        delta[i] = sum;
    }
    VF_EACH_ACTIVATION(activation, for (int64_t i = 0; i < in->n_units; i++) delta[i] *= vf_derivative(K, units[i]);)
}

/* The step of weight j of the output layer, if its unit is active. */
VF_INLINE void vf_step_weight(const int lazy, const vf_optimizer *o, float *VF_RESTRICT w, float *VF_RESTRICT state,
                              const float *VF_RESTRICT left, int64_t j, float g, int active) {
    const float old = w[j], scale = vf_adagrad_scale(state[j], g * g, o->epsilon);
    const float change = -o->learning_rate * scale * g;
    const float new = old + (lazy ? old * left[j] + change : change);
    state[j] = active ? scale : state[j];
    w[j] = active ? new : old;
}

/* Units that are zero are no touch. */
VF_INLINE void vf_step_output(const int lazy, const vf_linear *output, const vf_clock *clock, const vf_inner *in,
                              const int64_t k) {
    const vf_optimizer o = output->optimizer;
    float *VF_RESTRICT w = in->weights, *VF_RESTRICT state = in->state;
    uint32_t *VF_RESTRICT touched = in->touched;
    const float *VF_RESTRICT units = in->units, *VF_RESTRICT left = in->left;
    const uint32_t step = (uint32_t)clock->step;
    for (int64_t i = 0; i < in->n_units; i++) {
        const int active = units[i] != 0.0f;
        for (int64_t c = 0; c < k; c++)
            vf_step_weight(lazy, &o, w, state, left, i * k + c, units[i] * in->gradient[c], active);
        if (lazy)
            touched[i] = active ? step : touched[i];
    }
}

VF_INLINE void vf_step_intercepts(const vf_hidden *net, vf_inner *in, float square) {
    if (net->data.intercepts[0]) {
        const vf_optimizer o = net->data.intercepts[0]->optimizer;
        in->row_state = vf_adagrad_scale(in->row_state, square, o.epsilon);
        for (int64_t i = 0; i < in->n_units; i++)
            in->intercepts[i] -= o.learning_rate * in->row_state * in->delta[i];
    }
    if (net->output_bias) {
        const vf_optimizer o = net->output_bias->optimizer;
        for (int64_t c = 0; c < in->n_outputs; c++) {
            const float g = in->gradient[c];
            in->output_state[c] = vf_adagrad_scale(in->output_state[c], g * g, o.epsilon);
            in->output_intercepts[c] -= o.learning_rate * in->output_state[c] * g;
        }
    }
}

/* ---- rows --------------------------------------------------------------------------------- */

/* Asks for a part of what coming rows need. */
VF_INLINE void vf_ask_ahead_hidden(const vf_hidden *net, const int64_t *queue, int64_t at, int64_t n_queued,
                                     vf_portion portion) {
    const vf_single *data = &net->data;
    const vf_rows *rows = data->rows;
    const vf_linear *layer = data->weights;
    if (portion.part == 0 && at + VF_AHEAD_DATA < n_queued) {
        vf_prefetch_data(rows, queue[at + VF_AHEAD_DATA]);
        vf_prefetch_targets(data, queue[at + VF_AHEAD_DATA]);
    }
    if (!data->ahead || at + data->ahead >= n_queued || rows->indices == NULL)
        return;
    const int64_t row = queue[at + data->ahead], start = vf_row_start(rows, row), end = vf_row_start(rows, row + 1);
    const int64_t to = vf_portion_end(start, end, portion.part + 1, portion.n_parts);
    for (int64_t k = vf_portion_end(start, end, portion.part, portion.n_parts); k < to; k++) {
        const int32_t feature = vf_index_at(rows, k);
        if (net->hot && vf_find_copy(net->hot, feature, layer->stride) >= 0)
            continue;
        const float *record = layer->record + feature * (int64_t)layer->stride;
        VF_PREFETCH(record);
        if (layer->stride > 16)
            VF_PREFETCH(record + 16);
        if (layer->stride > 32)
            VF_PREFETCH(record + 32);
        for (int64_t c = 48; c < layer->stride; c += 16)
            VF_PREFETCH(record + c);
    }
}

VF_INLINE double vf_step_hidden(const int lazy, const int64_t k, const vf_hidden *net, vf_inner *in,
                                const vf_clock *clock, const int64_t *queue, int64_t at, int64_t n_queued) {
    const vf_portion first = {0, 2}, second = {1, 2};
    const vf_single *data = &net->data;
    const int64_t row = queue[at];
    float *units = in->units;
    const vf_linear layer = *data->weights;
    vf_ask_ahead_hidden(net, queue, at, n_queued, first);
    const vf_row x = vf_load(data->rows, row, data->indices, data->values, data->dropout);
    vf_find_row(lazy, net, &layer, clock, x.indices, x.length, net->at, data->copies);
    memcpy(units, in->intercepts, (size_t)in->n_units * sizeof(float));
    if (lazy) {
        for (int64_t i = 0; i < x.length; i++)
            data->copies.w[i] = x.values[i] * (1.0f + data->copies.left[i]);
        vf_sum_records(net->at, data->copies.w, x.length, units, in->n_units);
    } else
        vf_sum_records(net->at, x.values, x.length, units, in->n_units);
    vf_ask_ahead_hidden(net, queue, at, n_queued, second);
    VF_EACH_ACTIVATION(net->activation,
                       for (int64_t i = 0; i < in->n_units; i++) units[i] = vf_activation(K, units[i]);)
    vf_catch_up(lazy, net->output, clock, in, k);
    vf_forward_output(in, k, data->raw);
    vf_add_offsets(&data->offsets, row, k, data->raw);
    for (int64_t c = 0; c < data->n_targets; c++)
        data->y[c] = data->targets[row * data->n_targets + c];
    *data->weight = data->sample_weight ? data->sample_weight[row] : 1.0;
    const double loss = data->loss->evaluate(1, data->y, data->raw, data->weight, data->gradient, data->loss);
    if (!isfinite(loss))
        return loss;
    for (int64_t c = 0; c < k; c++)
        in->gradient[c] = (float)data->gradient[c];
    vf_backward_output(net->activation, in, k);
    vf_step_output(lazy, net->output, clock, in, k);
    const float square = vf_dot(in->delta, in->delta, in->n_units) / (float)in->n_units;
    vf_step_intercepts(net, in, square);
    vf_step_records(lazy, net, &layer, clock, x, in->delta, square);
    return loss;
}

/* Trains on rows queue[from:to] and moves the clock on; returns the sum of their
 * weighted losses, not finite as soon as one is not. */
VF_INLINE double vf_train_hidden_as(const int lazy, const vf_hidden *given, vf_inner *in, vf_clock *given_clock,
                                    const int64_t *queue, int64_t from, int64_t to, int64_t n_queued) {
    const vf_hidden net = *given; /* no store can alias it */
    vf_clock now = *given_clock;
    double total = 0.0;
    for (int64_t at = from; at < to; at++) {
        total += in->n_outputs == 1 ? vf_step_hidden(lazy, 1, &net, in, &now, queue, at, n_queued)
                                    : vf_step_hidden(lazy, in->n_outputs, &net, in, &now, queue, at, n_queued);
        if (!isfinite(total))
            break;
        now.step++;
    }
    *given_clock = now;
    return total;
}

VF_SIMD static double vf_train_hidden(const vf_hidden *net, vf_inner *in, vf_clock *clock, const int64_t *queue,
                                      int64_t from, int64_t to, int64_t n_queued) {
    return net->lazy ? vf_train_hidden_as(VF_DECAYING, net, in, clock, queue, from, to, n_queued)
                     : vf_train_hidden_as(VF_EAGER, net, in, clock, queue, from, to, n_queued);
}

#endif
