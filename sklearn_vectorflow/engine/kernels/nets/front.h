/* The front of nets with hidden layers, one row a step, by AdaGrad or Adam: the hidden layer that reads the row, and a
 * linear one of one output that may read it, too (wide and deep). What a feature has one number of is copied, worked on
 * in lanes of features, and written back; lanes are units else. */
#ifndef VF_FRONT_H
#define VF_FRONT_H

#include "kernels/nets/inner.h"
#include "kernels/nets/plain.h"
#include "kernels/nets/row_places.h"

/* The wide layer: its numbers lie in the same records as those of the hidden layer, and are added to the raw output. */
typedef struct {
    const vf_linear *layer; /* NULL: there is none */
    vf_copies copies;
    vf_intercepts intercepts;
} vf_wide;

typedef struct {
    vf_single data;   /* its weights and copies are those of the hidden layer */
    int32_t lazy;
    vf_spread spread; /* counted from the first of both records of a feature */
    vf_intercepts intercepts; /* of the hidden layer */
    vf_wide wide;
    int64_t n_layers;
    vf_inner *layers; /* the inner ones; the first one's inputs are the hidden units */
} vf_deep;

/* Runs a statement with constants R and W: the rules of the hidden layer and of the wide one. */
#define VF_AS_FRONT(net, statement)                                         \
    do {                                                                    \
        if (VF_IS_ADAM((net)->intercepts.rule)) {                           \
            enum { R = VF_ADAM_ROWWISE, W = VF_ADAM };                      \
            statement                                                       \
        } else {                                                            \
            enum { R = VF_ADAGRAD_ROWWISE, W = VF_ADAGRAD };                \
            statement                                                       \
        }                                                                   \
    } while (0)

/* ---- what a feature has one number of ------------------------------------------------- */

/* Copies what the records at copies.at share among their weights, and works out what these have missed. */
VF_INLINE void vf_read_shared(const int kind, const int lazy, const vf_linear *layer, const vf_clock *clock, int64_t n,
                              vf_copies copies) {
    const float *records = layer->record + layer->row_slot;
    const int64_t stride = layer->stride, to_clock = layer->clock_slot - layer->row_slot;
    const int is_adam = kind == VF_ADAM_ROWWISE, pairs = is_adam || lazy;
    for (int64_t k = 0; k < n && pairs; k += 4)
        vf_load_pairs_4(records, stride, copies.at + k, copies.row + k, (is_adam ? copies.s2 : copies.clock) + k);
    for (int64_t k = 0; k < n && !pairs; k++)
        copies.row[k] = records[copies.at[k] * stride];
    for (int64_t k = 0; k < n && is_adam && lazy; k++)
        copies.clock[k] = records[copies.at[k] * stride + to_clock];
    if (lazy)
        vf_read_misses(kind, lazy, layer, clock, NULL, n, copies);
}

/* As vf_write_numbers: later records first. */
VF_INLINE void vf_write_shared(const int kind, const int lazy, const vf_linear *layer, int64_t n, vf_copies copies) {
    float *records = layer->record + layer->row_slot;
    const int64_t stride = layer->stride, to_clock = layer->clock_slot - layer->row_slot;
    const int is_adam = kind == VF_ADAM_ROWWISE, pairs = is_adam || lazy;
    for (int64_t k = (n - 1) / 4 * 4; k >= 0 && n && pairs; k -= 4)
        vf_store_pairs_4(records, stride, copies.at + k, copies.row + k, (is_adam ? copies.s2 : copies.clock) + k);
    for (int64_t k = 0; k < n && !pairs; k++)
        records[copies.at[k] * stride] = copies.row[k];
    for (int64_t k = 0; k < n && is_adam && lazy; k++)
        records[copies.at[k] * stride + to_clock] = copies.clock[k];
}

/* Steps it. `mean`: that of the units' squared gradients, for a value of one. Sets the step sizes, of AdaGrad times
 * values. */
VF_INLINE void vf_step_shared(const int kind, const vf_linear *layer, int64_t n, vf_copies copies,
                              const float *VF_RESTRICT x, float mean) {
    const vf_optimizer o = layer->optimizer;
    float *VF_RESTRICT row = copies.row, *VF_RESTRICT s2 = copies.s2, *VF_RESTRICT rate = copies.rate;
    VF_EACH_LANE(k, n, {
        vf_state s = vf_copied_state(kind, s2, s2, row, k);
        const float size = vf_step_row(kind, &s, x[k] * x[k] * mean, 0.0f, &o);
        row[k] = s.row;
        if (kind == VF_ADAM_ROWWISE)
            s2[k] = s.s2;
        rate[k] = kind == VF_ADAM_ROWWISE ? size : size * x[k];
    });
}

/* Finds the records of n features, their state, and what they have missed. */
VF_SIMD static void vf_find_front(const vf_deep *net, const vf_clock *clock, const int32_t *features, int64_t n,
                                  const vf_copies *given) {
    const vf_linear layer = *net->data.weights;
    const vf_copies copies = *given; /* no store can alias them */
    vf_place_entries(&net->spread, features, n, copies.at);
    if (net->lazy)
        VF_AS_FRONT(net, vf_read_shared(R, VF_DECAYING, &layer, clock, n, copies););
    else
        VF_AS_FRONT(net, vf_read_shared(R, VF_EAGER, &layer, clock, n, copies););
}

/* ---- sums over records ------------------------------------------------------------------ */

enum { VF_MOST_SUMS = 4 }; /* groups of units that a pass over a row adds up */

/* Adds v[k] times a number of groups of the records. Two sums of each, so that a row does not wait for its own
 * additions; behind the last record, v is zero. */
VF_INLINE void vf_sum_groups(const int groups, const vf_deep *net, const float *records, int64_t stride, const int64_t *at,
                             const float *v, int64_t length, vf_coming *coming, float *VF_RESTRICT out) {
    vf_floats_8 sums[2][VF_MOST_SUMS] = {{{0}}};
    float totals[2][VF_GROUP];
    for (int64_t k = 0; k < length; k += 2) {
        vf_ask_entry(&net->data, &net->spread, coming);
        for (int64_t j = 0; j < 2; j++)
            for (int64_t g = 0; g < groups; g++)
                vf_add_scaled(&sums[j][g], v[k + j], records + at[k + j] * stride + g * VF_GROUP);
    }
    for (int64_t g = 0; g < groups; g++) {
        memcpy(totals[0], &sums[0][g], sizeof totals[0]);
        memcpy(totals[1], &sums[1][g], sizeof totals[1]);
        VF_ONE_GROUP for (int64_t i = 0; i < VF_GROUP; i++)
            out[g * VF_GROUP + i] += totals[0][i] + totals[1][i];
    }
}

/* Adds v[k] times the weights of the records at at[k] to n units; asks for coming ones meanwhile. */
VF_SIMD static void vf_sum_records(const vf_deep *net, const int64_t *at, const float *v, int64_t length, int64_t n,
                                   vf_coming *given, float *out) {
    const float *records = net->data.weights->record;
    const int64_t stride = net->data.weights->stride;
    vf_coming coming = *given;
    int64_t from = 0;
    for (; from + 4 * VF_GROUP <= n; from += 4 * VF_GROUP)
        vf_sum_groups(4, net, records + from, stride, at, v, length, &coming, out + from);
    if (from + 2 * VF_GROUP <= n) {
        vf_sum_groups(2, net, records + from, stride, at, v, length, &coming, out + from);
        from += 2 * VF_GROUP;
    }
    if (from + VF_GROUP <= n) {
        vf_sum_groups(1, net, records + from, stride, at, v, length, &coming, out + from);
        from += VF_GROUP;
    }
    for (int64_t k = 0; k < length && from < n; k++)
        for (int64_t c = from; c < n; c++)
            out[c] += v[k] * records[at[k] * stride + c];
    *given = coming;
}

/* Sets a row's units before their activation, and returns the wide layer's output. */
VF_SIMD static float vf_forward_front(const vf_deep *net, const vf_clock *clock, const vf_row *x, int64_t readable) {
    const vf_copies copies = net->data.copies;
    const vf_linear *wide = net->wide.layer;
    const int64_t n = x->length;
    float *VF_RESTRICT v = copies.w;
    const float *VF_RESTRICT values = copies.x, *VF_RESTRICT left = copies.left;
    float out = 0.0f;
    vf_take_values(*x, readable, copies);
    if (net->lazy)
        VF_EACH_LANE(k, n, { v[k] = values[k] + values[k] * left[k]; });
    else
        VF_EACH_LANE(k, n, { v[k] = values[k]; });
    if (wide && net->lazy)
        VF_AS_FRONT(net, {
            vf_copy_records(W, VF_DECAYING, wide, clock, NULL, n, net->wide.copies);
            out = vf_forward_copied(W, VF_DECAYING, wide, n, net->wide.copies);
        });
    else if (wide)
        VF_AS_FRONT(net, {
            vf_copy_records(W, VF_EAGER, wide, clock, NULL, n, net->wide.copies);
            out = vf_forward_copied(W, VF_EAGER, wide, n, net->wide.copies);
        });
    return wide ? out + net->wide.intercepts.numbers[0] : 0.0f;
}

/* ---- steps ------------------------------------------------------------------------------- */

/* `m`: Adam's first moments. */
VF_INLINE void vf_step_span(const int kind, const int64_t n, float decay, float *VF_RESTRICT w, float *VF_RESTRICT m,
                            const float *VF_RESTRICT delta, float left, float rate, float v) {
    VF_ONE_GROUP for (int64_t c = 0; c < n; c++) {
        float g = delta[c];
        if (kind == VF_ADAM_ROWWISE)
            g = m[c] = vf_adam_moment(m[c], v * g, decay);
        w[c] += w[c] * left - rate * g;
    }
}

VF_INLINE void vf_step_records(const int kind, const vf_deep *net, const vf_linear *layer, int64_t length,
                               const float *delta, vf_coming *given) {
    const vf_copies copies = net->data.copies;
    const int lazy = net->lazy;
    const int64_t n = layer->n_out, to_first = kind == VF_ADAM_ROWWISE ? layer->slot1 : 0;
    const float decay = layer->optimizer.decay1;
    vf_coming coming = *given;
    for (int64_t k = 0; k < length; k++) {
        float *w = layer->record + copies.at[k] * layer->stride, *m = w + to_first;
        const float left = lazy ? copies.left[k] : 0.0f, rate = copies.rate[k], v = copies.x[k];
        int64_t from = 0;
        vf_ask_entry(&net->data, &net->spread, &coming);
        for (; from + VF_LANES <= n; from += VF_LANES)
            vf_step_span(kind, VF_LANES, decay, w + from, m + from, delta + from, left, rate, v);
        if (from + VF_GROUP <= n) {
            vf_step_span(kind, VF_GROUP, decay, w + from, m + from, delta + from, left, rate, v);
            from += VF_GROUP;
        }
        for (; from < n; from++)
            vf_step_span(kind, 1, decay, w + from, m + from, delta + from, left, rate, v);
    }
    *given = coming;
}

VF_INLINE void vf_step_front_as(const int kind, const vf_deep *net, int64_t n, const float *delta, float mean,
                                vf_coming *coming) {
    const vf_linear layer = *net->data.weights;
    const vf_copies copies = net->data.copies;
    vf_step_shared(kind, &layer, n, copies, copies.x, mean);
    vf_step_records(kind, net, &layer, n, delta, coming);
    if (net->lazy)
        vf_write_shared(kind, VF_DECAYING, &layer, n, copies);
    else
        vf_write_shared(kind, VF_EAGER, &layer, n, copies);
}

/* Steps the records of a row's n features by the gradients of the units, and by that of the raw output. */
VF_SIMD static void vf_step_front(const vf_deep *net, const vf_clock *clock, int64_t n, const float *gradient,
                                  vf_coming *coming) {
    const float *delta = net->layers->delta;
    const vf_linear *wide = net->wide.layer;
    const float mean = vf_dot(delta, delta, net->layers->stride) / (float)net->layers->n_in;
    vf_step_intercepts(&net->intercepts, delta, mean);
    VF_AS_FRONT(net, vf_step_front_as(R, net, n, delta, mean, coming););
    if (wide == NULL)
        return;
    if (net->lazy)
        VF_AS_FRONT(net, {
            vf_step_copies(W, VF_DECAYING, wide, clock, NULL, n, net->wide.copies, gradient[0]);
            vf_put_copies(W, VF_DECAYING, wide, n, net->wide.copies);
        });
    else
        VF_AS_FRONT(net, {
            vf_step_copies(W, VF_EAGER, wide, clock, NULL, n, net->wide.copies, gradient[0]);
            vf_put_copies(W, VF_EAGER, wide, n, net->wide.copies);
        });
    vf_step_intercepts(&net->wide.intercepts, gradient, 0.0f);
}

#endif
