/* Crosses of groups of columns: for every choice of one entry from each group of a cross,
 * a hashed feature whose value is the product of theirs. A group named twice gives the
 * pairs of its distinct entries. The layer and the transformer both call vf_cross_row. */
#ifndef VF_CROSSES_H
#define VF_CROSSES_H

#include "kernels/rows/rows.h"

#define VF_MOST_FACTORS 8

typedef struct {
    const int32_t *group_of; /* by column; -1: none */
    const int32_t *starts;   /* (n_crosses + 1): where the factors of a cross begin */
    const int32_t *factors;  /* groups; equal ones are neighbours */
    int32_t n_groups, n_crosses;
    int64_t n_features;      /* hashed into */
} vf_crosses;

/* Scratch of a worker. */
typedef struct {
    int64_t *bag;      /* (n_groups + 2): where a group's entries begin */
    int32_t *columns;  /* (longest row of X), group by group, ascending */
    float *values;
    int32_t *slot_of;  /* (capacity), a power of two, at least twice the longest crossed row */
    int32_t *home_of;  /* (longest crossed row) */
    int64_t capacity;
} vf_bags;

static inline void vf_sort_bag(int32_t *columns, float *values, int64_t n) {
    for (int64_t k = 1; k < n; k++) {
        const int32_t column = columns[k];
        const float value = values[k];
        int64_t at = k;
        for (; at > 0 && columns[at - 1] > column; at--) {
            columns[at] = columns[at - 1];
            values[at] = values[at - 1];
        }
        columns[at] = column;
        values[at] = value;
    }
}

/* Bags of entries, group by group, each in the order of its columns. */
static inline void vf_fill_bags(const vf_crosses *crosses, vf_row row, vf_bags *bags) {
    int64_t *bag = bags->bag;
    memset(bag, 0, sizeof(int64_t) * (size_t)(crosses->n_groups + 2));
    for (int64_t k = 0; k < row.length; k++)
        bag[crosses->group_of[row.indices[k]] + 2]++;
    bag[1] = 0; /* of no group */
    for (int64_t g = 2; g < crosses->n_groups + 2; g++)
        bag[g] += bag[g - 1];
    for (int64_t k = 0; k < row.length; k++) {
        const int32_t group = crosses->group_of[row.indices[k]];
        if (group < 0)
            continue;
        const int64_t at = bag[group + 1]++; /* ends as the start of the next group */
        bags->columns[at] = row.indices[k];
        bags->values[at] = row.values[k];
    }
    for (int32_t g = 0; g < crosses->n_groups; g++)
        vf_sort_bag(bags->columns + bag[g], bags->values + bag[g], bag[g + 1] - bag[g]);
}

/* Adds to an entry of the row being made, or makes it. An entry of the table counts only
 * if its slot says so too, so the table is never cleared. */
static inline int64_t vf_put(vf_bags *bags, int32_t feature, float value, int32_t *indices, float *values, int64_t length) {
    int64_t at = (int64_t)(vf_mix((uint64_t)feature) & (uint64_t)(bags->capacity - 1));
    for (;; at = (at + 1) & (bags->capacity - 1)) {
        const int32_t slot = bags->slot_of[at];
        if (slot < 0 || slot >= length || bags->home_of[slot] != (int32_t)at)
            break;
        if (indices[slot] == feature) {
            values[slot] += value;
            return length;
        }
    }
    bags->slot_of[at] = (int32_t)length;
    bags->home_of[length] = (int32_t)at;
    indices[length] = feature;
    values[length] = value;
    return length + 1;
}

/* The hash of a choice is that of its columns, whatever the cross they are chosen for. */
static inline int32_t vf_hash_columns(const int32_t *columns, int64_t n, int64_t n_features) {
    uint64_t hash = (uint64_t)n;
    for (int64_t k = 0; k < n; k++)
        hash = vf_mix(hash ^ ((uint64_t)(uint32_t)columns[k] + 1) * 0xD6E8FEB86659FD93ull);
    return (int32_t)(((hash >> 32) * (uint64_t)n_features) >> 32);
}

/* The entries of one cross: an odometer over the bags of its factors. */
static inline int64_t vf_cross_one(const vf_crosses *crosses, int64_t which, vf_bags *bags, int32_t *indices,
                                   float *values, int64_t length) {
    const int32_t *group = crosses->factors + crosses->starts[which];
    const int64_t n = crosses->starts[which + 1] - crosses->starts[which];
    int64_t at[VF_MOST_FACTORS], k = 0;
    int32_t columns[VF_MOST_FACTORS];
    float product[VF_MOST_FACTORS + 1] = {1.0f};
    at[0] = bags->bag[group[0]];
    while (k >= 0) {
        if (at[k] == bags->bag[group[k] + 1]) { /* this bag is through */
            if (--k >= 0)
                at[k]++;
            continue;
        }
        columns[k] = bags->columns[at[k]];
        product[k + 1] = product[k] * bags->values[at[k]];
        if (k + 1 < n) {
            k++;
            at[k] = group[k] == group[k - 1] ? at[k - 1] + 1 : bags->bag[group[k]];
            continue;
        }
        length = vf_put(bags, vf_hash_columns(columns, n, crosses->n_features), product[n], indices, values, length);
        at[k]++;
    }
    return length;
}

/* Writes the crossed row, no feature twice and no zeros; returns its length. */
static inline int64_t vf_cross_row(const vf_crosses *crosses, vf_row row, vf_bags *bags, int32_t *indices, float *values) {
    int64_t length = 0, kept = 0;
    vf_fill_bags(crosses, row, bags);
    for (int64_t which = 0; which < crosses->n_crosses; which++)
        length = vf_cross_one(crosses, which, bags, indices, values, length);
    for (int64_t k = 0; k < length; k++) {
        indices[kept] = indices[k];
        values[kept] = values[k];
        kept += values[k] != 0.0f;
    }
    return kept;
}

/* An upper bound of the crossed row's length. counts: (n_groups) of scratch. */
static inline int64_t vf_cross_count(const vf_crosses *crosses, vf_row row, int64_t *counts) {
    double total = 0.0;
    memset(counts, 0, sizeof(int64_t) * (size_t)crosses->n_groups);
    for (int64_t k = 0; k < row.length; k++)
        if (crosses->group_of[row.indices[k]] >= 0)
            counts[crosses->group_of[row.indices[k]]]++;
    for (int64_t which = 0; which < crosses->n_crosses; which++) {
        double choices = 1.0, taken = 0.0;
        for (int64_t k = crosses->starts[which]; k < crosses->starts[which + 1]; k++) {
            const int again = k > crosses->starts[which] && crosses->factors[k] == crosses->factors[k - 1];
            taken = again ? taken + 1.0 : 0.0;
            choices *= (counts[crosses->factors[k]] - taken) / (taken + 1.0);
        }
        total += choices > 0.0 ? choices : 0.0;
    }
    return total < 2147483647.0 ? (int64_t)(total + 0.5) : 2147483647;
}

#endif
