/* Hot features: those that many rows have. Threads that write to the same cache lines at
 * every row wait for each other most of the time, so each steps its own copies of their
 * records, and merges what they gained with the shared ones now and then: the hotter a
 * feature, the oftener, since what others have not seen yet is like a longer step. Here is
 * which features are hot, where their copies lie and when they are merged; merge_one.h and
 * merge_wide.h say how. */
#ifndef VF_HOT_H
#define VF_HOT_H

#include "kernels/platform.h"

enum {
    VF_LOCK_STRIDE = 16, /* int32 between locks: a cache line each */
    VF_PART_HOT = 1024   /* most hot features that a part can have */
};

typedef struct {
    int64_t n_slots;          /* of every feature, or 2**bits */
    const int32_t *owner;     /* (n_slots) which feature's a slot is, -1: nobody's; NULL: slot f is that of feature f */
    const int32_t *rank;      /* (n_slots) where among the hot ones that is; the order of wide copies */
    int32_t bits, shift;
    int64_t n_hot;
    const int32_t *feature;   /* (n_hot) the hottest first */
    const int64_t *slot;      /* (n_hot); the order of copies of one output */
    int64_t first;            /* features of the first tier; each further tier has as many as all before it */
    int64_t n_tiers;
    int32_t *locks;           /* of tiers, then of parts, or that of inner layers */
    int64_t *averaged;        /* steps that are in the means of their records; of layers of one output */
    /* of layers of one output alone (merge_one.h): */
    float *records;           /* (n_hot, stride) shared: during a pass they are not in the layer */
    int64_t n_parts;          /* ranges of the other features, if these have copies too; else 0 */
    const int64_t *part_hot;  /* (n_parts + 1) where in `hot_slot` those of a part start */
    const int64_t *hot_slot;  /* (n_hot) slots of hot features, sorted */
} vf_hot;

VF_INLINE int64_t vf_slot_of(int32_t feature, int32_t bits, int32_t shift) {
    return (feature ^ (feature >> shift)) & (((int32_t)1 << bits) - 1);
}

VF_INLINE int64_t vf_tier_start(const vf_hot *hot, int64_t tier) {
    return tier == 0 ? 0 : hot->first << (tier - 1);
}

/* How many tiers a thread's n-th merge merges: the first every time, the second every second
 * time, the third every fourth, and so on. */
VF_INLINE int64_t vf_tiers_due(const vf_hot *hot, int64_t n) {
    int64_t due = 1;
    while (due < hot->n_tiers && (n & (((int64_t)1 << due) - 1)) == 0)
        due++;
    return due;
}

#endif
