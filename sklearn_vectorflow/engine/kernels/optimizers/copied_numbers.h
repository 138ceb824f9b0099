/* The numbers of records of one output, in arrays: which there are, and how they are read and written. */
#ifndef VF_COPIED_NUMBERS_H
#define VF_COPIED_NUMBERS_H

#include "kernels/lanes.h"
#include "kernels/optimizers/misses.h"

VF_INLINE int vf_is_copied(const int kind, const int lazy, int32_t n_out) {
    return kind != VF_FIXED && n_out == 1 && !(kind == VF_FTRL && lazy == VF_LAZY);
}

/* Whether weights are anything but what their copies hold. */
VF_INLINE int vf_catches_up(const int kind, const int lazy) { return lazy && kind != VF_FTRL; }

/* The state of copy k; the arrays, which don't overlap, are given one by one. */
VF_INLINE vf_state vf_copied_state(const int kind, const float *s1, const float *s2, const float *row, int64_t k) {
    const vf_state s = {VF_USES_S1(kind) ? s1[k] : 0.0f, VF_HAS_S2(kind) ? s2[k] : 0.0f, VF_USES_ROW(kind) ? row[k] : 0.0f};
    return s;
}

/* Which numbers of records are copied: weights and state alone; their clocks, too; or all there are. */
enum { VF_STATE, VF_CLOCKS, VF_MEANS };

VF_INLINE int vf_copied_numbers(const int kind, const int lazy, const vf_linear *layer) {
    return !vf_catches_up(kind, lazy) ? VF_STATE : lazy == VF_LAZY && layer->average_slot >= 0 ? VF_MEANS : VF_CLOCKS;
}

/* The arrays of copies that hold the numbers of a record, in its order. What fills a record up is copied, too. */
typedef struct {
    float *of[6];
    int32_t n;
} vf_numbers;

VF_INLINE vf_numbers vf_numbers_of(const int kind, const int which, vf_copies copies) {
    const int32_t n_sgd = which == VF_STATE ? 1 : which == VF_CLOCKS ? 2 : 4;
    const int32_t n_adagrad = which == VF_STATE ? 2 : 4, n_adam = which == VF_STATE ? 4 : 6;
    const vf_numbers sgd = {{copies.w, copies.clock, copies.stamp, copies.average}, n_sgd};
    const vf_numbers ftrl = {{copies.s1, copies.s2}, 2};
    const vf_numbers adagrad = {{copies.w, copies.s1, copies.clock, copies.average}, n_adagrad};
    const vf_numbers rowwise = {{copies.w, copies.row, copies.clock, copies.average}, n_adagrad};
    const vf_numbers adam = {{copies.w, copies.s1, copies.s2, copies.row, copies.clock, copies.average}, n_adam};
    const vf_numbers adam_rowwise = {{copies.w, copies.s1, copies.row, copies.s2, copies.clock, copies.average}, n_adam};
    return kind == VF_SGD ? sgd : kind == VF_ADAGRAD ? adagrad : kind == VF_ADAM ? adam : kind == VF_FTRL ? ftrl
           : kind == VF_ADAM_ROWWISE ? adam_rowwise : rowwise;
}

/* In groups, see vf_fill_places. */
VF_INLINE void vf_read_numbers(const int kind, const int which, const float *records, int64_t stride, int64_t n,
                               vf_copies copies) {
    const vf_numbers numbers = vf_numbers_of(kind, which, copies);
    const int32_t pair = numbers.n & 2 ? numbers.n - 2 : 0;
    float *const *of = numbers.of;
    for (int64_t k = 0; k < n && numbers.n == 1; k++)
        of[0][k] = records[copies.at[k] * stride];
    for (int64_t k = 0; k < n && numbers.n >= 4; k += VF_GROUP)
        vf_load_quads(records, stride, copies.at + k, of[0] + k, of[1] + k, of[2] + k, of[3] + k);
    for (int64_t k = 0; k < n && numbers.n & 2; k += VF_GROUP / 2)
        vf_load_pairs_4(records + pair, stride, copies.at + k, of[pair] + k, of[pair + 1] + k);
}

VF_INLINE void vf_write_numbers(const int kind, const int which, float *records, int64_t stride, int64_t n,
                                vf_copies copies) {
    const vf_numbers numbers = vf_numbers_of(kind, which, copies);
    const int32_t pair = numbers.n & 2 ? numbers.n - 2 : 0;
    const int64_t last = n ? (n - 1) / VF_GROUP * VF_GROUP : -VF_GROUP;
    float *const *of = numbers.of;
    for (int64_t k = 0; k < n && numbers.n == 1; k++)
        records[copies.at[k] * stride] = of[0][k];
    for (int64_t k = last; k >= 0 && numbers.n >= 4; k -= VF_GROUP)
        vf_store_quads(records, stride, copies.at + k, of[0] + k, of[1] + k, of[2] + k, of[3] + k);
    for (int64_t k = (n - 1) / 4 * 4; k >= 0 && n && numbers.n & 2; k -= VF_GROUP / 2)
        vf_store_pairs_4(records + pair, stride, copies.at + k, of[pair] + k, of[pair + 1] + k);
}

/* The largest of a group of numbers. */
VF_INLINE float vf_most_of(const float *group) {
    float most[VF_LANES];
    memcpy(most, group, sizeof most);
    for (int64_t half = VF_LANES / 2; half > 0; half /= 2)
        for (int64_t i = 0; i < half; i++)
            most[i] = most[i] > most[i + half] ? most[i] : most[i + half];
    return most[0];
}

VF_INLINE float vf_largest(const float *VF_RESTRICT x, int64_t n) {
    float most[VF_LANES] = {0.0f};
    VF_EACH_LANE(k, n, { most[lane] = x[k] > most[lane] ? x[k] : most[lane]; });
    return vf_most_of(most);
}

#endif
