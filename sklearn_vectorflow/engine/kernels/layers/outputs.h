/* Many outputs of which a step computes few: each is a linear layer of one output, with
 * records of its own that lie together, and is read and stepped by the kernels of such layers.
 * An output that is left alone costs nothing. */
#ifndef VF_OUTPUTS_H
#define VF_OUTPUTS_H

#include "kernels/nets/walk.h"

enum { VF_OUTPUTS_AHEAD = 2 }; /* outputs between asking for weights and using them */

typedef struct {
    const vf_linear *first, *bias; /* of the first output; intercepts of all, or NULL */
    vf_linear_kernels kernels, bias_kernels;
    const vf_clock *clock;
    vf_copies copies, bias_copies;
} vf_outputs;

VF_INLINE vf_linear vf_output(const vf_linear *first, int64_t output) {
    vf_linear one = *first;
    one.record += output * first->n_in * first->stride;
    if (first->values)
        one.values += output * first->n_in;
    if (first->penalty.center)
        one.penalty.center += output * first->n_in;
    return one;
}

static inline void vf_prefetch_output(const vf_linear *first, int64_t output, vf_row x) {
    const float *record = first->record + output * first->n_in * first->stride;
    for (int64_t k = 0; k < x.length; k++)
        VF_PREFETCH_READ(record + x.indices[k] * (int64_t)first->stride);
}

/* Writes the row's scores of n outputs. */
static inline void vf_outputs_forward(const vf_outputs *o, vf_row x, const int32_t *outputs, int64_t n, float *scores) {
    static const float unit = 1.0f;
    for (int64_t k = 0; k < n; k++) {
        const vf_linear one = vf_output(o->first, outputs[k]);
        const vf_row intercept = {outputs + k, &unit, 1};
        if (k + VF_OUTPUTS_AHEAD < n)
            vf_prefetch_output(o->first, outputs[k + VF_OUTPUTS_AHEAD], x);
        scores[k] = 0.0f;
        o->kernels.forward(&one, o->clock, x, o->copies, scores + k);
        if (o->bias)
            o->bias_kernels.forward(o->bias, o->clock, intercept, o->bias_copies, scores + k);
    }
}

/* Adds to the gradient of `width` dense inputs, which are the outputs' inputs from `from` on. */
static inline void vf_outputs_back(const vf_outputs *o, const int32_t *outputs, int64_t n, const double *delta,
                                   int64_t from, int64_t width, double *of_x) {
    for (int64_t k = 0; k < n; k++) {
        const vf_linear one = vf_output(o->first, outputs[k]);
        const vf_linear part = vf_rows_of(&one, from, width);
        o->kernels.backward(&part, o->clock, delta + k, of_x);
    }
}

/* A step of an output by its gradient: delta x, and `of_bias` for the intercept. */
static inline void vf_outputs_update(const vf_outputs *o, int32_t output, vf_row x, float delta, float of_bias) {
    static const float unit = 1.0f;
    const vf_linear one = vf_output(o->first, output);
    const vf_row intercept = {&output, &unit, 1};
    o->kernels.read(&one, o->clock, x, o->copies);
    o->kernels.update(&one, o->clock, x, o->copies, &delta);
    if (o->bias) {
        o->bias_kernels.read(o->bias, o->clock, intercept, o->bias_copies);
        o->bias_kernels.update(o->bias, o->clock, intercept, o->bias_copies, &of_bias);
    }
}

/* As vf_settle, for every output; returns how many weights are not finite. */
static inline int64_t vf_outputs_settle(const vf_linear *first, vf_linear_kernels kernels, const vf_clock *clock,
                                        int64_t n_outputs) {
    int64_t bad = 0;
    for (int64_t output = 0; output < n_outputs; output++) {
        const vf_linear one = vf_output(first, output);
        bad += kernels.settle(&one, clock, 0, one.n_in);
    }
    return bad;
}

#endif
