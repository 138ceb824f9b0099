/* Records that a worker sets aside for a turn: deterministic rounds of layers that are too large to be copied whole
 * (engine/net/aside_rounds.pyx). Hot features have copies in slots, as ever. Others come hardly ever twice in a turn, so each
 * of their non-zeros has a record of its own: it begins as the shared one, is stepped once, and what it gained is added to the
 * shared one when all have taken their turns. Features fall into pieces, of which no two workers add to the same one at the
 * same time. */
#ifndef VF_ASIDE_H
#define VF_ASIDE_H

#include "kernels/rows/rows.h"
#include "kernels/sharing/merge_one.h"

/* The records lie behind the slots of hot features (merge_one.h), in the order of the non-zeros. */
typedef struct vf_aside {
    int32_t n_pieces;
    int32_t *feature; /* (most) whose the records are */
    int32_t *order;   /* (most) the records of each piece together; during a turn, those of a row that are not hot */
    int32_t *starts;  /* (n_pieces + 1) where those begin */
    float *before;    /* (most, stride) what the shared records were */
    int64_t n;        /* records of this turn */
} vf_aside;

VF_INLINE uint32_t vf_aside_hash(int32_t feature) { return (uint32_t)feature * 2654435769u; }

/* Asks for the shared records of a row that the next turn begins with. */
static inline void vf_ask_for_row(const vf_rows *rows, const vf_linear *layer, const vf_hot *hot, int64_t row) {
    const int64_t end = rows->indices ? vf_row_start(rows, row + 1) : 0;
    for (int64_t k = rows->indices ? vf_row_start(rows, row) : 0; k < end; k++) {
        const int32_t feature = vf_index_at(rows, k);
        const int is_hot = hot->owner[vf_slot_of(feature, hot->bits, hot->shift)] == feature;
        VF_PREFETCH_READ(layer->record + (is_hot ? 0 : feature) * (int64_t)layer->stride);
    }
}

/* Gives the non-zeros of a row, whose records have been read at `at`, new records there, which will be written whole. Those
 * of hot features, in slots from `from` on, have theirs. Which are hot can't be foretold: the first loop has no branch. */
VF_INLINE void vf_set_aside(const vf_linear *layer, const vf_hot *hot, vf_aside *aside, int64_t from, int64_t n,
                            int64_t *VF_RESTRICT at) {
    const int64_t stride = layer->stride, n_slots = hot->n_slots, first = from + n_slots + aside->n;
    float *VF_RESTRICT before = aside->before + aside->n * stride;
    int32_t *VF_RESTRICT feature = aside->feature + aside->n, *VF_RESTRICT cold = aside->order;
    int64_t n_cold = 0;
    for (int64_t k = 0; k < n; k++) {
        cold[n_cold] = (int32_t)k;
        n_cold += (uint64_t)(at[k] - from) >= (uint64_t)n_slots;
    }
    for (int64_t i = 0; i < n_cold; i++) {
        const int64_t k = cold[i];
        feature[i] = (int32_t)at[k];
        memcpy(before + i * stride, layer->record + at[k] * stride, sizeof(float) * (size_t)stride);
        at[k] = first + i;
    }
    aside->n += n_cold;
    vf_fill_places(at, n);
}

VF_INLINE int32_t vf_piece_of(const vf_aside *aside, int32_t feature) {
    return (int32_t)((uint64_t)(vf_aside_hash(feature) & 0xFFFF) * (uint32_t)aside->n_pieces >> 16);
}

/* After a turn: sorts its records by piece. */
static inline void vf_sort_aside(vf_aside *aside) {
    int32_t *starts = aside->starts;
    memset(starts, 0, sizeof(int32_t) * (size_t)(aside->n_pieces + 1));
    for (int64_t k = 0; k < aside->n; k++)
        starts[vf_piece_of(aside, aside->feature[k])]++;
    for (int32_t piece = 1; piece <= aside->n_pieces; piece++)
        starts[piece] += starts[piece - 1];
    for (int64_t k = aside->n - 1; k >= 0; k--) /* each end moves back to its start */
        aside->order[--starts[vf_piece_of(aside, aside->feature[k])]] = (int32_t)k;
    aside->n = 0;
}

/* Reads records as they are worth by the clock of all. */
VF_INLINE void vf_read_worth(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, float *records,
                             vf_group *group) {
    vf_linear its = *layer;
    its.record = records;
    vf_read_rested(kind, lazy, &its, clock, NULL, group);
    for (int64_t k = 0; k < VF_GROUP && vf_catches_up(kind, lazy); k++)
        group->left[k] = group->threshold[k] = 0.0f; /* nothing more to catch up on */
}

/* How many of the next n records, at most a group, are of different features. */
VF_INLINE int64_t vf_n_different(const vf_aside *aside, const int32_t *order, int64_t n) {
    int32_t feature[VF_GROUP], n_alike = 0;
    const int64_t size = n < VF_GROUP ? n : VF_GROUP;
    for (int64_t i = 0; i < VF_GROUP; i++)
        feature[i] = i < size ? aside->feature[order[i]] : -1 - (int32_t)i;
    for (int64_t i = 1; i < VF_GROUP; i++)
        for (int64_t j = 0; j < i; j++)
            n_alike += feature[i] == feature[j];
    for (int64_t i = 1; n_alike && i < size; i++) /* hardly ever */
        for (int64_t j = 0; j < i; j++)
            if (feature[i] == feature[j])
                return i;
    return size;
}

/* Adds the gains of a piece to the shared records: n records, in the given order. */
VF_INLINE void vf_add_records(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                              const vf_aside *aside, float *copies, const int32_t *order, int64_t n) {
    const int which = vf_copied_numbers(kind, lazy, layer);
    const vf_tally tally = {0.0f, 1.0f, {0, 0.0, 0.0}};
    for (int64_t from = 0, size; from < n; from += size) {
        vf_group in, old, own;
        size = vf_n_different(aside, order + from, n - from);
        for (int64_t i = 0; i < VF_GROUP; i++) {
            old.at[i] = own.at[i] = order[from + (i < size ? i : 0)];
            in.at[i] = in.feature[i] = old.feature[i] = own.feature[i] = aside->feature[own.at[i]];
        }
        vf_read_worth(kind, lazy, layer, clock, layer->record, &in);
        vf_read_worth(kind, lazy, layer, clock, aside->before, &old);
        vf_read_worth(kind, lazy, layer, clock, copies, &own);
        if (which == VF_MEANS) /* they are those of all steps: what they gained adds up */
            VF_EACH_LANE(k, VF_GROUP, { own.average[k] -= old.average[k]; });
        vf_add_group(kind, lazy, layer, tally, &in, &old, &own);
        vf_write_numbers(kind, which, layer->record, layer->stride, size, vf_in_group(&in));
    }
}

/* The same for FTRL's records, whose two sums miss nothing. */
VF_INLINE void vf_add_sums(const vf_linear *layer, const vf_aside *aside, const float *copies, const int32_t *order, int64_t n) {
    for (int64_t k = 0; k < n; k++) {
        float *shared = layer->record + 2 * (int64_t)aside->feature[order[k]];
        const float *own = copies + 2 * order[k], *before = aside->before + 2 * order[k];
        shared[0] += own[0] - before[0];
        shared[1] = vf_ftrl_grown(shared[1], before[1], own[1]);
    }
}

/* Adds what a worker's turn gained to the shared records of a piece. `clock`: the worker's, after the turn. */
VF_INLINE void vf_add_aside(const int kind, const int lazy, const vf_linear *weights, const vf_clock *clock,
                            const vf_hot *hot, const vf_apart *apart, const vf_aside *aside, int64_t piece) {
    const vf_linear layer = vf_plain(kind, lazy, weights);
    const int32_t *order = aside->order + aside->starts[piece];
    const int64_t n = aside->starts[piece + 1] - aside->starts[piece];
    float *copies = apart->records + hot->n_slots * layer.stride;
    if (kind == VF_FTRL)
        vf_add_sums(&layer, aside, copies, order, n);
    else
        vf_add_records(kind, lazy, &layer, clock, aside, copies, order, n);
}

#endif
