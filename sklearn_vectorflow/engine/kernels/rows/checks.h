/* One look at each number of a matrix: are values finite, columns inside and in order? */
#ifndef VF_CHECKS_H
#define VF_CHECKS_H

#include "kernels/platform.h"

enum { VF_INFINITE = 1, VF_ZERO = 2 };

/* Steps up and down from each column to the next, and whether one is outside [0, last]. */
typedef struct {
    int64_t ups, downs;
    int32_t outside;
} vf_order;

/* What single precision flushes to zero is zero. */
#define VF_DEFINE_CHECK_VALUES(name, type)                             \
    VF_SIMD static int32_t name(const type *values, int64_t n) {       \
        const type largest = (type)3.4028234663852886e38;              \
        const type least = (type)1.1754943508222875e-38;               \
        int32_t infinite = 0, zero = 0;                                \
        for (int64_t k = 0; k < n; k++) {                              \
            infinite |= !(values[k] <= largest && values[k] >= -largest); \
            zero |= values[k] < least && values[k] > -least;           \
        }                                                              \
        return (infinite ? VF_INFINITE : 0) | (zero ? VF_ZERO : 0);    \
    }

/* The sign of a column, or of the last column less it, shows that it is outside. */
#define VF_DEFINE_CHECK_COLUMNS(name, type, unsigned_type, bits)                                 \
    VF_SIMD static vf_order name(const type *columns, int64_t n, int64_t last) {               \
        unsigned_type signs = 0;                                                                 \
        type ups = 0, downs = 0;                                                                 \
        const unsigned_type top = (unsigned_type)last;                                           \
        for (int64_t k = 0; k < n; k++)                                                          \
            signs |= (unsigned_type)columns[k] | (top - (unsigned_type)columns[k]);              \
        for (int64_t k = 1; k < n; k++) {                                                        \
            ups += columns[k] > columns[k - 1];                                                  \
            downs += columns[k] < columns[k - 1];                                                \
        }                                                                                        \
        const vf_order out = {ups, downs, (int32_t)(signs >> (bits - 1))};                     \
        return out;                                                                              \
    }

VF_DEFINE_CHECK_VALUES(vf_check_floats, float)
VF_DEFINE_CHECK_VALUES(vf_check_doubles, double)
VF_DEFINE_CHECK_COLUMNS(vf_check_columns32, int32_t, uint32_t, 32)
VF_DEFINE_CHECK_COLUMNS(vf_check_columns64, int64_t, uint64_t, 64)

#endif
