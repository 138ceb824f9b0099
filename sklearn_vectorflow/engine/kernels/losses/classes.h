/* Losses of several outputs of one row in vector lanes: softmax, and a logistic loss an output. In double precision,
 * since the walk sums losses; every processor gives nearly the same bits. */
#ifndef VF_CLASSES_H
#define VF_CLASSES_H

#include "kernels/lanes.h"

enum { VF_CLASSES = 4 }; /* outputs from which on lanes pay, and sums side by side */

VF_INLINE double vf_power_of_2(double shifted) { /* 2**n, of n + 1.5 * 2**52 */
    uint64_t bits;
    double out;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits - 0x4338000000000000 + 1023) << 52;
    memcpy(&out, &bits, sizeof out);
    return out;
}

/* exp(x) for x <= 0: 2**n exp(r) with |r| <= ln(2) / 2, by Taylor's series; in two halves, since 2**n may be too small
 * for a normal number. Adding 1.5 * 2**52 rounds to an integer in the low bits. */
VF_INLINE double vf_exp_negative(double x) {
    const double magic = 6755399441055744.0;
    const double above = x < -746.0 ? -746.0 : x;
    const double n = (above * 1.4426950408889634 + magic) - magic;
    const double r = (above - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
    const double half = n * 0.5 + magic, rest = (n - (half - magic)) + magic;
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    return (1.0 + (r + r * r * p)) * vf_power_of_2(half) * vf_power_of_2(rest);
}

/* log(1 + e) for e in [0, 1], through 2 atanh(s), |s| <= 1/5. */
VF_INLINE double vf_log1p_unit(double e) {
    const int large = e > 0.3333333333333333;
    const double s = (large ? e - 1.0 : e) / (large ? e + 3.0 : e + 2.0), q = s * s;
    double p = 1.0 / 23.0;
    p = p * q + 1.0 / 21.0;
    p = p * q + 1.0 / 19.0;
    p = p * q + 1.0 / 17.0;
    p = p * q + 1.0 / 15.0;
    p = p * q + 1.0 / 13.0;
    p = p * q + 1.0 / 11.0;
    p = p * q + 1.0 / 9.0;
    p = p * q + 1.0 / 7.0;
    p = p * q + 1.0 / 5.0;
    p = p * q + 1.0 / 3.0;
    return (large ? 0.6931471805599453 : 0.0) + 2.0 * (s + s * q * p);
}

VF_INLINE double vf_sum_of(const double *x, int64_t n) {
    double sums[VF_CLASSES] = {0.0};
    int64_t c = 0;
    for (; c + VF_CLASSES <= n; c += VF_CLASSES)
        for (int64_t i = 0; i < VF_CLASSES; i++)
            sums[i] += x[c + i];
    for (; c < n; c++)
        sums[0] += x[c];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

VF_INLINE double vf_largest_of(const double *x, int64_t n) {
    double most[VF_CLASSES];
    int64_t c = 0;
    for (int64_t i = 0; i < VF_CLASSES; i++)
        most[i] = x[0];
    for (; c + VF_CLASSES <= n; c += VF_CLASSES)
        for (int64_t i = 0; i < VF_CLASSES; i++)
            most[i] = x[c + i] > most[i] ? x[c + i] : most[i];
    for (; c < n; c++)
        most[0] = x[c] > most[0] ? x[c] : most[0];
    for (int64_t i = 1; i < VF_CLASSES; i++)
        most[0] = most[i] > most[0] ? most[i] : most[0];
    return most[0];
}

/* The log of the sum of exp(raw); `share` becomes each one's share of the sum, times `weight`. */
VF_SIMD_AVX2 static double vf_softmax(int64_t n, const double *VF_RESTRICT raw, double weight,
                                      double *VF_RESTRICT share) {
    const double largest = vf_largest_of(raw, n);
    VF_APART for (int64_t c = 0; c < n; c++)
        share[c] = vf_exp_negative(raw[c] - largest);
    const double sum = vf_sum_of(share, n), scale = weight / sum;
    for (int64_t c = 0; c < n; c++)
        share[c] *= scale;
    return log(sum) + largest;
}

/* The sum of log(1 + exp(raw)); `gradient` becomes its gradient, times `weight`. */
VF_SIMD_AVX2 static double vf_softplus(int64_t n, const double *VF_RESTRICT raw, double weight,
                                       double *VF_RESTRICT gradient) {
    enum { BLOCK = 64 };
    double total = 0.0, values[BLOCK];
    for (int64_t from = 0; from < n; from += BLOCK) {
        const int64_t size = n - from < BLOCK ? n - from : BLOCK;
        VF_APART for (int64_t c = 0; c < size; c++) {
            const double f = raw[from + c], e = vf_exp_negative(f > 0.0 ? -f : f);
            values[c] = (f > 0.0 ? f : 0.0) + vf_log1p_unit(e);
            gradient[from + c] = weight * ((f > 0.0 ? 1.0 : e) / (1.0 + e));
        }
        total += vf_sum_of(values, size);
    }
    return total;
}

#endif
