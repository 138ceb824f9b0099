/* What a pass over sparse rows cannot do without. Weights are asked for `ahead` non-zeros before they are
 * used; 0: not at all. Columns of a row differ. Plain loops: where it was measured, wider vector units gather
 * no faster, and a processor begins the next rows while a sum waits for its additions. */
#include "kernels/platform.h"

typedef struct {
    const int32_t *starts, *indices; /* of a CSR matrix */
    const float *values;
    int64_t from, to; /* rows */
    int64_t ahead;
} rows;

VF_INLINE float dot(const rows *r, const float *weights, int64_t k, int64_t end, const int64_t stride) {
    float sum = 0.0f;
    for (; k < end; k++)
        sum += r->values[k] * weights[stride * r->indices[k]];
    return sum;
}

/* AdaGrad without its root and quotient: the numbers are of no use, their way to memory and back is. */
VF_INLINE void update(const rows *r, float *weights, float *squares, int64_t k, int64_t end, const int64_t stride,
                      float delta) {
    for (; k < end; k++) {
        const int64_t at = stride * r->indices[k];
        const float g = r->values[k] * delta, square = squares[at] + g * g;
        squares[at] = square;
        weights[at] -= g * square;
    }
}

void gather(const rows *r, const float *weights, float *out) {
    const int64_t last = r->starts[r->to];
    for (int64_t row = r->from; row < r->to; row++) {
        const int64_t k = r->starts[row], end = r->starts[row + 1];
        if (r->ahead && end + r->ahead < last)
            for (int64_t next = k + r->ahead; next < end + r->ahead; next++)
                VF_PREFETCH_READ(weights + r->indices[next]);
        out[row] = dot(r, weights, k, end, 1);
    }
}

void update_arrays(const rows *r, float *weights, float *squares, float *out) {
    const int64_t last = r->starts[r->to];
    for (int64_t row = r->from; row < r->to; row++) {
        const int64_t k = r->starts[row], end = r->starts[row + 1];
        if (r->ahead && end + r->ahead < last)
            for (int64_t next = k + r->ahead; next < end + r->ahead; next++) {
                VF_PREFETCH(weights + r->indices[next]);
                VF_PREFETCH(squares + r->indices[next]);
            }
        out[row] = dot(r, weights, k, end, 1);
        update(r, weights, squares, k, end, 1, 1e-6f * out[row]);
    }
}

/* A weight and its square side by side. */
void update_records(const rows *r, float *records, float *out) {
    const int64_t last = r->starts[r->to];
    for (int64_t row = r->from; row < r->to; row++) {
        const int64_t k = r->starts[row], end = r->starts[row + 1];
        if (r->ahead && end + r->ahead < last)
            for (int64_t next = k + r->ahead; next < end + r->ahead; next++)
                VF_PREFETCH(records + 2 * (int64_t)r->indices[next]);
        out[row] = dot(r, records, k, end, 2);
        update(r, records, records + 1, k, end, 2, 1e-6f * out[row]);
    }
}
