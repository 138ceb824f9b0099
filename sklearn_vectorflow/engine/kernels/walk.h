/* What the walk over a net calls of a linear layer; linear.h has the functions. */
#ifndef VF_WALK_H
#define VF_WALK_H

#include "misses.h"
#include "rows.h"

/* `forward` leaves what it read of the row behind for `update`; `read` does so for
 * other sets of features. */
typedef struct {
    void (*forward)(const vf_linear *, const vf_clock *, vf_row, vf_copies, float *);
    void (*read)(const vf_linear *, const vf_clock *, vf_row, vf_copies);
    void (*update)(const vf_linear *, const vf_clock *, vf_row, vf_copies, const float *);
    void (*backward)(const vf_linear *, const vf_clock *, const double *, double *);
    int64_t (*settle)(const vf_linear *, const vf_clock *, int64_t, int64_t);
} vf_linear_kernels;

/* The layer of n of its inputs, from `first` on. */
VF_INLINE vf_linear vf_rows_of(const vf_linear *layer, int64_t first, int64_t n) {
    vf_linear part = *layer;
    part.record += first * layer->stride;
    part.n_in = n;
    part.penalty.l1_each = layer->penalty.l1_each ? layer->penalty.l1_each + first : NULL;
    part.penalty.l2_each = layer->penalty.l2_each ? layer->penalty.l2_each + first : NULL;
    part.penalty.center = layer->penalty.center ? layer->penalty.center + first * layer->n_out : NULL;
    return part;
}

#endif
