/* Training of the plainest net, one linear layer of one output, one row a step: all
 * that a row needs in one function. Rows of a few dozen non-zeros would cost as much
 * in the general walk's calls as in work. */
#ifndef VF_SINGLE_H
#define VF_SINGLE_H

#include "copied.h"
#include "walk.h"

VF_INLINE void vf_step_intercept(const int kind, const vf_linear *bias, const vf_clock *clock, float delta) {
    float *record = bias->record;
    const vf_optimizer *o = &bias->optimizer;
    const float before = vf_read_row(kind, bias, record), after = vf_step_row(kind, before, delta * delta, o);
    const float rate = kind == VF_SGD ? (float)clock->rate : o->learning_rate * after;
    vf_state s = vf_read_state(kind, bias, record, 0, after);
    record[0] += vf_step(kind, &s, record[0], 0.0f, delta, rate, o);
    if (VF_USES_S1(kind))
        record[bias->slot1] = s.s1;
    if (VF_USES_S2(kind))
        record[bias->slot2] = s.s2;
    if (VF_USES_ROW(kind))
        record[bias->row_slot] = after;
    if (kind == VF_FTRL)
        record[0] = vf_ftrl_weight(s.s1, s.s2, 0.0f, 0.0f, 0.0f, 0.0f, o);
}

VF_INLINE void vf_ask_ahead(const vf_single *net, const int64_t *queue, int64_t at, int64_t n_queued) {
    if (at + VF_AHEAD_DATA < n_queued) {
        vf_prefetch_data(net->rows, queue[at + VF_AHEAD_DATA]);
        VF_PREFETCH_READ(net->targets + queue[at + VF_AHEAD_DATA] * net->n_targets);
    }
    if (net->ahead && at + net->ahead < n_queued)
        vf_prefetch_row(net->rows, queue[at + net->ahead], net->weights->record, net->weights->stride, 1);
}

/* Trains on rows queue[from:to] and moves the clock on; returns the sum of their
 * weighted losses, not finite as soon as one is not. */
VF_INLINE double vf_train_single(const int kind, const int lazy, const vf_single *given, vf_clock *given_clock,
                                 const int64_t *queue, int64_t from, int64_t to, int64_t n_queued) {
    const vf_single net = *given; /* no store can alias it */
    const vf_linear weights = *net.weights;
    vf_clock now = *given_clock, *clock = &now; /* not in memory beside another thread's */
    double total = 0.0;
    for (int64_t at = from; at < to; at++) {
        const int64_t row = queue[at];
        float gradient;
        vf_ask_ahead(&net, queue, at, n_queued);
        const vf_row x = vf_load(net.rows, row, net.indices, net.values, net.dropout);
        vf_copy_row(kind, lazy, &weights, clock, x.indices, x.length, net.copies);
        for (int64_t k = 0; k < net.n_targets; k++)
            net.y[k] = net.targets[row * net.n_targets + k];
        *net.raw = (net.bias ? net.bias->record[0] : 0.0f) + vf_forward_copied(kind, lazy, x, net.copies);
        *net.weight = net.sample_weight ? net.sample_weight[row] : 1.0;
        total += net.loss->evaluate(1, net.y, net.raw, net.weight, net.gradient, net.loss);
        if (!isfinite(total))
            break;
        gradient = (float)*net.gradient;
        if (kind == VF_SGD)
            clock->rate = vf_rate_at(net.schedule, clock->step);
        if (net.shared) {
            vf_keep_copies(kind, net.copies, net.before, x.length);
            vf_step_copies(kind, lazy, &weights, clock, x, net.copies, gradient);
            vf_add_copies(kind, lazy, &weights, clock, x.indices, x.length, net.before, net.copies);
        } else
            vf_update_copied(kind, lazy, &weights, clock, x, net.copies, gradient);
        if (net.bias)
            vf_step_intercept(kind, net.bias, clock, gradient);
        clock->elapsed += clock->rate;
        clock->step++;
    }
    *given_clock = now;
    return total;
}

#endif
