/* Cells of a data frame to features: what is in a row of a column, hashed. */
#ifndef VF_CELLS_H
#define VF_CELLS_H

#include "murmur.h"
#include "sink.h"
#include "words.h"

enum { VF_STRING_CELLS, VF_TEXT_CELLS, VF_INTEGER_CELLS, VF_CODE_CELLS, VF_NUMBER_CELLS };

typedef struct {
    int32_t kind;
    int64_t first;            /* place of the first row in the arrays below */
    vf_strings strings;
    const int64_t *integers;
    const int32_t *codes;     /* -1: missing */
    const uint32_t *hashes;   /* of each code */
    const double *numbers;    /* NaN: missing */
    const uint8_t *valid;     /* bit valid_first + place; NULL: all valid */
    int64_t valid_first;
    const int64_t *starts;    /* of the lists of rows among the cells; NULL: one cell a row */
    const uint8_t *list_valid;
    int64_t list_valid_first;
    vf_word_rules rules;
    vf_murmur prefix;
    uint32_t name_hash;       /* of the name alone, for numbers */
    uint32_t missing_hash;
    int32_t keep_missing;
    int32_t first_bucket;     /* column of X where the column's own range begins */
} vf_cells;

static const vf_bytes VF_NO_NAME = {NULL, 0};

VF_INLINE void vf_take_missing(const vf_cells *cells, vf_sink *sink) {
    if (cells->keep_missing)
        vf_take(sink, VF_NO_NAME, cells->missing_hash, cells->first_bucket, 1.0f, 1);
}

VF_INLINE void vf_take_string(const vf_cells *cells, vf_bytes text, vf_sink *sink) {
    const uint32_t hash = vf_murmur_hash(cells->prefix, text.data, text.length);
    vf_take(sink, text, hash, cells->first_bucket, 1.0f, 1);
}

static inline void vf_take_words(const vf_cells *cells, vf_bytes text, vf_words *words, vf_sink *sink) {
    if (!vf_split(&cells->rules, words, text)) {
        sink->failed = 1;
        return;
    }
    for (int64_t n = cells->rules.from_n; n <= cells->rules.to_n; n++) {
        for (int64_t k = 0; k + n <= words->n_words; k++) {
            const vf_bytes gram = {words->text + words->starts[k], words->ends[k + n - 1] - words->starts[k]};
            vf_take_string(cells, gram, sink);
        }
    }
}

/* Decimal digits, written backwards from `end`. */
static inline vf_bytes vf_digits(int64_t number, uint8_t *end) {
    uint8_t *at = end;
    uint64_t rest = number < 0 ? 0u - (uint64_t)number : (uint64_t)number;
    do {
        *--at = (uint8_t)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (number < 0)
        *--at = '-';
    const vf_bytes out = {at, end - at};
    return out;
}

VF_INLINE int vf_is_missing(const vf_cells *cells, int64_t at) {
    if (cells->kind == VF_CODE_CELLS)
        return cells->codes[at] < 0;
    if (cells->kind == VF_NUMBER_CELLS)
        return cells->numbers[at] != cells->numbers[at];
    return !vf_is_valid(cells->valid, cells->valid_first + at);
}

VF_INLINE void vf_take_cell(const vf_cells *cells, int64_t at, vf_words *words, vf_sink *sink) {
    uint8_t digits[24];
    vf_bytes text;
    if (vf_is_missing(cells, at)) {
        vf_take_missing(cells, sink);
        return;
    }
    switch (cells->kind) {
    case VF_STRING_CELLS:
    case VF_TEXT_CELLS:
        text = vf_string_at(&cells->strings, at);
        if (text.data == NULL && text.length < 0)
            vf_take_missing(cells, sink);
        else if (cells->kind == VF_STRING_CELLS)
            vf_take_string(cells, text, sink);
        else
            vf_take_words(cells, text, words, sink);
        return;
    case VF_INTEGER_CELLS:
        vf_take_string(cells, vf_digits(cells->integers[at], digits + sizeof digits), sink);
        return;
    case VF_CODE_CELLS:
        vf_take(sink, VF_NO_NAME, cells->hashes[cells->codes[at]], cells->first_bucket, 1.0f, 1);
        return;
    default:
        if (cells->numbers[at] != 0.0)
            vf_take(sink, VF_NO_NAME, cells->name_hash, cells->first_bucket, (float)cells->numbers[at], 0);
    }
}

VF_INLINE void vf_take_row(const vf_cells *cells, int64_t row, vf_words *words, vf_sink *sink) {
    const int64_t at = cells->first + row;
    if (cells->starts == NULL) {
        vf_take_cell(cells, at, words, sink);
    } else if (!vf_is_valid(cells->list_valid, cells->list_valid_first + at)) {
        vf_take_missing(cells, sink);
    } else {
        for (int64_t k = cells->starts[at]; k < cells->starts[at + 1]; k++)
            vf_take_cell(cells, k, words, sink);
    }
}

/* Hashes the rows of all columns; lengths are those of the rows of the matrix.
 * Returns 0 if memory is short. */
static inline int vf_encode(const vf_cells *cells, int64_t n_columns, int64_t n_rows, vf_words *words,
                            vf_sink *sink, int32_t *lengths) {
    for (int64_t row = 0; row < n_rows && !sink->failed; row++) {
        const int64_t start = sink->size;
        for (int64_t j = 0; j < n_columns; j++)
            vf_take_row(cells + j, row, words, sink);
        if (sink->purpose == VF_TO_MATRIX)
            lengths[row] = (int32_t)vf_close_row(sink, start);
    }
    return !sink->failed;
}

#endif
