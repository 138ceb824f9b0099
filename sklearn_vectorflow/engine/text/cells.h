/* Cells of a data frame to features: what is in a row of a column, hashed. */
#ifndef VF_CELLS_H
#define VF_CELLS_H

#include "text/entries.h"
#include "text/words.h"

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

/* What a cell gives: a feature and its value, which is 0 where it gives nothing. */
typedef struct {
    uint32_t hash;
    float value;
    vf_bytes name;
} vf_feature;

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

VF_INLINE vf_feature vf_missing(const vf_cells *cells) {
    const vf_feature out = {cells->missing_hash, (float)cells->keep_missing, {NULL, 0}};
    return out;
}

VF_INLINE vf_feature vf_string(const vf_cells *cells, vf_bytes text) {
    const vf_feature out = {vf_murmur_hash(cells->prefix, text.data, text.length), 1.0f, text};
    return out;
}

/* Kind and layout are arguments, so that loops over cells can know them beforehand;
 * digits is room for 24 bytes. */
VF_INLINE vf_feature vf_cell(const vf_cells *cells, int32_t kind, int32_t layout, int64_t at, uint8_t *digits) {
    vf_feature out = {0, 0.0f, {NULL, 0}};
    if (kind == VF_NUMBER_CELLS) {
        const double number = cells->numbers[at];
        if (number != number)
            return vf_missing(cells);
        out.hash = cells->name_hash;
        out.value = (float)number;
        return out;
    }
    if (kind == VF_CODE_CELLS) {
        if (cells->codes[at] < 0)
            return vf_missing(cells);
        out.hash = cells->hashes[cells->codes[at]];
        out.value = 1.0f;
        return out;
    }
    if (!vf_is_valid(cells->valid, cells->valid_first + at))
        return vf_missing(cells);
    if (kind == VF_INTEGER_CELLS)
        return vf_string(cells, vf_digits(cells->integers[at], digits + 24));
    const vf_bytes text = vf_string_at(&cells->strings, layout, at);
    return text.length < 0 ? vf_missing(cells) : vf_string(cells, text);
}

/* Columns of one cell a row are hashed a block of rows at a time: loops over one
 * column have nothing else to decide. */
VF_INLINE void vf_fill_numbers(const vf_cells *cells, int64_t at, int64_t n, const vf_sink *sink, vf_entries *out) {
    const int64_t missing = vf_entry(cells->first_bucket + vf_bucket(sink, cells->missing_hash),
                                     vf_signed(sink, cells->missing_hash, 1.0f));
    const int32_t index = cells->first_bucket + vf_bucket(sink, cells->name_hash);
    for (int64_t k = 0; k < n; k++) {
        const double number = cells->numbers[at + k];
        const float value = vf_signed(sink, cells->name_hash, (float)number);
        out->keys[k] = value != 0.0f ? vf_entry(index, value) : VF_NO_ENTRY;
        if (number != number)
            out->keys[k] = cells->keep_missing ? missing : VF_NO_ENTRY;
    }
}

VF_INLINE void vf_hash_codes(const vf_cells *cells, int64_t at, int64_t n, vf_string_block *block) {
    for (int64_t k = 0; k < n; k++) {
        const int32_t code = cells->codes[at + k];
        block->lengths[k] = code;
        block->hashes[k] = cells->hashes[code < 0 ? 0 : code];
    }
}

VF_INLINE void vf_hash_integers(const vf_cells *cells, int64_t at, int64_t n, vf_string_block *block) {
    uint8_t digits[24];
    for (int64_t k = 0; k < n; k++) {
        const vf_bytes text = vf_digits(cells->integers[at + k], digits + sizeof digits);
        block->lengths[k] = (int32_t)text.length;
        block->hashes[k] = vf_murmur_hash(cells->prefix, text.data, text.length);
    }
}

/* Marks missing cells by negative lengths; returns whether there are any. */
VF_INLINE int vf_mark_missing(const vf_cells *cells, int64_t at, int64_t n, vf_string_block *block) {
    int32_t any = 0;
    if (cells->valid != NULL) {
        for (int64_t k = 0; k < n; k++) {
            if (!vf_is_valid(cells->valid, cells->valid_first + at + k))
                block->lengths[k] = -1;
        }
    }
    for (int64_t k = 0; k < n; k++)
        any |= block->lengths[k];
    return any < 0;
}

/* Hashes of the first n strings, which may be missing. */
VF_SIMD
static void vf_hash_each(const vf_cells *cells, int64_t n, uint32_t *hashes, uint8_t *missing) {
    vf_string_block block = {{{0}}};
    for (int64_t first = 0; first < n; first += VF_BLOCK) {
        const int64_t at = cells->first + first, size = n - first < VF_BLOCK ? n - first : VF_BLOCK;
        vf_hash_block(&cells->strings, cells->valid, cells->valid_first, cells->prefix, at, size, &block);
        vf_mark_missing(cells, at, size, &block);
        for (int64_t k = 0; k < size; k++) {
            hashes[first + k] = block.hashes[k];
            missing[first + k] = block.lengths[k] < 0;
        }
    }
}

VF_INLINE void vf_fill(const vf_cells *cells, int64_t row, int64_t n, const vf_sink *sink, vf_string_block *block,
                       vf_entries *out) {
    const int64_t at = cells->first + row;
    if (cells->kind == VF_NUMBER_CELLS) {
        vf_fill_numbers(cells, at, n, sink, out);
        return;
    }
    if (cells->kind == VF_CODE_CELLS)
        vf_hash_codes(cells, at, n, block);
    else if (cells->kind == VF_INTEGER_CELLS)
        vf_hash_integers(cells, at, n, block);
    else
        vf_hash_block(&cells->strings, cells->valid, cells->valid_first, cells->prefix, at, n, block);
    const int missing = vf_mark_missing(cells, at, n, block);
    for (int64_t k = 0; k < n && missing; k++)
        block->hashes[k] = block->lengths[k] < 0 ? cells->missing_hash : block->hashes[k];
    for (int64_t k = 0; k < VF_BLOCK; k++) {
        const uint32_t hash = block->hashes[k];
        out->keys[k] = vf_entry(cells->first_bucket + vf_bucket(sink, hash), vf_signed(sink, hash, 1.0f));
    }
    for (int64_t k = 0; k < n && missing && !cells->keep_missing; k++)
        out->keys[k] = block->lengths[k] < 0 ? VF_NO_ENTRY : out->keys[k];
    for (int64_t k = 0; k < n && sink->least_count > 0; k++)
        out->keys[k] = vf_is_rare(sink, block->hashes[k]) ? VF_NO_ENTRY : out->keys[k];
}

VF_INLINE int vf_is_block(const vf_cells *cells, const vf_sink *sink) {
    return sink->purpose == VF_TO_MATRIX && cells->starts == NULL && cells->kind != VF_TEXT_CELLS;
}

static inline void vf_take_words(const vf_cells *cells, vf_bytes text, vf_words *words, vf_sink *sink) {
    if (!vf_split(&cells->rules, words, text)) {
        sink->failed = 1;
        return;
    }
    for (int64_t n = cells->rules.from_n; n <= cells->rules.to_n; n++) {
        for (int64_t k = 0; k + n <= words->n_words; k++) {
            const vf_bytes gram = {words->text + words->starts[k], words->ends[k + n - 1] - words->starts[k]};
            vf_take(sink, gram, vf_murmur_hash(cells->prefix, gram.data, gram.length), cells->first_bucket);
        }
    }
}

static void vf_take_cell(const vf_cells *cells, int64_t at, vf_words *words, vf_sink *sink) {
    uint8_t digits[24];
    if (cells->kind == VF_TEXT_CELLS && vf_is_valid(cells->valid, cells->valid_first + at)) {
        const vf_bytes text = vf_string_at(&cells->strings, cells->strings.layout, at);
        if (text.length >= 0) {
            vf_take_words(cells, text, words, sink);
            return;
        }
    }
    const int32_t kind = cells->kind == VF_TEXT_CELLS ? VF_STRING_CELLS : cells->kind;
    const vf_feature feature = vf_cell(cells, kind, cells->strings.layout, at, digits);
    if (feature.value != 0.0f && kind != VF_NUMBER_CELLS)
        vf_take(sink, feature.name, feature.hash, cells->first_bucket);
}

static void vf_take_row(const vf_cells *cells, int64_t row, vf_words *words, vf_sink *sink) {
    const int64_t at = cells->first + row;
    if (cells->starts == NULL) {
        vf_take_cell(cells, at, words, sink);
    } else if (vf_is_valid(cells->list_valid, cells->list_valid_first + at)) {
        for (int64_t k = cells->starts[at]; k < cells->starts[at + 1]; k++)
            vf_take_cell(cells, k, words, sink);
    } else if (cells->keep_missing) {
        vf_take(sink, vf_missing(cells).name, cells->missing_hash, cells->first_bucket);
    }
}

/* Whether names of a column are found a block of rows at a time. */
VF_INLINE int vf_names_block(const vf_cells *cells, const vf_sink *sink) {
    return sink->purpose == VF_TO_NAMES && cells->starts == NULL && cells->kind == VF_STRING_CELLS;
}

/* Keys of the strings of a block, whose first n have been hashed; those of missing strings are 0. */
VF_INLINE void vf_key_block(const vf_cells *cells, int64_t at, int64_t n, const vf_string_block *block, uint64_t *keys) {
    for (int64_t k = 0; k < VF_BLOCK; k++)
        keys[k] = vf_short_key(block->texts[k], block->lengths[k], block->hashes[k]);
    for (int64_t k = 0; k < n; k++) {
        if (block->lengths[k] > VF_SHORT)
            keys[k] = vf_name_key(vf_string_at(&cells->strings, cells->strings.layout, at + k), block->hashes[k]);
        else if (block->lengths[k] < 0)
            keys[k] = 0;
    }
}

/* Names of n rows of strings. Places in the table of all names are asked for before they are looked at. */
VF_INLINE void vf_take_names(const vf_cells *cells, int64_t row, int64_t n, vf_string_block *block, vf_sink *sink) {
    const int64_t at = cells->first + row;
    uint64_t keys[VF_BLOCK];
    vf_hash_block(&cells->strings, cells->valid, cells->valid_first, cells->prefix, at, n, block);
    vf_mark_missing(cells, at, n, block);
    vf_key_block(cells, at, n, block, keys);
    for (int64_t k = 0; k < n && sink->before->keys != NULL; k++)
        VF_PREFETCH_READ(sink->before->keys + vf_met_place(sink->before, keys[k]));
    for (int64_t k = 0; k < n; k++) {
        if (keys[k] != 0 && !vf_is_met(sink->before, keys[k]))
            vf_take_name(sink, vf_string_at(&cells->strings, cells->strings.layout, at + k), block->hashes[k], keys[k]);
    }
}

/* One row of a matrix; `at` is its place in the blocks of columns. */
VF_INLINE int32_t vf_put_row(const vf_cells *cells, int64_t n_columns, int64_t row, int64_t at,
                             const vf_entries *entries, vf_words *words, vf_sink *sink) {
    const int64_t start = sink->size;
    for (int64_t j = 0; j < n_columns; j++) {
        if (!vf_is_block(cells + j, sink)) {
            vf_take_row(cells + j, row, words, sink);
            continue;
        }
        if (!vf_sink_reserve(sink, 1))
            return 0;
        const int64_t key = entries[j].keys[at];
        sink->indices[sink->size] = vf_entry_index(key);
        sink->values[sink->size] = vf_entry_value(key);
        sink->size += key != VF_NO_ENTRY;
    }
    return sink->purpose == VF_TO_MATRIX ? (int32_t)vf_close_row(sink, start) : 0;
}

/* Hashes the rows of all columns, a block of each column in `entries`; lengths are those of
 * the rows of the matrix. */
VF_SIMD
static void vf_encode(const vf_cells *cells, int64_t n_columns, int64_t n_rows, vf_entries *entries, vf_words *words,
                      vf_sink *sink, int32_t *lengths) {
    vf_string_block block = {{{0}}};
    if (sink->purpose == VF_TO_MATRIX)
        vf_sink_reserve(sink, n_rows * n_columns);
    for (int64_t first = 0; first < n_rows && !sink->failed; first += VF_BLOCK) {
        const int64_t n = n_rows - first < VF_BLOCK ? n_rows - first : VF_BLOCK;
        for (int64_t j = 0; j < n_columns; j++) {
            if (vf_is_block(cells + j, sink))
                vf_fill(cells + j, first, n, sink, &block, entries + j);
        }
        if (n_columns == 1 && vf_names_block(cells, sink)) {
            vf_take_names(cells, first, n, &block, sink);
            continue;
        }
        for (int64_t k = 0; k < n && !sink->failed; k++)
            lengths[first + k] = vf_put_row(cells, n_columns, first + k, k, entries, words, sink);
    }
}

/* Whether every column of the frame has columns of the matrix to itself, in order. */
static inline int vf_are_apart(const vf_cells *cells, int64_t n_columns, const vf_sink *sink) {
    for (int64_t j = 1; j < n_columns; j++) {
        if (cells[j].first_bucket <= cells[j - 1].first_bucket + (int64_t)sink->mask)
            return 0;
    }
    return 1;
}

/* Hashes rows of one cell a column into arrays with room for all cells. */
VF_SIMD
static void vf_encode_cells(const vf_cells *cells, int64_t n_columns, int64_t n_rows, vf_entries *entries,
                               const vf_sink *sink, int32_t *indices, float *values, int32_t *ends) {
    vf_string_block block = {{{0}}};
    const int apart = vf_are_apart(cells, n_columns, sink);
    int64_t size = 0;
    for (int64_t first = 0; first < n_rows; first += VF_BLOCK) {
        const int64_t n = n_rows - first < VF_BLOCK ? n_rows - first : VF_BLOCK;
        for (int64_t j = 0; j < n_columns; j++)
            vf_fill(cells + j, first, n, sink, &block, entries + j);
        if (!apart)
            vf_sort_rows(entries, n_columns);
        size = vf_put_rows(entries, n_columns, n, size, indices, values, ends + first);
    }
}

#endif
