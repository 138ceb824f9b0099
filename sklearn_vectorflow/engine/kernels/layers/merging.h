/* Nodes that merge others' dense outputs, for n rows: gradients are added to their
 * parents', who may have other children. */
#ifndef VF_MERGING_H
#define VF_MERGING_H

#include "kernels/platform.h"

/* Copies a parent's columns into those from `first` on. */
static inline void vf_place(const float *x, int64_t width, float *y, int64_t y_width, int64_t first, int64_t n) {
    for (int64_t r = 0; r < n; r++)
        memcpy(y + r * y_width + first, x + r * width, (size_t)width * sizeof(float));
}

static inline void vf_place_back(const double *of_y, int64_t y_width, int64_t first, double *of_x, int64_t width, int64_t n) {
    for (int64_t r = 0; r < n; r++)
        for (int64_t c = 0; c < width; c++)
            of_x[r * width + c] += of_y[r * y_width + first + c];
}

VF_SIMD static void vf_add(const float *VF_RESTRICT x, float *VF_RESTRICT y, int64_t n) {
    for (int64_t c = 0; c < n; c++)
        y[c] += x[c];
}

VF_SIMD static void vf_add_back(const double *VF_RESTRICT of_y, double *VF_RESTRICT of_x, int64_t n) {
    for (int64_t c = 0; c < n; c++)
        of_x[c] += of_y[c];
}

VF_SIMD static void vf_multiply(const float *VF_RESTRICT x, float *VF_RESTRICT y, int64_t n) {
    for (int64_t c = 0; c < n; c++)
        y[c] *= x[c];
}

/* The gradient of one factor: the product of all the others, which may be zero or the
 * factor itself. */
static inline void vf_multiply_back(const float *const *factors, int64_t n_factors, int64_t which,
                                    const double *of_y, double *of_x, int64_t n) {
    for (int64_t c = 0; c < n; c++) {
        double others = of_y[c];
        for (int64_t k = 0; k < n_factors; k++)
            if (k != which)
                others *= factors[k][c];
        of_x[c] += others;
    }
}

/* A sparse row as a dense one. */
static inline void vf_scatter(const int32_t *indices, const float *values, int64_t length, float *y, int64_t width) {
    memset(y, 0, (size_t)width * sizeof(float));
    for (int64_t k = 0; k < length; k++)
        y[indices[k]] += values[k];
}

#endif
