/* Update rules, one weight at a time. `kind` is a constant where they are called,
 * so each kernel is compiled with its own rule and nothing else. */
#ifndef VF_OPTIMIZERS_H
#define VF_OPTIMIZERS_H

#include "kernels/optimizers/penalties.h"

enum { VF_FIXED, VF_SGD, VF_ADAGRAD, VF_ADAGRAD_ROWWISE, VF_ADAM, VF_FTRL, VF_ADAM_ROWWISE };

typedef struct {
    float learning_rate;
    float epsilon;        /* AdaGrad: what its sum of squares starts from */
    float beta;           /* FTRL */
    float decay1, decay2; /* Adam */
    float log_decay1, log_decay2;
} vf_optimizer;

/* Where training stands. Steps are counted over all threads; `elapsed` is the
 * sum of the learning rates of all steps before this one (SGD). */
typedef struct {
    int64_t step;
    double rate, elapsed;
} vf_clock;

/* SGD's rate of step t is rate / (1 + decay * t) ** power. */
typedef struct {
    double rate, decay, power;
} vf_schedule;

static inline double vf_rate_at(vf_schedule schedule, int64_t step) {
    if (schedule.power == 0.0)
        return schedule.rate;
    return schedule.rate / pow(1.0 + schedule.decay * (double)step, schedule.power);
}

#define VF_IS_ADAM(kind) ((kind) == VF_ADAM || (kind) == VF_ADAM_ROWWISE)

/* Which rules keep what: one number a weight (s1, s2), one a feature (row). Row-wise Adam has its second
 * moment, s2, behind `row`, one for all weights of a feature. */
#define VF_USES_S1(kind) ((kind) == VF_ADAGRAD || (kind) == VF_FTRL || VF_IS_ADAM(kind))
#define VF_USES_S2(kind) ((kind) == VF_ADAM || (kind) == VF_FTRL)
#define VF_USES_ROW(kind) ((kind) == VF_ADAGRAD_ROWWISE || VF_IS_ADAM(kind))
#define VF_HAS_S2(kind) (VF_USES_S2(kind) || (kind) == VF_ADAM_ROWWISE)

/* Rules that keep the mean square of a feature's gradient. */
#define VF_USES_SQUARE(kind) ((kind) == VF_ADAGRAD_ROWWISE || (kind) == VF_ADAM_ROWWISE)

/* Rules whose step size is the same for all weights of a feature. */
#define VF_ROW_RATE(kind) ((kind) == VF_SGD || (kind) == VF_ADAGRAD_ROWWISE || (kind) == VF_ADAM_ROWWISE)

/* Rules that keep the step size between touches (up to the learning rate) as state. */
#define VF_USES_RESTING(kind) ((kind) == VF_ADAGRAD || (kind) == VF_ADAGRAD_ROWWISE)

typedef struct {
    float s1, s2, row;
} vf_state;

/* AdaGrad keeps r = 1 / sqrt(epsilon + sum of squared gradients), the number that
 * both the step and the missed penalties need; 0 stands for "no gradient yet".
 * Duchi, Hazan and Singer (2011), JMLR 12. */
VF_INLINE float vf_adagrad_change(float r, float square, float epsilon) {
    const int fresh = r == 0.0f;
    const float change = 1.0f / sqrtf(fresh ? epsilon + square : 1.0f + square * r * r);
    return fresh ? (square > 0.0f ? -change : 0.0f) : change;
}

/* A change is a factor, so that other threads' changes stay; the first is a value, and
 * negative as a mark. */
VF_INLINE float vf_adagrad_changed(float r, float change) {
    return change > 0.0f ? r * change : -change;
}

VF_INLINE float vf_adagrad_scale(float r, float square, float epsilon) {
    return vf_adagrad_changed(r, vf_adagrad_change(r, square, epsilon));
}

/* What stands for the gradients in `shared` and those that a copy took since `before`. */
VF_INLINE float vf_adagrad_merged(float shared, float before, float own, float epsilon) {
    const float old = before == 0.0f ? epsilon : 1.0f / (before * before);
    const float gained = own == 0.0f ? 0.0f : 1.0f / (own * own) - old;
    const float sum = (shared == 0.0f ? epsilon : 1.0f / (shared * shared)) + (gained > 0.0f ? gained : 0.0f);
    return own == 0.0f ? shared : 1.0f / sqrtf(sum);
}

/* How much of a copy's steps is kept: after those of others they would have been shorter. */
VF_INLINE float vf_adagrad_share(float merged, float own) {
    return merged < own && own > 0.0f ? merged / own : 1.0f;
}

/* Kingma and Ba (2015), arXiv:1412.6980, with the bias of each feature's own count
 * of touches: the moments of features that rows don't touch stay as they are. The biases
 * are the same for all weights of a feature, so loops over these compute them once. */
VF_INLINE float vf_adam_moment(float old, float new, float decay) {
    return decay * old + (1.0f - decay) * new;
}

/* A copy's touches since `before` decay the moments of all, and what they added comes on top of these. */
typedef struct {
    float first, second;
} vf_decay;

VF_INLINE vf_decay vf_adam_decay(float touches, const vf_optimizer *o) {
    const vf_decay out = {1.0f + vf_expm1_negative(touches * o->log_decay1), 1.0f + vf_expm1_negative(touches * o->log_decay2)};
    return out;
}

VF_INLINE float vf_adam_first(float shared, float before, float own, vf_decay decay) {
    return decay.first * (shared - before) + own;
}

VF_INLINE float vf_adam_second(float shared, float before, float own, vf_decay decay) {
    const float merged = decay.second * (shared - before) + own;
    return merged > 0.0f ? merged : 0.0f;
}

VF_INLINE float vf_adam_bias(float touches, float log_decay) {
    return touches > 0.0f ? -vf_expm1_negative(touches * log_decay) : 1.0f;
}

/* Step size of a gradient: rate / (sqrt(v / bias) + epsilon), with one division. */
VF_INLINE float vf_adam_rate(float v, float bias, float other_bias, const vf_optimizer *o) {
    return o->learning_rate * bias / (other_bias * (sqrtf(v * bias) + o->epsilon * bias));
}

/* That of a first moment, which has a bias, too. */
VF_INLINE float vf_adam_step_rate(float v, float touches, const vf_optimizer *o) {
    return vf_adam_rate(v, vf_adam_bias(touches, o->log_decay2), vf_adam_bias(touches, o->log_decay1), o);
}

/* McMahan et al. (2013), doi:10.1145/2487575.2488200; the strengths grow with the
 * steps, since the objective is the mean of the losses. `root` is that of the sum of
 * squared gradients, which is kept because every reading needs it. */
VF_INLINE float vf_ftrl_weight(float z, float root, float center, float l1, float l2, float steps, const vf_optimizer *o) {
    const float size = fabsf(z) - steps * l1;
    const float scale = (o->beta + root) * (1.0f / o->learning_rate) + steps * l2;
    const float u = (size > 0.0f ? size : 0.0f) / (scale > 0.0f ? scale : 1.0f);
    return center - copysignf(u, z);
}

/* A root, with what another one's sum of squares grew by. */
VF_INLINE float vf_ftrl_grown(float root, float before, float after) {
    return sqrtf(root * root + (after - before) * (after + before));
}

/* Step size between touches: constant, and zero before the first. */
VF_INLINE float vf_resting_rate(const int kind, vf_state s, const vf_optimizer *o) {
    if (kind == VF_ADAGRAD)
        return o->learning_rate * s.s1;
    if (kind == VF_ADAGRAD_ROWWISE)
        return o->learning_rate * s.row;
    if (VF_IS_ADAM(kind))
        return s.row > 0.0f ? vf_adam_rate(s.s2, vf_adam_bias(s.row, o->log_decay2), 1.0f, o) : 0.0f;
    return 0.0f;
}

/* Advances the state that all weights of a feature share, once a step; returns the step size of the rules of
 * VF_ROW_RATE. `square`: the mean over its outputs of the squared gradient. `rate`: SGD's. */
VF_INLINE float vf_step_row(const int kind, vf_state *s, float square, float rate, const vf_optimizer *o) {
    if (kind == VF_ADAGRAD_ROWWISE) {
        s->row = vf_adagrad_scale(s->row, square, o->epsilon);
        return o->learning_rate * s->row;
    }
    if (VF_IS_ADAM(kind))
        s->row = s->row < 16777216.0f ? s->row + 1.0f : s->row;
    if (kind == VF_ADAM_ROWWISE) {
        s->s2 = vf_adam_moment(s->s2, square, o->decay2);
        return vf_adam_step_rate(s->s2, s->row, o);
    }
    return rate;
}

/* What one gradient step adds to a weight worth `now`; advances the state of its own. `rate`
 * is what vf_step_row returned. */
VF_INLINE float vf_step(const int kind, vf_state *s, float now, float center, float g, float rate,
                        const vf_optimizer *o) {
    if (VF_IS_ADAM(kind))
        s->s1 = vf_adam_moment(s->s1, g, o->decay1);
    if (kind == VF_ADAM_ROWWISE)
        return -rate * s->s1;
    if (VF_ROW_RATE(kind))
        return -rate * g;
    if (kind == VF_ADAGRAD) {
        s->s1 = vf_adagrad_scale(s->s1, g * g, o->epsilon);
        return -o->learning_rate * s->s1 * g;
    }
    if (kind == VF_ADAM) {
        s->s2 = vf_adam_moment(s->s2, g * g, o->decay2);
        return -s->s1 * vf_adam_step_rate(s->s2, s->row, o);
    }
    if (kind == VF_FTRL) {
        const float root = sqrtf(s->s2 * s->s2 + g * g);
        const float sigma = (root - s->s2) * (1.0f / o->learning_rate);
        s->s1 += g - sigma * (now - center);
        s->s2 = root;
    }
    return 0.0f;
}

#endif
