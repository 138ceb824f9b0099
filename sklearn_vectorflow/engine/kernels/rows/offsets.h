/* Numbers that are added to the raw outputs of rows before the loss sees them. */
#ifndef VF_OFFSETS_H
#define VF_OFFSETS_H

#include "kernels/platform.h"

typedef struct {
    const double *values;        /* NULL: none */
    int64_t row_step, output_step; /* numbers from one row, and from one output, to the next */
} vf_offsets;

VF_INLINE double vf_offset_of(const vf_offsets *offsets, int64_t row, int64_t output) {
    return offsets->values[row * offsets->row_step + output * offsets->output_step];
}

VF_INLINE void vf_add_offsets(const vf_offsets *offsets, int64_t row, int64_t n_outputs, double *raw) {
    if (offsets->values == NULL)
        return;
    for (int64_t k = 0; k < n_outputs; k++)
        raw[k] += vf_offset_of(offsets, row, k);
}

/* Asks for the offset of a coming row. */
VF_INLINE void vf_prefetch_offsets(const vf_offsets *offsets, int64_t row) {
    if (offsets->values)
        VF_PREFETCH_READ(offsets->values + row * offsets->row_step);
}

#endif
