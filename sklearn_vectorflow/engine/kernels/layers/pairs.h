/* Pairwise interactions through embeddings (Rendle, 2010, doi:10.1109/ICDM.2010.127):
 *     out = sum over i < j of <v_i, v_j> x_i x_j = ((sum v_i x_i)^2 - sum (v_i x_i)^2) / 2,
 * summed over the rank. A record holds the embeddings of all outputs, and is read and
 * stepped by the kernels of linear layers, one feature at a time. */
#ifndef VF_PAIRS_H
#define VF_PAIRS_H

#include "kernels/rows/batch_gradient.h"
#include "kernels/nets/walk.h"

typedef struct {
    const vf_linear *layer; /* its n_out: outputs times rank */
    const vf_linear_kernels *kernels;
    const vf_clock *clock;
    vf_copies copies; /* of one feature */
    int64_t rank;
    float *embedding; /* (n_out) */
} vf_pairs;

VF_INLINE vf_row vf_read_embedding(const vf_pairs *p, const int32_t *feature, const float *value) {
    const vf_row one = {feature, value, 1};
    static const float unit = 1.0f;
    const vf_row read = {feature, &unit, 1};
    memset(p->embedding, 0, (size_t)p->layer->n_out * sizeof(float));
    p->kernels->forward(p->layer, p->clock, read, p->copies, p->embedding);
    return one;
}

/* sums (n_out): the row's sums of v_i x_i, which the backward pass needs. */
VF_SIMD static void vf_pairs_forward(const vf_pairs *p, vf_row row, float *VF_RESTRICT sums, float *VF_RESTRICT squares,
                                     float *VF_RESTRICT out) {
    const int64_t n = p->layer->n_out;
    memset(sums, 0, (size_t)n * sizeof(float));
    memset(squares, 0, (size_t)n * sizeof(float));
    for (int64_t k = 0; k < row.length; k++) {
        const float x = row.values[k], *VF_RESTRICT v = p->embedding;
        vf_read_embedding(p, row.indices + k, row.values + k);
        for (int64_t c = 0; c < n; c++) {
            sums[c] += x * v[c];
            squares[c] += (x * v[c]) * (x * v[c]);
        }
    }
    for (int64_t c = 0; c < n; c += p->rank) {
        float total = 0.0f;
        for (int64_t f = c; f < c + p->rank; f++)
            total += sums[f] * sums[f] - squares[f];
        out[c / p->rank] = 0.5f * total;
    }
}

/* The gradient of an embedding over x_i: delta (sum - v_i x_i). */
VF_INLINE double vf_pairs_delta(const vf_pairs *p, float x, const float *sums, const double *delta, int64_t c) {
    return delta[c / p->rank] * ((double)sums[c] - (double)p->embedding[c] * x);
}

/* Steps the embeddings of a row. step: (n_out) of scratch. */
static inline void vf_pairs_update(const vf_pairs *p, vf_row row, const float *sums, const double *delta, float *step) {
    for (int64_t k = 0; k < row.length; k++) {
        const vf_row one = vf_read_embedding(p, row.indices + k, row.values + k);
        for (int64_t c = 0; c < p->layer->n_out; c++)
            step[c] = (float)vf_pairs_delta(p, row.values[k], sums, delta, c);
        p->kernels->update(p->layer, p->clock, one, p->copies, step);
    }
}

/* Adds the row's gradient to that of the batch. step: (n_out) of scratch. */
static inline void vf_pairs_gather(const vf_pairs *p, vf_row row, const float *sums, const double *delta,
                                   vf_gathered *g, double *step) {
    for (int64_t k = 0; k < row.length; k++) {
        const vf_row one = vf_read_embedding(p, row.indices + k, row.values + k);
        for (int64_t c = 0; c < p->layer->n_out; c++)
            step[c] = vf_pairs_delta(p, row.values[k], sums, delta, c);
        vf_gather_row(g, one, step);
    }
}

/* Adds the gradient of n dense inputs x, whose first is the layer's input `first`. */
static inline void vf_pairs_back(const vf_pairs *p, const float *x, int64_t first, int64_t n, const float *sums,
                                 const double *delta, double *of_x) {
    for (int64_t i = 0; i < n; i++) {
        const int32_t feature = (int32_t)(first + i);
        double total = 0.0;
        vf_read_embedding(p, &feature, x + i);
        for (int64_t c = 0; c < p->layer->n_out; c++)
            total += p->embedding[c] * vf_pairs_delta(p, x[i], sums, delta, c);
        of_x[i] += total;
    }
}

#endif
