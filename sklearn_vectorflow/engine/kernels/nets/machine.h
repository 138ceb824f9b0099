/* Training of a factorization machine, one row a step, by AdaGrad: a linear layer of one output and the pairs of its
 * inputs, whose records of a feature lie in the same lines. A row's records are found once. What a feature has one
 * number of is copied, worked on in lanes of features, and written back; lanes are numbers of an embedding else. */
#ifndef VF_MACHINE_H
#define VF_MACHINE_H

#include "kernels/nets/plain.h"
#include "kernels/nets/row_places.h"

typedef struct {
    vf_single data; /* its weights and copies are those of the linear layer */
    const vf_linear *pairs, *bias; /* bias: NULL if there is none */
    vf_copies of_pairs;
    vf_spread spread; /* counted from the first of both records of a feature */
    float *sums;      /* (rank) of scratch */
    int32_t lazy;
} vf_machine;

/* ---- what a feature has one number of ------------------------------------------------- */

/* Copies the state of embeddings; copies.w becomes their values' factor, which is that of what the records hold. */
VF_INLINE void vf_read_embeddings(const int lazy, const vf_linear *pairs, const vf_clock *clock, int64_t n,
                                  vf_copies copies, const float *VF_RESTRICT x) {
    const float *records = pairs->record + pairs->row_slot;
    float *VF_RESTRICT y = copies.w;
    const float *VF_RESTRICT left = copies.left;
    if (!lazy) {
        for (int64_t k = 0; k < n; k++)
            copies.row[k] = records[copies.at[k] * pairs->stride];
        VF_EACH_LANE(k, n, { y[k] = x[k]; });
        return;
    }
    for (int64_t k = 0; k < n; k += 4)
        vf_load_pairs_4(records, pairs->stride, copies.at + k, copies.row + k, copies.clock + k);
    vf_read_misses(VF_ADAGRAD_ROWWISE, lazy, pairs, clock, NULL, n, copies);
    VF_EACH_LANE(k, n, { y[k] = x[k] + x[k] * left[k]; });
}

/* As vf_write_numbers: later records first. */
VF_INLINE void vf_write_embeddings(const int lazy, const vf_linear *pairs, int64_t n, vf_copies copies) {
    float *records = pairs->record + pairs->row_slot;
    for (int64_t k = 0; k < n && !lazy; k++)
        records[copies.at[k] * pairs->stride] = copies.row[k];
    for (int64_t k = (n - 1) / 4 * 4; k >= 0 && n && lazy; k -= 4)
        vf_store_pairs_4(records, pairs->stride, copies.at + k, copies.row + k, copies.clock + k);
}

/* Steps the state of embeddings; `square`: the sum of squares of each one's gradient over g. Sets what a gradient over
 * g is multiplied with. */
VF_INLINE void vf_step_embeddings(const vf_linear *pairs, int64_t n, vf_copies copies, const float *VF_RESTRICT x,
                                  float delta, const float *VF_RESTRICT square) {
    const vf_optimizer o = pairs->optimizer;
    const float share = 1.0f / (float)pairs->n_out;
    float *VF_RESTRICT row = copies.row, *VF_RESTRICT rate = copies.rate;
    VF_EACH_LANE(k, n, {
        const float g = x[k] * delta;
        row[k] = vf_adagrad_scale(row[k], g * g * (square[k] * share), o.epsilon);
        rate[k] = -(o.learning_rate * row[k]) * g;
    });
}

/* ---- embeddings ------------------------------------------------------------------------- */

VF_INLINE vf_floats_4 vf_four(const float *from) {
    vf_floats_4 out;
    memcpy(&out, from, sizeof out);
    return out;
}

enum { VF_MACHINE_SUMS = 4 }; /* vectors of sums that a pass over a row adds up */

/* Sets the sums of n <= 4 VF_MACHINE_SUMS numbers from `from` on; returns what they add to twice the output. Two sums of
 * each, so that a row does not wait for its own additions. */
VF_INLINE float vf_sum_embeddings(const int64_t n, const vf_linear *pairs, int64_t length, const int64_t *at,
                                  const float *y, int64_t from, float *VF_RESTRICT sums) {
    const vf_floats_4 one = vf_fill_4(1.0f), none = vf_fill_4(0.0f);
    vf_floats_4 s[2][VF_MACHINE_SUMS], q[2] = {none, none};
    float square[4], total = 0.0f;
    for (int64_t i = 0; i < n / 4; i++)
        s[0][i] = s[1][i] = none;
    for (int64_t k = 0; k < length; k += 2) /* behind the last one, y is zero */
        for (int64_t j = 0; j < 2; j++) {
            const float *record = pairs->record + at[k + j] * pairs->stride + from;
            const vf_floats_4 factor = vf_fill_4(y[k + j]);
            for (int64_t i = 0; i < n / 4; i++) {
                const vf_floats_4 term = vf_multiply_add_4(factor, vf_four(record + 4 * i), none);
                s[j][i] = vf_multiply_add_4(term, one, s[j][i]);
                q[j] = vf_multiply_add_4(term, term, q[j]);
            }
        }
    for (int64_t i = 0; i < n / 4; i++) {
        const vf_floats_4 both = vf_multiply_add_4(s[0][i], one, s[1][i]);
        memcpy(sums + from + 4 * i, &both, sizeof both);
    }
    const vf_floats_4 squares = vf_multiply_add_4(q[0], one, q[1]);
    memcpy(square, &squares, sizeof square);
    for (int64_t c = 0; c < n; c++)
        total += sums[from + c] * sums[from + c];
    return total - ((square[0] + square[1]) + (square[2] + square[3]));
}

/* Twice the output of the pairs of a row's n features. */
VF_SIMD static float vf_sum_machine(const vf_machine *net, int64_t n) {
    const vf_linear pairs = *net->pairs; /* no store can alias it */
    const int64_t *at = net->data.copies.at, rank = pairs.n_out;
    const float *y = net->of_pairs.w;
    int64_t from = 0;
    float total = 0.0f;
    for (; from + 16 <= rank; from += 16)
        total += vf_sum_embeddings(16, &pairs, n, at, y, from, net->sums);
    if (rank & 8) {
        total += vf_sum_embeddings(8, &pairs, n, at, y, from, net->sums);
        from += 8;
    }
    if (rank & 4)
        total += vf_sum_embeddings(4, &pairs, n, at, y, from, net->sums);
    return total;
}

/* Four numbers of a gradient over g: what is left of the sums without the feature's own term. */
VF_INLINE vf_floats_4 vf_pull(const float *sums, const float *record, float y) {
    return vf_multiply_add_4(vf_fill_4(-y), vf_four(record), vf_four(sums));
}

/* Sets each feature's sum of squares of these. */
VF_INLINE void vf_square_embeddings(const int64_t rank, const vf_linear *pairs, int64_t length, const int64_t *at,
                                    const float *VF_RESTRICT y, const float *VF_RESTRICT sums, float *VF_RESTRICT square) {
    const int64_t end = (length + VF_GROUP - 1) / VF_GROUP * VF_GROUP;
    for (int64_t k = 0; k < end; k += 4) {
        vf_floats_4 of[4];
        for (int64_t j = 0; j < 4; j++) {
            const float *record = pairs->record + at[k + j] * pairs->stride;
            of[j] = vf_fill_4(0.0f);
            for (int64_t c = 0; c < rank; c += 4) {
                const vf_floats_4 pull = vf_pull(sums + c, record + c, y[k + j]);
                of[j] = vf_multiply_add_4(pull, pull, of[j]);
            }
        }
        const vf_floats_4 totals = vf_totals_4(of);
        memcpy(square + k, &totals, sizeof totals);
    }
}

VF_INLINE void vf_pull_embeddings(const int64_t rank, const vf_machine *net, const vf_linear *pairs, int64_t length,
                                  vf_copies copies, const float *VF_RESTRICT sums, vf_coming *given) {
    const vf_floats_4 one = vf_fill_4(1.0f), none = vf_fill_4(0.0f);
    const int lazy = net->lazy;
    vf_coming coming = *given;
    for (int64_t k = 0; k < length; k++) {
        float *record = pairs->record + copies.at[k] * pairs->stride;
        vf_ask_entry(&net->data, &net->spread, &coming);
        const vf_floats_4 rate = vf_fill_4(copies.rate[k]), left = vf_fill_4(lazy ? copies.left[k] : 0.0f);
        const float y = copies.w[k];
        for (int64_t c = 0; c < rank; c += 4) {
            const vf_floats_4 w = vf_four(record + c), pull = vf_pull(sums + c, record + c, y);
            const vf_floats_4 missed = vf_multiply_add_4(w, left, none);
            const vf_floats_4 stepped = vf_multiply_add_4(vf_multiply_add_4(rate, pull, missed), one, w);
            memcpy(record + c, &stepped, sizeof stepped);
        }
    }
    *given = coming;
}

VF_INLINE void vf_step_pairs(const int64_t rank, const vf_machine *net, int64_t n, float delta, vf_coming *coming) {
    const vf_linear pairs = *net->pairs;
    const float *x = net->data.copies.x;
    vf_copies copies = net->of_pairs;
    copies.at = net->data.copies.at;
    vf_square_embeddings(rank, &pairs, n, copies.at, copies.w, net->sums, copies.x);
    vf_step_embeddings(&pairs, n, copies, x, delta, copies.x);
    vf_pull_embeddings(rank, net, &pairs, n, copies, net->sums, coming);
    if (net->lazy)
        vf_write_embeddings(VF_DECAYING, &pairs, n, copies);
    else
        vf_write_embeddings(VF_EAGER, &pairs, n, copies);
}

/* Steps the embeddings of a row's n features. The commonest ranks are constants. */
VF_SIMD static void vf_step_factors(const vf_machine *net, int64_t n, float delta, vf_coming *coming) {
    const int64_t rank = net->pairs->n_out;
    if (rank == 4)
        vf_step_pairs(4, net, n, delta, coming);
    else if (rank == 8)
        vf_step_pairs(8, net, n, delta, coming);
    else if (rank == 16)
        vf_step_pairs(16, net, n, delta, coming);
    else
        vf_step_pairs(rank, net, n, delta, coming);
}

/* ---- rows ---------------------------------------------------------------------------------- */

VF_INLINE float vf_read_machine_as(const int lazy, const vf_machine *net, const vf_clock *clock, int64_t n) {
    const vf_linear linear = *net->data.weights, pairs = *net->pairs; /* no store can alias them */
    vf_copies copies = net->data.copies, of_pairs = net->of_pairs;
    of_pairs.at = copies.at;
    vf_copy_records(VF_ADAGRAD, lazy, &linear, clock, NULL, n, copies);
    vf_read_embeddings(lazy, &pairs, clock, n, of_pairs, copies.x);
    return vf_forward_copied(VF_ADAGRAD, lazy, &linear, n, copies);
}

/* Copies what a row's records hold one number of, and returns the linear layer's output. */
VF_SIMD static float vf_read_machine(const vf_machine *net, const vf_clock *clock, const vf_row *x, int64_t readable) {
    vf_place_entries(&net->spread, x->indices, x->length, net->data.copies.at);
    vf_take_values(*x, readable, net->data.copies);
    return net->lazy ? vf_read_machine_as(VF_DECAYING, net, clock, x->length)
                     : vf_read_machine_as(VF_EAGER, net, clock, x->length);
}

VF_INLINE void vf_step_weights_as(const int lazy, const vf_machine *net, const vf_clock *clock, int64_t n, float delta) {
    const vf_linear linear = *net->data.weights;
    vf_step_copies(VF_ADAGRAD, lazy, &linear, clock, NULL, n, net->data.copies, delta);
    vf_put_copies(VF_ADAGRAD, lazy, &linear, n, net->data.copies);
}

/* Steps the linear layer. */
VF_SIMD static void vf_step_weights(const vf_machine *net, const vf_clock *clock, int64_t n, float delta) {
    if (net->lazy)
        vf_step_weights_as(VF_DECAYING, net, clock, n, delta);
    else
        vf_step_weights_as(VF_EAGER, net, clock, n, delta);
}

static double vf_step_machine(const vf_machine *net, const vf_clock *clock, const int64_t *queue, int64_t place,
                              int64_t n_queued) {
    const vf_single *data = &net->data;
    const int64_t row = queue[place];
    vf_coming coming = vf_look_for_entries(data, queue, place, n_queued);
    vf_one one = {0.0f};
    const vf_row x = vf_load(data->rows, row, data->indices, data->values, data->dropout);
    const float linear = vf_read_machine(net, clock, &x, vf_readable(data->rows, row, x));
    const float twice = vf_sum_machine(net, x.length);
    if (net->bias)
        one = vf_read_one(VF_ADAGRAD, net->bias);
    data->raw[0] = (one.w + linear) + 0.5f * twice;
    const double loss = vf_evaluate_row(data, row);
    if (!isfinite(loss))
        return loss;
    const float delta = (float)*data->gradient;
    vf_step_factors(net, x.length, delta, &coming);
    vf_ask_entries(data, &net->spread, &coming);
    vf_step_weights(net, clock, x.length, delta);
    if (net->bias)
        vf_step_one(VF_ADAGRAD, VF_EAGER, net->bias, clock, NULL, one, delta);
    return loss;
}

/* Trains on rows queue[from:to] and moves the clock on; returns the sum of their weighted losses, not finite as soon
 * as one is not. */
static double vf_train_machine(const vf_machine *net, vf_clock *given_clock, const int64_t *queue, int64_t from, int64_t to,
                               int64_t n_queued) {
    vf_clock now = *given_clock;
    double total = 0.0;
    for (int64_t at = from; at < to; at++) {
        total += vf_step_machine(net, &now, queue, at, n_queued);
        if (!isfinite(total))
            break;
        now.step++;
    }
    *given_clock = now;
    return total;
}

#endif
