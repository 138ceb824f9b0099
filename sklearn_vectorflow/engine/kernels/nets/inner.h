/* The inner layers of a net with hidden ones, under AdaGrad. They are small, and every row reads and writes all of
 * them: they are trained in arrays of their own, out of their records. The numbers of an output lie side by side, so
 * that all of it goes in lanes of inputs, and behind them zeros, to whole lanes. */
#ifndef VF_INNER_H
#define VF_INNER_H

#include "kernels/layers/activations.h"
#include "kernels/layers/linear_wide.h"

/* Intercepts of a layer and their state: a number each, or under a row-wise rule one for all. */
typedef struct {
    const vf_linear *layer; /* NULL: there are none, and the numbers are zeros */
    int32_t by_row;
    int64_t n;
    float *numbers, *state;
} vf_intercepts;

/* A layer, and room for what a row makes of it. Of a row-wise rule, `state`, `left` and `rate` have (stride)
 * numbers: one an input. */
typedef struct {
    const vf_linear *layer;
    int32_t by_row, activation; /* activation: of its inputs */
    int64_t n_in, n_out, stride;
    float *weights, *state; /* (n_out, stride) */
    float *left, *rate;     /* the same: what the weights have missed */
    float *now;             /* the same: what they are worth */
    uint32_t *touched;      /* (stride): step */
    float *units, *delta;   /* (stride): outputs of the activation; gradient before it */
    float *out, *gradient;  /* (n_out): the next layer's `units` and `delta`, or those of the loss */
    vf_intercepts intercepts;
} vf_inner;

VF_INLINE int64_t vf_lanes(int64_t n) { return (n + VF_LANES - 1) / VF_LANES * VF_LANES; }

/* ---- between records and arrays --------------------------------------------------- */

static void vf_open_intercepts(const vf_intercepts *in) {
    const vf_linear *layer = in->layer;
    if (layer == NULL)
        return;
    memcpy(in->numbers, layer->record, (size_t)in->n * sizeof(float));
    memcpy(in->state, layer->record + (in->by_row ? layer->row_slot : layer->slot1),
           (in->by_row ? 1 : (size_t)in->n) * sizeof(float));
}

static void vf_close_intercepts(const vf_intercepts *in) {
    const vf_linear *layer = in->layer;
    if (layer == NULL)
        return;
    memcpy(layer->record, in->numbers, (size_t)in->n * sizeof(float));
    memcpy(layer->record + (in->by_row ? layer->row_slot : layer->slot1), in->state,
           (in->by_row ? 1 : (size_t)in->n) * sizeof(float));
}

/* Fills the arrays from records. */
static void vf_open_inner(const int lazy, const vf_inner *in) {
    const vf_linear *layer = in->layer;
    const float *record = layer->record;
    for (int64_t i = 0; i < in->n_in; i++, record += layer->stride) {
        for (int64_t c = 0; c < in->n_out; c++)
            in->weights[c * in->stride + i] = record[c];
        for (int64_t c = 0; c < in->n_out && !in->by_row; c++)
            in->state[c * in->stride + i] = record[layer->slot1 + c];
        if (in->by_row)
            in->state[i] = record[layer->row_slot];
        if (lazy)
            memcpy(in->touched + i, record + layer->clock_slot, 4);
    }
    vf_open_intercepts(&in->intercepts);
}

/* The reverse. */
static void vf_close_inner(const int lazy, const vf_inner *in) {
    const vf_linear *layer = in->layer;
    float *record = layer->record;
    for (int64_t i = 0; i < in->n_in; i++, record += layer->stride) {
        for (int64_t c = 0; c < in->n_out; c++)
            record[c] = in->weights[c * in->stride + i];
        for (int64_t c = 0; c < in->n_out && !in->by_row; c++)
            record[layer->slot1 + c] = in->state[c * in->stride + i];
        if (in->by_row)
            record[layer->row_slot] = in->state[i];
        if (lazy)
            memcpy(record + layer->clock_slot, in->touched + i, 4);
    }
    vf_close_intercepts(&in->intercepts);
}

/* ---- forward ------------------------------------------------------------------------- */

VF_INLINE float vf_dot(const float *VF_RESTRICT a, const float *VF_RESTRICT b, int64_t n) {
    float sums[VF_LANES] = {0.0f}, sum = 0.0f;
    for (int64_t from = 0; from < n; from += VF_LANES)
        for (int64_t i = 0; i < VF_LANES; i++)
            sums[i] += a[from + i] * b[from + i];
    for (int64_t i = 0; i < VF_LANES; i++)
        sum += sums[i];
    return sum;
}

/* Sets `now`: the weights of k outputs, caught up. */
VF_INLINE void vf_catch_up(const int by_row, const int lazy, const vf_clock *clock, const vf_inner *in, const int64_t k) {
    const int64_t stride = in->stride, n = stride * k, n_states = by_row ? stride : n;
    const float learning_rate = in->layer->optimizer.learning_rate, l2 = in->layer->penalty.l2;
    float *VF_RESTRICT left = in->left, *VF_RESTRICT rate = in->rate, *VF_RESTRICT now = in->now;
    const float *VF_RESTRICT w = in->weights, *VF_RESTRICT state = in->state;
    const uint32_t *VF_RESTRICT touched = in->touched;
    const uint32_t step = (uint32_t)clock->step;
    float largest = 0.0f;
    if (!lazy) {
        memcpy(now, w, (size_t)n * sizeof(float));
        return;
    }
    for (int64_t from = 0; from < n_states; from += stride)
        for (int64_t i = 0; i < stride; i++)
            left[from + i] = (float)(int32_t)(step - touched[i]);
    for (int64_t j = 0; j < n_states; j++) {
        rate[j] = learning_rate * state[j];
        largest = rate[j] > largest ? rate[j] : largest;
    }
    vf_decays(left, rate, l2, n_states, largest * l2 < 0.01f);
    for (int64_t from = 0; from < n; from += stride)
        for (int64_t i = 0; i < stride; i++)
            now[from + i] = w[from + i] + w[from + i] * left[by_row ? i : from + i];
}

/* ---- backward ------------------------------------------------------------------------ */

/* Sets the gradient of the inputs before their activation. */
VF_INLINE void vf_pass_back(const vf_inner *in, const int64_t k) {
    float *VF_RESTRICT delta = in->delta;
    const float *VF_RESTRICT units = in->units, *VF_RESTRICT now = in->now, *VF_RESTRICT gradient = in->gradient;
    for (int64_t from = 0; from < in->stride; from += VF_LANES) {
        float sums[VF_LANES] = {0.0f};
        for (int64_t c = 0; c < k; c++)
            for (int64_t i = 0; i < VF_LANES; i++)
                sums[i] += now[c * in->stride + from + i] * gradient[c];
        memcpy(delta + from, sums, sizeof sums);
    }
    VF_EACH_ACTIVATION(in->activation,
                       for (int64_t i = 0; i < in->stride; i++) delta[i] *= vf_derivative(K, units[i]);)
}

/* The step of weight j, if its input is active. */
VF_INLINE void vf_step_weight(const int lazy, const vf_optimizer *o, float *VF_RESTRICT w, float *VF_RESTRICT state,
                              const float *VF_RESTRICT left, int64_t j, float g, int active) {
    const float old = w[j], scale = vf_adagrad_scale(state[j], g * g, o->epsilon);
    const float change = -o->learning_rate * scale * g;
    const float new = old + (lazy ? old * left[j] + change : change);
    state[j] = active ? scale : state[j];
    w[j] = active ? new : old;
}

/* Steps what all weights of an input share, and by it the weights of k outputs. `square`: the gradient's mean. */
VF_INLINE void vf_step_by_row(const int lazy, const vf_inner *in, const int64_t k, float square) {
    const vf_optimizer o = in->layer->optimizer;
    float *VF_RESTRICT w = in->weights, *VF_RESTRICT state = in->state;
    float *VF_RESTRICT left = in->left, *VF_RESTRICT rate = in->rate;
    const float *VF_RESTRICT units = in->units, *VF_RESTRICT gradient = in->gradient;
    for (int64_t i = 0; i < in->stride; i++) {
        const float unit = units[i], scale = vf_adagrad_scale(state[i], unit * unit * square, o.epsilon);
        state[i] = unit != 0.0f ? scale : state[i];
        rate[i] = o.learning_rate * scale * unit;
        left[i] = unit != 0.0f ? left[i] : 0.0f;
    }
    for (int64_t c = 0; c < k; c++)
        for (int64_t i = 0; i < in->stride; i++) {
            const float old = w[c * in->stride + i], change = -rate[i] * gradient[c];
            w[c * in->stride + i] = old + (lazy ? old * left[i] + change : change);
        }
}

/* Inputs that are zero are no touch. */
VF_INLINE void vf_step_inner(const int by_row, const int lazy, const vf_clock *clock, const vf_inner *in,
                             const int64_t k, float square) {
    const vf_optimizer o = in->layer->optimizer;
    uint32_t *VF_RESTRICT touched = in->touched;
    const float *VF_RESTRICT units = in->units, *VF_RESTRICT gradient = in->gradient;
    float *VF_RESTRICT w = in->weights, *VF_RESTRICT state = in->state;
    const float *VF_RESTRICT left = in->left;
    const uint32_t step = (uint32_t)clock->step;
    if (by_row)
        vf_step_by_row(lazy, in, k, square);
    else
        for (int64_t c = 0; c < k; c++)
            for (int64_t i = 0; i < in->stride; i++)
                vf_step_weight(lazy, &o, w, state, left, c * in->stride + i, units[i] * gradient[c], units[i] != 0.0f);
    for (int64_t i = 0; i < in->stride && lazy; i++)
        touched[i] = units[i] != 0.0f ? step : touched[i];
}

/* `square`: the gradient's mean, for row-wise rules. */
VF_INLINE void vf_step_intercepts(const vf_intercepts *in, const float *VF_RESTRICT gradient, float square) {
    float *VF_RESTRICT numbers = in->numbers, *VF_RESTRICT state = in->state;
    if (in->layer == NULL)
        return;
    const vf_optimizer o = in->layer->optimizer;
    if (in->by_row) {
        state[0] = vf_adagrad_scale(state[0], square, o.epsilon);
        const float rate = o.learning_rate * state[0];
        for (int64_t c = 0; c < in->n; c++)
            numbers[c] -= rate * gradient[c];
        return;
    }
    for (int64_t c = 0; c < in->n; c++) {
        state[c] = vf_adagrad_scale(state[c], gradient[c] * gradient[c], o.epsilon);
        numbers[c] -= o.learning_rate * state[c] * gradient[c];
    }
}

/* ---- one layer behind another ----------------------------------------------------------- */

/* Sets the outputs of k units, before their activation. */
VF_INLINE void vf_forward_inner(const vf_inner *in, const int64_t k, float *out) {
    for (int64_t c = 0; c < k; c++)
        out[c] = in->intercepts.numbers[c] + vf_dot(in->units, in->now + c * in->stride, in->stride);
}

VF_INLINE void vf_activate_units(const vf_inner *in) {
    float *VF_RESTRICT units = in->units;
    VF_EACH_ACTIVATION(in->activation, for (int64_t i = 0; i < in->n_in; i++) units[i] = vf_activation(K, units[i]);)
}

VF_INLINE void vf_forward_layer_as(const int by_row, const int lazy, const vf_clock *clock, const vf_inner *in) {
    vf_catch_up(by_row, lazy, clock, in, in->n_out);
    vf_forward_inner(in, in->n_out, in->out);
}

VF_INLINE void vf_step_layer_as(const int by_row, const int lazy, const vf_clock *clock, const vf_inner *in) {
    const float square = vf_mean_square(in->gradient, in->n_out);
    vf_pass_back(in, in->n_out);
    vf_step_inner(by_row, lazy, clock, in, in->n_out, square);
    vf_step_intercepts(&in->intercepts, in->gradient, square);
}

/* Calls a function of a layer's rule and of what it catches up on with these as constants. */
#define VF_AS_INNER(function, lazy, clock, in)                                                            \
    ((in)->by_row ? ((lazy) ? function(1, VF_DECAYING, clock, in) : function(1, VF_EAGER, clock, in))     \
                  : ((lazy) ? function(0, VF_DECAYING, clock, in) : function(0, VF_EAGER, clock, in)))

/* Sets what the next layer reads, before its activation. */
VF_SIMD static void vf_forward_layer(int lazy, const vf_clock *clock, const vf_inner *given) {
    const vf_inner in = *given; /* no store can alias it */
    VF_AS_INNER(vf_forward_layer_as, lazy, clock, &in);
}

/* Sets the gradient of a layer's inputs, and steps it and its intercepts. */
VF_SIMD static void vf_step_layer(int lazy, const vf_clock *clock, const vf_inner *given) {
    const vf_inner in = *given;
    VF_AS_INNER(vf_step_layer_as, lazy, clock, &in);
}

#endif
