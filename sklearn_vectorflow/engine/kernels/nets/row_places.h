/* Where the records of a row are, for kernels that train on a row a step: those of the layer itself, or, of hot
 * features, copies that lie whole records away from them. */
#ifndef VF_ROW_PLACES_H
#define VF_ROW_PLACES_H

#include "kernels/nets/walk.h"
#include "kernels/optimizers/row_lanes.h"
#include "kernels/sharing/merge_wide.h"

/* Records that rows are read from. */
typedef struct {
    const float *record; /* the first line of the first one */
    int64_t stride, n_asked; /* n_asked: numbers of a record that are asked for */
    const vf_hot *hot;   /* NULL: no feature has a copy apart */
    int64_t first;       /* where copies begin, counted in records */
} vf_spread;

/* Sets the places of a row's records. */
VF_INLINE void vf_place_entries(const vf_spread *spread, const int32_t *indices, int64_t n, int64_t *VF_RESTRICT at) {
    if (spread->hot == NULL) {
        vf_find_records(indices, n, at);
        return;
    }
    const vf_hot hot = *spread->hot; /* no store can alias it */
    for (int64_t k = 0; k < n; k++)
        at[k] = vf_place_in(&hot, spread->first, indices[k]);
    vf_fill_places(at, n);
}

/* Whether the numbers of a record behind its last whole line can lie in two lines: not where records begin at
 * multiples of as many numbers. */
VF_INLINE int64_t vf_straddles(int64_t stride) { return (stride & 15) > (stride & -stride); }

/* Asks for a part of what coming rows need. */
VF_INLINE void vf_ask_entries(const vf_single *data, const vf_spread *spread, const int64_t *queue, int64_t at,
                              int64_t n_queued, vf_portion portion) {
    const vf_rows *rows = data->rows;
    if (portion.part == 0 && at + VF_AHEAD_DATA < n_queued) {
        vf_prefetch_data(rows, queue[at + VF_AHEAD_DATA]);
        vf_prefetch_targets(data, queue[at + VF_AHEAD_DATA]);
    }
    if (!data->ahead || at + data->ahead >= n_queued || rows->indices == NULL)
        return;
    const int64_t row = queue[at + data->ahead], start = vf_row_start(rows, row), end = vf_row_start(rows, row + 1);
    const int64_t to = vf_portion_end(start, end, portion.part + 1, portion.n_parts);
    for (int64_t k = vf_portion_end(start, end, portion.part, portion.n_parts); k < to; k++) {
        const int32_t feature = vf_index_at(rows, k);
        const int64_t place = spread->hot ? vf_place_in(spread->hot, spread->first, feature) : feature;
        const float *record = spread->record + place * spread->stride;
        for (int64_t c = 0; c < spread->n_asked; c += 16)
            VF_PREFETCH_READ(record + c);
        if (spread->n_asked == spread->stride && vf_straddles(spread->stride))
            VF_PREFETCH_READ(record + spread->stride - 1);
    }
}

/* Sets what the loss reads of a row beside its outputs, and adds offsets to these; returns the loss. */
VF_INLINE double vf_evaluate_row(const vf_single *data, int64_t row) {
    vf_add_offsets(&data->offsets, row, data->loss->n_outputs, data->raw);
    for (int64_t k = 0; k < data->n_targets; k++)
        data->y[k] = data->targets[row * data->n_targets + k];
    *data->weight = data->sample_weight ? data->sample_weight[row] : 1.0;
    return data->loss->evaluate(1, data->y, data->raw, data->weight, data->gradient, data->loss);
}

#endif
