/* Where threads that train together wait for each other, take pieces of work, and find what is theirs. */
#ifndef VF_MEETING_H
#define VF_MEETING_H

#include "kernels/rows/rows.h"

enum { VF_LINE = 64 }; /* bytes between numbers that threads write to: a cache line */

typedef struct {
    int32_t arrived;
    char arrived_alone[VF_LINE - sizeof(int32_t)];
    int32_t round, asleep; /* asleep: threads that wait for the round to end */
    char round_alone[VF_LINE - 2 * sizeof(int32_t)];
    int32_t taken; /* pieces of work */
    char taken_alone[VF_LINE - sizeof(int32_t)];
} vf_meeting;

/* Returns when all n threads have called it. Those who wait for long sleep until the last one wakes them: where threads,
 * of this process or of others, outnumber cores, one that merely gave up its core would get it back late. */
static inline void vf_meet(vf_meeting *meeting, int32_t n) {
    enum { SPINS = 100000 }; /* about as long as it takes to fall asleep and be woken */
    if (n == 1)
        return;
    const int32_t round = VF_LOAD(&meeting->round);
    if (VF_ADD(&meeting->arrived, 1) == n - 1) {
        VF_STORE(&meeting->arrived, 0);
        VF_ADD_IN_ORDER(&meeting->round, 1);
        if (VF_ADD_IN_ORDER(&meeting->asleep, 0) > 0)
            VF_WAKE(&meeting->round);
        return;
    }
    for (int32_t spins = 0; spins < SPINS; spins++)
        if (VF_LOAD(&meeting->round) != round)
            return;
    VF_ADD_IN_ORDER(&meeting->asleep, 1);
    while (VF_LOAD(&meeting->round) == round)
        VF_SLEEP(&meeting->round, round);
    VF_ADD_IN_ORDER(&meeting->asleep, -1);
}

/* Which of n threads steps a feature. Features whose records share a cache line are 2**shift neighbours and have one. */
VF_INLINE int32_t vf_owner_of(int32_t feature, int32_t shift, int32_t n) {
    const uint32_t hash = ((uint32_t)feature >> shift) * 2654435769u;
    return (int32_t)(((uint64_t)hash * (uint64_t)n) >> 32);
}

/* Copies the entries of a row, those of each thread together and in the row's order. starts (n + 1) are where they
 * begin, from `at` on. */
static inline void vf_divide_row(vf_row x, int32_t shift, int32_t n, int64_t at, int64_t *starts, int32_t *indices,
                                 float *values) {
    for (int32_t m = 0; m <= n; m++)
        starts[m] = 0;
    for (int64_t k = 0; k < x.length; k++)
        starts[vf_owner_of(x.indices[k], shift, n) + 1]++;
    int64_t end = at;
    for (int32_t m = 0; m <= n; m++) {
        end += starts[m];
        starts[m] = end;
    }
    /* each start moves on to its end, which is the next one's start */
    for (int64_t k = 0; k < x.length; k++) {
        const int64_t to = starts[vf_owner_of(x.indices[k], shift, n)]++;
        indices[to] = x.indices[k];
        values[to] = x.values[k];
    }
    for (int32_t m = n; m > 0; m--)
        starts[m] = starts[m - 1];
    starts[0] = at;
}

#endif
