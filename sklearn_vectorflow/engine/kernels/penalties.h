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

#include "elementary.h"

typedef struct {
    float l1, l2;                  /* strengths on the mean loss */
    const float *l1_each, *l2_each; /* (n_in) factors on them, or NULL */
    const float *center;           /* (n_in, n_out), or NULL: zero */
    float lower;                   /* smallest weight allowed; -INFINITY: none */
} vf_penalty;

/* What k steps add to a weight at distance u from its centre, as a difference:
 * adding it last keeps decays that are smaller than one rounding of u. */
VF_INLINE float vf_shrinkage(float u, float l1, float l2, float log_ratio, float time) {
    const float left = vf_expm1_negative(log_ratio); /* r - 1 */
    const float threshold = l2 > 0.0f ? -left * (l1 / (l2 > 0.0f ? l2 : 1.0f)) : l1 * time;
    const float size = fabsf(u);
    const float loss = threshold - size * left;
    return -copysignf(loss < size ? loss : size, u);
}

#endif
