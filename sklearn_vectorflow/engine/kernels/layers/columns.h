/* A root that reads some columns of X: a range of them, or any set through a map. */
#ifndef VF_COLUMNS_H
#define VF_COLUMNS_H

#include "kernels/rows/rows.h"

typedef struct {
    int64_t first, width;
    const int32_t *places; /* by column: its place, -1 where it is not read; NULL: the range [first, first + width) */
} vf_columns;

/* Writes the row's entries that are read; returns how many there are. */
static inline int64_t vf_select(const vf_columns *columns, vf_row row, int32_t *indices, float *values) {
    const uint32_t width = (uint32_t)columns->width;
    const int32_t first = (int32_t)columns->first, *places = columns->places;
    int64_t length = 0;
    for (int64_t k = 0; k < row.length; k++) {
        const int32_t place = places ? places[row.indices[k]] : row.indices[k] - first;
        indices[length] = place;
        values[length] = row.values[k];
        length += (uint32_t)place < width;
    }
    return length;
}

/* As vf_prefetch_row. */
VF_INLINE void vf_prefetch_columns(const vf_columns *columns, const vf_rows *rows, int64_t row, vf_portion portion,
                                   const float *record, int64_t stride) {
    if (rows->indices == NULL)
        return;
    const int64_t start = vf_row_start(rows, row), end = vf_row_start(rows, row + 1);
    const int64_t to = vf_portion_end(start, end, portion.part + 1, portion.n_parts);
    for (int64_t k = vf_portion_end(start, end, portion.part, portion.n_parts); k < to; k++) {
        const int32_t column = vf_index_at(rows, k);
        const int32_t place = columns->places ? columns->places[column] : column - (int32_t)columns->first;
        if ((uint32_t)place < (uint32_t)columns->width)
            vf_prefetch_record(record + place * stride, stride < 64 ? stride : 64);
    }
}

#endif
