/* Records that a worker sets aside for a turn: deterministic rounds of layers that are too large to be copied whole
 * (engine/net/aside_rounds.pyx). Hot features have copies in slots, as ever. Of every other feature that a turn touches, the
 * worker copies the record when it first comes, steps the copy alone, and adds what it gained to the shared record when all
 * have taken their turns. Features fall into pieces, of which no two workers add to the same one at the same time. */
#ifndef VF_ASIDE_H
#define VF_ASIDE_H

#include "kernels/rows/rows.h"
#include "kernels/sharing/merge_one.h"

/* Where a feature's copy is. */
typedef struct {
    int32_t feature, place; /* feature: -1 where there is none */
} vf_laid;

/* The copies lie behind the slots of hot features (merge_one.h), in the order of their first touch. */
typedef struct vf_aside {
    int32_t bits, n_pieces;
    vf_laid *table;   /* (2**bits) by a hash of the feature, or behind it: all of a thread's workers have one, */
    int32_t *entry;   /* (most) where in it copies are found, */
    int32_t *cold;    /* (VF_GROUP) and room for a part of a row */
    int32_t *feature; /* (most) whose the copies are */
    int32_t *order;   /* (most) the copies of each piece together */
    int32_t *starts;  /* (n_pieces + 1) where those begin */
    float *before;    /* (most, stride) what the shared records were */
    int64_t n;        /* copies of this turn */
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

/* The place of a feature's copy. Where there is none yet, its record is copied. Whether there is one can't be foretold, so
 * both do the same: a copy that is there is written over itself. */
VF_INLINE int64_t vf_lay_aside(const vf_linear *layer, vf_aside *aside, float *copies, int32_t feature) {
    const int64_t stride = layer->stride;
    const uint32_t mask = ((uint32_t)1 << aside->bits) - 1;
    uint32_t at = vf_aside_hash(feature) >> (32 - aside->bits);
    vf_laid laid = aside->table[at];
    while (laid.feature >= 0 && laid.feature != feature) {
        at = (at + 1) & mask;
        laid = aside->table[at];
    }
    const int64_t is_new = laid.feature < 0, place = is_new ? aside->n : laid.place;
    const float *record = layer->record + feature * stride;
    float *copy = copies + place * stride, *before = aside->before + place * stride;
    const float *from = is_new ? record : copy, *from_before = is_new ? record : before;
    const vf_laid now = {feature, (int32_t)place};
    aside->table[at] = now;
    aside->entry[place] = (int32_t)at;
    aside->feature[place] = feature;
    for (int64_t c = 0; c < stride; c++) {
        before[c] = from_before[c];
        copy[c] = from[c];
    }
    aside->n += is_new;
    return place;
}

/* Has places, as vf_find_hot gives them, be those of copies. Those of hot features, in slots from `from` on, are. */
VF_INLINE void vf_set_aside(const vf_linear *layer, const vf_hot *hot, vf_aside *aside, int64_t from,
                            const int32_t *VF_RESTRICT indices, int64_t n, int64_t *VF_RESTRICT at) {
    const int64_t first = from + hot->n_slots;
    float *copies = layer->record + first * layer->stride;
    for (int64_t start = 0; start < n; start += VF_GROUP) {
        const int64_t end = n < start + VF_GROUP ? n : start + VF_GROUP;
        int64_t n_cold = 0;
        for (int64_t k = start; k < end; k++) { /* which are hot can't be foretold, either */
            aside->cold[n_cold] = (int32_t)k;
            n_cold += (uint64_t)(at[k] - from) >= (uint64_t)hot->n_slots;
        }
        for (int64_t i = 0; i < n_cold; i++)
            at[aside->cold[i]] = first + vf_lay_aside(layer, aside, copies, indices[aside->cold[i]]);
    }
    vf_fill_places(at, n);
}

VF_INLINE int32_t vf_piece_of(const vf_aside *aside, int32_t feature) {
    return (int32_t)((uint64_t)(vf_aside_hash(feature) & 0xFFFF) * (uint32_t)aside->n_pieces >> 16);
}

/* After a turn: sorts its features by piece, and empties the table for the next one. */
static inline void vf_sort_aside(vf_aside *aside) {
    int32_t *starts = aside->starts;
    memset(starts, 0, sizeof(int32_t) * (size_t)(aside->n_pieces + 1));
    for (int64_t k = 0; k < aside->n; k++)
        starts[vf_piece_of(aside, aside->feature[k])]++;
    for (int32_t piece = 1; piece <= aside->n_pieces; piece++)
        starts[piece] += starts[piece - 1];
    for (int64_t k = aside->n - 1; k >= 0; k--) { /* each end moves back to its start */
        aside->order[--starts[vf_piece_of(aside, aside->feature[k])]] = (int32_t)k;
        aside->table[aside->entry[k]].feature = -1;
    }
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

/* Adds the gains of a piece to the shared records: n copies, in the given order. */
VF_INLINE void vf_add_records(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                              const vf_aside *aside, float *copies, const int32_t *order, int64_t n) {
    const int which = vf_copied_numbers(kind, lazy, layer);
    const vf_tally tally = {0.0f, 1.0f, {0, 0.0, 0.0}};
    for (int64_t from = 0; from < n; from += VF_GROUP) {
        const int64_t size = n - from < VF_GROUP ? n - from : VF_GROUP;
        vf_group in, old, own;
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
