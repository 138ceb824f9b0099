/* MurmurHash3_x86_32 (Austin Appleby's public-domain specification), of a string
 * that begins with a prefix common to many: the prefix is taken in once. */
#ifndef VF_MURMUR_H
#define VF_MURMUR_H

#include "kernels/platform.h"

typedef struct {
    uint32_t hash;   /* of the whole words of the prefix */
    uint32_t length; /* of the prefix, in bytes */
    uint32_t rest;   /* its last length % 4 bytes */
} vf_murmur;

VF_INLINE uint32_t vf_rotate(uint32_t x, int bits) {
    return (x << bits) | (x >> (32 - bits));
}

VF_INLINE uint32_t vf_murmur_scramble(uint32_t word) {
    return vf_rotate(word * 0xCC9E2D51u, 15) * 0x1B873593u;
}

VF_INLINE uint32_t vf_murmur_mix(uint32_t hash, uint32_t word) {
    return vf_rotate(hash ^ vf_murmur_scramble(word), 13) * 5 + 0xE6546B64u;
}

VF_INLINE uint32_t vf_murmur_finish(uint32_t hash, uint32_t length) {
    hash ^= length;
    hash = (hash ^ (hash >> 16)) * 0x85EBCA6Bu;
    hash = (hash ^ (hash >> 13)) * 0xC2B2AE35u;
    return hash ^ (hash >> 16);
}

VF_INLINE uint32_t vf_load_word(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, 4);
    return word;
}

/* The last length % 4 bytes as a number, without a branch on their count. */
VF_INLINE uint32_t vf_last_bytes(const uint8_t *data, int64_t length) {
    const int64_t n = length & 3;
    if (length >= 4)
        return (uint32_t)((uint64_t)vf_load_word(data + length - 4) >> (8 * (4 - n)));
    if (n == 0)
        return 0;
    return data[0] | (uint32_t)data[n >> 1] << (8 * (n >> 1)) | (uint32_t)data[n - 1] << (8 * (n - 1));
}

/* Takes in the whole words of prefix + data; what is left over is in `rest`. */
VF_INLINE uint32_t vf_murmur_words(vf_murmur prefix, const uint8_t *data, int64_t length, uint64_t *rest) {
    const int shift = 8 * (prefix.length & 3);
    uint32_t hash = prefix.hash;
    uint64_t pending = prefix.rest;
    for (int64_t k = 0; k + 4 <= length; k += 4) {
        pending |= (uint64_t)vf_load_word(data + k) << shift;
        hash = vf_murmur_mix(hash, (uint32_t)pending);
        pending >>= 32;
    }
    pending |= (uint64_t)vf_last_bytes(data, length) << shift;
    /* Perhaps a whole word more: lengths are as good as random, and a branch would miss. */
    const uint32_t whole = (uint32_t)((prefix.length & 3) + (length & 3)) >> 2;
    hash ^= (hash ^ vf_murmur_mix(hash, (uint32_t)pending)) & (0u - whole);
    *rest = pending >> (32 * whole);
    return hash;
}

VF_INLINE uint32_t vf_murmur_hash(vf_murmur prefix, const uint8_t *data, int64_t length) {
    uint64_t rest;
    const uint32_t hash = vf_murmur_words(prefix, data, length, &rest);
    return vf_murmur_finish(hash ^ vf_murmur_scramble((uint32_t)rest), prefix.length + (uint32_t)length);
}

static inline vf_murmur vf_murmur_prefix(const uint8_t *data, int64_t length, uint32_t seed) {
    const vf_murmur none = {seed, 0, 0};
    uint64_t rest;
    const uint32_t hash = vf_murmur_words(none, data, length, &rest);
    const vf_murmur prefix = {hash, (uint32_t)length, (uint32_t)rest};
    return prefix;
}

#endif
