/* Some of the numbers below n: a bit each, and beside every 64 bits how many of the numbers come before them. */
#ifndef VF_MARKS_H
#define VF_MARKS_H

#include "kernels/platform.h"

enum { VF_MARKS = 64 };

typedef struct {
    uint64_t bits;
    int64_t before;
} vf_marks;

/* Compilers know this for the instruction that counts bits, where the processor has it. */
VF_INLINE int64_t vf_n_bits(uint64_t bits) {
    bits -= (bits >> 1) & 0x5555555555555555u;
    bits = (bits & 0x3333333333333333u) + ((bits >> 2) & 0x3333333333333333u);
    bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (int64_t)((bits * 0x0101010101010101u) >> 56);
}

#define VF_DEFINE_MARKS(type, mark, rank)                                                              \
    static void mark(vf_marks *marks, const type *numbers, int64_t n) {                                \
        for (int64_t k = 0; k < n; k++)                                                                \
            marks[numbers[k] / VF_MARKS].bits |= (uint64_t)1 << (numbers[k] % VF_MARKS);               \
    }                                                                                                  \
    /* What number each has among those that are marked. */                                            \
    VF_SIMD_AVX2 static void rank(const vf_marks *marks, const type *numbers, int64_t n, int32_t *out) { \
        for (int64_t k = 0; k < n; k++) {                                                              \
            const vf_marks *own = &marks[numbers[k] / VF_MARKS];                                       \
            const uint64_t below = ((uint64_t)1 << (numbers[k] % VF_MARKS)) - 1;                       \
            out[k] = (int32_t)(own->before + vf_n_bits(own->bits & below));                            \
        }                                                                                              \
    }

VF_DEFINE_MARKS(uint32_t, vf_mark32, vf_rank32)
VF_DEFINE_MARKS(uint64_t, vf_mark64, vf_rank64)

static int64_t vf_count_marks(vf_marks *marks, int64_t n_words) {
    int64_t before = 0;
    for (int64_t k = 0; k < n_words; k++) {
        marks[k].before = before;
        before += vf_n_bits(marks[k].bits);
    }
    return before;
}

#define VF_DEFINE_LIST_MARKS(type, name)                                                 \
    static void name(const vf_marks *marks, int64_t n_words, type *out) {                \
        for (int64_t k = 0; k < n_words; k++)                                            \
            for (uint64_t bits = marks[k].bits; bits; bits &= bits - 1)                  \
                *out++ = (type)(k * VF_MARKS + vf_n_bits((bits & (~bits + 1)) - 1));     \
    }

VF_DEFINE_LIST_MARKS(int32_t, vf_list_marks32)
VF_DEFINE_LIST_MARKS(int64_t, vf_list_marks64)

#endif
