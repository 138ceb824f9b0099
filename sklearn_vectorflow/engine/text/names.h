/* Names that were met, by a number that tells them apart: threads look up in what all have
 * found before, each adds what is new to a table of its own, and those are merged. */
#ifndef VF_NAMES_H
#define VF_NAMES_H

#include "kernels/random.h"
#include "text/strings.h"

/* Open addressing; 0 is an empty place. */
typedef struct {
    uint64_t *keys;
    int32_t bits;
    int64_t size;
} vf_met;

/* The hash, and 32 bits of the length and both ends: names of one hash differ in those. */
VF_INLINE uint64_t vf_name_key(vf_bytes name, uint32_t hash) {
    uint64_t first = 0, last = 0;
    const size_t n = name.length < 8 ? (size_t)name.length : 8;
    if (n > 0) {
        memcpy(&first, name.data, n);
        memcpy(&last, name.data + name.length - n, n);
    }
    const uint64_t mixed = vf_mix(first ^ (uint64_t)name.length) ^ vf_mix(last + 1);
    const uint64_t key = (uint64_t)hash << 32 | (mixed & UINT32_MAX);
    return key == 0 ? 1 : key;
}

VF_INLINE uint64_t vf_met_place(const vf_met *met, uint64_t key) {
    return (key * 0x9E3779B97F4A7C15ull) >> (64 - met->bits);
}

VF_INLINE int vf_is_met(const vf_met *met, uint64_t key) {
    if (met->keys == NULL)
        return 0;
    const uint64_t mask = ((uint64_t)1 << met->bits) - 1;
    for (uint64_t at = vf_met_place(met, key);; at = (at + 1) & mask) {
        if (met->keys[at] == key)
            return 1;
        if (met->keys[at] == 0)
            return 0;
    }
}

static inline void vf_met_put(vf_met *met, uint64_t key) {
    const uint64_t mask = ((uint64_t)1 << met->bits) - 1;
    uint64_t at = vf_met_place(met, key);
    while (met->keys[at] != 0)
        at = (at + 1) & mask;
    met->keys[at] = key;
    met->size++;
}

/* Room for one more, at most half of the places taken; returns 0 if memory is short. */
static inline int vf_met_reserve(vf_met *met) {
    if (met->keys != NULL && 2 * (met->size + 1) <= (int64_t)1 << met->bits)
        return 1;
    const vf_met old = *met;
    vf_met larger = {NULL, old.keys == NULL ? 8 : old.bits + (old.bits < 14 ? 2 : 1), 0};
    larger.keys = (uint64_t *)calloc((size_t)1 << larger.bits, sizeof(uint64_t));
    if (larger.keys == NULL)
        return 0;
    for (int64_t k = 0; old.keys != NULL && k < (int64_t)1 << old.bits; k++) {
        if (old.keys[k] != 0)
            vf_met_put(&larger, old.keys[k]);
    }
    free(old.keys);
    *met = larger;
    return 1;
}

#endif
