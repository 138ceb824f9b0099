/* Rows of at most one entry a column of the frame. Entries are numbers that sort by their
 * column of the matrix, in blocks of rows: lanes hold rows, so that sorting has no branches. */
#ifndef VF_ENTRIES_H
#define VF_ENTRIES_H

#include "text/murmur_block.h"
#include "text/sink.h"

#define VF_NO_ENTRY INT64_MAX

typedef struct {
    int64_t keys[VF_BLOCK]; /* column of the matrix, then the bits of the value; or VF_NO_ENTRY */
} vf_entries;

VF_INLINE int64_t vf_entry(int32_t index, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (int64_t)index << 32 | bits;
}

VF_INLINE int32_t vf_entry_index(int64_t key) { return (int32_t)(key >> 32); }

VF_INLINE float vf_entry_value(int64_t key) {
    const uint32_t bits = (uint32_t)key;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

VF_INLINE void vf_exchange(int64_t *VF_RESTRICT a, int64_t *VF_RESTRICT b) {
    for (int64_t k = 0; k < VF_BLOCK; k++) {
        const int64_t first = a[k], second = b[k];
        a[k] = first < second ? first : second;
        b[k] = first < second ? second : first;
    }
}

/* Batcher's merge exchange (Knuth, The Art of Computer Programming 3, 5.2.2, Algorithm M). */
VF_INLINE void vf_sort_rows(vf_entries *entries, int64_t n) {
    int64_t top = 1;
    while (2 * top < n)
        top *= 2;
    for (int64_t p = top; p > 0; p /= 2) {
        int64_t q = top, r = 0, d = p;
        for (;;) {
            for (int64_t i = 0; i + d < n; i++) {
                if ((i & p) == r)
                    vf_exchange(entries[i].keys, entries[i + d].keys);
            }
            if (q == p)
                break;
            d = q - p;
            q /= 2;
            r = p;
        }
    }
}

/* Finds rows that lack an entry or have two of one column; returns whether there are any. */
VF_INLINE int vf_find_irregular(const vf_entries *entries, int64_t n_columns, int64_t n, int64_t *irregular) {
    int64_t any = 0;
    for (int64_t k = 0; k < VF_BLOCK; k++)
        irregular[k] = entries[n_columns - 1].keys[k] == VF_NO_ENTRY;
    for (int64_t j = 0; j + 1 < n_columns; j++) {
        const int64_t *keys = entries[j].keys, *next = entries[j + 1].keys;
        for (int64_t k = 0; k < VF_BLOCK; k++)
            irregular[k] |= (keys[k] == VF_NO_ENTRY) | ((uint64_t)(keys[k] ^ next[k]) >> 32 == 0);
    }
    for (int64_t k = 0; k < n; k++)
        any |= irregular[k];
    return any != 0;
}

VF_INLINE void vf_put_regular(const vf_entries *entries, int64_t n_columns, int64_t k, int32_t *indices,
                              float *values) {
    for (int64_t j = 0; j < n_columns; j++) {
        const int64_t key = entries[j].keys[k];
        indices[j] = vf_entry_index(key);
        values[j] = vf_entry_value(key);
    }
}

/* There is room for an entry of every column. */
static inline int64_t vf_put_irregular(const vf_entries *entries, int64_t n_columns, int64_t k, int32_t *indices,
                                       float *values) {
    int64_t n = 0;
    for (int64_t j = 0; j < n_columns; j++) {
        const int64_t key = entries[j].keys[k];
        indices[n] = vf_entry_index(key);
        values[n] = vf_entry_value(key);
        n += key != VF_NO_ENTRY;
    }
    return vf_has_repeats(indices, n) ? vf_merge(indices, values, n) : n;
}

/* Writes n sorted rows one after the other, from place `size`; returns where the last ends. */
VF_INLINE int64_t vf_put_rows(const vf_entries *entries, int64_t n_columns, int64_t n, int64_t size,
                              int32_t *indices, float *values, int32_t *ends) {
    int64_t irregular[VF_BLOCK];
    const int any = vf_find_irregular(entries, n_columns, n, irregular);
    for (int64_t k = 0; k < n; k++) {
        int64_t length = n_columns;
        if (any && irregular[k])
            length = vf_put_irregular(entries, n_columns, k, indices + size, values + size);
        else
            vf_put_regular(entries, n_columns, k, indices + size, values + size);
        size += length;
        ends[k] = (int32_t)size;
    }
    return size;
}

#endif
