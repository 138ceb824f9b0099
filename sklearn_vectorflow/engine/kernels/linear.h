/* The linear layer, out = bias + x W for one sparse row: its kernels, one of each
 * for every rule, without and with lazily caught-up state. */
#ifndef VF_LINEAR_H
#define VF_LINEAR_H

#include "linear_one.h"
#include "linear_wide.h"

/* Adds W delta to the gradient of the layer's inputs. */
VF_INLINE void vf_backward(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                           const double *VF_RESTRICT delta, double *VF_RESTRICT gradient) {
    for (int64_t i = 0; i < layer->n_in; i++) {
        const float *record = layer->record + i * layer->stride;
        const float row = vf_read_row(kind, layer, record);
        double sum = 0.0;
        if (lazy) {
            const vf_rest rest = vf_read_rest(kind, lazy, layer, clock, record, i);
            for (int64_t c = 0; c < layer->n_out; c++) {
                const vf_state s = vf_read_state(kind, layer, record, c, row);
                const vf_value now = vf_now(kind, lazy, 1, record[c], vf_center(lazy, layer, i, c), s, rest, clock, &layer->optimizer);
                sum += (double)(now.base + now.change) * delta[c];
            }
        } else {
            for (int64_t c = 0; c < layer->n_out; c++)
                sum += (double)record[c] * delta[c];
        }
        gradient[i] += sum;
    }
}

/* Applies what features [from, to) still miss; returns how many weights are not finite. */
VF_INLINE int64_t vf_settle(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock,
                            int64_t from, int64_t to) {
    const float lower = layer->penalty.lower;
    int64_t bad = 0;
    for (int64_t feature = from; feature < to; feature++) {
        float *record = layer->record + feature * layer->stride;
        if (lazy) {
            const float row = vf_read_row(kind, layer, record);
            const vf_rest rest = vf_read_rest(kind, lazy, layer, clock, record, feature);
            if (lazy == VF_LAZY && layer->average_slot >= 0)
                vf_average_record(kind, layer, clock, record, feature, row, rest);
            for (int64_t c = 0; c < layer->n_out; c++) {
                const vf_state s = vf_read_state(kind, layer, record, c, row);
                const vf_value now = vf_now(kind, lazy, 1, record[c], vf_center(lazy, layer, feature, c), s, rest, clock, &layer->optimizer);
                const float w = now.base + now.change;
                record[c] = lazy == VF_LAZY && w < lower ? lower : w;
            }
            vf_touch(kind, layer, clock, record);
        }
        for (int64_t c = 0; c < layer->n_out; c++)
            bad += !(fabsf(record[c]) <= 3.0e38f);
    }
    return bad;
}

/* `forward` leaves the row's misses behind for `update`; `miss` computes them for
 * other sets of features. */
typedef struct {
    void (*forward)(const vf_linear *, const vf_clock *, vf_row, vf_misses, float *);
    void (*miss)(const vf_linear *, const vf_clock *, vf_row, vf_misses);
    void (*update)(const vf_linear *, const vf_clock *, vf_row, vf_misses, const float *);
    void (*backward)(const vf_linear *, const vf_clock *, const double *, double *);
    int64_t (*settle)(const vf_linear *, const vf_clock *, int64_t, int64_t);
} vf_linear_kernels;

#define VF_DEFINE(name, kind, lazy)                                                                    \
    static void vf_miss_##name(const vf_linear *layer, const vf_clock *clock, vf_row row,              \
                               vf_misses misses) {                                                     \
        vf_miss_row(kind, lazy, layer, clock, row.indices, row.length, misses);                        \
    }                                                                                                  \
    VF_SIMD static void vf_forward_##name(const vf_linear *layer, const vf_clock *clock, vf_row row,   \
                                          vf_misses misses, float *out) {                              \
        vf_miss_row(kind, lazy, layer, clock, row.indices, row.length, misses);                        \
        if (layer->n_out == 1)                                                                         \
            out[0] += vf_forward_one(kind, lazy, layer, clock, row, misses);                           \
        else                                                                                           \
            vf_forward_wide(kind, lazy, layer, clock, row, misses, out);                               \
    }                                                                                                  \
    VF_SIMD static void vf_update_##name(const vf_linear *layer, const vf_clock *clock, vf_row row,    \
                                         vf_misses misses, const float *delta) {                       \
        if (layer->n_out == 1)                                                                         \
            vf_update_one(kind, lazy, layer, clock, row, misses, delta[0]);                            \
        else                                                                                           \
            vf_update_wide(kind, lazy, layer, clock, row, misses, delta);                              \
    }                                                                                                  \
    VF_SIMD static void vf_backward_##name(const vf_linear *layer, const vf_clock *clock,              \
                                           const double *delta, double *gradient) {                    \
        vf_backward(kind, lazy, layer, clock, delta, gradient);                                        \
    }                                                                                                  \
    static int64_t vf_settle_##name(const vf_linear *layer, const vf_clock *clock, int64_t from,       \
                                    int64_t to) {                                                      \
        return vf_settle(kind, lazy, layer, clock, from, to);                                          \
    }

#define VF_DEFINE_RULE(name, kind)                \
    VF_DEFINE(name##_eager, kind, VF_EAGER)       \
    VF_DEFINE(name##_decaying, kind, VF_DECAYING) \
    VF_DEFINE(name##_lazy, kind, VF_LAZY)

VF_DEFINE(fixed, VF_FIXED, VF_EAGER)
VF_DEFINE_RULE(sgd, VF_SGD)
VF_DEFINE_RULE(adagrad, VF_ADAGRAD)
VF_DEFINE_RULE(rowwise, VF_ADAGRAD_ROWWISE)
VF_DEFINE_RULE(adam, VF_ADAM)
VF_DEFINE_RULE(ftrl, VF_FTRL)

#define VF_ENTRY(name) \
    {vf_forward_##name, vf_miss_##name, vf_update_##name, vf_backward_##name, vf_settle_##name}
#define VF_ENTRIES(name) {VF_ENTRY(name##_eager), VF_ENTRY(name##_decaying), VF_ENTRY(name##_lazy)}

/* in the order of the rules' enum */
static const vf_linear_kernels VF_KERNELS[6][3] = {
    {VF_ENTRY(fixed), VF_ENTRY(fixed), VF_ENTRY(fixed)},
    VF_ENTRIES(sgd),
    VF_ENTRIES(adagrad),
    VF_ENTRIES(rowwise),
    VF_ENTRIES(adam),
    VF_ENTRIES(ftrl),
};

#endif
