/* Random weights to start from. */
#ifndef VF_UNIFORM_H
#define VF_UNIFORM_H

#include "kernels/random.h"

/* Fills the first n_out columns of rows [first, first + n) with numbers uniform in
 * [-bound, bound), each from its own place in the key's stream. */
VF_SIMD static void vf_fill_uniform(float *record, int64_t stride, int64_t n_out, int64_t first, int64_t n, uint64_t key,
                                    float bound) {
    for (int64_t row = 0; row < n; row++) {
        float *VF_RESTRICT out = record + row * stride;
        const uint64_t place = key + (uint64_t)((first + row) * n_out);
        for (int64_t c = 0; c < n_out; c++)
            out[c] = bound * (2.0f * vf_unit(vf_mix(place + (uint64_t)c)) - 1.0f);
    }
}

#endif
