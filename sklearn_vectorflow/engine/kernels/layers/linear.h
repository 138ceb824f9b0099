/* The linear layer, out = bias + x W for one sparse row: its kernels, one of each for every rule, without and
 * with lazily caught-up state. Each rule is compiled by a file of its own, optimizers/<rule>.c. */
#ifndef VF_LINEAR_H
#define VF_LINEAR_H

#include "kernels/layers/linear_kernels.h"
#include "kernels/layers/linear_one.h"
#include "kernels/layers/linear_wide.h"
#include "kernels/nets/plain.h"
#include "kernels/sharing/merge_wide.h"
#include "kernels/sharing/rounds_one.h"

/* The sum of n products, in double precision. */
VF_INLINE double vf_dot_wide(const float *w, const double *delta, int64_t n) {
    double sums[VF_GROUP] = {0.0}, sum = 0.0;
    int64_t c = 0;
    for (; c + VF_GROUP <= n; c += VF_GROUP)
        VF_ONE_GROUP for (int64_t i = 0; i < VF_GROUP; i++)
            sums[i] += (double)w[c + i] * delta[c + i];
    for (; c < n; c++)
        sum += (double)w[c] * delta[c];
    for (int64_t i = 0; i < VF_GROUP; i++)
        sum += sums[i];
    return sum;
}

/* Adds W delta to the gradient of the layer's inputs [from, from + n), n <= VF_LANES. */
VF_INLINE void vf_backward_span(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                                const double *VF_RESTRICT delta, double *VF_RESTRICT gradient, int64_t from, int64_t n) {
    const int shared = vf_shares_misses(kind, lazy, layer->n_out);
    int32_t features[VF_LANES];
    float left[2 * VF_LANES] = {0.0f}, threshold[2 * VF_LANES] = {0.0f};
    float s1[VF_LANES], s2[VF_LANES], row_state[VF_LANES];
    vf_copies copies = {left, threshold};
    copies.s1 = s1, copies.s2 = s2, copies.row = row_state;
    for (int64_t k = 0; k < n; k++)
        features[k] = (int32_t)(from + k);
    vf_miss_row(kind, lazy, layer, clock, features, n, copies);
    for (int64_t k = 0; k < n; k++) {
        const int64_t feature = from + k;
        const float *record = layer->record + feature * layer->stride;
        if (shared && lazy == VF_DECAYING) {
            gradient[feature] += (1.0 + (double)left[k]) * vf_dot_wide(record, delta, layer->n_out);
            continue;
        }
        const float row = vf_read_row(kind, layer, record);
        const vf_rest rest = vf_read_rest(kind, lazy, layer, clock, record, feature);
        double sum = 0.0;
        for (int64_t c = 0; c < layer->n_out; c++) {
            const float center = vf_center(lazy, layer, feature, c);
            const vf_state s = vf_read_state(kind, layer, record, c, row);
            vf_value now;
            if (shared) {
                vf_missed missed = vf_missed_at(lazy, copies, k);
                missed.sign = rest.sign;
                now = vf_shrunk(lazy, record[c], center, missed, layer->penalty.lower);
            } else
                now = vf_now(kind, lazy, 1, record[c], center, s, rest, clock, layer);
            sum += (double)(now.base + now.change) * delta[c];
        }
        gradient[feature] += sum;
    }
}

VF_INLINE void vf_backward_eager(const vf_linear *layer, const double *VF_RESTRICT delta, double *VF_RESTRICT gradient) {
    for (int64_t i = 0; i < layer->n_in; i++)
        gradient[i] += vf_dot_wide(layer->record + i * layer->stride, delta, layer->n_out);
}

VF_INLINE void vf_backward(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                           const double *VF_RESTRICT delta, double *VF_RESTRICT gradient) {
    if (!lazy && kind != VF_FTRL) {
        vf_backward_eager(layer, delta, gradient);
        return;
    }
    for (int64_t from = 0; from < layer->n_in; from += VF_LANES) {
        const int64_t left = layer->n_in - from;
        vf_backward_span(kind, lazy, layer, clock, delta, gradient, from, left < VF_LANES ? left : VF_LANES);
    }
}

/* Nothing to catch up on; stride is a constant where this has to be quick. */
VF_INLINE int64_t vf_count_bad(const vf_linear *layer, int64_t from, int64_t to, const int64_t n_out, const int64_t stride) {
    int64_t bad = 0;
    for (int64_t feature = from; feature < to; feature++)
        for (int64_t c = 0; c < n_out; c++)
            bad += vf_is_bad(layer->record[feature * stride + c]);
    return bad;
}

VF_INLINE int64_t vf_settle_eager(const vf_linear *layer, int64_t from, int64_t to) {
    if (layer->n_out == 1 && layer->stride == 2)
        return vf_count_bad(layer, from, to, 1, 2);
    return vf_count_bad(layer, from, to, layer->n_out, layer->stride);
}

/* Row-wise rules without a penalty but L2: features without a gradient yet, most of
 * wide data's, are as they were made, and one number tells. */
VF_INLINE int64_t vf_settle_rows(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, int64_t from, int64_t to) {
    int64_t bad = 0;
    for (int64_t feature = from; feature < to; feature++) {
        float *VF_RESTRICT record = layer->record + feature * layer->stride;
        const vf_state s = vf_read_state(kind, layer, record, 0, record[layer->row_slot]);
        float left = 0.0f;
        if (s.row == 0.0f)
            continue;
        if (lazy) {
            const vf_rest rest = vf_read_rest(kind, lazy, layer, clock, record, feature);
            left = vf_missed_by(kind, 1, s, rest, &layer->optimizer).left;
            vf_touch(kind, layer, clock, record);
        }
        for (int64_t c = 0; c < layer->n_out; c++) {
            record[c] += lazy ? record[c] * left : 0.0f;
            bad += vf_is_bad(record[c]);
        }
    }
    return bad;
}

/* Applies what features [from, to) still miss; returns how many weights are not finite. */
VF_INLINE int64_t vf_settle(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                            int64_t from, int64_t to) {
    if (VF_USES_ROW(kind) && VF_ROW_RATE(kind) && lazy != VF_LAZY && layer->n_out > 1)
        return vf_settle_rows(kind, lazy, layer, clock, from, to);
    if (kind == VF_FTRL && layer->values)
        return layer->n_out > 1     ? vf_settle_wide_sums(lazy, layer, clock, from, to)
               : layer->stride == 2 ? vf_settle_sums(lazy, layer, clock, from, to, 2)
                                    : vf_settle_sums(lazy, layer, clock, from, to, layer->stride);
    if (!lazy)
        return vf_settle_eager(layer, from, to);
    if (lazy != VF_LAZY && vf_is_copied(kind, lazy, layer->n_out))
        return vf_settle_copied(kind, lazy, layer, clock, from, to);
    return vf_settle_lazy(kind, layer, clock, from, to);
}

VF_INLINE void vf_read_row_state(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                                 const int32_t *indices, int64_t n, vf_copies copies) {
    if (layer->n_out > 1)
        vf_read_wide(kind, lazy, layer, clock, indices, n, copies);
    else if (vf_is_copied(kind, lazy, 1))
        vf_copy_row(kind, lazy, layer, clock, indices, n, copies);
}

#define VF_DEFINE(name, kind, lazy)                                                                    \
    VF_SIMD static void vf_read_##name(const vf_linear *layer, const vf_clock *clock, vf_row row,      \
                                       vf_copies copies) {                                             \
        vf_read_row_state(kind, lazy, layer, clock, row.indices, row.length, copies);                  \
    }                                                                                                  \
    VF_SIMD static void vf_forward_##name(const vf_linear *layer, const vf_clock *clock, vf_row row,   \
                                          vf_copies copies, float *out) {                              \
        vf_read_row_state(kind, lazy, layer, clock, row.indices, row.length, copies);                  \
        if (layer->n_out == 1)                                                                         \
            out[0] += vf_forward_one(kind, lazy, layer, clock, row, copies);                           \
        else                                                                                           \
            vf_forward_wide(kind, lazy, layer, clock, row, copies, out);                               \
    }                                                                                                  \
    VF_SIMD static void vf_update_##name(const vf_linear *layer, const vf_clock *clock, vf_row row,    \
                                         vf_copies copies, const float *delta) {                       \
        if (layer->n_out == 1)                                                                         \
            vf_update_one(kind, lazy, layer, clock, row, copies, delta[0]);                            \
        else                                                                                           \
            vf_update_wide(kind, lazy, layer, clock, row, copies, delta);                              \
    }                                                                                                  \
    VF_SIMD static void vf_update_each_##name(const vf_linear *layer, const vf_clock *clock,           \
                                              const vf_gathered *g, vf_copies copies) {                \
        if (layer->n_out == 1)                                                                         \
            vf_update_one(kind, lazy, layer, clock, vf_gathered_values(g), copies, 1.0f);              \
        else                                                                                           \
            vf_update_each_wide(kind, lazy, layer, clock, g, copies);                                  \
    }                                                                                                  \
    VF_SIMD static void vf_backward_##name(const vf_linear *layer, const vf_clock *clock,              \
                                           const double *delta, double *gradient) {                    \
        vf_backward(kind, lazy, layer, clock, delta, gradient);                                        \
    }                                                                                                  \
    VF_SIMD static int64_t vf_settle_##name(const vf_linear *layer, const vf_clock *clock,             \
                                            int64_t from, int64_t to) {                                \
        return vf_settle(kind, lazy, layer, clock, from, to);                                          \
    }                                                                                                  \
    VF_SIMD static void vf_merge_##name(const vf_linear *layer, const vf_clock *clock,                 \
                                        const int32_t *features, int64_t n, int32_t in_place,          \
                                        float *own, float *before) {                                   \
        vf_merge_wide(kind, lazy, layer, clock, features, n, in_place, own, before);                   \
    }

#define VF_DEFINE_TRAIN(name, kind, lazy)                                                              \
    VF_SIMD static double vf_train_##name(const vf_single *net, vf_clock *clock, const int64_t *queue, \
                                          int64_t from, int64_t to, int64_t n_queued) {                \
        return vf_train_single(kind, lazy, net, clock, queue, from, to, n_queued);                     \
    }

/* The net of this layer alone, with copies of hot records. */
#define VF_DEFINE_SINGLE(name, kind, lazy)                                                              \
    VF_DEFINE_TRAIN(name, kind, lazy)                                                                   \
    VF_SIMD_AVX2 static void vf_merge_tier_##name(const vf_linear *layer, const vf_linear *const *intercepts,   \
                                             const vf_hot *hot, vf_apart *apart, int64_t tier) {           \
        vf_merge_tier(kind, lazy, layer, intercepts, hot, apart, tier);                                    \
    }                                                                                                      \
    VF_SIMD_AVX2 static void vf_merge_part_##name(const vf_linear *layer, const vf_hot *hot, vf_apart *apart,   \
                                             int64_t part) {                                               \
        vf_merge_part(kind, lazy, layer, hot, apart, part);                                                \
    }                                                                                                      \
    static void vf_load_hot_##name(const vf_linear *layer, const vf_linear *const *intercepts,             \
                                   const vf_clock *clock, const vf_hot *hot) {                             \
        vf_load_hot(kind, lazy, layer, intercepts, clock, hot);                                            \
    }                                                                                                      \
    static void vf_store_hot_##name(const vf_linear *layer, const vf_linear *const *intercepts,            \
                                    const vf_clock *clock, const vf_hot *hot) {                            \
        vf_store_hot(kind, lazy, layer, intercepts, clock, hot);                                           \
    }                                                                                                      \
    VF_SIMD_AVX2 static void vf_publish_##name(const vf_linear *layer, const vf_linear *const *intercepts,      \
                                               const vf_hot *hot, vf_apart *apart, int64_t n_tiers) {      \
        vf_publish(kind, lazy, layer, intercepts, hot, apart, n_tiers);                                    \
    }                                                                                                      \
    VF_SIMD_AVX2 static void vf_take_##name(const vf_linear *layer, const vf_linear *const *intercepts,         \
                                            const vf_hot *hot, vf_apart *apart, int64_t n_tiers) {         \
        vf_take(kind, lazy, layer, intercepts, hot, apart, n_tiers);                                       \
    }                                                                                                      \
    VF_SIMD_AVX2 static void vf_join_##name(const vf_linear *layer, const vf_linear *const *intercepts,         \
                                            const vf_hot *hot, vf_apart *const *apart, int64_t n_workers,  \
                                            vf_apart *before, int64_t tier) {                              \
        vf_join(kind, lazy, layer, intercepts, hot, apart, n_workers, before, tier);                       \
    }                                                                                                      \
    VF_SIMD_AVX2 static void vf_join_part_##name(const vf_linear *layer, const vf_hot *hot,                     \
                                                 vf_apart *const *apart, int64_t n_workers, float *kept,   \
                                                 int64_t part) {                                           \
        vf_join_part(kind, lazy, layer, hot, apart, n_workers, kept, part);                                \
    }                                                                                                      \
    VF_SIMD_AVX2 static void vf_add_aside_##name(const vf_linear *layer, const vf_clock *clock, const vf_hot *hot,  \
                                                 const vf_apart *apart, const vf_aside *aside, int64_t piece) {     \
        vf_add_aside(kind, lazy, layer, clock, hot, apart, aside, piece);                                  \
    }                                                                                                      \
    static const vf_single_kernels VF_SINGLE_##name = {                                                    \
        vf_train_##name,     vf_merge_tier_##name, vf_merge_part_##name, vf_load_hot_##name,               \
        vf_store_hot_##name, vf_publish_##name,    vf_take_##name,       vf_join_##name,                   \
        vf_join_part_##name, vf_add_aside_##name};

#define VF_ENTRY(name, single) \
    {vf_forward_##name, vf_read_##name,     vf_update_##name, vf_update_each_##name, \
     vf_backward_##name, vf_settle_##name, vf_merge_##name,   single}

/* All kernels of a rule, by what its weights have to catch up on; see linear_kernels.h. */
#define VF_DEFINE_RULE(name, kind, lazy_single)                   \
    VF_DEFINE(name##_eager, kind, VF_EAGER)                       \
    VF_DEFINE(name##_decaying, kind, VF_DECAYING)                 \
    VF_DEFINE(name##_lazy, kind, VF_LAZY)                         \
    VF_DEFINE_SINGLE(name##_eager, kind, VF_EAGER)                \
    VF_DEFINE_SINGLE(name##_decaying, kind, VF_DECAYING)          \
    const vf_linear_kernels vf_kernels_##name[VF_N_LAZY] = {      \
        VF_ENTRY(name##_eager, &VF_SINGLE_##name##_eager),        \
        VF_ENTRY(name##_decaying, &VF_SINGLE_##name##_decaying),  \
        VF_ENTRY(name##_lazy, lazy_single),                       \
    };

/* The same of a rule for several outputs alone. */
#define VF_DEFINE_WIDE_RULE(name, kind)                                                                  \
    VF_DEFINE(name##_eager, kind, VF_EAGER)                                                              \
    VF_DEFINE(name##_decaying, kind, VF_DECAYING)                                                        \
    VF_DEFINE(name##_lazy, kind, VF_LAZY)                                                                \
    const vf_linear_kernels vf_kernels_##name[VF_N_LAZY] = {                                             \
        VF_ENTRY(name##_eager, NULL), VF_ENTRY(name##_decaying, NULL), VF_ENTRY(name##_lazy, NULL),      \
    };

/* The same of weights that are not trained. */
#define VF_DEFINE_FIXED(name)                                                     \
    VF_DEFINE(name, VF_FIXED, VF_EAGER)                                           \
    const vf_linear_kernels vf_kernels_##name[VF_N_LAZY] = {                      \
        VF_ENTRY(name, NULL), VF_ENTRY(name, NULL), VF_ENTRY(name, NULL),         \
    };

#endif
