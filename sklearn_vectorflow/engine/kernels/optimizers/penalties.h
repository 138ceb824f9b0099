/* Separable penalties on |w - center|, caught up lazily: a weight that no row
 * touched for k steps gets its k missed steps in closed form when it is read.
 *
 * One step of a proximal method with step size eta soft-thresholds by eta * l1
 * and divides by 1 + eta * l2, so k steps with the same eta are
 *     |u| <- max(0, |u| r - (l1 / l2) (1 - r)),   r = (1 + eta * l2)**-k,
 * a geometric sum, or |u| - k * eta * l1 where l2 = 0. A step belongs to the
 * weight it ends on: `gap` counts from the step that last touched the weight, so
 * that step's own proximal map is among the k. */
#ifndef VF_PENALTIES_H
#define VF_PENALTIES_H

#include "kernels/elementary.h"

/* How much a weight has to catch up on when it is read: nothing; one L2 strength
 * for all (the common case, and the quickest); or anything of vf_penalty and the
 * running mean. */
enum { VF_EAGER, VF_DECAYING, VF_LAZY };

typedef struct {
    float l1, l2;                   /* strengths on the mean loss */
    const float *l1_each, *l2_each; /* (n_in) factors on them, or NULL */
    const float *center;            /* (n_in, n_out), or NULL: zero */
    float lower;                    /* smallest weight allowed; -INFINITY: none */
    const float *sign;              /* (n_in) of weights: 1 not below zero, -1 not above, 0 any; or NULL */
} vf_penalty;

/* What missed steps do to u = w - center: |u| (1 + left) - threshold, not below 0; and the sign that w may have. */
typedef struct {
    float left, threshold, sign;
} vf_missed;

/* A weight as base + change: the change can be smaller than a rounding of the
 * base, and survives if it is first added to the next step's change. */
typedef struct {
    float base, change;
} vf_value;

/* The weight that bounds allow. */
VF_INLINE float vf_bounded(float w, float lower, float sign) {
    const float inside = w < lower ? lower : w;
    return inside * sign < 0.0f ? 0.0f : inside;
}

/* k steps of size eta. Branches are quicker for one weight at a time, and keep
 * compilers from vectorising many. */
VF_INLINE vf_missed vf_miss(const int branches, float k, float eta, float l1, float l2) {
    const float left = vf_power_m1(branches, eta * l2, k);
    const vf_missed out = {left, l2 > 0.0f ? -left * (l1 / l2) : l1 * k * eta, 0.0f};
    return out;
}

/* Decay along the gradient flow of the penalty for a time: what steps of varying
 * size amount to when only the sum of their sizes is kept. */
VF_INLINE vf_missed vf_miss_flow(float time, float l1, float l2) {
    const float left = vf_expm1_negative(-time * l2);
    const vf_missed out = {left, l2 > 0.0f ? -left * (l1 / l2) : l1 * time, 0.0f};
    return out;
}

/* The weight after the missed steps; exactly the centre where L1 puts it there. The
 * bound holds after every step, and steps move towards the centre, so it is enough to
 * apply it last. */
VF_INLINE vf_value vf_shrunk(const int lazy, float w, float center, vf_missed missed, float lower) {
    if (lazy == VF_DECAYING) {
        const vf_value out = {w, w * missed.left};
        return out;
    }
    const float u = w - center, size = fabsf(u);
    const float loss = missed.threshold - size * missed.left;
    const int gone = loss >= size;
    const float base = gone ? center : w, change = gone ? 0.0f : -copysignf(loss, u);
    const float now = base + change, inside = vf_bounded(now, lower, missed.sign);
    const vf_value out = {inside != now ? inside : base, inside != now ? 0.0f : change};
    return out;
}

/* A weight that several copies took to its centre, as L1 does, is there and not beyond. (Bounds hold anyhow, since every
 * reading of a weight applies them.) */
VF_INLINE float vf_merged_up_to(float merged, float shared, float own, float center) {
    const float u = merged - center;
    const int passed = !(u * (shared - center) > 0.0f) & !(u * (own - center) > 0.0f);
    return passed ? center : merged;
}

#endif
