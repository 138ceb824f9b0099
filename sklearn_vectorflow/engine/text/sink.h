/* Where hashed features go: into the rows of a matrix, into counts, or into a list of
 * names for those who ask what a column means. */
#ifndef VF_SINK_H
#define VF_SINK_H

#include "text/names.h"
#include "text/sketch.h"

enum { VF_TO_MATRIX, VF_TO_COUNTS, VF_TO_NAMES };

typedef struct {
    int32_t purpose;
    uint32_t mask;        /* 2**bits - 1 */
    uint32_t sign_bit;    /* of a hash, that gives the sign of its value; 0: all positive */
    vf_sketch sketch;     /* counters may be NULL */
    uint32_t least_count; /* features counted less often are left out */
    int64_t size, capacity;
    int32_t *indices;     /* columns of the matrix; hashes that names belong to */
    float *values;
    int64_t *ends;        /* of names in text */
    uint8_t *text;
    int64_t text_capacity;
    const vf_met *before; /* names that are left out, as others have met them; NULL: none */
    vf_met met;           /* names in text */
    int32_t failed;       /* memory was short */
} vf_sink;

static int vf_sink_grow(vf_sink *sink, int64_t least) {
    const size_t twice = 2 * (size_t)sink->capacity + 1024;
    const size_t capacity = twice < (size_t)least ? (size_t)least : twice;
    void *indices = realloc(sink->indices, capacity * sizeof(int32_t));
    if (indices != NULL)
        sink->indices = (int32_t *)indices;
    void *values = sink->purpose == VF_TO_NAMES ? sink->values : realloc(sink->values, capacity * sizeof(float));
    if (values != NULL)
        sink->values = (float *)values;
    void *ends = sink->purpose == VF_TO_NAMES ? realloc(sink->ends, capacity * sizeof(int64_t)) : sink->ends;
    if (ends != NULL)
        sink->ends = (int64_t *)ends;
    sink->failed |= indices == NULL || (sink->purpose == VF_TO_NAMES ? ends == NULL : values == NULL);
    if (!sink->failed)
        sink->capacity = (int64_t)capacity;
    return !sink->failed;
}

/* A name, unless it was met. */
static inline void vf_take_name(vf_sink *sink, vf_bytes name, uint32_t hash, uint64_t key) {
    if ((sink->before != NULL && vf_is_met(sink->before, key)) || vf_is_met(&sink->met, key))
        return;
    if ((sink->size == sink->capacity && !vf_sink_grow(sink, sink->size + 1)) || !vf_met_reserve(&sink->met)) {
        sink->failed = 1;
        return;
    }
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
    vf_met_put(&sink->met, key);
}

/* Takes in n names, one after the other in `text`, until there are `most` new ones. Places in the table of names are
 * asked for some names before they are looked at. */
static inline void vf_take_names_of(vf_sink *sink, const int64_t *ends, const uint8_t *text, const int32_t *hashes,
                                    int64_t n, int64_t most) {
    enum { AHEAD = 16 };
    const int64_t full = most < INT64_MAX - sink->size ? sink->size + most : INT64_MAX;
    uint64_t keys[AHEAD];
    for (int64_t k = 0; k < n + AHEAD && sink->size < full && !sink->failed; k++) {
        if (k >= AHEAD) {
            const int64_t at = k - AHEAD, start = at ? ends[at - 1] : 0;
            const vf_bytes name = {text + start, ends[at] - start};
            vf_take_name(sink, name, (uint32_t)hashes[at], keys[k % AHEAD]);
        }
        if (k < n) {
            const int64_t start = k ? ends[k - 1] : 0;
            const vf_bytes name = {text + start, ends[k] - start};
            keys[k % AHEAD] = vf_name_key(name, (uint32_t)hashes[k]);
            if (sink->met.keys != NULL)
                VF_PREFETCH_READ(sink->met.keys + vf_met_place(&sink->met, keys[k % AHEAD]));
        }
    }
}

/* Room for n entries more. */
VF_INLINE int vf_sink_reserve(vf_sink *sink, int64_t n) {
    return sink->size + n <= sink->capacity || vf_sink_grow(sink, sink->size + n);
}

/* Bucket and sign as scikit-learn's FeatureHasher has them: of the hash as an int32. */
VF_INLINE int32_t vf_bucket(const vf_sink *sink, uint32_t hash) {
    const uint32_t negative = 0u - (hash >> 31);
    return (int32_t)(((hash ^ negative) - negative) & sink->mask);
}

/* A branch would be mispredicted every second time. */
VF_INLINE float vf_signed(const vf_sink *sink, uint32_t hash, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits ^= hash & sink->sign_bit;
    memcpy(&value, &bits, sizeof value);
    return value;
}

VF_INLINE int vf_is_rare(const vf_sink *sink, uint32_t hash) {
    return sink->least_count > 0 && vf_estimate(&sink->sketch, hash) < sink->least_count;
}

/* A feature that may be rare, and counts one. */
VF_INLINE void vf_take(vf_sink *sink, vf_bytes name, uint32_t hash, int32_t first) {
    if (sink->purpose == VF_TO_COUNTS) {
        vf_count(&sink->sketch, hash);
        return;
    }
    if (sink->purpose == VF_TO_NAMES) {
        vf_take_name(sink, name, hash, vf_name_key(name, hash));
        return;
    }
    if (!vf_sink_reserve(sink, 1))
        return;
    if (!vf_is_rare(sink, hash)) {
        sink->indices[sink->size] = first + vf_bucket(sink, hash);
        sink->values[sink->size++] = vf_signed(sink, hash, 1.0f);
    }
}

/* Sorts by counting what comes before each entry, without branches; stable. */
VF_INLINE void vf_sort_short(int32_t *indices, float *values, int64_t n) {
    int32_t index[VF_LANES] = {0}, place[VF_LANES] = {0};
    float value[VF_LANES];
    for (int64_t k = 0; k < n; k++) {
        index[k] = indices[k];
        value[k] = values[k];
    }
    for (int32_t j = 0; j < n; j++) {
        for (int32_t k = 0; k < VF_LANES; k++)
            place[k] += index[j] - (k > j) < index[k];
    }
    for (int64_t k = 0; k < n; k++) {
        indices[place[k]] = index[k];
        values[place[k]] = value[k];
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

VF_INLINE int vf_has_repeats(const int32_t *indices, int64_t n) {
    int repeats = 0;
    for (int64_t k = 1; k < n; k++)
        repeats |= indices[k] == indices[k - 1];
    return repeats;
}

/* Sums neighbours of one column, and drops what cancels; returns what is left. */
static inline int64_t vf_merge(int32_t *indices, float *values, int64_t n) {
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
    return length;
}

/* Puts the row that starts at `start` in order and returns its length. */
VF_INLINE int64_t vf_close_row(vf_sink *sink, int64_t start) {
    int32_t *indices = sink->indices + start;
    float *values = sink->values + start;
    const int64_t n = sink->size - start;
    if (n <= VF_LANES)
        vf_sort_short(indices, values, n);
    else
        vf_sort_long(indices, values, n);
    if (!vf_has_repeats(indices, n))
        return n;
    const int64_t length = vf_merge(indices, values, n);
    sink->size = start + length;
    return length;
}

#endif
