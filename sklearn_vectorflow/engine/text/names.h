/* Names that were met, by a number that tells them apart: threads look up in what all have
 * found before, each adds what is new to a table of its own, and those are merged. */
#ifndef VF_NAMES_H
#define VF_NAMES_H

#include "kernels/random.h"
#include "text/murmur_block.h"

/* Open addressing; 0 is an empty place. */
typedef struct {
    uint64_t *keys;
    int32_t bits;
    int64_t size;
} vf_met;

/* The hash, and 32 bits of the length and of the first and the last 8 bytes: names of one hash differ in those. */
VF_INLINE uint64_t vf_key_of(uint64_t first, uint64_t last, int64_t length, uint32_t hash) {
    const uint64_t mixed = vf_mix(first ^ (uint64_t)length) ^ vf_mix(last + 1);
    const uint64_t key = (uint64_t)hash << 32 | (mixed & UINT32_MAX);
    return key == 0 ? 1 : key;
}

VF_INLINE uint64_t vf_name_key(vf_bytes name, uint32_t hash) {
    uint64_t first = 0, last = 0;
    const size_t n = name.length < 8 ? (size_t)name.length : 8;
    if (n > 0) {
        memcpy(&first, name.data, n);
        memcpy(&last, name.data + name.length - n, n);
    }
    return vf_key_of(first, last, name.length, hash);
}

/* The same key for a string of at most VF_SHORT bytes, without branches. */
VF_INLINE uint64_t vf_short_key(vf_short text, int32_t length, uint32_t hash) {
    const uint32_t shift = 8 * ((uint32_t)length - 9) & 63;
    const uint64_t last = length > 8 ? text.low >> 8 >> shift | text.high << (56 - shift) : text.low;
    return vf_key_of(text.low, last, length, hash);
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
