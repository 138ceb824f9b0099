/* Strings where they lie: in the layouts of Apache Arrow, or behind places. */
#ifndef VF_STRINGS_H
#define VF_STRINGS_H

#include "kernels/platform.h"

enum { VF_OFFSETS, VF_WIDE_OFFSETS, VF_VIEWS, VF_PLACES };

enum { VF_INSIDE = 12 }; /* the longest string that lies in its view or place itself */

typedef struct {
    const uint8_t *data;
    int64_t length;
} vf_bytes;

typedef struct {
    int32_t layout;
    const void *places;            /* n + 1 offsets (int32, int64), n views or n places */
    const uint8_t *data;           /* what offsets point into */
    int64_t size;                  /* of data, in bytes */
    const uint8_t *const *buffers; /* what views point into */
    const int64_t *sizes;          /* of the buffers, in bytes */
    int64_t n_buffers;
} vf_strings;

/* An Arrow view has 16 bytes: a length, then the string itself if it is short, else
 * its first four bytes, the number of a buffer and the place in it. */
VF_INLINE vf_bytes vf_view_at(const vf_strings *strings, int64_t at) {
    const uint8_t *view = (const uint8_t *)strings->places + 16 * at;
    int32_t fields[4];
    memcpy(fields, view, sizeof fields);
    const vf_bytes out = {fields[0] <= VF_INSIDE ? view + 4 : strings->buffers[fields[2]] + fields[3], fields[0]};
    return out;
}

/* The same for strings of Python: a longer string's last eight bytes are its address. The length of
 * one that is missing is negative. */
VF_INLINE vf_bytes vf_placed_at(const vf_strings *strings, int64_t at) {
    const uint8_t *place = (const uint8_t *)strings->places + 16 * at;
    int32_t length;
    memcpy(&length, place, sizeof length);
    vf_bytes out = {place + 4, length};
    if (length > VF_INSIDE)
        memcpy(&out.data, place + 8, sizeof out.data);
    return out;
}

VF_INLINE vf_bytes vf_string_at(const vf_strings *strings, int32_t layout, int64_t at) {
    vf_bytes out;
    switch (layout) {
    case VF_OFFSETS: {
        const int32_t *offsets = (const int32_t *)strings->places + at;
        out.data = strings->data + offsets[0];
        out.length = offsets[1] - offsets[0];
        return out;
    }
    case VF_WIDE_OFFSETS: {
        const int64_t *offsets = (const int64_t *)strings->places + at;
        out.data = strings->data + offsets[0];
        out.length = offsets[1] - offsets[0];
        return out;
    }
    case VF_VIEWS:
        return vf_view_at(strings, at);
    default:
        return vf_placed_at(strings, at);
    }
}

/* Bit `at` of an Arrow validity bitmap; no bitmap: everything is valid. */
VF_INLINE int vf_is_valid(const uint8_t *bitmap, int64_t at) {
    return bitmap == NULL || (bitmap[at >> 3] >> (at & 7) & 1);
}

#define VF_OFFSETS_FIT(name, type)                                                                           \
    VF_INLINE int name(const vf_strings *strings, int64_t at, int64_t n) {                                   \
        const type *offsets = (const type *)strings->places + at;                                            \
        int32_t falls = offsets[0] < 0 || offsets[n] > strings->size;                                        \
        for (int64_t k = 0; k < n; k++)                                                                      \
            falls |= offsets[k + 1] < offsets[k];                                                            \
        return !falls;                                                                                       \
    }

VF_OFFSETS_FIT(vf_offsets_fit, int32_t)
VF_OFFSETS_FIT(vf_wide_offsets_fit, int64_t)

VF_INLINE int vf_view_fits(const vf_strings *strings, int64_t at) {
    int32_t fields[4];
    memcpy(fields, (const uint8_t *)strings->places + 16 * at, sizeof fields);
    if (fields[0] <= VF_INSIDE)
        return fields[0] >= 0;
    return fields[2] >= 0 && fields[2] < strings->n_buffers && fields[3] >= 0 &&
           (int64_t)fields[3] + fields[0] <= strings->sizes[fields[2]];
}

/* Whether n strings of an Arrow array lie in what offsets or views point into. */
static inline int vf_strings_fit(const vf_strings *strings, const uint8_t *valid, int64_t valid_first, int64_t at,
                                 int64_t n) {
    if (n == 0 || strings->layout == VF_PLACES)
        return 1;
    if (strings->places == NULL)
        return 0;
    if (strings->layout == VF_OFFSETS)
        return vf_offsets_fit(strings, at, n);
    if (strings->layout == VF_WIDE_OFFSETS)
        return vf_wide_offsets_fit(strings, at, n);
    for (int64_t k = at; k < at + n; k++) {
        if (vf_is_valid(valid, valid_first + k) && !vf_view_fits(strings, k))
            return 0;
    }
    return 1;
}

#endif
