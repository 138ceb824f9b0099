/* Polyak averages without a dense pass: between two touches a weight takes the
 * values of its missed penalty steps, and their sum has a closed form. */
#ifndef VF_AVERAGE_H
#define VF_AVERAGE_H

#include "kernels/optimizers/record.h"

/* Sum over the next k steps of a size u that shrinks: each step multiplies it by
 * exp(-log_step) and takes off the threshold, until it reaches the floor. */
static inline double vf_shrinking_sum(double u, double l1, double l2, double log_step, double rate, double k, double floor_size) {
    double m = k, sum;
    if (u <= floor_size)
        return k * floor_size;
    if (l2 > 0.0 && log_step > 0.0) {
        const double c = l1 / l2;
        if (floor_size + c > 0.0)
            m = floor(log((u + c) / (floor_size + c)) / log_step);
        m = m < k ? m : k;
        sum = (u + c) * (expm1(-m * log_step) / expm1(-log_step) * exp(-log_step)) - c * m;
    } else {
        const double threshold = l1 * rate;
        if (threshold > 0.0)
            m = floor((u - floor_size) / threshold);
        m = m < k ? m : k;
        sum = m * u - threshold * m * (m + 1.0) / 2.0;
    }
    return sum + (k - m) * floor_size;
}

static inline void vf_average_weight(const int kind, const vf_linear *layer, const vf_clock *clock, float w,
                                     float center, vf_state s, vf_rest rest, float *average) {
    const double now = (double)(clock->step - layer->average_from), lower = layer->penalty.lower;
    if (now <= 0.0 || rest.steps <= 0.0f)
        return;
    const double counted = rest.steps < now ? rest.steps : now, skipped = rest.steps - counted;
    const double rate = kind == VF_SGD ? rest.time / rest.steps : vf_resting_rate(kind, s, &layer->optimizer);
    const double log_step = kind == VF_SGD ? rate * rest.l2 : log1p(rate * rest.l2);
    const double distance = (w > lower ? w : lower) - center, u = fabs(distance);
    const double floor_size = distance > 0.0 && lower > center ? lower - center : 0.0;
    const double before = skipped > 0.0 ? vf_shrinking_sum(u, rest.l1, rest.l2, log_step, rate, skipped, floor_size) : 0.0;
    const double sum = vf_shrinking_sum(u, rest.l1, rest.l2, log_step, rate, rest.steps, floor_size) - before;
    const double mean = center + copysign(sum / counted, distance);
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
