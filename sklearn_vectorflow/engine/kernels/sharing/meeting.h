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

/* How many parts are done of a piece of work that threads do one after the other. */
typedef struct {
    int32_t done, asleep;
    char alone[VF_LINE - 2 * sizeof(int32_t)];
} vf_progress;

/* Returns when a number is no longer what it was. Those who wait for long sleep until they are woken: where threads, of
 * this process or of others, outnumber cores, one that merely gave up its core would get it back late. */
static inline void vf_wait(int32_t *number, int32_t *asleep, int32_t was) {
    enum { SPINS = 100000 }; /* about as long as it takes to fall asleep and be woken */
    for (int32_t spins = 0; spins < SPINS; spins++)
        if (VF_LOAD(number) != was)
            return;
    VF_ADD_IN_ORDER(asleep, 1);
    while (VF_LOAD(number) == was)
        VF_SLEEP(number, was);
    VF_ADD_IN_ORDER(asleep, -1);
}

/* Counts on, and wakes those who wait for it. */
static inline void vf_count_on(int32_t *number, int32_t *asleep) {
    VF_ADD_IN_ORDER(number, 1);
    if (VF_ADD_IN_ORDER(asleep, 0) > 0)
        VF_WAKE(number);
}

/* Returns when all n threads have called it. */
static inline void vf_meet(vf_meeting *meeting, int32_t n) {
    if (n == 1)
        return;
    const int32_t round = VF_LOAD(&meeting->round);
    if (VF_ADD(&meeting->arrived, 1) == n - 1) {
        VF_STORE(&meeting->arrived, 0);
        vf_count_on(&meeting->round, &meeting->asleep);
    } else
        vf_wait(&meeting->round, &meeting->asleep, round);
}

/* Returns when so many parts are done. */
static inline void vf_await(vf_progress *progress, int32_t n) {
    for (int32_t done = VF_LOAD(&progress->done); done < n; done = VF_LOAD(&progress->done))
        vf_wait(&progress->done, &progress->asleep, done);
}

static inline void vf_part_done(vf_progress *progress) { vf_count_on(&progress->done, &progress->asleep); }

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
