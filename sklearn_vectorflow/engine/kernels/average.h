/* Polyak averages without a dense pass: between two touches a weight takes the
 * values of its missed penalty steps, and their sum has a closed form. */
#ifndef VF_AVERAGE_H
#define VF_AVERAGE_H

#include "record.h"

/* Sum over the next k steps of a size u that shrinks: each step multiplies it by
 * exp(-log_step) and takes off the threshold, until it is zero. */
static inline double vf_shrinking_sum(double u, double l1, double l2, double log_step, double rate, double k) {
    if (l2 > 0.0 && log_step > 0.0) {
        const double c = l1 / l2;
        const double zero_after = l1 > 0.0 ? floor(log1p(u / c) / log_step) : k;
        const double m = zero_after < k ? zero_after : k;
        const double geometric = expm1(-m * log_step) / expm1(-log_step) * exp(-log_step);
        return (u + c) * geometric - c * m;
    }
    const double threshold = l1 * rate;
    const double zero_after = threshold > 0.0 ? floor(u / threshold) : k;
    const double m = zero_after < k ? zero_after : k;
    return m * u - threshold * m * (m + 1.0) / 2.0;
}

static inline void vf_average_weight(const int kind, const vf_linear *layer, const vf_clock *clock, float w,
                                     float center, vf_state s, vf_rest rest, float *average) {
    const double now = (double)(clock->step - layer->average_from);
    if (now <= 0.0 || rest.steps <= 0.0f)
        return;
    const double counted = rest.steps < now ? rest.steps : now, skipped = rest.steps - counted;
    const double rate = kind == VF_SGD ? rest.time / rest.steps : vf_resting_rate(kind, s, &layer->optimizer);
    const double log_step = kind == VF_SGD ? rate * rest.l2 : log1p(rate * rest.l2);
    const double u = fabs((double)w - center);
    const double before = skipped > 0.0 ? vf_shrinking_sum(u, rest.l1, rest.l2, log_step, rate, skipped) : 0.0;
    const double sum = vf_shrinking_sum(u, rest.l1, rest.l2, log_step, rate, rest.steps) - before;
    const double mean = center + copysign(sum / counted, (double)w - center);
    *average += (float)((mean - *average) * (counted / now));
}

/* Brings the means of a record up to the present, before its weights change. */
static inline void vf_average_record(const int kind, const vf_linear *layer, const vf_clock *clock, float *record,
                                     int64_t feature, float row, vf_rest rest) {
    for (int64_t c = 0; c < layer->n_out; c++)
        vf_average_weight(kind, layer, clock, record[c], vf_center(VF_LAZY, layer, feature, c),
                          vf_read_state(kind, layer, record, c, row), rest, record + layer->average_slot + c);
}

#endif
