/* What the walk over a net calls of pairwise interactions through embeddings (Rendle, 2010,
 * doi:10.1109/ICDM.2010.127):
 *     out = sum over i < j of <v_i, v_j> x_i x_j = ((sum v_i x_i)^2 - sum (v_i x_i)^2) / 2,
 * summed over the rank. A record holds the embeddings of all outputs; its gradient is
 *     x_i delta (S - x_i v_i),   S = sum v_j x_j,
 * whose first part is that of a linear layer with the gradient delta S, and whose second, the feature's own,
 * is worked out where the record is stepped. Summed over rows, the parts stay apart. pairs_rules.h has the kernels. */
#ifndef VF_PAIRS_H
#define VF_PAIRS_H

#include "kernels/nets/walk.h"
#include "kernels/rows/batch_gradient.h"

typedef struct {
    const vf_linear *layer; /* its n_out: outputs times rank */
    const vf_clock *clock;
    vf_copies copies;
    int64_t rank;
    float *step; /* (3, n_out) of scratch */
} vf_pairs;

/* `forward` sets the row's sums of v_i x_i (n_out) and its outputs, and leaves what it read of the row behind for
 * `update`; `read` does so for other sets of features. A feature's gradient is its value x times
 * delta - x own v, `own` with one number an output. `backward` adds to the gradient of n dense inputs x, which are
 * the layer's inputs from `first` on. */
typedef struct {
    void (*forward)(const vf_pairs *, vf_row, float *sums, float *out);
    void (*read)(const vf_pairs *, vf_row);
    void (*update)(const vf_pairs *, vf_row, const float *delta, const float *own);
    void (*backward)(const vf_pairs *, const float *x, int64_t first, int64_t n, const float *sums, const double *delta,
                     double *of_x);
} vf_pairs_kernels;

/* Adds the row's gradient to that of the batch: delta S (n_out), then what makes the features' own part. */
VF_SIMD static void vf_gather_pairs(vf_gathered *g, vf_row row, const double *VF_RESTRICT delta, const float *VF_RESTRICT sums,
                                    int64_t n_outputs, int64_t rank) {
    const int64_t n = n_outputs * rank;
    for (int64_t k = 0; k < row.length; k++) {
        const double x = row.values[k];
        if (x == 0.0) /* a stored zero is no touch */
            continue;
        double *VF_RESTRICT sum = vf_gathered_row(g, row.indices[k]);
        for (int64_t o = 0; o < n_outputs; o++) {
            const double scale = x * delta[o];
            for (int64_t c = o * rank; c < (o + 1) * rank; c++)
                sum[c] += scale * sums[c];
            sum[n + o] += x * scale;
        }
    }
}

#endif
