/* Sums over the entries of a sparse row, each of which has a line of several numbers in double precision.
 * A function for each type of values and indices. */
#ifndef VF_LINES_H
#define VF_LINES_H

#include "kernels/platform.h"

enum { VF_LINES_AHEAD = 6 };

/* Sums of as many numbers of each line, from the c-th on, while there are so many: they stay in registers. */
#define VF_SOME_OF_LINES(size)                                                             \
    for (; c + (size) <= width; c += (size)) {                                             \
        double sums[size] = {0.0};                                                         \
        for (int64_t k = 0; k < n; k++) {                                                  \
            const double *line = lines + (int64_t)indices[k] * width + c;                  \
            const double value = squares ? (double)values[k] * values[k] : (double)values[k]; \
            if (k + VF_LINES_AHEAD < n)                                                    \
                for (int64_t j = 0; j < (size); j += 8)                                    \
                    VF_PREFETCH_READ(lines + (int64_t)indices[k + VF_LINES_AHEAD] * width + c + j); \
            for (int j = 0; j < (size); j++)                                               \
                sums[j] += value * line[j];                                                \
        }                                                                                  \
        for (int j = 0; j < (size); j++)                                                   \
            out[c + j] = sums[j];                                                          \
    }

/* vf_sum_lines writes the sum of the entries times their lines, vf_spread_line adds the entries times one line to
 * theirs. With squares, entries are squared. */
#define VF_LINES(value_t, index_t, name)                                                                            \
    VF_SIMD static void vf_sum_lines_##name(const value_t *values, const index_t *indices, int64_t n,               \
                                            const double *lines, int64_t width, int squares,                       \
                                            double *VF_RESTRICT out) {                                              \
        int64_t c = 0;                                                                                              \
        VF_SOME_OF_LINES(32)                                                                                        \
        VF_SOME_OF_LINES(16)                                                                                        \
        VF_SOME_OF_LINES(8)                                                                                         \
        VF_SOME_OF_LINES(4)                                                                                         \
        VF_SOME_OF_LINES(1)                                                                                         \
    }                                                                                                               \
    VF_SIMD static void vf_spread_line_##name(const value_t *values, const index_t *indices, int64_t n,             \
                                              const double *VF_RESTRICT line, int64_t width, int squares,          \
                                              double *lines) {                                                      \
        for (int64_t k = 0; k < n; k++) {                                                                           \
            double *VF_RESTRICT to = lines + (int64_t)indices[k] * width;                                           \
            const double value = squares ? (double)values[k] * values[k] : (double)values[k];                       \
            for (int64_t c = 0; c < width; c++)                                                                     \
                to[c] += value * line[c];                                                                           \
        }                                                                                                           \
    }

VF_LINES(float, int32_t, f32_i32)
VF_LINES(float, int64_t, f32_i64)
VF_LINES(double, int32_t, f64_i32)
VF_LINES(double, int64_t, f64_i64)

#endif
