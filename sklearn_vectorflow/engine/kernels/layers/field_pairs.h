/* Pairwise interactions through embeddings for each field of the other feature (Juan et al., 2016,
 * doi:10.1145/2959100.2959134):
 *     out = sum over i < j of <v_{i, field(j)}, v_{j, field(i)}> x_i x_j.
 * A record holds a feature's embeddings for all fields side by side. With S_{f,g} = sum of x_j v_{j,g} over the
 * features j of field f in the row,
 *     out = sum over f < g of <S_{f,g}, S_{g,f}> + sum over f of (|S_{f,f}|^2 - sum of |x_j v_{j,f}|^2) / 2,
 * so a row costs its non-zeros times its fields times the rank. The gradient of v_{j,g} is
 *     x_j delta (S_{g,f} - [f = g] x_j v_{j,g}),   f = field(j):
 * for the features of one field it is that of pairs.h with a "sum" of their own, and one output in place of each field,
 * whose kernels take the steps. Where weights are stored as they are, up to a factor a record, steps are here. */
#ifndef VF_FIELD_PAIRS_H
#define VF_FIELD_PAIRS_H

#include "kernels/lanes.h"
#include "kernels/layers/fields.h"
#include "kernels/layers/pairs.h"

/* A row leaves for its gradient S, of each field a record's numbers, and behind them how many of its features the field
 * has: where that is. */
VF_INLINE const float *vf_field_counts(const vf_fields *f, int64_t n_weights, const float *sums) {
    return sums + f->n_fields * n_weights;
}

/* Whether a field has one feature in the row, whose own embedding then has no gradient: this must be exact, or rules
 * that scale gradients would make steps of its rounding. */
VF_INLINE int vf_is_alone(const vf_fields *f, int64_t n_weights, const float *sums, int64_t field) {
    return vf_field_counts(f, n_weights, sums)[field] == 1.0f;
}

/* ---- rows in the order of their fields ------------------------------------------------- */

VF_INLINE void vf_note_field(vf_fields *f, int32_t field, int64_t from) {
    f->present[f->n_present] = field;
    f->starts[f->n_present++] = from;
}

/* Notes the fields of a row, if its entries are in their order. */
VF_INLINE int vf_is_ordered(vf_fields *f, vf_row x) {
    int32_t last = -1;
    f->n_present = 0;
    for (int64_t k = 0; k < x.length; k++) {
        const int32_t field = f->field[x.indices[k]];
        if (field < last)
            return 0;
        if (field > last)
            vf_note_field(f, field, k);
        last = field;
    }
    f->starts[f->n_present] = x.length;
    return 1;
}

/* Returns a row in the order of its fields, with the places of records in place of features. */
static vf_row vf_order_by_field(vf_fields *f, vf_row x, const int32_t *places) {
    vf_row out = {places, x.values, x.length};
    if (vf_is_ordered(f, x))
        return out;
    memset(f->next, 0, (f->n_fields + 1) * sizeof *f->next);
    for (int64_t k = 0; k < x.length; k++)
        f->next[f->field[x.indices[k]] + 1]++;
    f->n_present = 0;
    for (int64_t g = 0; g < f->n_fields; g++) {
        if (f->next[g + 1])
            vf_note_field(f, (int32_t)g, f->next[g]);
        f->next[g + 1] += f->next[g];
    }
    f->starts[f->n_present] = x.length;
    for (int64_t k = 0; k < x.length; k++) {
        const int64_t to = f->next[f->field[x.indices[k]]]++;
        f->indices[to] = places[k];
        f->values[to] = x.values[k];
    }
    out.indices = f->indices;
    out.values = f->values;
    return out;
}

/* The entries of field p of those that the row has. */
VF_INLINE vf_row vf_part_of_field(const vf_fields *f, vf_row row, int64_t p) {
    const vf_row out = {row.indices + f->starts[p], row.values + f->starts[p], f->starts[p + 1] - f->starts[p]};
    return out;
}

/* Whether most numbers of a record are needed: then all are worked on, one after the other. */
VF_INLINE int vf_needs_most(const vf_fields *f) { return f->passes_back || 2 * f->n_present > f->n_fields; }

/* Runs a statement for spans [from, to) of a record's numbers: all, or those for the fields of the row alone. */
#define VF_EACH_FIELD_SPAN(f, rank, n, all, statement)                                                \
    do {                                                                                              \
        if (all) {                                                                                    \
            const int64_t from = 0, to = (n);                                                         \
            statement                                                                                 \
        } else                                                                                        \
            for (int64_t o = 0; o < (f)->n_outputs; o++)                                              \
                for (int64_t q = 0; q < (f)->n_present; q++) {                                        \
                    const int64_t from = (o * (f)->n_fields + (f)->present[q]) * (rank), to = from + (rank); \
                    statement                                                                         \
                }                                                                                     \
    } while (0)

/* ---- forward ---------------------------------------------------------------------------- */

/* Sets S of one field; adds to each output less half of what its features make with themselves. */
VF_INLINE void vf_sum_field(const vf_fields *f, const int64_t rank, const vf_linear *layer, const float *left,
                            const float *w, vf_row row, int64_t p, float *VF_RESTRICT sums, float *out) {
    const int64_t n = layer->n_out, all = vf_needs_most(f), begin = f->starts[p], end = f->starts[p + 1];
    for (int64_t k = begin; k < end; k++) {
        const float *weights = w ? w + k * n : layer->record + row.indices[k] * (int64_t)layer->stride;
        const float x = left ? row.values[k] * (1.0f + left[k]) : row.values[k];
        if (k == begin)
            VF_EACH_FIELD_SPAN(f, rank, n, all, for (int64_t c = from; c < to; c++) sums[c] = x * weights[c];);
        else
            VF_EACH_FIELD_SPAN(f, rank, n, all, for (int64_t c = from; c < to; c++) sums[c] += x * weights[c];);
        for (int64_t o = 0; o < f->n_outputs && end - begin > 1; o++) {
            const float *own = weights + (o * f->n_fields + f->present[p]) * rank;
            float total = 0.0f;
            for (int64_t c = 0; c < rank; c++)
                total += (x * own[c]) * (x * own[c]);
            out[o] -= 0.5f * total;
        }
    }
}

/* Adds the products of two embeddings to a sum in lanes. */
VF_INLINE vf_floats_4 vf_multiply_embeddings(const int64_t rank, const float *a, const float *b, vf_floats_4 sum) {
    for (int64_t c = 0; c < rank; c += 4)
        sum = vf_multiply_add_4(vf_load_4(a + c, rank - c), vf_load_4(b + c, rank - c), sum);
    return sum;
}

/* The products of S that belong to an output. Two sums, so that one does not wait for its own additions. */
VF_INLINE float vf_multiply_fields(const vf_fields *f, const int64_t rank, int64_t n, const float *sums, int64_t output) {
    vf_floats_4 first = vf_fill_4(0.0f), second = vf_fill_4(0.0f), own = vf_fill_4(0.0f);
    float lanes[4];
    for (int64_t p = 0; p < f->n_present; p++) {
        const int64_t g = f->present[p];
        const float *mine = sums + g * n + output * f->n_fields * rank;
        const float *theirs = sums + (output * f->n_fields + g) * rank;
        int64_t q = 0;
        for (; q + 2 <= p; q += 2) {
            const int64_t h = f->present[q], i = f->present[q + 1];
            first = vf_multiply_embeddings(rank, mine + h * rank, theirs + h * n, first);
            second = vf_multiply_embeddings(rank, mine + i * rank, theirs + i * n, second);
        }
        if (q < p)
            first = vf_multiply_embeddings(rank, mine + f->present[q] * rank, theirs + f->present[q] * n, first);
        if (f->starts[p + 1] - f->starts[p] > 1)
            own = vf_multiply_embeddings(rank, mine + g * rank, mine + g * rank, own);
    }
    first = vf_multiply_add_4(own, vf_fill_4(0.5f), vf_multiply_add_4(second, vf_fill_4(1.0f), first));
    memcpy(lanes, &first, sizeof lanes);
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

VF_INLINE void vf_forward_fields_of(const vf_fields *given, const int64_t rank, const vf_linear *layer, const float *left,
                                    const float *w, vf_row row, float *sums, float *out) {
    const vf_fields fixed = *given, *f = &fixed; /* no store can alias it */
    const int64_t n = layer->n_out;
    for (int64_t p = 0; p < f->n_present; p++)
        vf_sum_field(f, rank, layer, left, w, row, p, sums + f->present[p] * n, out);
    for (int64_t o = 0; o < f->n_outputs; o++)
        out[o] += vf_multiply_fields(f, rank, n, sums, o);
}

VF_SIMD static void vf_forward_stored(const vf_fields *f, const vf_linear *given, const float *left, const float *w,
                                      vf_row row, float *sums, float *out) {
    const vf_linear fixed = *given, *layer = &fixed;
    if (f->rank == 4)
        vf_forward_fields_of(f, 4, layer, left, w, row, sums, out);
    else if (f->rank == 8)
        vf_forward_fields_of(f, 8, layer, left, w, row, sums, out);
    else
        vf_forward_fields_of(f, f->rank, layer, left, w, row, sums, out);
}

/* The same with running means in place of weights. */
static void vf_forward_means_of_fields(const vf_fields *f, const vf_pairs *pairs, const vf_pairs_kernels *kernels, vf_row row,
                                       float *sums, float *out) {
    const int64_t n = pairs->layer->n_out;
    for (int64_t p = 0; p < f->n_present; p++) {
        kernels->forward(pairs, vf_part_of_field(f, row, p), sums + f->present[p] * n, f->own);
        for (int64_t o = 0; o < f->n_outputs; o++) {
            const float *mine = sums + f->present[p] * n + o * f->n_fields * f->rank;
            out[o] += f->own[o * f->n_fields + f->present[p]];
            for (int64_t q = 0; q < p; q++) {
                const float *theirs = sums + f->present[q] * n + (o * f->n_fields + f->present[p]) * f->rank;
                for (int64_t c = 0; c < f->rank; c++)
                    out[o] += mine[f->present[q] * f->rank + c] * theirs[c];
            }
        }
    }
}

/* Sets what the row leaves for its gradient, and its outputs. The row is in the order of its fields, and has been
 * read. */
static void vf_forward_fields(const vf_fields *f, const vf_pairs *pairs, const vf_pairs_kernels *kernels, int rule, int lazy,
                              vf_row row, float *sums, float *out) {
    const vf_linear *layer = pairs->layer;
    float *counts = sums + f->n_fields * layer->n_out;
    memset(counts, 0, f->n_fields * sizeof *counts);
    memset(out, 0, f->n_outputs * sizeof *out);
    for (int64_t p = 0; p < f->n_present; p++)
        counts[f->present[p]] = f->starts[p + 1] - f->starts[p] > 1 ? 2.0f : 1.0f;
    if (lazy == VF_LAZY && layer->gives_means && layer->average_slot >= 0)
        vf_forward_means_of_fields(f, pairs, kernels, row, sums, out);
    else if (vf_holds_weights(rule, lazy))
        vf_forward_stored(f, layer, NULL, pairs->copies.w, row, sums, out);
    else
        vf_forward_stored(f, layer, lazy ? pairs->copies.left : NULL, NULL, row, sums, out);
}

/* ---- gradients ---------------------------------------------------------------------------- */

/* Sets the gradient of the records of field g over their value, without their own part. `alone`: nothing of it belongs
 * to their own field. */
VF_INLINE void vf_pull_field_of(const vf_fields *f, const int64_t rank, const float *sums, int64_t g, int alone,
                                 const float *delta, float *VF_RESTRICT gradient) {
    const int64_t n_fields = f->n_fields, n = f->n_outputs * n_fields * rank;
    const float *VF_RESTRICT counts = vf_field_counts(f, n, sums);
    for (int64_t o = 0; o < f->n_outputs; o++)
        for (int64_t h = 0; h < n_fields; h++) {
            const float *VF_RESTRICT theirs = sums + h * n + (o * n_fields + g) * rank;
            float *VF_RESTRICT mine = gradient + (o * n_fields + h) * rank;
            const int is_none = counts[h] == 0.0f || (alone && h == g);
            for (int64_t c = 0; c < rank; c += 4) {
                const vf_floats_4 none = vf_fill_4(0.0f);
                const vf_floats_4 all = vf_multiply_add_4(vf_load_4(theirs + c, rank - c), vf_fill_4(delta[o]), none);
                vf_store_4(mine + c, rank - c, is_none ? none : all);
            }
        }
}

VF_SIMD static void vf_pull_field(const vf_fields *given, const float *sums, int64_t g, int alone, const float *delta,
                                  float *gradient) {
    const vf_fields fixed = *given, *f = &fixed; /* no store can alias it */
    if (f->rank == 4)
        vf_pull_field_of(f, 4, sums, g, alone, delta, gradient);
    else if (f->rank == 8)
        vf_pull_field_of(f, 8, sums, g, alone, delta, gradient);
    else
        vf_pull_field_of(f, f->rank, sums, g, alone, delta, gradient);
}

/* In lanes, so that a sum does not wait for its own additions. */
VF_INLINE float vf_sum_squares(const float *x, int64_t n) {
    float lanes[VF_LANES] = {0.0f}, total = 0.0f;
    int64_t from = 0;
    for (; from + VF_LANES <= n; from += VF_LANES)
        for (int64_t i = 0; i < VF_LANES; i++)
            lanes[i] += x[from + i] * x[from + i];
    for (int64_t i = 0; from + i < n; i++)
        lanes[i] += x[from + i] * x[from + i];
    for (int64_t i = 0; i < VF_LANES; i++)
        total += lanes[i];
    return total;
}

/* One step of a record. `step`: its gradient over its value; unless it is alone in its field, its own part is still to be
 * taken off `ours`, which is that of the whole field, one embedding an output. `square`: the sum of the squares of what
 * belongs to other fields. */
VF_INLINE void vf_step_in_field(const int kind, const int lazy, const vf_fields *f, const vf_linear *layer,
                                const vf_clock *clock, float *VF_RESTRICT record, float x, float left, int64_t g, int alone,
                                const float *delta, const float *VF_RESTRICT ours, float square, float *VF_RESTRICT step) {
    const int64_t n = layer->n_out, rank = f->rank;
    const vf_optimizer o = layer->optimizer;
    const float now = x * (1.0f + left);
    for (int64_t k = 0; k < f->n_outputs && !alone; k++) {
        const int64_t at = (k * f->n_fields + g) * rank;
        for (int64_t c = 0; c < rank; c++) {
            step[at + c] = ours[k * rank + c] - delta[k] * now * record[at + c];
            square += step[at + c] * step[at + c];
        }
    }
    vf_state s = {0.0f, kind == VF_ADAM_ROWWISE ? record[layer->row_slot + 1] : 0.0f, vf_read_row(kind, layer, record)};
    const float rate = vf_step_row(kind, &s, x * x * square / (float)n, (float)clock->rate, &o);
    if (VF_USES_ROW(kind))
        record[layer->row_slot] = s.row;
    if (kind == VF_ADAM_ROWWISE)
        record[layer->row_slot + 1] = s.s2;
    if (VF_USES_S1(kind)) { /* all numbers have moments that move */
        float *VF_RESTRICT moments = record + layer->slot1;
        for (int64_t c = 0; c < n; c++) {
            moments[c] = o.decay1 * moments[c] + (1.0f - o.decay1) * x * step[c];
            record[c] += record[c] * left - rate * moments[c];
        }
    } else if (lazy) /* all catch up */
        for (int64_t c = 0; c < n; c++)
            record[c] += record[c] * left - rate * x * step[c];
    else
        VF_EACH_FIELD_SPAN(f, rank, n, vf_needs_most(f),
                           for (int64_t c = from; c < to; c++) record[c] -= rate * x * step[c];);
    if (lazy)
        vf_touch(kind, layer, clock, record);
}

VF_INLINE void vf_update_stored(const int kind, const int lazy, const vf_fields *given, const vf_linear *given_layer,
                                const vf_clock *given_clock, vf_row row, const float *left, const float *sums,
                                const float *delta) {
    const vf_fields fixed = *given, *f = &fixed; /* no store can alias them */
    const vf_linear fixed_layer = *given_layer, *layer = &fixed_layer;
    const vf_clock now = *given_clock, *clock = &now;
    for (int64_t p = 0; p < f->n_present; p++) {
        const int64_t g = f->present[p];
        const int alone = vf_is_alone(f, layer->n_out, sums, g);
        vf_pull_field(f, sums, g, alone, delta, f->gradient);
        for (int64_t o = 0; o < f->n_outputs; o++) {
            float *own = f->gradient + (o * f->n_fields + g) * f->rank;
            memcpy(f->own + o * f->rank, own, f->rank * sizeof *own);
            memset(own, 0, f->rank * sizeof *own);
        }
        const float square = VF_USES_SQUARE(kind) ? vf_sum_squares(f->gradient, layer->n_out) : 0.0f;
        for (int64_t k = f->starts[p]; k < f->starts[p + 1]; k++)
            vf_step_in_field(kind, lazy, f, layer, clock, layer->record + row.indices[k] * (int64_t)layer->stride,
                             row.values[k], lazy ? left[k] : 0.0f, g, alone, delta, f->own, square, f->gradient);
    }
}

#define VF_DEFINE_STORED(name, kind, lazy)                                                                           \
    VF_SIMD static void vf_update_stored_##name(const vf_fields *f, const vf_linear *layer, const vf_clock *clock,   \
                                                vf_row row, const float *left, const float *sums, const float *delta) { \
        vf_update_stored(kind, lazy, f, layer, clock, row, left, sums, delta);                                       \
    }

VF_DEFINE_STORED(rowwise, VF_ADAGRAD_ROWWISE, VF_EAGER)
VF_DEFINE_STORED(rowwise_decaying, VF_ADAGRAD_ROWWISE, VF_DECAYING)
VF_DEFINE_STORED(sgd, VF_SGD, VF_EAGER)
VF_DEFINE_STORED(sgd_decaying, VF_SGD, VF_DECAYING)
VF_DEFINE_STORED(adam, VF_ADAM_ROWWISE, VF_EAGER)
VF_DEFINE_STORED(adam_decaying, VF_ADAM_ROWWISE, VF_DECAYING)

/* The steps of any rule, by the kernels of pairs, field by field. */
static void vf_update_each_field(const vf_fields *f, const vf_pairs *pairs, const vf_pairs_kernels *kernels, int rule,
                                 int lazy, vf_row row, const float *sums, const float *delta) {
    const int64_t n = pairs->layer->n_out;
    vf_pairs part = *pairs;
    memset(f->own, 0, f->n_outputs * f->n_fields * sizeof *f->own);
    for (int64_t p = 0; p < f->n_present; p++) {
        const int64_t g = f->present[p];
        const int alone = vf_is_alone(f, n, sums, g);
        vf_pull_field(f, sums, g, alone, delta, f->gradient);
        for (int64_t o = 0; o < f->n_outputs; o++)
            f->own[o * f->n_fields + g] = alone ? 0.0f : delta[o];
        part.copies = vf_copies_from(rule, lazy, n, pairs->copies, f->starts[p]);
        kernels->update(&part, vf_part_of_field(f, row, p), f->gradient, f->own);
        for (int64_t o = 0; o < f->n_outputs; o++)
            f->own[o * f->n_fields + g] = 0.0f;
    }
}

/* Steps the records of a row, which is in the order of its fields; `delta`: the gradient of the outputs. */
static void vf_update_fields(const vf_fields *f, const vf_pairs *pairs, const vf_pairs_kernels *kernels, int rule, int lazy,
                             vf_row row, const float *sums, const float *delta) {
    static void (*const STORED[2][3])(const vf_fields *, const vf_linear *, const vf_clock *, vf_row, const float *,
                                      const float *, const float *) = {
        {vf_update_stored_rowwise, vf_update_stored_sgd, vf_update_stored_adam},
        {vf_update_stored_rowwise_decaying, vf_update_stored_sgd_decaying, vf_update_stored_adam_decaying},
    };
    const int which = rule == VF_ADAGRAD_ROWWISE ? 0 : rule == VF_SGD ? 1 : 2;
    if (VF_ROW_RATE(rule) && lazy != VF_LAZY)
        STORED[lazy == VF_DECAYING][which](f, pairs->layer, pairs->clock, row, pairs->copies.left, sums, delta);
    else
        vf_update_each_field(f, pairs, kernels, rule, lazy, row, sums, delta);
}

/* Adds the row's gradient to that of the batch, then what makes the features' own part, a number an output and field. */
VF_SIMD static void vf_gather_fields(vf_gathered *batch, const vf_fields *given, vf_row row, const double *delta,
                                     const float *sums) {
    const vf_fields fixed = *given, *f = &fixed; /* no store can alias it */
    const int64_t n_parts = f->n_outputs * f->n_fields, n = n_parts * f->rank;
    int64_t last = -1;
    for (int64_t o = 0; o < f->n_outputs; o++)
        f->own[o] = (float)delta[o];
    for (int64_t k = 0; k < row.length; k++) {
        const double x = row.values[k];
        const int64_t g = f->field[row.indices[k]];
        const int alone = vf_is_alone(f, n, sums, g);
        if (x == 0.0) /* a stored zero is no touch */
            continue;
        if (g != last)
            vf_pull_field(f, sums, g, alone, f->own, f->gradient);
        last = g;
        const float *VF_RESTRICT gradient = f->gradient;
        double *VF_RESTRICT sum = vf_gathered_row(batch, row.indices[k]);
        for (int64_t c = 0; c < n; c++)
            sum[c] += x * gradient[c];
        for (int64_t o = 0; o < f->n_outputs && !alone; o++)
            sum[n + o * f->n_fields + g] += x * x * delta[o];
    }
}

/* Adds to the gradient of n dense inputs x, which are the layer's from `first` on. */
static void vf_back_fields(const vf_fields *f, const vf_pairs *pairs, const vf_pairs_kernels *kernels, const float *x,
                           int64_t first, int64_t n, const float *sums, const double *delta, double *of_x) {
    static const float NONE = 0.0f;
    const int64_t n_weights = pairs->layer->n_out, n_parts = f->n_outputs * f->n_fields;
    for (int64_t o = 0; o < f->n_outputs; o++)
        f->own[o] = 1.0f;
    for (int64_t i = 0; i < n; i++) {
        const int64_t g = f->field[first + i];
        const int alone = x[i] != 0.0f && vf_is_alone(f, n_weights, sums, g);
        vf_pull_field(f, sums, g, alone, f->own, f->gradient);
        for (int64_t k = 0; k < n_parts; k++) /* other fields' embeddings have no own part */
            f->delta[k] = k % f->n_fields == g ? 0.0 : delta[k / f->n_fields];
        kernels->backward(pairs, &NONE, first + i, 1, f->gradient, f->delta, of_x + i);
        for (int64_t k = 0; k < n_parts; k++)
            f->delta[k] = k % f->n_fields == g && !alone ? delta[k / f->n_fields] : 0.0;
        kernels->backward(pairs, x + i, first + i, 1, f->gradient, f->delta, of_x + i);
    }
}

#endif
