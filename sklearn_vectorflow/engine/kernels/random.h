/* Random numbers: a counter-based hash (the same number for the same place,
 * whoever asks) and a small sequential generator built on it.
 * SplitMix64: Steele, Lea and Flood (2014), doi:10.1145/2660193.2660195. */
#ifndef VF_RANDOM_H
#define VF_RANDOM_H

#include "kernels/platform.h"

VF_INLINE uint64_t vf_mix(uint64_t x) {
    x += 0x9E3779B97F4A7C15ull;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return x ^ (x >> 31);
}

/* Uniform in [0, 1) from 24 bits. */
VF_INLINE float vf_unit(uint64_t bits) {
    return (float)(bits >> 40) * (1.0f / 16777216.0f);
}

VF_INLINE uint64_t vf_next(uint64_t *state) {
    const uint64_t out = vf_mix(*state);
    *state += 0x9E3779B97F4A7C15ull;
    return out;
}

/* Uniform in [0, n), n < 2**32: Lemire's multiply-shift; the bias is below 2**-32. */
VF_INLINE uint32_t vf_below(uint64_t *state, uint32_t n) {
    return (uint32_t)(((vf_next(state) >> 32) * (uint64_t)n) >> 32);
}

static inline void vf_shuffle(int64_t *items, int64_t n, uint64_t *state) {
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = vf_below(state, (uint32_t)(i + 1));
        const int64_t swap = items[i];
        items[i] = items[j];
        items[j] = swap;
    }
}

#endif
