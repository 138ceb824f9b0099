/* exp and log near zero for float lanes, written so that compilers vectorise
 * them and every processor gives nearly the same bits. Relative error < 3e-7.
 * Lanes behind the end of a row may hold any number, so bits are unsigned where signed ones could overflow. */
#ifndef VF_ELEMENTARY_H
#define VF_ELEMENTARY_H

#include "kernels/platform.h"

VF_INLINE float vf_from_bits(uint32_t bits) {
    float out;
    memcpy(&out, &bits, 4);
    return out;
}

VF_INLINE uint32_t vf_to_bits(float x) {
    uint32_t out;
    memcpy(&out, &x, 4);
    return out;
}

/* exp(x) - 1 for x <= 0: 2**n (p + 1) - 1 with |r| <= ln(2) / 2. Adding 1.5 * 2**23 rounds to an integer
 * in the low bits, and 127 more makes it an exponent; a conversion would not be vectorised. An error of n ln(2) is
 * one of 2**n n ln(2) in the end, so that one number stands for ln(2). */
VF_INLINE float vf_expm1_negative(float x) {
    x = x < -87.0f ? -87.0f : x;
    const float shifted = x * 1.44269504f + 12583039.0f;
    const float r = x - (shifted - 12583039.0f) * 0.693147181f;
    const float p = r + r * r * (0.49999998f + r * (0.166665433f + r * (0.0416672010f + r * (0.00836655733f
                  + r * 0.00138825146f))));
    const float scale = vf_from_bits(vf_to_bits(shifted) << 23);
    return scale * p + (scale - 1.0f);
}

/* log(1 + x) for x >= 0, through 2 atanh(x / (2 + x)) */
VF_INLINE float vf_log1p_positive(float x) {
    const float y = 1.0f + x;
    const uint32_t bits = vf_to_bits(y);
    const int32_t n = (int32_t)(bits - 0x3F2AAAABu) >> 23; /* mantissa in [2/3, 4/3) */
    const float m = vf_from_bits(bits - ((uint32_t)n << 23));
    const float numerator = n == 0 ? x : m - 1.0f;
    const float denominator = n == 0 ? 2.0f + x : m + 1.0f;
    const float s = numerator / denominator, q = s * s;
    const float series = 1.0f + q * (0.333333333f + q * (0.2f + q * (0.142857143f + q * 0.111111111f)));
    return (float)n * 0.693147181f + 2.0f * s * series;
}

/* (1 + x)**-k - 1 for k x < 0.01, k whole: by its series. */
VF_INLINE float vf_power_m1_tiny(float x, float k) {
    const float t = k * x;
    return -t * (1.0f - 0.5f * (t + x) * (1.0f - 0.333333333f * (t + 2.0f * x)));
}

/* (1 + x)**-k - 1 for x, k >= 0; where k x is tiny, as it mostly is, by its series. */
VF_INLINE float vf_power_m1(const int branches, float x, float k) {
    const float t = k * x;
    if (branches && t < 0.01f)
        return vf_power_m1_tiny(x, k);
    return vf_expm1_negative(-k * vf_log1p_positive(x));
}

/* log(1 + x) for 0 <= x < 0.01. */
VF_INLINE float vf_log1p_small(float x) { return x * (1.0f - x * (0.499989356f - x * 0.329883248f)); }

/* (1 + x)**-k - 1 for x < 0.01, with few operations and no branch. */
VF_INLINE float vf_power_m1_small(float x, float k) { return vf_expm1_negative(-k * vf_log1p_small(x)); }

/* The same where k x < 0.2, too, with still fewer. */
VF_INLINE float vf_power_m1_short(float x, float k) {
    const float y = k * vf_log1p_small(x);
    return -y * (1.0f - y * (0.499988322f - y * (0.166313255f - y * 0.0385922842f)));
}

#endif
