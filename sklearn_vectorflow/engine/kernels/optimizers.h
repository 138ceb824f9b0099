/* Update rules, one weight at a time. Each has two faces: what a weight is worth
 * now (`vf_current`: with missed penalty steps) and one gradient step on it
 * (`vf_step`). `kind` is a constant where they are called, so each kernel is
 * compiled with its own rule and nothing else. */
#ifndef VF_OPTIMIZERS_H
#define VF_OPTIMIZERS_H

#include "penalties.h"

enum { VF_FIXED, VF_SGD, VF_ADAGRAD, VF_ADAGRAD_ROWWISE, VF_ADAM, VF_FTRL };

typedef struct {
    float learning_rate;
    float epsilon;
    float beta;                       /* FTRL */
    float decay1, decay2;             /* Adam */
    float log_decay1, log_decay2;
} vf_optimizer;

/* Where training stands. Steps are counted over all threads; `elapsed` is the
 * sum of the learning rates of all steps before this one (SGD). */
typedef struct {
    int64_t step;
    double rate, elapsed;
} vf_clock;

/* One weight and what belongs to it. `row` is the state its whole feature shares:
 * the row-wise accumulator or Adam's count of touches. */
typedef struct {
    float w, s1, s2, row;
    float gap, elapsed; /* steps, and sum of rates, since the last touch */
    float l1, l2, center;
} vf_weight;

VF_INLINE float vf_adam_size(float v, float touches, const vf_optimizer *o) {
    const float bias = -vf_expm1_negative(touches * o->log_decay2);
    return sqrtf(v / (touches > 0.0f ? bias : 1.0f)) + o->epsilon;
}

/* Step size of a coordinate between touches: constant, or zero before the first. */
VF_INLINE float vf_rate(const int kind, const vf_weight *x, const vf_optimizer *o) {
    if (kind == VF_ADAGRAD)
        return x->s1 > 0.0f ? o->learning_rate / sqrtf(x->s1 + o->epsilon) : 0.0f;
    if (kind == VF_ADAGRAD_ROWWISE)
        return x->row > 0.0f ? o->learning_rate / sqrtf(x->row + o->epsilon) : 0.0f;
    if (kind == VF_ADAM)
        return x->row > 0.0f ? o->learning_rate / vf_adam_size(x->s2, x->row, o) : 0.0f;
    return 0.0f;
}

/* Closed form of follow-the-regularised-leader after `steps` steps. */
VF_INLINE float vf_ftrl_weight(const vf_weight *x, float steps, const vf_optimizer *o) {
    const float size = fabsf(x->s1) - steps * x->l1;
    const float scale = (o->beta + sqrtf(x->s2)) / o->learning_rate + steps * x->l2;
    const float u = size > 0.0f ? size / (scale > 0.0f ? scale : 1.0f) : 0.0f;
    return x->center - copysignf(u, x->s1);
}

/* What a weight is worth now, as base + change: the change can be smaller than a
 * rounding of the base, and survives if it is first added to the next step. */
typedef struct {
    float base, change;
} vf_value;

VF_INLINE vf_value vf_shrunk(const vf_weight *x, float log_ratio, float time) {
    const float u = x->w - x->center;
    const float change = vf_shrinkage(u, x->l1, x->l2, log_ratio, time);
    const int at_center = change == -u;
    const vf_value out = {at_center ? x->center : x->w, at_center ? 0.0f : change};
    return out;
}

VF_INLINE vf_value vf_current(const int kind, const vf_weight *x, const vf_optimizer *o, float steps) {
    if (kind == VF_FTRL) {
        const vf_value out = {vf_ftrl_weight(x, steps, o), 0.0f};
        return out;
    }
    if (kind == VF_SGD)
        return vf_shrunk(x, -x->l2 * x->elapsed, x->elapsed);
    const float rate = vf_rate(kind, x, o);
    return vf_shrunk(x, -x->gap * vf_log1p_positive(rate * x->l2), x->gap * rate);
}

/* One gradient step: returns what it adds to the weight and advances the state.
 * `row` was advanced before, once a feature, with vf_step_row. */
VF_INLINE float vf_step(const int kind, vf_weight *x, vf_value now, float g, const vf_optimizer *o, float rate) {
    if (kind == VF_SGD)
        return -rate * g;
    if (kind == VF_ADAGRAD) {
        x->s1 += g * g;
        return -o->learning_rate * g / sqrtf(x->s1 + o->epsilon);
    }
    if (kind == VF_ADAGRAD_ROWWISE)
        return -o->learning_rate * g / sqrtf(x->row + o->epsilon);
    if (kind == VF_ADAM) {
        x->s1 = o->decay1 * x->s1 + (1.0f - o->decay1) * g;
        x->s2 = o->decay2 * x->s2 + (1.0f - o->decay2) * g * g;
        const float bias = -vf_expm1_negative(x->row * o->log_decay1);
        return -o->learning_rate * (x->s1 / bias) / vf_adam_size(x->s2, x->row, o);
    }
    if (kind == VF_FTRL) {
        const float n = x->s2 + g * g;
        const float sigma = (sqrtf(n) - sqrtf(x->s2)) / o->learning_rate;
        x->s1 += g - sigma * (now.base - x->center);
        x->s2 = n;
    }
    return 0.0f;
}

VF_INLINE float vf_step_row(const int kind, float row, float mean_square) {
    if (kind == VF_ADAGRAD_ROWWISE)
        return row + mean_square;
    if (kind == VF_ADAM)
        return row < 16777216.0f ? row + 1.0f : row;
    return row;
}

#endif
