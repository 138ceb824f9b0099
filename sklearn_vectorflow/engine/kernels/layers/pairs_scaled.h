/* Pairwise interactions of one output, where a feature's numbers are stored as they are, up to a factor that all of
 * them share: four records at a time, which a step reads once. */
#ifndef VF_PAIRS_SCALED_H
#define VF_PAIRS_SCALED_H

#include "kernels/lanes.h"
#include "kernels/layers/linear_wide.h"

enum { VF_RECORDS = 4 }; /* records of a group, as many as a vector has numbers */

/* ---- forward ---------------------------------------------------------------------- */

enum { VF_SUMS = 4 }; /* vectors of sums that a pass over a row adds up */

/* Sets the sums of n <= 4 VF_SUMS numbers from `from` on; returns what they add to twice the output. Two sums of
 * each, so that a row does not wait for its own additions. */
VF_INLINE float vf_sum_scaled(const int lazy, const vf_linear *layer, vf_row row, vf_copies copies, int64_t from,
                              const int64_t n, float *sums) {
    vf_floats_4 s[2][VF_SUMS], q[2][VF_SUMS];
    float sum[4 * VF_SUMS], square[4 * VF_SUMS], total = 0.0f;
    for (int i = 0; i < VF_SUMS; i++)
        s[0][i] = s[1][i] = q[0][i] = q[1][i] = vf_fill_4(0.0f);
    for (int64_t k = 0; k < row.length; k += 2)
        for (int64_t j = 0; j < 2 && k + j < row.length; j++) {
            const float *record = layer->record + row.indices[k + j] * (int64_t)layer->stride + from;
            const float left = lazy ? copies.left[k + j] : 0.0f;
            const vf_floats_4 x = vf_fill_4(row.values[k + j] * (1.0f + left));
            for (int64_t c = 0; c < n; c += 4) {
                const vf_floats_4 term = vf_multiply_add_4(x, vf_load_4(record + c, n - c), vf_fill_4(0.0f));
                s[j][c / 4] = vf_multiply_add_4(x, vf_load_4(record + c, n - c), s[j][c / 4]);
                q[j][c / 4] = vf_multiply_add_4(term, term, q[j][c / 4]);
            }
        }
    for (int i = 0; i < VF_SUMS; i++) {
        const vf_floats_4 one = vf_fill_4(1.0f);
        const vf_floats_4 both = vf_multiply_add_4(s[0][i], one, s[1][i]), squares = vf_multiply_add_4(q[0][i], one, q[1][i]);
        memcpy(sum + 4 * i, &both, sizeof both);
        memcpy(square + 4 * i, &squares, sizeof squares);
    }
    for (int64_t c = 0; c < n; c++) {
        sums[c] = sum[c];
        total += sum[c] * sum[c] - square[c];
    }
    return total;
}

VF_INLINE void vf_forward_scaled_pairs(const int lazy, const vf_linear *given, vf_row row, vf_copies copies, float *sums,
                                       float *out) {
    const vf_linear fixed = *given, *layer = &fixed; /* no store can alias it */
    const int64_t n = layer->n_out;
    int64_t from = 0;
    float total = 0.0f;
    for (; from + 16 <= n; from += 16)
        total += vf_sum_scaled(lazy, layer, row, copies, from, 16, sums + from);
    for (; from + 8 <= n; from += 8)
        total += vf_sum_scaled(lazy, layer, row, copies, from, 8, sums + from);
    if (from < n)
        total += vf_sum_scaled(lazy, layer, row, copies, from, n - from, sums + from);
    *out = 0.5f * total;
}

/* ---- update ------------------------------------------------------------------------- */

/* Some records as a row reads them; what the last group of a row leaves free are zeros, so that a record's numbers do not
 * depend on how many others there are. `pull`: less the factor of their own part. */
typedef struct {
    float *record[VF_RECORDS];
    float x[VF_RECORDS], left[VF_RECORDS], pull[VF_RECORDS];
} vf_records;

VF_INLINE vf_records vf_records_at(const int lazy, const vf_linear *layer, vf_row row, vf_copies copies, int64_t k,
                                   const int m, float own) {
    vf_records out = {{NULL}, {0.0f}, {0.0f}, {0.0f}};
    for (int j = 0; j < m; j++) {
        out.record[j] = layer->record + row.indices[k + j] * (int64_t)layer->stride;
        out.x[j] = row.values[k + j];
        out.left[j] = lazy ? copies.left[k + j] : 0.0f;
        out.pull[j] = -own * out.x[j] * (1.0f + out.left[j]);
    }
    return out;
}

/* The gradient, over x, of up to four numbers of a record. */
VF_INLINE vf_floats_4 vf_pulled(const float *delta, const float *record, float pull, int64_t n) {
    return vf_multiply_add_4(vf_fill_4(pull), vf_load_4(record, n), vf_load_4(delta, n));
}

/* Steps what the features keep for all their numbers, and sets their step sizes. */
VF_INLINE void vf_step_states(const int kind, const vf_linear *layer, const vf_clock *clock, const vf_records *r,
                              const int m, const float *square, float *VF_RESTRICT rate) {
    const vf_optimizer o = layer->optimizer;
    const float time_rate = (float)clock->rate;
    float row[VF_RECORDS] = {0.0f}, second[VF_RECORDS] = {0.0f};
    for (int j = 0; j < m && VF_USES_ROW(kind); j++) {
        row[j] = r->record[j][layer->row_slot];
        if (kind == VF_ADAM_ROWWISE)
            second[j] = r->record[j][layer->row_slot + 1];
    }
    VF_APART for (int j = 0; j < VF_RECORDS; j++) {
        vf_state s = {0.0f, second[j], row[j]};
        rate[j] = vf_step_row(kind, &s, square[j], time_rate, &o);
        row[j] = s.row;
        second[j] = s.s2;
    }
    for (int j = 0; j < m && VF_USES_ROW(kind); j++) {
        r->record[j][layer->row_slot] = row[j];
        if (kind == VF_ADAM_ROWWISE)
            r->record[j][layer->row_slot + 1] = second[j];
    }
}

/* Steps up to four numbers of a record. */
VF_INLINE void vf_step_scaled(const int kind, const int lazy, const vf_linear *layer, float *record, vf_floats_4 gradient,
                              float x, float left, float rate, int64_t n) {
    const vf_floats_4 w = vf_load_4(record, n), none = vf_fill_4(0.0f);
    const vf_floats_4 missed = lazy ? vf_multiply_add_4(w, vf_fill_4(left), none) : none;
    vf_floats_4 size = vf_fill_4(-rate * x);
    if (VF_USES_S1(kind)) {
        float *moments = record + layer->slot1;
        const float decay = layer->optimizer.decay1;
        const vf_floats_4 kept = vf_multiply_add_4(vf_load_4(moments, n), vf_fill_4(decay), none);
        gradient = vf_multiply_add_4(gradient, vf_fill_4((1.0f - decay) * x), kept);
        vf_store_4(moments, n, gradient);
        size = vf_fill_4(-rate);
    }
    const vf_floats_4 change = vf_multiply_add_4(size, gradient, missed);
    vf_store_4(record, n, vf_multiply_add_4(change, vf_fill_4(1.0f), w));
}

/* One step of m <= VF_RECORDS entries of a row. */
VF_INLINE void vf_update_group(const int kind, const int lazy, const int64_t n, const int m, const vf_linear *layer,
                               const vf_clock *clock, vf_row row, vf_copies copies, int64_t k, const float *delta, float own) {
    const vf_records r = vf_records_at(lazy, layer, row, copies, k, m, own);
    vf_floats_4 sums[VF_RECORDS];
    float square[VF_RECORDS] = {0.0f}, rate[VF_RECORDS];
    for (int j = 0; j < VF_RECORDS && VF_USES_SQUARE(kind); j++) {
        sums[j] = vf_fill_4(0.0f);
        for (int64_t c = 0; c < n && j < m; c += 4) {
            const vf_floats_4 gradient = vf_pulled(delta + c, r.record[j] + c, r.pull[j], n - c);
            sums[j] = vf_multiply_add_4(gradient, gradient, sums[j]);
        }
    }
    if (VF_USES_SQUARE(kind)) {
        const vf_floats_4 totals = vf_totals_4(sums);
        memcpy(square, &totals, sizeof totals);
        for (int j = 0; j < VF_RECORDS; j++)
            square[j] *= r.x[j] * r.x[j] / (float)n;
    }
    vf_step_states(kind, layer, clock, &r, m, square, rate);
    for (int j = 0; j < m; j++) {
        for (int64_t c = 0; c < n; c += 4)
            vf_step_scaled(kind, lazy, layer, r.record[j] + c, vf_pulled(delta + c, r.record[j] + c, r.pull[j], n - c),
                           r.x[j], r.left[j], rate[j], n - c);
        if (lazy)
            vf_touch(kind, layer, clock, r.record[j]);
    }
}

VF_INLINE void vf_update_scaled_pairs(const int kind, const int lazy, const int64_t n, const vf_linear *given,
                                      const vf_clock *given_clock, vf_row row, vf_copies copies, const float *delta,
                                      float own) {
    const vf_linear fixed = *given, *layer = &fixed; /* no store can alias them */
    const vf_clock now = *given_clock, *clock = &now;
    int64_t k = 0;
    for (; k + VF_RECORDS <= row.length; k += VF_RECORDS)
        vf_update_group(kind, lazy, n, VF_RECORDS, layer, clock, row, copies, k, delta, own);
    if (k < row.length)
        vf_update_group(kind, lazy, n, (int)(row.length - k), layer, clock, row, copies, k, delta, own);
}

#endif
