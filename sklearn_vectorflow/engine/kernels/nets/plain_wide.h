/* Training of one linear layer of several outputs, one row a step, by FTRL: all that a row needs in one function.
 * The lanes of a vector unit are outputs, eight a group. What is left of them is four, or eight, which end with the
 * record and may be among those of the group before: these are read before that one is written. */
#ifndef VF_PLAIN_WIDE_H
#define VF_PLAIN_WIDE_H

#include "kernels/layers/linear_wide.h"
#include "kernels/nets/row_places.h"

enum { VF_HALF_GROUP = 4 };

typedef struct {
    vf_single data;
    const vf_linear *bias; /* NULL: there is none */
    vf_spread spread;
    float *worth;             /* (longest row, n_out) what the row's weights are worth */
    float *sums, *delta, *of_bias; /* (n_out) of scratch; of_bias: what intercepts are worth */
    int32_t lazy;
} vf_plain_wide;

/* What acts on all weights alike. */
typedef struct {
    vf_optimizer o;
    float l1, l2, steps;
} vf_ftrl_acting;

VF_INLINE vf_ftrl_acting vf_ftrl_acting_on(const int lazy, const vf_linear *layer, const vf_clock *clock) {
    const vf_ftrl_acting out = {layer->optimizer, layer->penalty.l1, layer->penalty.l2, lazy ? (float)clock->step : 0.0f};
    return out;
}

/* Neighbouring outputs that are worked on together: some groups, and the last ones. */
typedef struct {
    int64_t from, groups, ending; /* ending: 0, VF_HALF_GROUP or VF_GROUP outputs, which end with the record */
} vf_block;

/* The block from an output on; at least VF_GROUP outputs are left. */
VF_INLINE vf_block vf_block_from(int64_t from, int64_t n) {
    const int64_t left = n - from, groups = left < 2 * VF_GROUP ? 1 : 2, rest = left - groups * VF_GROUP;
    const vf_block out = {from, groups, rest > VF_GROUP ? 0 : rest > VF_HALF_GROUP ? VF_GROUP : rest ? VF_HALF_GROUP : 0};
    return out;
}

VF_INLINE int64_t vf_block_end(vf_block block, int64_t n) {
    return block.ending ? n : block.from + block.groups * VF_GROUP;
}

/* Runs the statement with constants G and E for a block's groups and ending. */
#define VF_AS_BLOCK(block, statement)                                                             \
    do {                                                                                          \
        enum { HALF = VF_HALF_GROUP, WHOLE = VF_GROUP };                                          \
        if (block.groups == 1) {                                                                  \
            if (block.ending == 0) { enum { G = 1, E = 0 }; statement }                           \
            else if (block.ending == HALF) { enum { G = 1, E = HALF }; statement }                \
            else { enum { G = 1, E = WHOLE }; statement }                                         \
        } else {                                                                                  \
            if (block.ending == 0) { enum { G = 2, E = 0 }; statement }                           \
            else if (block.ending == HALF) { enum { G = 2, E = HALF }; statement }                \
            else { enum { G = 2, E = WHOLE }; statement }                                         \
        }                                                                                         \
    } while (0)

/* ---- forward ----------------------------------------------------------------------- */

VF_INLINE void vf_ftrl_worth(const vf_ftrl_acting *acts, const float *VF_RESTRICT s1, const float *VF_RESTRICT s2,
                             float *VF_RESTRICT worth, const int64_t n) {
    VF_ONE_GROUP for (int64_t c = 0; c < n; c++)
        worth[c] = vf_ftrl_weight(s1[c], s2[c], 0.0f, acts->l1, acts->l2, acts->steps, &acts->o);
}

/* Sets `worth` of a block's outputs, and adds their products. The ending's sums stand for those it has alone. */
VF_INLINE void vf_forward_block(const int64_t groups, const int64_t ending, const vf_plain_wide *net, const vf_linear *layer,
                                const vf_ftrl_acting *acts, vf_row x, int64_t from, vf_coming *coming) {
    const int64_t *at = net->data.copies.at;
    float *worth = net->worth, *sums = net->sums;
    const int64_t n = layer->n_out, last = ending ? n - ending : from, second = groups > 1 ? VF_GROUP : 0;
    vf_floats_8 a = {0}, b = {0}, whole = {0};
    vf_floats_4 half = vf_fill_4(0.0f);
    float out[VF_GROUP];
    for (int64_t k = 0; k < x.length; k++) {
        const float *s1 = layer->record + at[k] * layer->stride + layer->slot1;
        const float *s2 = layer->record + at[k] * layer->stride + layer->slot2;
        float *w = worth + k * n;
        const float v = x.values[k];
        vf_ask_entry(&net->data, &net->spread, coming);
        vf_ftrl_worth(acts, s1 + from, s2 + from, w + from, VF_GROUP);
        vf_add_scaled(&a, v, w + from);
        if (groups > 1) {
            vf_ftrl_worth(acts, s1 + from + second, s2 + from + second, w + from + second, VF_GROUP);
            vf_add_scaled(&b, v, w + from + second);
        }
        if (ending == VF_GROUP) {
            vf_ftrl_worth(acts, s1 + last, s2 + last, w + last, VF_GROUP);
            vf_add_scaled(&whole, v, w + last);
        } else if (ending) {
            vf_ftrl_worth(acts, s1 + last, s2 + last, w + last, VF_HALF_GROUP);
            half = vf_multiply_add_4(vf_fill_4(v), vf_load_4(w + last, 4), half);
        }
    }
    memcpy(sums + from, &a, sizeof a);
    if (groups > 1)
        memcpy(sums + from + second, &b, sizeof b);
    memcpy(out, &whole, sizeof out);
    if (ending == VF_HALF_GROUP)
        memcpy(out, &half, sizeof half);
    for (int64_t c = 0; c < ending; c++)
        sums[last + c] = out[c];
}

/* ---- update ------------------------------------------------------------------------- */

/* One step on n neighbouring outputs, from one place to another. */
VF_INLINE void vf_step_worth(const vf_ftrl_acting *acts, const float *s1, const float *s2, const float *worth, const float *delta,
                             float v, float *new_s1, float *new_s2, const int64_t n) {
    VF_ONE_GROUP for (int64_t c = 0; c < n; c++) {
        vf_state s = {s1[c], s2[c], 0.0f};
        vf_step(VF_FTRL, &s, worth[c], 0.0f, v * delta[c], 0.0f, &acts->o);
        new_s1[c] = s.s1;
        new_s2[c] = s.s2;
    }
}

VF_INLINE void vf_update_block(const int64_t groups, const int64_t ending, const vf_linear *layer, const vf_ftrl_acting *acts,
                               vf_row x, const int64_t *at, int64_t from, const float *worth, const float *delta) {
    const int64_t n = layer->n_out, last = ending ? n - ending : from, second = from + (groups > 1 ? VF_GROUP : 0);
    for (int64_t k = 0; k < x.length; k++) {
        float *s1 = layer->record + at[k] * layer->stride + layer->slot1;
        float *s2 = layer->record + at[k] * layer->stride + layer->slot2;
        const float *w = worth + k * n;
        const float v = x.values[k];
        float last_s1[VF_GROUP], last_s2[VF_GROUP];
        if (ending == VF_GROUP)
            vf_step_worth(acts, s1 + last, s2 + last, w + last, delta + last, v, last_s1, last_s2, VF_GROUP);
        else if (ending)
            vf_step_worth(acts, s1 + last, s2 + last, w + last, delta + last, v, last_s1, last_s2, VF_HALF_GROUP);
        vf_step_worth(acts, s1 + from, s2 + from, w + from, delta + from, v, s1 + from, s2 + from, VF_GROUP);
        if (groups > 1)
            vf_step_worth(acts, s1 + second, s2 + second, w + second, delta + second, v, s1 + second, s2 + second, VF_GROUP);
        memcpy(s1 + last, last_s1, sizeof(float) * (size_t)ending);
        memcpy(s2 + last, last_s2, sizeof(float) * (size_t)ending);
    }
}

/* ---- intercepts ------------------------------------------------------------------------ */

VF_INLINE void vf_read_intercepts(const vf_linear *bias, float *VF_RESTRICT worth) {
    const vf_optimizer o = bias->optimizer;
    const float *VF_RESTRICT s1 = bias->record + bias->slot1, *VF_RESTRICT s2 = bias->record + bias->slot2;
    for (int64_t c = 0; c < bias->n_out; c++)
        worth[c] = vf_ftrl_weight(s1[c], s2[c], 0.0f, 0.0f, 0.0f, 0.0f, &o);
}

VF_INLINE void vf_step_intercepts_by(const vf_linear *bias, const float *VF_RESTRICT worth, const float *VF_RESTRICT delta) {
    const vf_optimizer o = bias->optimizer;
    float *VF_RESTRICT s1 = bias->record + bias->slot1, *VF_RESTRICT s2 = bias->record + bias->slot2;
    for (int64_t c = 0; c < bias->n_out; c++) {
        vf_state s = {s1[c], s2[c], 0.0f};
        vf_step(VF_FTRL, &s, worth[c], 0.0f, delta[c], 0.0f, &o);
        s1[c] = s.s1;
        s2[c] = s.s2;
    }
}

/* ---- rows ---------------------------------------------------------------------------------- */

VF_INLINE double vf_step_many(const vf_plain_wide *net, const vf_linear *layer, const vf_ftrl_acting *acts,
                              const int64_t *queue, int64_t place, int64_t n_queued) {
    const vf_single *data = &net->data;
    const int64_t row = queue[place], n = layer->n_out;
    int64_t *at = data->copies.at;
    vf_coming coming = vf_look_for_entries(data, queue, place, n_queued);
    const vf_row x = vf_load(data->rows, row, data->indices, data->values, data->dropout);
    vf_place_entries(&net->spread, x.indices, x.length, at);
    for (int64_t from = 0; from < n;) {
        const vf_block block = vf_block_from(from, n);
        VF_AS_BLOCK(block, vf_forward_block(G, E, net, layer, acts, x, from, &coming););
        from = vf_block_end(block, n);
    }
    if (net->bias)
        vf_read_intercepts(net->bias, net->of_bias);
    for (int64_t c = 0; c < n; c++)
        data->raw[c] = net->of_bias[c] + net->sums[c];
    vf_ask_entries(data, &net->spread, &coming);
    const double loss = vf_evaluate_row(data, row);
    if (!isfinite(loss))
        return loss;
    for (int64_t c = 0; c < n; c++)
        net->delta[c] = (float)data->gradient[c];
    for (int64_t from = 0; from < n;) {
        const vf_block block = vf_block_from(from, n);
        VF_AS_BLOCK(block, vf_update_block(G, E, layer, acts, x, at, from, net->worth, net->delta););
        from = vf_block_end(block, n);
    }
    if (net->bias)
        vf_step_intercepts_by(net->bias, net->of_bias, net->delta);
    return loss;
}

/* Trains on rows queue[from:to] and moves the clock on; returns the sum of their weighted losses, not finite as soon
 * as one is not. */
VF_SIMD static double vf_train_wide(const vf_plain_wide *given, vf_clock *given_clock, const int64_t *queue, int64_t from,
                                    int64_t to, int64_t n_queued) {
    const vf_plain_wide net = *given; /* no store can alias it */
    const vf_linear layer = *net.data.weights;
    vf_clock now = *given_clock;
    double total = 0.0;
    for (int64_t at = from; at < to; at++) {
        const vf_ftrl_acting acts = vf_ftrl_acting_on(net.lazy, &layer, &now);
        total += vf_step_many(&net, &layer, &acts, queue, at, n_queued);
        if (!isfinite(total))
            break;
        now.step++;
    }
    *given_clock = now;
    return total;
}

#endif
