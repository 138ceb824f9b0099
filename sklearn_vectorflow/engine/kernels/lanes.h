/* Lanes of arithmetic over records: the numbers of a group of records, each in an array of its own.
 * Numbers that are stored one by one and then read as a vector make the processor wait until all of
 * them, and whatever was stored before, have reached the cache: so records become vectors, and
 * vectors records, in registers. */
#ifndef VF_LANES_H
#define VF_LANES_H

#include "kernels/platform.h"

/* Records in a group. Loops over whole groups have no remainder, which rows of a few dozen entries
 * would mostly be; arrays in them don't overlap. Loops over one group alone are VF_ONE_GROUP: compilers
 * would unroll them before they see that they fit a vector. */
enum { VF_GROUP = 8 };

#if defined(__clang__)
#define VF_APART _Pragma("clang loop vectorize(assume_safety)")
#define VF_ONE_GROUP _Pragma("clang loop vectorize(assume_safety) unroll(disable)")
#elif defined(__GNUC__)
#define VF_APART _Pragma("GCC ivdep")
#define VF_ONE_GROUP _Pragma("GCC ivdep") _Pragma("GCC unroll 1")
#else
#define VF_APART
#define VF_ONE_GROUP
#endif
/* Does what is given, a block, for k from 0 to n, and to the end of the last group behind. As long as two groups
 * are left, these make one of the widest vectors; were the last ones as wide, such rows would fill them less well. */
#define VF_EACH_LANE(k, n, ...)                                                                           \
    do {                                                                                                  \
        int64_t lanes_from = 0;                                                                           \
        for (; (n) - lanes_from > VF_GROUP; lanes_from += VF_LANES)                                       \
            VF_ONE_GROUP for (int64_t k = lanes_from, lane = 0; lane < VF_LANES; k++, lane++) __VA_ARGS__ \
        if (lanes_from < (n))                                                                             \
            VF_ONE_GROUP for (int64_t k = lanes_from, lane = 0; lane < VF_GROUP; k++, lane++) __VA_ARGS__ \
    } while (0)

/* Where the next VF_GROUP of n >= VF_GROUP numbers start, in loops for (from = 0; from < n; ...): the last ones end at
 * n, and may be among those before, so that all groups are whole. */
VF_INLINE int64_t vf_next_group(int64_t from, int64_t n) {
    const int64_t next = from + VF_GROUP, last = n - VF_GROUP;
    return next >= n ? n : next < last ? next : last;
}

/* Behind the places of n records, lanes to the end of the group read the first one again. */
VF_INLINE void vf_fill_places(int64_t *at, int64_t n) {
    for (int64_t i = 0; i < VF_GROUP; i++)
        at[n + i] = at[0];
}

/* Below, neighbouring numbers of each of some records are read and written, `numbers` being those of record 0. Later
 * records are written first: where lanes behind the last record stand for the first one, see vf_fill_places, this is
 * what it is in the end. */
#if defined(__GNUC__)

typedef float vf_floats_8 __attribute__((vector_size(32))); /* a group of numbers; never passed by value */
typedef int32_t vf_bits_8 __attribute__((vector_size(32)));
typedef float vf_floats_4 __attribute__((vector_size(16)));
typedef int64_t vf_words_2 __attribute__((vector_size(16)));

#if defined(__clang__)
#define VF_SHUFFLE_4(x, y, a, b, c, d) __builtin_shufflevector(x, y, a, b, c, d)
#else
typedef int32_t vf_ints_4 __attribute__((vector_size(16)));
#define VF_SHUFFLE_4(x, y, a, b, c, d) __builtin_shuffle(x, y, (vf_ints_4){a, b, c, d})
#endif

/* sums += v x */
VF_INLINE void vf_add_scaled(vf_floats_8 *sums, float v, const float *x) {
    vf_floats_8 numbers;
    memcpy(&numbers, x, sizeof numbers);
    *sums += v * numbers;
}

/* Each of `most` becomes that of x where it is larger. */
VF_INLINE void vf_take_larger(vf_floats_8 *most, const float *x) {
    vf_floats_8 numbers;
    memcpy(&numbers, x, sizeof numbers);
    const vf_bits_8 larger = numbers > *most;
    *most = (vf_floats_8)(((vf_bits_8)numbers & larger) | ((vf_bits_8)*most & ~larger));
}

#define VF_LANE(x, i) ((x)[i])

VF_INLINE vf_floats_4 vf_fill_4(float x) {
    const vf_floats_4 out = {x, x, x, x};
    return out;
}

/* a b + c */
VF_INLINE vf_floats_4 vf_multiply_add_4(vf_floats_4 a, vf_floats_4 b, vf_floats_4 c) { return a * b + c; }

/* The sums of four vectors' numbers. */
VF_INLINE vf_floats_4 vf_totals_4(const vf_floats_4 *x) {
    const vf_floats_4 a = VF_SHUFFLE_4(x[0], x[1], 0, 4, 1, 5) + VF_SHUFFLE_4(x[0], x[1], 2, 6, 3, 7);
    const vf_floats_4 b = VF_SHUFFLE_4(x[2], x[3], 0, 4, 1, 5) + VF_SHUFFLE_4(x[2], x[3], 2, 6, 3, 7);
    return VF_SHUFFLE_4(a, b, 0, 1, 4, 5) + VF_SHUFFLE_4(a, b, 2, 3, 6, 7);
}

/* Two numbers of each of two records. */
VF_INLINE vf_floats_4 vf_load_2(const float *numbers, int64_t stride, const int64_t *at) {
    int64_t first, second;
    memcpy(&first, numbers + at[0] * stride, sizeof first);
    memcpy(&second, numbers + at[1] * stride, sizeof second);
    const vf_words_2 both = {first, second};
    return (vf_floats_4)both;
}

VF_INLINE void vf_store_2(float *numbers, int64_t stride, const int64_t *at, vf_floats_4 pairs) {
    const vf_words_2 both = (vf_words_2)pairs;
    const int64_t first = both[0], second = both[1];
    memcpy(numbers + at[1] * stride, &second, sizeof second);
    memcpy(numbers + at[0] * stride, &first, sizeof first);
}

VF_INLINE void vf_load_pairs_4(const float *numbers, int64_t stride, const int64_t *at, float *first,
                               float *second) {
    const vf_floats_4 x = vf_load_2(numbers, stride, at), y = vf_load_2(numbers, stride, at + 2);
    const vf_floats_4 firsts = VF_SHUFFLE_4(x, y, 0, 2, 4, 6), seconds = VF_SHUFFLE_4(x, y, 1, 3, 5, 7);
    memcpy(first, &firsts, sizeof firsts);
    memcpy(second, &seconds, sizeof seconds);
}

VF_INLINE void vf_store_pairs_4(float *numbers, int64_t stride, const int64_t *at, const float *first,
                                const float *second) {
    vf_floats_4 firsts, seconds;
    memcpy(&firsts, first, sizeof firsts);
    memcpy(&seconds, second, sizeof seconds);
    vf_store_2(numbers, stride, at + 2, VF_SHUFFLE_4(firsts, seconds, 2, 6, 3, 7));
    vf_store_2(numbers, stride, at, VF_SHUFFLE_4(firsts, seconds, 0, 4, 1, 5));
}

#else

typedef struct {
    float of[VF_GROUP];
} vf_floats_8;

VF_INLINE void vf_add_scaled(vf_floats_8 *sums, float v, const float *x) {
    for (int64_t i = 0; i < VF_GROUP; i++)
        sums->of[i] += v * x[i];
}

VF_INLINE void vf_take_larger(vf_floats_8 *most, const float *x) {
    for (int64_t i = 0; i < VF_GROUP; i++)
        most->of[i] = x[i] > most->of[i] ? x[i] : most->of[i];
}

typedef struct {
    float at[4];
} vf_floats_4;

#define VF_LANE(x, i) ((x).at[i])

VF_INLINE vf_floats_4 vf_fill_4(float x) {
    const vf_floats_4 out = {{x, x, x, x}};
    return out;
}

VF_INLINE vf_floats_4 vf_multiply_add_4(vf_floats_4 a, vf_floats_4 b, vf_floats_4 c) {
    for (int i = 0; i < 4; i++)
        c.at[i] += a.at[i] * b.at[i];
    return c;
}

VF_INLINE vf_floats_4 vf_totals_4(const vf_floats_4 *x) {
    vf_floats_4 out;
    for (int i = 0; i < 4; i++)
        out.at[i] = (x[i].at[0] + x[i].at[2]) + (x[i].at[1] + x[i].at[3]);
    return out;
}

VF_INLINE void vf_load_pairs_4(const float *numbers, int64_t stride, const int64_t *at, float *first,
                               float *second) {
    for (int64_t i = 0; i < 4; i++) {
        first[i] = numbers[at[i] * stride];
        second[i] = numbers[at[i] * stride + 1];
    }
}

VF_INLINE void vf_store_pairs_4(float *numbers, int64_t stride, const int64_t *at, const float *first,
                                const float *second) {
    for (int64_t i = 3; i >= 0; i--) {
        numbers[at[i] * stride] = first[i];
        numbers[at[i] * stride + 1] = second[i];
    }
}

#endif

/* Four neighbouring numbers of each of a group of records, to and from entry k of four arrays. */
#if defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12)

#define VF_JOIN(x, y) __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7)
#define VF_HALF(x, a) __builtin_shufflevector(x, x, a, (a) + 1, (a) + 2, (a) + 3)
#define VF_INTERLEAVE(x, y, a, b, c, d) \
    __builtin_shufflevector(x, y, a, (b) + 8, c, (d) + 8, (a) + 4, (b) + 12, (c) + 4, (d) + 12)
#define VF_HALVES(x, y, a) __builtin_shufflevector(x, y, a, (a) + 1, (a) + 8, (a) + 9, (a) + 4, (a) + 5, (a) + 12, (a) + 13)

/* Rows of four by four numbers, two of them a vector, become their columns. */
VF_INLINE void vf_transpose_8(vf_floats_8 *x, vf_floats_8 *y, vf_floats_8 *z, vf_floats_8 *u) {
    const vf_floats_8 a = VF_INTERLEAVE(*x, *y, 0, 0, 1, 1), b = VF_INTERLEAVE(*x, *y, 2, 2, 3, 3);
    const vf_floats_8 c = VF_INTERLEAVE(*z, *u, 0, 0, 1, 1), d = VF_INTERLEAVE(*z, *u, 2, 2, 3, 3);
    *x = VF_HALVES(a, c, 0);
    *y = VF_HALVES(a, c, 2);
    *z = VF_HALVES(b, d, 0);
    *u = VF_HALVES(b, d, 2);
}

/* Numbers of the i-th and the (i + 4)-th record. */
VF_INLINE void vf_load_two(const float *numbers, int64_t stride, const int64_t *at, vf_floats_8 *out) {
    vf_floats_4 low, high;
    memcpy(&low, numbers + at[0] * stride, sizeof low);
    memcpy(&high, numbers + at[4] * stride, sizeof high);
    *out = VF_JOIN(low, high);
}

VF_INLINE void vf_load_quads(const float *numbers, int64_t stride, const int64_t *at, float *a, float *b, float *c,
                             float *d) {
    vf_floats_8 x, y, z, u;
    vf_load_two(numbers, stride, at, &x);
    vf_load_two(numbers, stride, at + 1, &y);
    vf_load_two(numbers, stride, at + 2, &z);
    vf_load_two(numbers, stride, at + 3, &u);
    vf_transpose_8(&x, &y, &z, &u);
    memcpy(a, &x, sizeof x);
    memcpy(b, &y, sizeof y);
    memcpy(c, &z, sizeof z);
    memcpy(d, &u, sizeof u);
}

VF_INLINE void vf_store_half(float *to, const int high, const vf_floats_8 *x) {
    const vf_floats_4 half = high ? VF_HALF(*x, 4) : VF_HALF(*x, 0);
    memcpy(to, &half, sizeof half);
}

VF_INLINE void vf_store_quads(float *numbers, int64_t stride, const int64_t *at, const float *a, const float *b,
                              const float *c, const float *d) {
    vf_floats_8 x, y, z, u;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    memcpy(&z, c, sizeof z);
    memcpy(&u, d, sizeof u);
    vf_transpose_8(&x, &y, &z, &u);
    vf_store_half(numbers + at[7] * stride, 1, &u);
    vf_store_half(numbers + at[6] * stride, 1, &z);
    vf_store_half(numbers + at[5] * stride, 1, &y);
    vf_store_half(numbers + at[4] * stride, 1, &x);
    vf_store_half(numbers + at[3] * stride, 0, &u);
    vf_store_half(numbers + at[2] * stride, 0, &z);
    vf_store_half(numbers + at[1] * stride, 0, &y);
    vf_store_half(numbers + at[0] * stride, 0, &x);
}

#else

VF_INLINE void vf_load_quads(const float *numbers, int64_t stride, const int64_t *at, float *a, float *b, float *c,
                             float *d) {
    for (int64_t i = 0; i < VF_GROUP; i++) {
        const float *record = numbers + at[i] * stride;
        a[i] = record[0], b[i] = record[1], c[i] = record[2], d[i] = record[3];
    }
}

VF_INLINE void vf_store_quads(float *numbers, int64_t stride, const int64_t *at, const float *a, const float *b,
                              const float *c, const float *d) {
    for (int64_t i = VF_GROUP - 1; i >= 0; i--) {
        float *record = numbers + at[i] * stride;
        record[0] = a[i], record[1] = b[i], record[2] = c[i], record[3] = d[i];
    }
}

#endif

/* The first n numbers, or four: behind them zeros. */
VF_INLINE vf_floats_4 vf_load_4(const float *from, int64_t n) {
    vf_floats_4 out;
    if (n >= 4) {
        memcpy(&out, from, sizeof out);
        return out;
    }
    out = vf_fill_4(0.0f);
    VF_LANE(out, 0) = from[0];
    if (n > 1)
        VF_LANE(out, 1) = from[1];
    if (n > 2)
        VF_LANE(out, 2) = from[2];
    return out;
}

VF_INLINE void vf_store_4(float *to, int64_t n, vf_floats_4 x) {
    if (n >= 4) {
        memcpy(to, &x, sizeof x);
        return;
    }
    to[0] = VF_LANE(x, 0);
    if (n > 1)
        to[1] = VF_LANE(x, 1);
    if (n > 2)
        to[2] = VF_LANE(x, 2);
}

#endif
