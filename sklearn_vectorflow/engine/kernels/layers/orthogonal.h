/* Soft orthogonality of a layer's columns: the gradient of strength / 4 ||W'W - I||^2. */
#ifndef VF_ORTHOGONAL_H
#define VF_ORTHOGONAL_H

#include "kernels/rows/batch_gradient.h"
#include "kernels/optimizers/record.h"

static inline void vf_orthogonal_pair(const vf_linear *layer, vf_gathered *g, int64_t a, int64_t b, double scale) {
    double product = a == b ? -1.0 : 0.0;
    for (int64_t j = 0; j < layer->n_in; j++) {
        const float *record = layer->record + j * layer->stride;
        product += (double)record[a] * record[b];
    }
    for (int64_t j = 0; j < layer->n_in; j++)
        vf_gathered_row(g, (int32_t)j)[a] += scale * product * layer->record[j * layer->stride + b];
}

/* Over all pairs of columns, or over some drawn at random, scaled to the same expectation. */
static inline void vf_add_orthogonality(const vf_linear *layer, vf_gathered *g, double strength, int64_t n_draws,
                                        uint64_t *random) {
    const int64_t n = layer->n_out;
    if (n_draws == 0)
        for (int64_t a = 0; a < n; a++)
            for (int64_t b = 0; b < n; b++)
                vf_orthogonal_pair(layer, g, a, b, strength);
    for (int64_t k = 0; k < n_draws; k++) {
        const int64_t a = vf_below(random, (uint32_t)n), b = vf_below(random, (uint32_t)n);
        vf_orthogonal_pair(layer, g, a, b, strength * (double)(n * n) / (double)n_draws);
    }
}

#endif
