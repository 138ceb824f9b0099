/* The gradient of a mini-batch, feature by feature: which features it touched,
 * and the sum of their rows' gradients. Costs what the mini-batch's non-zeros cost.
 *
 * A sum of one number is added to at every touch. Sums of many numbers would leave the first cache
 * between touches, so those of a layer's outputs are formed one after the other, in registers, from a
 * list of each feature's touches. */
#ifndef VF_GATHER_H
#define VF_GATHER_H

#include "kernels/rows/rows.h"

/* Where a feature's sum is; slot -1: nobody's. */
typedef struct {
    int32_t feature, slot;
} vf_table_entry;

/* A row that has a feature; next: another touch of the feature by a later row, -1: none. */
typedef struct {
    float value;
    int32_t row, next;
} vf_listed;

typedef struct {
    int64_t n_slots;
    int32_t n_out, most_bits; /* the table has 2**most_bits places; 0: a place a feature, its own */
    int32_t bits;             /* 2**bits of them serve this mini-batch, so that a small one stays in the first cache */
    vf_table_entry *table;
    uint16_t *direct;         /* (features) one more than a feature's slot, 0: nobody's; NULL: the table tells */
    uint32_t *places;         /* (slots) */
    int32_t *features;        /* (slots) */
    double *sums;             /* (slots, n_out); those of free slots are zero. If there are lists: room for one */
    float *rounded;           /* room for a number a slot, or for a record's. If there are lists: (slots, n_out) sums */
    vf_listed *touches;        /* (non-zeros) NULL: no lists */
    int32_t *first;           /* (slots) a feature's first touch; -1 for free slots */
    int64_t n_touches;
} vf_gathered;

/* Makes ready for a mini-batch of at most n non-zeros. */
static inline void vf_gathered_open(vf_gathered *g, int64_t n) {
    g->bits = g->most_bits < 1 ? 0 : 1;
    while (g->bits < g->most_bits && (int64_t)1 << g->bits < 2 * n)
        g->bits++;
}

/* Not 0 if a place is another feature's. In bits, since compilers would branch on each of two conditions, and on
 * whether a feature is there they guess wrong every second time. */
VF_INLINE uint32_t vf_is_others(const vf_table_entry *place, int32_t feature) {
    return ((uint32_t)place->feature ^ (uint32_t)feature) & ~(0u - ((uint32_t)place->slot >> 31));
}

/* The place of a feature, or the one to put it. Neighbours have places far apart (Knuth's multiplicative hash). */
VF_INLINE int64_t vf_place_of(const vf_table_entry *table, int32_t bits, int32_t feature) {
    if (bits == 0)
        return feature;
    const int64_t mask = ((int64_t)1 << bits) - 1;
    int64_t at = (int64_t)(((uint32_t)feature * 2654435769u) >> (32 - bits));
    while (vf_is_others(table + at, feature))
        at = (at + 1) & mask;
    return at;
}

/* The slot of a feature that is found without a table. */
VF_INLINE int64_t vf_direct_slot(const vf_gathered *g, int64_t *n_slots, int32_t feature) {
    const int64_t held = g->direct[feature], is_new = held == 0;
    const int64_t slot = held - 1 + ((*n_slots + 1) & -is_new);
    g->direct[feature] = (uint16_t)(slot + 1);
    g->places[*n_slots] = (uint32_t)feature;
    g->features[*n_slots] = feature;
    *n_slots += is_new;
    return slot;
}

/* There is no branch on whether the feature is new, which would be mispredicted for every second one. */
VF_INLINE int64_t vf_gathered_slot(const vf_gathered *g, int64_t *n_slots, int32_t feature) {
    if (g->direct != NULL)
        return vf_direct_slot(g, n_slots, feature);
    const int64_t at = vf_place_of(g->table, g->bits, feature);
    const int32_t held = g->table[at].slot, is_new = held < 0;
    const int32_t slot = held + (((int32_t)*n_slots + 1) & -is_new); /* held is -1 where it is new */
    const vf_table_entry place = {feature, slot};
    g->table[at] = place;
    g->places[*n_slots] = (uint32_t)at;
    g->features[*n_slots] = feature;
    *n_slots += is_new;
    return slot;
}

static inline double *vf_gathered_row(vf_gathered *g, int32_t feature) {
    return g->sums + vf_gathered_slot(g, &g->n_slots, feature) * g->n_out;
}

/* Adds scale times the row's values to the sums of its features, each times n numbers. Slots are found for some
 * features before their sums are read, which may lie far away. */
VF_INLINE void vf_gather_span(vf_gathered *given, vf_row row, double scale, const double *VF_RESTRICT delta, const int64_t n) {
    enum { TOGETHER = 32, LINE = 8 }; /* LINE: sums in a cache line */
    const vf_gathered g = *given; /* no store can alias it */
    int64_t n_slots = g.n_slots, at[TOGETHER];
    double values[TOGETHER];
    for (int64_t from = 0; from < row.length; from += TOGETHER) {
        const int64_t to = from + TOGETHER < row.length ? from + TOGETHER : row.length;
        int64_t found = 0;
        for (int64_t k = from; k < to; k++) {
            if (row.values[k] == 0.0f) /* a stored zero is no touch */
                continue;
            values[found] = row.values[k] * scale;
            at[found] = vf_gathered_slot(&g, &n_slots, row.indices[k]) * n;
            for (int64_t c = 0; c < n && n > 1; c += LINE)
                VF_PREFETCH(g.sums + at[found] + c);
            found++;
        }
        for (int64_t k = 0; k < found; k++) {
            double *VF_RESTRICT sum = g.sums + at[k];
            for (int64_t c = 0; c < n; c++)
                sum[c] += values[k] * delta[c];
        }
    }
    given->n_slots = n_slots;
}

/* The same for sums of one number whose slots are found without a table. */
VF_INLINE void vf_gather_directly(vf_gathered *given, vf_row row, double delta) {
    const vf_gathered g = *given; /* no store can alias it */
    int64_t n_slots = g.n_slots;
    for (int64_t k = 0; k < row.length; k++) {
        if (row.values[k] == 0.0f) /* a stored zero is no touch */
            continue;
        g.sums[vf_direct_slot(&g, &n_slots, row.indices[k])] += row.values[k] * delta;
    }
    given->n_slots = n_slots;
}

/* Widths that are known beforehand stay in registers. */
VF_SIMD static void vf_gather_row(vf_gathered *g, vf_row row, const double *delta) {
    const double one = 1.0;
    if (g->direct != NULL && g->n_out == 1)
        vf_gather_directly(g, row, delta[0]);
    else if (g->n_out == 1)
        vf_gather_span(g, row, delta[0], &one, 1);
    else if (g->n_out == 8)
        vf_gather_span(g, row, 1.0, delta, 8);
    else if (g->n_out == 16)
        vf_gather_span(g, row, 1.0, delta, 16);
    else if (g->n_out == 32)
        vf_gather_span(g, row, 1.0, delta, 32);
    else
        vf_gather_span(g, row, 1.0, delta, g->n_out);
}

/* Puts a row's touches before those of the features' lists. Called for the last row first, and for a row's last
 * feature first, so that sums run over the rows in their order. */
static inline void vf_link_row(vf_gathered *given, vf_row row, int32_t number) {
    const vf_gathered g = *given; /* no store can alias it */
    int64_t n_slots = g.n_slots, n = g.n_touches;
    for (int64_t k = row.length - 1; k >= 0; k--) {
        if (row.values[k] == 0.0f) /* a stored zero is no touch */
            continue;
        const int64_t slot = vf_gathered_slot(&g, &n_slots, row.indices[k]);
        const vf_listed touch = {row.values[k], number, g.first[slot]};
        g.touches[n] = touch;
        g.first[slot] = (int32_t)n++;
    }
    given->n_slots = n_slots;
    given->n_touches = n;
}

/* sum: room for n numbers; registers where n is known beforehand. */
VF_INLINE void vf_sum_touches(const vf_gathered *given, const double *VF_RESTRICT delta, double *VF_RESTRICT sum,
                              const int64_t n) {
    const vf_gathered g = *given; /* no store can alias it */
    for (int64_t slot = 0; slot < g.n_slots; slot++) {
        const vf_listed *touch = g.touches + g.first[slot];
        double value = touch->value;
        const double *of_row = delta + touch->row * n;
        for (int64_t c = 0; c < n; c++)
            sum[c] = value * of_row[c];
        while (touch->next >= 0) {
            touch = g.touches + touch->next;
            value = touch->value;
            of_row = delta + touch->row * n;
            for (int64_t c = 0; c < n; c++)
                sum[c] += value * of_row[c];
        }
        float *VF_RESTRICT out = g.rounded + slot * n;
        for (int64_t c = 0; c < n; c++)
            out[c] = (float)sum[c];
    }
}

/* Forms the sums of all lists, from the gradients of the mini-batch's rows, each n_out numbers. */
VF_SIMD static void vf_sum_lists(const vf_gathered *g, const double *delta) {
    double sum[32];
    if (g->n_out == 8)
        vf_sum_touches(g, delta, sum, 8);
    else if (g->n_out == 16)
        vf_sum_touches(g, delta, sum, 16);
    else if (g->n_out == 32)
        vf_sum_touches(g, delta, sum, 32);
    else
        vf_sum_touches(g, delta, g->sums, g->n_out);
}

/* n sums from `from` on, in the precision of weights. */
VF_INLINE const float *vf_rounded(const vf_gathered *g, int64_t from, int64_t n) {
    if (g->touches != NULL)
        return g->rounded + from;
    float *VF_RESTRICT out = g->rounded;
    const double *VF_RESTRICT sums = g->sums + from;
    for (int64_t c = 0; c < n; c++)
        out[c] = (float)sums[c];
    return out;
}

/* The features as a row whose values are not read. */
VF_INLINE vf_row vf_gathered_features(const vf_gathered *g) {
    const vf_row out = {g->features, g->rounded, g->n_slots};
    return out;
}

/* The features of a layer with one output, as a row whose values are the sums. */
VF_INLINE vf_row vf_gathered_values(const vf_gathered *g) {
    const vf_row out = {g->features, vf_rounded(g, 0, g->n_slots), g->n_slots};
    return out;
}

/* Empties the table. */
static inline void vf_gathered_clear(vf_gathered *g) {
    if (g->direct != NULL) {
        for (int64_t slot = 0; slot < g->n_slots; slot++)
            g->direct[g->places[slot]] = 0;
    } else {
        for (int64_t slot = 0; slot < g->n_slots; slot++)
            g->table[g->places[slot]].slot = -1;
    }
    if (g->touches == NULL)
        memset(g->sums, 0, sizeof(double) * (size_t)(g->n_slots * g->n_out));
    else
        memset(g->first, -1, sizeof(int32_t) * (size_t)g->n_slots);
    g->n_slots = g->n_touches = 0;
}

#endif
