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

/* How many of the steps that a record has rested count, and how many there have been in all. */
typedef struct {
    float counted, now;
} vf_counts;

/* Of a mean that leaves out the steps before `average_from`. */
VF_INLINE vf_counts vf_counts_from(int64_t average_from, const vf_clock *clock, float steps) {
    const int64_t now = clock->step - average_from;
    const float all = now > 0 ? (float)now : 0.0f;
    const vf_counts out = {steps < all ? steps : all, all > 0.0f ? all : 1.0f};
    return out;
}

VF_INLINE vf_counts vf_counts_of(const vf_linear *layer, const vf_clock *clock, float steps) {
    return vf_counts_from(layer->average_from, clock, steps);
}

/* A mean, with steps whose mean is another. */
VF_INLINE float vf_averaged(float average, float mean, vf_counts counts) {
    return average + (mean - average) * (counts.counted / counts.now);
}

/* What acts between touches: L2 alone, or L1 alone, whose sums over steps have a form that lanes compute; or anything. */
enum { VF_DECAY, VF_THRESHOLD, VF_MIXTURE };

VF_INLINE int vf_acting(const vf_linear *layer) {
    const vf_penalty *p = &layer->penalty;
    return p->lower != -INFINITY || p->sign ? VF_MIXTURE : p->l1 == 0.0f ? VF_DECAY : p->l2 == 0.0f ? VF_THRESHOLD : VF_MIXTURE;
}

/* The sum over k steps of a size u that each takes a threshold off, down to zero. */
VF_INLINE float vf_falling_sum(float u, float threshold, float k) {
    const float until = threshold > 0.0f ? u / threshold : k;
    const float m = (float)(int32_t)(until < k ? until : k);
    return m * (u - 0.5f * threshold * (m + 1.0f));
}

/* The strength of L2 in a step: times its size, or for SGD times the mean size. */
VF_INLINE float vf_strength(const int kind, vf_state s, vf_rest rest, const vf_optimizer *o) {
    return rest.l2 * (kind == VF_SGD ? rest.time / (rest.steps > 0.0f ? rest.steps : 1.0f) : vf_resting_rate(kind, s, o));
}

/* What L2 leaves of u after k steps, less one. */
VF_INLINE float vf_left_after(const int kind, float strength, float k) {
    return kind == VF_SGD ? vf_expm1_negative(-strength * k) : vf_power_m1(0, strength, k);
}

/* The mean over `counted` steps, as a share of u: what is left makes a geometric series. `before` and `left` are
 * what is left less one, before the first and after the last of them. */
VF_INLINE float vf_mean_left(const int kind, float strength, float before, float left, float counted) {
    const float e = kind == VF_SGD ? vf_expm1_negative(-strength) : 0.0f;
    const float fall = (kind == VF_SGD ? -e / (1.0f + e) : strength) * counted;
    return fall > 1e-30f ? (before - left) / fall : 1.0f;
}

/* The mean of a weight over the last `counted` of the steps that it has rested. */
static inline float vf_mean_rested(const int kind, const vf_linear *layer, float w, float center, vf_state s, vf_rest rest,
                                   double counted) {
    const double lower = rest.sign > 0.0f && layer->penalty.lower < 0.0f ? 0.0 : layer->penalty.lower;
    const double upper = rest.sign < 0.0f ? 0.0 : INFINITY, skipped = rest.steps - counted;
    if (counted <= 0.0)
        return w;
    const double rate = kind == VF_SGD ? rest.time / rest.steps : vf_resting_rate(kind, s, &layer->optimizer);
    const double log_step = kind == VF_SGD ? rate * rest.l2 : log1p(rate * rest.l2);
    const double inside = w < lower ? lower : w > upper ? upper : w, distance = inside - center, u = fabs(distance);
    const double floor_size = distance > 0.0 && lower > center   ? lower - center
                              : distance < 0.0 && upper < center ? center - upper
                                                                 : 0.0;
    const double before = skipped > 0.0 ? vf_shrinking_sum(u, rest.l1, rest.l2, log_step, rate, skipped, floor_size) : 0.0;
    const double sum = vf_shrinking_sum(u, rest.l1, rest.l2, log_step, rate, rest.steps, floor_size) - before;
    return (float)(center + copysign(sum / counted, distance));
}

/* The mean of a weight over the steps that its record has rested, as a share of what it is. `skips`: whether there are some
 * that do not count. */
VF_INLINE float vf_share_rested(const int kind, const int skips, const vf_linear *layer, vf_state s, vf_rest rest, float counted) {
    const float strength = vf_strength(kind, s, rest, &layer->optimizer);
    const float before = skips ? vf_left_after(kind, strength, rest.steps - counted) : 0.0f;
    return vf_mean_left(kind, strength, before, vf_left_after(kind, strength, rest.steps), counted);
}

/* As below where L2 alone acts, and towards zero: in lanes, and once for all outputs where all shrink alike. */
VF_INLINE void vf_means_decayed(const int kind, const int skips, const vf_linear *layer, vf_counts counts,
                                const float *VF_RESTRICT record, float row, vf_rest rest, int64_t from, int64_t n,
                                float *VF_RESTRICT out) {
    const float *VF_RESTRICT s1 = record + (VF_USES_S1(kind) ? layer->slot1 : 0) + from;
    const float *VF_RESTRICT s2 = record + (VF_USES_S2(kind) ? layer->slot2 : 0) + from, *VF_RESTRICT w = record + from;
    const float taken = counts.counted / counts.now;
    const vf_linear fixed = *layer;
    if (VF_ROW_RATE(kind)) {
        const vf_state s = vf_read_state(kind, layer, record, 0, row);
        const float share = vf_share_rested(kind, skips, &fixed, s, rest, counts.counted);
        for (int64_t i = 0; i < n; i++)
            out[i] += (w[i] * share - out[i]) * taken;
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const vf_state s = {VF_USES_S1(kind) ? s1[i] : 0.0f, VF_USES_S2(kind) ? s2[i] : 0.0f, row};
        out[i] += (w[i] * vf_share_rested(kind, skips, &fixed, s, rest, counts.counted) - out[i]) * taken;
    }
}

/* Where anything acts. */
VF_INLINE void vf_means_of_any(const int kind, const vf_linear *layer, vf_counts counts, const float *record,
                               int64_t feature, float row, vf_rest rest, int64_t from, int64_t n, float *out) {
    for (int64_t i = 0; i < n; i++) {
        const vf_state s = vf_read_state(kind, layer, record, from + i, row);
        const float w = record[from + i], center = vf_center(VF_LAZY, layer, feature, from + i);
        out[i] = vf_averaged(out[i], vf_mean_rested(kind, layer, w, center, s, rest, counts.counted), counts);
    }
}

/* Sets `out`: the means of outputs [from, from + n) of a record as of now, before its weights change. */
VF_INLINE void vf_means_span(const int kind, const vf_linear *layer, const vf_clock *clock, const float *record,
                             int64_t feature, float row, vf_rest rest, int64_t from, int64_t n, float *out) {
    const vf_counts counts = vf_counts_of(layer, clock, rest.steps);
    memcpy(out, record + layer->average_slot + from, sizeof(float) * (size_t)n);
    if (vf_acting(layer) != VF_DECAY || layer->penalty.center)
        vf_means_of_any(kind, layer, counts, record, feature, row, rest, from, n, out);
    else if (rest.steps > counts.counted)
        vf_means_decayed(kind, 1, layer, counts, record, row, rest, from, n, out);
    else
        vf_means_decayed(kind, 0, layer, counts, record, row, rest, from, n, out);
}

enum { VF_MEANS_SPAN = 16 }; /* outputs of a record whose means are worked out together */

/* Brings the means of a record up to the present. */
VF_INLINE void vf_average_record(const int kind, const vf_linear *layer, const vf_clock *clock, float *record,
                                 int64_t feature, float row, vf_rest rest) {
    float means[VF_MEANS_SPAN];
    for (int64_t from = 0; from < layer->n_out; from += VF_MEANS_SPAN) {
        const int64_t n = layer->n_out - from < VF_MEANS_SPAN ? layer->n_out - from : VF_MEANS_SPAN;
        vf_means_span(kind, layer, clock, record, feature, row, rest, from, n, means);
        memcpy(record + layer->average_slot + from, means, sizeof(float) * (size_t)n);
    }
}

#endif
