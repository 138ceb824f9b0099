/* Training of nets with hidden layers, one row a step, by AdaGrad or Adam: the layers that read the row in front
 * (front.h), and dense layers behind them in arrays of their own (inner.h). Each part of a row's work is compiled once
 * for every width of vectors, and picks what its rule needs; the loop over rows has no lanes. */
#ifndef VF_DEEP_H
#define VF_DEEP_H

#include "kernels/nets/front.h"

/* Fills the arrays of a net from records; or the reverse. */
static void vf_move_deep(int back, const vf_deep *net) {
    for (int64_t i = 0; i < net->n_layers; i++)
        vf_move_inner(back, net->lazy, &net->layers[i]);
    vf_move_intercepts(back, &net->intercepts);
    vf_move_intercepts(back, &net->wide.intercepts);
}

static double vf_step_deep(const vf_deep *net, const vf_clock *clock, const int64_t *queue, int64_t at, int64_t n_queued) {
    const vf_single *data = &net->data;
    const vf_inner *inner = net->layers, *last = inner + net->n_layers - 1;
    const int64_t row = queue[at];
    vf_coming coming = vf_look_for_entries(data, queue, at, n_queued);
    const vf_row x = vf_load(data->rows, row, data->indices, data->values, data->dropout);
    vf_find_front(net, clock, x.indices, x.length, &data->copies);
    const float wide = vf_forward_front(net, clock, &x, vf_readable(data->rows, row, x));
    memcpy(inner->units, net->intercepts.numbers, (size_t)inner->n_in * sizeof(float));
    vf_sum_records(net, data->copies.at, data->copies.w, x.length, inner->n_in, &coming, inner->units);
    for (int64_t i = 0; i < net->n_layers; i++)
        vf_forward_layer(net->lazy, clock, inner + i);
    for (int64_t c = 0; c < last->n_out; c++)
        data->raw[c] = last->out[c] + wide;
    const double loss = vf_evaluate_row(data, row);
    if (!isfinite(loss))
        return loss;
    for (int64_t c = 0; c < last->n_out; c++)
        last->gradient[c] = (float)data->gradient[c];
    for (int64_t i = net->n_layers - 1; i >= 0; i--)
        vf_step_layer(net->lazy, clock, inner + i);
    vf_step_front(net, clock, x.length, last->gradient, &coming);
    vf_ask_entries(data, &net->spread, &coming);
    return loss;
}

/* Trains on rows queue[from:to] and moves the clock on; returns the sum of their weighted losses, not finite as soon
 * as one is not. */
static double vf_train_deep(const vf_deep *net, vf_clock *given_clock, const int64_t *queue, int64_t from, int64_t to,
                            int64_t n_queued) {
    vf_clock now = *given_clock;
    double total = 0.0;
    for (int64_t at = from; at < to; at++) {
        total += vf_step_deep(net, &now, queue, at, n_queued);
        if (!isfinite(total))
            break;
        now.step++;
    }
    *given_clock = now;
    return total;
}

#endif
