/* Hot features: those so frequent that their records would wander between the caches of
 * threads with every step. A thread trains copies of its own instead, see gains.h. */
#ifndef VF_REPLICAS_H
#define VF_REPLICAS_H

#include "platform.h"

/* By a hash of their number; where two share a place, the hotter has it. */
typedef struct {
    int32_t feature, copy; /* -1: none */
} vf_hot_slot;

typedef struct {
    const vf_hot_slot *slots;
    int32_t shift; /* 32 - log2 of the number of slots */
} vf_hot_table;

VF_INLINE uint32_t vf_hot_place(int32_t feature, int32_t shift) {
    return ((uint32_t)feature * 2654435769u) >> shift;
}

VF_INLINE int32_t vf_hot_copy(const vf_hot_table *table, int32_t feature) {
    const vf_hot_slot slot = table->slots[vf_hot_place(feature, table->shift)];
    return slot.feature == feature ? slot.copy : -1;
}

#endif
