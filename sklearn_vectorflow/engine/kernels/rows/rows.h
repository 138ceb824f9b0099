/* A block of rows in the caller's own arrays, read without copying it. Whatever
 * the storage, a kernel sees one row as (indices, values, length) in int32 and
 * float32; rows stored otherwise pass through the worker's scratch. */
#ifndef VF_ROWS_H
#define VF_ROWS_H

#include "kernels/platform.h"
#include "kernels/random.h"

typedef struct {
    const void *values;
    const void *indices; /* NULL: dense, C order */
    const void *indptr;
    int32_t wide_values, wide_indices, wide_indptr; /* 64-bit? */
    int64_t n_rows, n_features;
    int64_t n_stored;  /* entries of values and indices, sparse ones */
    int64_t first_row; /* number of row 0, where these rows are a part of more */
} vf_rows;

typedef struct {
    const int32_t *indices;
    const float *values;
    int64_t length;
} vf_row;

/* Non-zeros are dropped with this probability, the same ones for the same
 * (seed, row) however often the row is loaded. */
typedef struct {
    float rate;
    uint64_t seed;
} vf_input_dropout;

VF_INLINE int64_t vf_row_start(const vf_rows *rows, int64_t row) {
    return rows->wide_indptr ? ((const int64_t *)rows->indptr)[row]
                             : ((const int32_t *)rows->indptr)[row];
}

/* Non-zeros of a sparse row. */
VF_INLINE int64_t vf_row_length(const vf_rows *rows, int64_t row) {
    return vf_row_start(rows, row + 1) - vf_row_start(rows, row);
}

VF_INLINE float vf_value_at(const vf_rows *rows, int64_t k) {
    return rows->wide_values ? (float)((const double *)rows->values)[k]
                             : ((const float *)rows->values)[k];
}

VF_INLINE int32_t vf_index_at(const vf_rows *rows, int64_t k) {
    return rows->wide_indices ? (int32_t)((const int64_t *)rows->indices)[k]
                              : ((const int32_t *)rows->indices)[k];
}

static inline int64_t vf_compress(const float *dense, int64_t n, int32_t *indices, float *values) {
    int64_t length = 0;
    for (int64_t j = 0; j < n; j++) {
        indices[length] = (int32_t)j;
        values[length] = dense[j];
        length += dense[j] != 0.0f;
    }
    return length;
}

static inline vf_row vf_load_dense(const vf_rows *rows, int64_t row, int32_t *indices, float *values) {
    int64_t length = 0;
    const int64_t start = row * rows->n_features;
    for (int64_t j = 0; j < rows->n_features; j++) {
        const float value = vf_value_at(rows, start + j);
        indices[length] = (int32_t)j;
        values[length] = value;
        length += value != 0.0f;
    }
    const vf_row out = {indices, values, length};
    return out;
}

static inline vf_row vf_load_sparse(const vf_rows *rows, int64_t row, int32_t *indices, float *values) {
    const int64_t start = vf_row_start(rows, row), end = vf_row_start(rows, row + 1);
    vf_row out = {(const int32_t *)rows->indices + start, (const float *)rows->values + start, end - start};
    if (rows->wide_indices) {
        for (int64_t k = start; k < end; k++)
            indices[k - start] = vf_index_at(rows, k);
        out.indices = indices;
    }
    if (rows->wide_values) {
        for (int64_t k = start; k < end; k++)
            values[k - start] = vf_value_at(rows, k);
        out.values = values;
    }
    return out;
}

/* scratch holds the longest row (vf_rows_longest) in each array */
static inline vf_row vf_load(const vf_rows *rows, int64_t row, int32_t *indices, float *values,
                             const vf_input_dropout *dropout) {
    vf_row out = rows->indices ? vf_load_sparse(rows, row, indices, values)
                               : vf_load_dense(rows, row, indices, values);
    if (dropout->rate > 0.0f) {
        const uint64_t key = vf_mix(dropout->seed ^ (uint64_t)(rows->first_row + row));
        const float scale = 1.0f / (1.0f - dropout->rate);
        int64_t kept = 0;
        for (int64_t k = 0; k < out.length; k++) {
            indices[kept] = out.indices[k];
            values[kept] = out.values[k] * scale;
            kept += vf_unit(vf_mix(key + (uint64_t)k)) >= dropout->rate;
        }
        out.indices = indices;
        out.values = values;
        out.length = kept;
    }
    return out;
}

/* Asks for a record, as often for every one: vf_prefetch_lines would look where each begins, which costs more. Inlined
 * by force: compilers take a function that only prefetches for one without effect, and drop calls to it. */
VF_INLINE void vf_prefetch_record(const float *record, int64_t size) {
    for (int64_t c = 0; c < size; c += 16)
        VF_PREFETCH_READ(record + c);
    if (size > 1)
        VF_PREFETCH_READ(record + size - 1);
}

/* A part of a row's entries: the processor has few misses in flight, and asked for at once, all others would wait. */
typedef struct {
    int64_t part, n_parts;
} vf_portion;

VF_INLINE int64_t vf_portion_end(int64_t start, int64_t end, int64_t part, int64_t n_parts) {
    return start + (end - start) * part / n_parts;
}

/* Asks for records of a coming row. */
VF_INLINE void vf_prefetch_row(const vf_rows *rows, int64_t row, vf_portion portion, const float *record, int64_t stride) {
    if (rows->indices == NULL)
        return;
    const int64_t start = vf_row_start(rows, row), end = vf_row_start(rows, row + 1);
    const int64_t to = vf_portion_end(start, end, portion.part + 1, portion.n_parts);
    for (int64_t k = vf_portion_end(start, end, portion.part, portion.n_parts); k < to; k++)
        vf_prefetch_record(record + (int64_t)vf_index_at(rows, k) * stride, stride < 64 ? stride : 64);
}

/* Asks for all cache lines between two addresses. */
VF_INLINE void vf_prefetch_lines(const char *from, const char *to) {
    enum { LINE = 64 };
    for (const char *at = from - (uintptr_t)from % LINE; at < to; at += LINE)
        VF_PREFETCH_READ(at);
}

/* Asks for the indices and values of a row further ahead. */
VF_INLINE void vf_prefetch_data(const vf_rows *rows, int64_t row) {
    if (rows->indices == NULL)
        return;
    const int64_t start = vf_row_start(rows, row), end = vf_row_start(rows, row + 1);
    const int64_t per_index = rows->wide_indices ? 8 : 4, per_value = rows->wide_values ? 8 : 4;
    const char *indices = (const char *)rows->indices, *values = (const char *)rows->values;
    vf_prefetch_lines(indices + start * per_index, indices + end * per_index);
    vf_prefetch_lines(values + start * per_value, values + end * per_value);
}

#endif
