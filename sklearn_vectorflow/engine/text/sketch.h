/* Counts of features in bounded memory: a count-min sketch, which never counts too
 * low. Cormode and Muthukrishnan (2005), doi:10.1016/j.jalgor.2003.12.001. Threads
 * share it; additions commute, so their number does not show. */
#ifndef VF_SKETCH_H
#define VF_SKETCH_H

#include "kernels/random.h"

#define VF_SKETCH_DEPTH 4

typedef struct {
    uint32_t *counters; /* VF_SKETCH_DEPTH rows of 2**bits */
    int32_t bits;
} vf_sketch;

VF_INLINE uint32_t *vf_counter(const vf_sketch *sketch, uint32_t hash, int64_t row) {
    const uint64_t mixed = vf_mix((uint64_t)hash | (uint64_t)row << 32);
    return sketch->counters + ((row << sketch->bits) + (int64_t)(mixed >> (64 - sketch->bits)));
}

static inline void vf_count(const vf_sketch *sketch, uint32_t hash) {
    for (int64_t row = 0; row < VF_SKETCH_DEPTH; row++) {
        uint32_t *counter = vf_counter(sketch, hash, row);
        if (*counter < INT32_MAX)
            VF_INCREMENT(counter);
    }
}

static inline uint32_t vf_estimate(const vf_sketch *sketch, uint32_t hash) {
    uint32_t least = UINT32_MAX;
    for (int64_t row = 0; row < VF_SKETCH_DEPTH; row++) {
        const uint32_t count = *vf_counter(sketch, hash, row);
        least = count < least ? count : least;
    }
    return least;
}

#endif
