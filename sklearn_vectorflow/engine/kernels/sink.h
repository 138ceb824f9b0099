/* Where hashed features go: into the rows of a matrix, into counts, or into a list of
 * names for those who ask what a column means. */
#ifndef VF_SINK_H
#define VF_SINK_H

#include "sketch.h"
#include "strings.h"

enum { VF_TO_MATRIX, VF_TO_COUNTS, VF_TO_NAMES };

typedef struct {
    int32_t purpose;
    uint32_t mask;        /* 2**bits - 1 */
    int32_t signs;        /* whether a hash also gives a sign */
    vf_sketch sketch;     /* counters may be NULL */
    uint32_t least_count; /* features counted less often are left out */
    int64_t size, capacity;
    int32_t *indices;     /* columns of the matrix; hashes that names belong to */
    float *values;
    int64_t *ends;        /* of names in text */
    uint8_t *text;
    int64_t text_capacity;
    int32_t failed;       /* memory was short */
} vf_sink;

static inline int vf_sink_grow(vf_sink *sink) {
    const size_t capacity = 2 * (size_t)sink->capacity + 1024;
    void *indices = realloc(sink->indices, capacity * sizeof(int32_t));
    if (indices != NULL)
        sink->indices = (int32_t *)indices;
    void *values = realloc(sink->values, capacity * sizeof(float));
    if (values != NULL)
        sink->values = (float *)values;
    void *ends = sink->purpose == VF_TO_NAMES ? realloc(sink->ends, capacity * sizeof(int64_t)) : sink->ends;
    if (ends != NULL)
        sink->ends = (int64_t *)ends;
    sink->failed |= indices == NULL || values == NULL || (sink->purpose == VF_TO_NAMES && ends == NULL);
    if (!sink->failed)
        sink->capacity = (int64_t)capacity;
    return !sink->failed;
}

static inline void vf_take_name(vf_sink *sink, vf_bytes name, uint32_t hash) {
    const int64_t start = sink->size ? sink->ends[sink->size - 1] : 0, end = start + name.length;
    if (end > sink->text_capacity) {
        uint8_t *text = (uint8_t *)realloc(sink->text, (size_t)(2 * end));
        if (text == NULL) {
            sink->failed = 1;
            return;
        }
        sink->text = text;
        sink->text_capacity = 2 * end;
    }
    if (name.length)
        memcpy(sink->text + start, name.data, (size_t)name.length);
    sink->indices[sink->size] = (int32_t)hash;
    sink->ends[sink->size++] = end;
}

/* Bucket and sign as scikit-learn's FeatureHasher has them: of the hash as an int32. */
VF_INLINE void vf_take_entry(vf_sink *sink, uint32_t hash, int32_t first, float value) {
    const uint32_t size = hash >> 31 ? 0u - hash : hash;
    sink->indices[sink->size] = first + (int32_t)(size & sink->mask);
    sink->values[sink->size++] = sink->signs && hash >> 31 ? -value : value;
}

/* `counted`: whether the feature is one of those that may be rare. */
VF_INLINE void vf_take(vf_sink *sink, vf_bytes name, uint32_t hash, int32_t first, float value, int counted) {
    if (sink->purpose == VF_TO_COUNTS) {
        if (counted)
            vf_count(&sink->sketch, hash);
        return;
    }
    if (sink->size == sink->capacity && !vf_sink_grow(sink))
        return;
    if (sink->purpose == VF_TO_NAMES)
        vf_take_name(sink, name, hash);
    else if (!counted || sink->least_count == 0 || vf_estimate(&sink->sketch, hash) >= sink->least_count)
        vf_take_entry(sink, hash, first, value);
}

enum { VF_SHORT_ROW = 32 };

/* Sorts by counting what is smaller, without branches; stable. */
static inline void vf_sort_short(int32_t *indices, float *values, int64_t n) {
    int32_t index[VF_SHORT_ROW];
    float value[VF_SHORT_ROW];
    for (int64_t k = 0; k < n; k++) {
        index[k] = indices[k];
        value[k] = values[k];
    }
    for (int64_t k = 0; k < n; k++) {
        int32_t place = 0;
        for (int64_t j = 0; j < k; j++)
            place += index[j] <= index[k];
        for (int64_t j = k + 1; j < n; j++)
            place += index[j] < index[k];
        indices[place] = index[k];
        values[place] = value[k];
    }
}

/* Shell's sort, Tokuda's gaps. Equal columns may change places; sums hardly notice. */
static inline void vf_sort_long(int32_t *indices, float *values, int64_t n) {
    int64_t gaps[64], n_gaps = 0;
    for (double gap = 1; gap < (double)n; gap = 2.25 * gap + 1)
        gaps[n_gaps++] = (int64_t)ceil(gap);
    while (n_gaps-- > 0) {
        const int64_t gap = gaps[n_gaps];
        for (int64_t k = gap; k < n; k++) {
            const int32_t index = indices[k];
            const float value = values[k];
            int64_t at = k;
            for (; at >= gap && indices[at - gap] > index; at -= gap) {
                indices[at] = indices[at - gap];
                values[at] = values[at - gap];
            }
            indices[at] = index;
            values[at] = value;
        }
    }
}

/* Sorts the row that starts at `start`, sums what shares a column and drops what
 * cancels; returns its length. */
static inline int64_t vf_close_row(vf_sink *sink, int64_t start) {
    int32_t *indices = sink->indices + start;
    float *values = sink->values + start;
    const int64_t n = sink->size - start;
    if (n <= VF_SHORT_ROW)
        vf_sort_short(indices, values, n);
    else
        vf_sort_long(indices, values, n);
    int64_t length = 0;
    for (int64_t k = 0; k < n;) {
        const int32_t index = indices[k];
        float sum = values[k++];
        while (k < n && indices[k] == index)
            sum += values[k++];
        indices[length] = index;
        values[length] = sum;
        length += sum != 0.0f;
    }
    sink->size = start + length;
    return length;
}

#endif
