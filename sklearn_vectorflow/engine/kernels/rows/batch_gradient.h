/* The gradient of a batch, feature by feature: which features the batch touched,
 * and the sum of their rows' gradients. Costs what the batch's non-zeros cost. */
#ifndef VF_GATHER_H
#define VF_GATHER_H

#include "kernels/rows/rows.h"

/* Where a feature's sum is; slot -1: nobody's. */
typedef struct {
    int32_t feature, slot;
} vf_table_entry;

typedef struct {
    int64_t n_slots;
    int32_t n_out, bits; /* of the table, which has 2**bits places; 0: a place a feature, its own */
    vf_table_entry *table;
    uint32_t *places;    /* (slots) */
    int32_t *features;   /* (slots) */
    double *gradient;    /* (slots, n_out) */
} vf_gathered;

/* The place of a feature, or the one to put it. Neighbours have places far apart (Knuth's multiplicative hash). */
VF_INLINE int64_t vf_place_of(const vf_table_entry *table, int32_t bits, int32_t feature) {
    if (bits == 0)
        return feature;
    const int64_t mask = ((int64_t)1 << bits) - 1;
    int64_t at = (int64_t)(((uint32_t)feature * 2654435769u) >> (32 - bits));
    while (table[at].slot >= 0 && table[at].feature != feature)
        at = (at + 1) & mask;
    return at;
}

VF_INLINE int64_t vf_gathered_slot(const vf_gathered *g, int64_t *n_slots, int32_t feature) {
    const int64_t at = vf_place_of(g->table, g->bits, feature);
    if (g->table[at].slot < 0) {
        const vf_table_entry place = {feature, (int32_t)*n_slots};
        g->table[at] = place;
        g->places[*n_slots] = (uint32_t)at;
        g->features[*n_slots] = feature;
        memset(g->gradient + *n_slots * g->n_out, 0, sizeof(double) * (size_t)g->n_out);
        ++*n_slots;
    }
    return g->table[at].slot;
}

static inline double *vf_gathered_row(vf_gathered *g, int32_t feature) {
    return g->gradient + vf_gathered_slot(g, &g->n_slots, feature) * g->n_out;
}

VF_INLINE void vf_gather_as(vf_gathered *given, vf_row row, const double *VF_RESTRICT delta, const int64_t n_out) {
    const vf_gathered g = *given; /* no store can alias it */
    int64_t n_slots = g.n_slots;
    for (int64_t k = 0; k < row.length; k++) {
        const double v = row.values[k];
        if (v == 0.0) /* a stored zero is no touch */
            continue;
        double *VF_RESTRICT sum = g.gradient + vf_gathered_slot(&g, &n_slots, row.indices[k]) * n_out;
        for (int64_t c = 0; c < n_out; c++)
            sum[c] += v * delta[c];
    }
    given->n_slots = n_slots;
}

VF_SIMD static void vf_gather_row(vf_gathered *g, vf_row row, const double *delta) {
    if (g->n_out == 1)
        vf_gather_as(g, row, delta, 1);
    else
        vf_gather_as(g, row, delta, g->n_out);
}

/* Empties the table. */
static inline void vf_gathered_clear(vf_gathered *g) {
    for (int64_t slot = 0; slot < g->n_slots; slot++)
        g->table[g->places[slot]].slot = -1;
    g->n_slots = 0;
}

#endif
