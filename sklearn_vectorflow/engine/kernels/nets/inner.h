/* The inner layers of a net with hidden ones, under AdaGrad or Adam. They are small, and every row reads and writes all
 * of them: they are trained in arrays of their own, out of their records. The numbers of an output lie side by side, so
 * that all of it goes in lanes of inputs, and behind them zeros, to whole lanes. */
#ifndef VF_INNER_H
#define VF_INNER_H

#include "kernels/layers/activations.h"
#include "kernels/layers/linear_wide.h"

/* Intercepts of a layer and their state. `square` is what a rule keeps of squared gradients: a number each, or under a
 * row-wise rule one for all. Numbers of each lie in whole lanes, filled up with zeros, and so do their gradients. */
typedef struct {
    const vf_linear *layer; /* NULL: there are none, and the numbers are zeros */
    int32_t rule;
    int64_t n;
    float *numbers, *square;
    float *first, *touches; /* Adam's: first moments, and one count of touches */
} vf_intercepts;

/* A layer, and room for what a row makes of it. Of a row-wise rule, `square`, `left` and `rate` have (stride)
 * numbers: one an input. */
typedef struct {
    const vf_linear *layer;
    int32_t rule, activation; /* activation: of its inputs */
    int64_t n_in, n_out, stride;
    float *weights, *square; /* (n_out, stride) */
    float *first, *touches;  /* Adam's: (n_out, stride) and (stride) */
    float *bias[2];          /* (stride): those of its moments after so many touches */
    float *left, *rate;      /* as `square`: what the weights have missed */
    float *now;              /* (n_out, stride): what they are worth */
    uint32_t *touched;       /* (stride): step */
    float *units, *delta;    /* (stride): outputs of the activation; gradient before it */
    float *out, *gradient;   /* (n_out): the next layer's `units` and `delta`, or those of the loss */
    vf_intercepts intercepts;
} vf_inner;

VF_INLINE int64_t vf_lanes(int64_t n) { return (n + VF_LANES - 1) / VF_LANES * VF_LANES; }

/* Does a block for i from 0 to n, and to the end of the last whole lanes. */
#define VF_WHOLE_LANES(i, n, ...)                                     \
    for (int64_t lanes_at = 0; lanes_at < (n); lanes_at += VF_LANES) \
        VF_ONE_GROUP for (int64_t i = lanes_at, lane = 0; lane < VF_LANES; i++, lane++) __VA_ARGS__

/* Runs a statement with constant R, a layer's rule. */
#define VF_AS_RULE(rule, statement)                                                        \
    switch (rule) {                                                                        \
    case VF_ADAGRAD: { enum { R = VF_ADAGRAD }; statement break; }                         \
    case VF_ADAGRAD_ROWWISE: { enum { R = VF_ADAGRAD_ROWWISE }; statement break; }         \
    case VF_ADAM: { enum { R = VF_ADAM }; statement break; }                               \
    case VF_ADAM_ROWWISE: { enum { R = VF_ADAM_ROWWISE }; statement break; }               \
    }

/* ---- between records and arrays --------------------------------------------------- */

/* Copies n numbers of a record to an array, there a stride apart; or back. */
static void vf_move(const int back, float *record, float *array, int64_t n, int64_t stride) {
    for (int64_t c = 0; c < n; c++)
        if (back)
            record[c] = array[c * stride];
        else
            array[c * stride] = record[c];
}

/* Where in a record a rule keeps what it knows of squared gradients. */
static int32_t vf_square_slot(int32_t rule, const vf_linear *layer) {
    return rule == VF_ADAGRAD ? layer->slot1
           : rule == VF_ADAM  ? layer->slot2
                              : layer->row_slot + (rule == VF_ADAM_ROWWISE);
}

static void vf_move_intercepts(const int back, const vf_intercepts *in) {
    const vf_linear *layer = in->layer;
    if (layer == NULL)
        return;
    vf_move(back, layer->record, in->numbers, in->n, 1);
    vf_move(back, layer->record + vf_square_slot(in->rule, layer), in->square, VF_ROW_RATE(in->rule) ? 1 : in->n, 1);
    if (VF_IS_ADAM(in->rule)) {
        vf_move(back, layer->record + layer->slot1, in->first, in->n, 1);
        vf_move(back, layer->record + layer->row_slot, in->touches, 1, 1);
    }
}

/* Fills the arrays from records; or the reverse. */
static void vf_move_inner(const int back, const int lazy, const vf_inner *in) {
    const vf_linear *layer = in->layer;
    const int64_t n_squares = VF_ROW_RATE(in->rule) ? 1 : in->n_out;
    float *record = layer->record;
    for (int64_t i = 0; i < in->n_in; i++, record += layer->stride) {
        vf_move(back, record, in->weights + i, in->n_out, in->stride);
        vf_move(back, record + vf_square_slot(in->rule, layer), in->square + i, n_squares, in->stride);
        if (VF_IS_ADAM(in->rule)) {
            vf_move(back, record + layer->slot1, in->first + i, in->n_out, in->stride);
            vf_move(back, record + layer->row_slot, in->touches + i, 1, 1);
        }
        if (lazy && back)
            memcpy(record + layer->clock_slot, in->touched + i, 4);
        else if (lazy)
            memcpy(in->touched + i, record + layer->clock_slot, 4);
    }
    vf_move_intercepts(back, &in->intercepts);
}

/* ---- forward ------------------------------------------------------------------------- */

VF_INLINE float vf_dot(const float *VF_RESTRICT a, const float *VF_RESTRICT b, int64_t n) {
    float sums[VF_LANES] = {0.0f}, sum = 0.0f;
    VF_WHOLE_LANES(i, n, { sums[lane] += a[i] * b[i]; })
    for (int64_t i = 0; i < VF_LANES; i++)
        sum += sums[i];
    return sum;
}

/* Sets `rate`: the step sizes at which weights rest, n of them. */
VF_INLINE void vf_rest_inner(const int kind, const vf_inner *in, int64_t n) {
    const vf_optimizer o = in->layer->optimizer;
    float *VF_RESTRICT rate = in->rate, *VF_RESTRICT bias = in->bias[1];
    const float *VF_RESTRICT square = in->square, *VF_RESTRICT touches = in->touches;
    if (!VF_IS_ADAM(kind)) {
        VF_WHOLE_LANES(j, n, { rate[j] = o.learning_rate * square[j]; })
        return;
    }
    VF_WHOLE_LANES(i, in->stride, { bias[i] = vf_adam_bias(touches[i], o.log_decay2); })
    for (int64_t from = 0; from < n; from += in->stride)
        VF_WHOLE_LANES(i, in->stride, {
            const float size = vf_adam_rate(square[from + i], bias[i], 1.0f, &o);
            rate[from + i] = touches[i] > 0.0f ? size : 0.0f;
        })
}

/* Sets `now`: the weights, caught up. */
VF_INLINE void vf_catch_up(const int lazy, const vf_clock *clock, const vf_inner *in) {
    const int by_row = VF_ROW_RATE(in->rule);
    const int64_t stride = in->stride, n = stride * in->n_out, n_rates = by_row ? stride : n;
    const float l2 = in->layer->penalty.l2;
    float *VF_RESTRICT left = in->left, *VF_RESTRICT now = in->now;
    const float *VF_RESTRICT w = in->weights;
    const uint32_t *VF_RESTRICT touched = in->touched;
    const uint32_t step = (uint32_t)clock->step;
    if (!lazy) { /* `left` is as it was made: zeros */
        memcpy(now, w, (size_t)n * sizeof(float));
        return;
    }
    for (int64_t from = 0; from < n_rates; from += stride)
        VF_WHOLE_LANES(i, stride, { left[from + i] = (float)(int32_t)(step - touched[i]); })
    VF_AS_RULE(in->rule, vf_rest_inner(R, in, n_rates);)
    vf_decays(left, in->rate, l2, n_rates, vf_largest(in->rate, n_rates) * l2 < 0.01f);
    for (int64_t from = 0; from < n; from += stride) {
        const float *VF_RESTRICT missed = by_row ? left : left + from;
        VF_WHOLE_LANES(i, stride, { now[from + i] = w[from + i] + w[from + i] * missed[i]; })
    }
}

/* Sets the outputs, before their activation. */
VF_INLINE void vf_forward_inner(const vf_inner *in, float *out) {
    for (int64_t c = 0; c < in->n_out; c++)
        out[c] = in->intercepts.numbers[c] + vf_dot(in->units, in->now + c * in->stride, in->stride);
}

/* ---- backward ------------------------------------------------------------------------ */

/* Sets the gradient of the inputs before their activation. */
VF_INLINE void vf_pass_back(const vf_inner *in) {
    float *VF_RESTRICT delta = in->delta;
    const float *VF_RESTRICT units = in->units, *VF_RESTRICT now = in->now, *VF_RESTRICT gradient = in->gradient;
    for (int64_t from = 0; from < in->stride; from += VF_LANES) {
        float sums[VF_LANES] = {0.0f};
        for (int64_t c = 0; c < in->n_out; c++)
            for (int64_t i = 0; i < VF_LANES; i++)
                sums[i] += now[c * in->stride + from + i] * gradient[c];
        memcpy(delta + from, sums, sizeof sums);
    }
    VF_EACH_ACTIVATION(in->activation,
                       for (int64_t i = 0; i < in->stride; i++) delta[i] *= vf_derivative(K, units[i]);)
}

/* AdaGrad's step of weight j, if its input is active. */
VF_INLINE void vf_step_weight(const vf_optimizer *o, float *VF_RESTRICT w, float *VF_RESTRICT square,
                              const float *VF_RESTRICT left, int64_t j, float g, int active) {
    const float old = w[j], scale = vf_adagrad_scale(square[j], g * g, o->epsilon);
    const float change = -o->learning_rate * scale * g;
    const float new = old + (old * left[j] + change);
    square[j] = active ? scale : square[j];
    w[j] = active ? new : old;
}

/* Counts the touches of active inputs, and sets the biases of their moments. */
VF_INLINE void vf_count_touches(const vf_inner *in) {
    const vf_optimizer o = in->layer->optimizer;
    const float *VF_RESTRICT units = in->units;
    float *VF_RESTRICT touches = in->touches, *VF_RESTRICT first = in->bias[0], *VF_RESTRICT second = in->bias[1];
    VF_WHOLE_LANES(i, in->stride, {
        vf_state s = {0.0f, 0.0f, touches[i]};
        vf_step_row(VF_ADAM, &s, 0.0f, 0.0f, &o);
        first[i] = vf_adam_bias(s.row, o.log_decay1);
        second[i] = vf_adam_bias(s.row, o.log_decay2);
        touches[i] = units[i] != 0.0f ? s.row : touches[i];
    })
}

/* Steps weights that keep a square each. */
VF_INLINE void vf_step_each(const int kind, const vf_inner *in) {
    const vf_optimizer o = in->layer->optimizer;
    const float *VF_RESTRICT units = in->units, *VF_RESTRICT gradient = in->gradient, *VF_RESTRICT left = in->left;
    float *VF_RESTRICT w = in->weights, *VF_RESTRICT square = in->square, *VF_RESTRICT moment = in->first;
    const float *VF_RESTRICT first = in->bias[0], *VF_RESTRICT second = in->bias[1];
    for (int64_t c = 0; c < in->n_out; c++)
        VF_WHOLE_LANES(i, in->stride, {
            const int64_t j = c * in->stride + i;
            const float g = units[i] * gradient[c], old = w[j];
            const int active = units[i] != 0.0f;
            if (kind == VF_ADAGRAD)
                vf_step_weight(&o, w, square, left, j, g, active);
            else {
                const float m = vf_adam_moment(moment[j], g, o.decay1), v = vf_adam_moment(square[j], g * g, o.decay2);
                const float new = old + (old * left[j] - m * vf_adam_rate(v, second[i], first[i], &o));
                moment[j] = active ? m : moment[j];
                square[j] = active ? v : square[j];
                w[j] = active ? new : old;
            }
        })
}

/* Steps what all weights of an input share, and by it the weights. `mean`: that of the outputs' squared gradients. */
VF_INLINE void vf_step_by_row(const int kind, const vf_inner *in, float mean) {
    const vf_optimizer o = in->layer->optimizer;
    const float *VF_RESTRICT units = in->units, *VF_RESTRICT gradient = in->gradient;
    float *VF_RESTRICT w = in->weights, *VF_RESTRICT square = in->square, *VF_RESTRICT moment = in->first;
    float *VF_RESTRICT left = in->left, *VF_RESTRICT rate = in->rate;
    const float *VF_RESTRICT first = in->bias[0], *VF_RESTRICT second = in->bias[1];
    VF_WHOLE_LANES(i, in->stride, {
        const float unit = units[i], g2 = unit * unit * mean;
        const int active = unit != 0.0f;
        const float grown = kind == VF_ADAM_ROWWISE ? vf_adam_moment(square[i], g2, o.decay2)
                                                    : vf_adagrad_scale(square[i], g2, o.epsilon);
        const float size = kind == VF_ADAM_ROWWISE ? vf_adam_rate(grown, second[i], first[i], &o)
                                                   : o.learning_rate * grown * unit;
        square[i] = active ? grown : square[i];
        rate[i] = active ? size : 0.0f;
        left[i] = active ? left[i] : 0.0f;
    })
    for (int64_t c = 0; c < in->n_out; c++)
        VF_WHOLE_LANES(i, in->stride, {
            const int64_t j = c * in->stride + i;
            float g = gradient[c];
            if (kind == VF_ADAM_ROWWISE) {
                const float m = vf_adam_moment(moment[j], units[i] * g, o.decay1);
                g = moment[j] = units[i] != 0.0f ? m : moment[j];
            }
            w[j] += w[j] * left[i] - rate[i] * g;
        })
}

/* Inputs that are zero are no touch. */
VF_INLINE void vf_step_inner(const int kind, const int lazy, const vf_clock *clock, const vf_inner *in) {
    uint32_t *VF_RESTRICT touched = in->touched;
    const float *VF_RESTRICT units = in->units;
    const uint32_t step = (uint32_t)clock->step;
    if (VF_IS_ADAM(kind))
        vf_count_touches(in);
    if (VF_ROW_RATE(kind))
        vf_step_by_row(kind, in, vf_mean_square(in->gradient, in->n_out));
    else
        vf_step_each(kind, in);
    if (lazy)
        VF_WHOLE_LANES(i, in->stride, { touched[i] = units[i] != 0.0f ? step : touched[i]; })
}

VF_INLINE void vf_step_intercepts_as(const int kind, const vf_intercepts *in, const float *VF_RESTRICT gradient, float mean) {
    const vf_optimizer o = in->layer->optimizer;
    const int by_row = VF_ROW_RATE(kind), is_adam = VF_IS_ADAM(kind);
    float *VF_RESTRICT numbers = in->numbers, *VF_RESTRICT square = in->square, *VF_RESTRICT moment = in->first;
    vf_state shared = {0.0f, by_row ? square[0] : 0.0f, is_adam ? in->touches[0] : square[0]};
    const float rate = vf_step_row(kind, &shared, mean, 0.0f, &o);
    VF_WHOLE_LANES(c, in->n, {
        vf_state s = {is_adam ? moment[c] : square[c], kind == VF_ADAM ? square[c] : shared.s2, shared.row};
        numbers[c] += vf_step(kind, &s, numbers[c], 0.0f, gradient[c], rate, &o);
        if (is_adam)
            moment[c] = s.s1;
        if (!by_row)
            square[c] = is_adam ? s.s2 : s.s1;
    })
    if (by_row)
        square[0] = is_adam ? shared.s2 : shared.row;
    if (is_adam)
        in->touches[0] = shared.row;
}

/* `mean`: that of squared gradients, for row-wise rules. */
VF_INLINE void vf_step_intercepts(const vf_intercepts *in, const float *gradient, float mean) {
    if (in->layer)
        VF_AS_RULE(in->rule, vf_step_intercepts_as(R, in, gradient, mean);)
}

/* ---- one layer behind another ----------------------------------------------------------- */

VF_INLINE void vf_activate_units(const vf_inner *in) {
    float *VF_RESTRICT units = in->units;
    VF_EACH_ACTIVATION(in->activation, for (int64_t i = 0; i < in->n_in; i++) units[i] = vf_activation(K, units[i]);)
}

/* Activates a layer's inputs, and sets what the next layer reads, before its activation. */
VF_SIMD static void vf_forward_layer(int lazy, const vf_clock *clock, const vf_inner *given) {
    const vf_inner in = *given; /* no store can alias it */
    vf_activate_units(&in);
    vf_catch_up(lazy, clock, &in);
    vf_forward_inner(&in, in.out);
}

/* Sets the gradient of a layer's inputs, and steps it and its intercepts. */
VF_SIMD static void vf_step_layer(int lazy, const vf_clock *clock, const vf_inner *given) {
    const vf_inner in = *given;
    vf_pass_back(&in);
    VF_AS_RULE(in.rule, vf_step_inner(R, lazy, clock, &in);)
    vf_step_intercepts(&in.intercepts, in.gradient, vf_mean_square(in.gradient, in.n_out));
}

#endif
