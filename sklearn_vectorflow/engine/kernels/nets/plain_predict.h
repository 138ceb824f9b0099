/* Outputs of the plainest net, one linear layer of one output, once it is trained: all that rows need in one
 * function, as in plain.h. */
#ifndef VF_FIXED_ONE_H
#define VF_FIXED_ONE_H

#include "kernels/layers/linear_one.h"
#include "kernels/nets/walk.h"

/* Writes the outputs of rows [from, to) one after the other. Room is for the longest row; weights are asked for
 * `ahead` rows before their use, 0: not at all. */
VF_SIMD static void vf_predict_one(const vf_linear *layer, const vf_linear *bias, const vf_rows *rows, int64_t from,
                                   int64_t to, int64_t ahead, int32_t *indices, float *values, float *out) {
    const vf_linear weights = *layer; /* no store can alias it */
    const vf_input_dropout whole = {0};
    const vf_copies none = {0};
    const vf_portion whole_row = {0, 1};
    const float intercept = bias ? bias->record[0] : 0.0f;
    for (int64_t row = from; row < to; row++) {
        if (row + VF_AHEAD_DATA < to)
            vf_prefetch_data(rows, row + VF_AHEAD_DATA);
        if (ahead && row + ahead < to)
            vf_prefetch_row(rows, row + ahead, whole_row, weights.record, weights.stride);
        const vf_row x = vf_load(rows, row, indices, values, &whole);
        *out++ = intercept + vf_forward_one(VF_FIXED, VF_EAGER, &weights, NULL, x, none);
    }
}

#endif
