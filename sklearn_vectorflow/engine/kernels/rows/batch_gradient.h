/* The gradient of a batch, feature by feature: which features the batch touched,
 * and the sum of their rows' gradients. Costs what the batch's non-zeros cost. */
#ifndef VF_GATHER_H
#define VF_GATHER_H

#include "kernels/rows/rows.h"

typedef struct {
    int64_t n_slots, capacity; /* capacity: a power of two, or n_in when direct */
    int32_t n_out, direct;     /* direct: slot_of is indexed by the feature itself */
    int32_t *slot_of;          /* (capacity), -1: empty */
    int32_t *features;         /* (slots) */
    double *gradient;          /* (slots, n_out) */
} vf_gathered;

static inline int64_t vf_slot_position(const vf_gathered *g, int32_t feature) {
    if (g->direct)
        return feature;
    int64_t at = (int64_t)(vf_mix((uint64_t)feature) & (uint64_t)(g->capacity - 1));
    while (g->slot_of[at] >= 0 && g->features[g->slot_of[at]] != feature)
        at = (at + 1) & (g->capacity - 1);
    return at;
}

static inline double *vf_gathered_row(vf_gathered *g, int32_t feature) {
    const int64_t at = vf_slot_position(g, feature);
    if (g->slot_of[at] < 0) {
        g->slot_of[at] = (int32_t)g->n_slots;
        g->features[g->n_slots] = feature;
        memset(g->gradient + g->n_slots * g->n_out, 0, sizeof(double) * (size_t)g->n_out);
        g->n_slots++;
    }
    return g->gradient + (int64_t)g->slot_of[at] * g->n_out;
}

static inline void vf_gather_row(vf_gathered *g, vf_row row, const double *VF_RESTRICT delta) {
    for (int64_t k = 0; k < row.length; k++) {
        const double v = row.values[k];
        if (v == 0.0) /* a stored zero is no touch */
            continue;
        double *VF_RESTRICT sum = vf_gathered_row(g, row.indices[k]);
        for (int64_t c = 0; c < g->n_out; c++)
            sum[c] += v * delta[c];
    }
}

/* Empties the table, last feature first so that no probe sequence is cut. */
static inline void vf_gathered_clear(vf_gathered *g) {
    while (g->n_slots > 0) {
        g->n_slots--;
        const int32_t feature = g->features[g->n_slots];
        if (g->direct) {
            g->slot_of[feature] = -1;
            continue;
        }
        int64_t at = (int64_t)(vf_mix((uint64_t)feature) & (uint64_t)(g->capacity - 1));
        while (g->slot_of[at] != (int32_t)g->n_slots)
            at = (at + 1) & (g->capacity - 1);
        g->slot_of[at] = -1;
    }
}

#endif
