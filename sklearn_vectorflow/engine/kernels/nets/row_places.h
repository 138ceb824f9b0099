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
    int64_t stride, n_asked; /* n_asked: numbers of a record that are asked for, all or the first ones */
    int32_t straddles;   /* whether what is behind the last whole line can lie in two */
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

/* Entries of a coming row whose records have not been asked for. The processor has few misses in flight: they are
 * asked for one by one between other work, since a burst of them would wait for the first ones. */
typedef struct {
    int64_t next, end;
} vf_coming;

/* Asks for a coming row's non-zeros; returns those of a nearer one. */
VF_INLINE vf_coming vf_look_for_entries(const vf_single *data, const int64_t *queue, int64_t at, int64_t n_queued) {
    vf_coming out = {0, 0};
    if (at + VF_AHEAD_DATA < n_queued) {
        vf_prefetch_data(data->rows, queue[at + VF_AHEAD_DATA]);
        vf_prefetch_targets(data, queue[at + VF_AHEAD_DATA]);
    }
    if (data->ahead && at + data->ahead < n_queued && data->rows->indices != NULL) {
        out.next = vf_row_start(data->rows, queue[at + data->ahead]);
        out.end = vf_row_start(data->rows, queue[at + data->ahead] + 1);
    }
    return out;
}

/* Asks for the record of the next entry, if one is left. */
VF_INLINE void vf_ask_entry(const vf_single *data, const vf_spread *spread, vf_coming *coming) {
    if (coming->next >= coming->end)
        return;
    const int32_t feature = vf_index_at(data->rows, coming->next++);
    const int64_t place = spread->hot ? vf_place_in(spread->hot, spread->first, feature) : feature;
    const float *record = spread->record + place * spread->stride;
    for (int64_t c = 0; c < spread->n_asked; c += 16)
        VF_PREFETCH_READ(record + c);
    if (spread->straddles)
        VF_PREFETCH_READ(record + spread->stride - 1);
}

VF_INLINE void vf_ask_entries(const vf_single *data, const vf_spread *spread, vf_coming *coming) {
    while (coming->next < coming->end)
        vf_ask_entry(data, spread, coming);
}

#endif
