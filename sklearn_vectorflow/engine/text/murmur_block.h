/* MurmurHash3 of many short strings at once: each lies in two words, so that loops over
 * strings have no branches and compilers put them into lanes. */
#ifndef VF_MURMUR_BLOCK_H
#define VF_MURMUR_BLOCK_H

#include "text/murmur.h"
#include "text/strings.h"

enum { VF_BLOCK = 128, VF_SHORT = 16, VF_SHORT_WORDS = 5 };

typedef struct {
    uint64_t low, high; /* bytes 0 to 7 and 8 to 15 of a string, zeros after its end */
} vf_short;

typedef struct {
    vf_short texts[VF_BLOCK];
    int32_t lengths[VF_BLOCK]; /* negative: missing; of strings too long for a number the largest */
    uint32_t words[VF_SHORT_WORDS][VF_BLOCK]; /* of what is left of the prefix and a string */
    uint32_t hashes[VF_BLOCK];
} vf_string_block;

static const uint8_t VF_FIRST_BYTES[2 * VF_SHORT] = {255, 255, 255, 255, 255, 255, 255, 255,
                                                     255, 255, 255, 255, 255, 255, 255, 255};

VF_INLINE uint64_t vf_load_long(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

/* A string with VF_SHORT bytes that may be read, its own or not. */
VF_INLINE vf_short vf_first_bytes(const uint8_t *data, int64_t length) {
    const uint8_t *at = VF_FIRST_BYTES + VF_SHORT - (length < VF_SHORT ? length : VF_SHORT);
    vf_short out, mask;
    memcpy(&out, data, sizeof out);
    memcpy(&mask, at, sizeof mask);
    out.low &= mask.low;
    out.high &= mask.high;
    return out;
}

/* A string of at most VF_SHORT bytes, no byte beyond it being read. */
VF_INLINE vf_short vf_read_short(const uint8_t *data, int64_t length) {
    vf_short out = {0, 0};
    if (length > 8) {
        out.low = vf_load_long(data);
        out.high = vf_load_long(data + length - 8) >> (8 * (VF_SHORT - length));
    } else if (length >= 4) {
        out.low = vf_load_word(data) | (uint64_t)vf_load_word(data + length - 4) << (8 * (length - 4));
    } else {
        out.low = vf_last_bytes(data, length);
    }
    return out;
}

VF_INLINE int32_t vf_cut(int64_t length) { return length < INT32_MAX ? (int32_t)length : INT32_MAX; }

/* The same, of any string. */
VF_INLINE void vf_stage(vf_string_block *block, int64_t k, vf_bytes text) {
    const vf_short none = {0, 0};
    const int is_short = text.length >= 0 && text.length <= VF_SHORT;
    block->lengths[k] = vf_cut(text.length);
    block->texts[k] = is_short ? vf_read_short(text.data, text.length) : none;
}

/* Writes the place of a string that Python holds. */
VF_INLINE void vf_place(uint8_t *place, const uint8_t *data, int64_t length) {
    const int32_t size = (int32_t)length;
    memcpy(place, &size, 4);
    if (length > VF_INSIDE) {
        memcpy(place + 8, &data, sizeof data);
        return;
    }
    vf_short text = {0, 0};
    if (length > 0)
        text = vf_read_short(data, length);
    memcpy(place + 4, &text, VF_INSIDE);
}

/* Offsets into data of `size` bytes: all but its last strings are followed by enough bytes. */
#define VF_STAGE_OFFSETS(name, type)                                                                         \
    VF_INLINE void name(const vf_strings *strings, int32_t layout, int64_t at, int64_t n,                    \
                        vf_string_block *block) {                                                            \
        const type *offsets = (const type *)strings->places + at;                                            \
        if ((int64_t)offsets[n] + VF_SHORT > strings->size) {                                                \
            for (int64_t k = 0; k < n; k++)                                                                  \
                vf_stage(block, k, vf_string_at(strings, layout, at + k));                                   \
            return;                                                                                          \
        }                                                                                                    \
        for (int64_t k = 0; k < n; k++)                                                                      \
            block->lengths[k] = vf_cut(offsets[k + 1] - offsets[k]);                                         \
        for (int64_t k = 0; k < n; k++)                                                                      \
            block->texts[k] = vf_first_bytes(strings->data + offsets[k], block->lengths[k]);                 \
    }

VF_STAGE_OFFSETS(vf_stage_offsets, int32_t)
VF_STAGE_OFFSETS(vf_stage_wide_offsets, int64_t)

/* What follows a short string in its view or place are zeros. Views of missing strings may be anything. */
VF_INLINE void vf_stage_views(const vf_strings *strings, int32_t layout, const uint8_t *valid, int64_t valid_first,
                              int64_t at, int64_t n, vf_string_block *block) {
    for (int64_t k = 0; k < n; k++) {
        const uint8_t *view = (const uint8_t *)strings->places + 16 * (at + k);
        const int32_t length = vf_is_valid(valid, valid_first + at + k) ? (int32_t)vf_load_word(view) : 0;
        if (length <= VF_INSIDE) {
            block->texts[k].low = vf_load_long(view + 4);
            block->texts[k].high = vf_load_word(view + 12);
            block->lengths[k] = length;
        } else {
            vf_stage(block, k, vf_string_at(strings, layout, at + k));
        }
    }
}

/* Shifts by 64 are no shifts. */
VF_INLINE uint64_t vf_carry(uint64_t word, int shift) { return (word >> 1) >> (63 - shift); }

/* Hashes of prefix + string; those of longer strings are left out. */
VF_INLINE void vf_hash_short(vf_murmur prefix, vf_string_block *block, int64_t longest) {
    const uint32_t rest = prefix.length & 3;
    const int shift = 8 * (int)rest;
    const int64_t n_words = ((longest < VF_SHORT ? longest : VF_SHORT) + rest) / 4 + 1;
    uint32_t *hashes = block->hashes;
    for (int64_t k = 0; k < VF_BLOCK; k++) {
        const uint64_t low = block->texts[k].low, high = block->texts[k].high;
        const uint64_t first = low << shift | prefix.rest, second = high << shift | vf_carry(low, shift);
        block->words[0][k] = (uint32_t)first;
        block->words[1][k] = (uint32_t)(first >> 32);
        block->words[2][k] = (uint32_t)second;
        block->words[3][k] = (uint32_t)(second >> 32);
        block->words[4][k] = (uint32_t)vf_carry(high, shift);
    }
    for (int64_t k = 0; k < VF_BLOCK; k++)
        hashes[k] = prefix.hash;
    for (int64_t w = 0; w < n_words; w++) {
        const uint32_t *words = block->words[w];
        for (int64_t k = 0; k < VF_BLOCK; k++) {
            const uint32_t n_bytes = (uint32_t)block->lengths[k] + rest;
            const uint32_t last = hashes[k] ^ vf_murmur_scramble(words[k]);
            hashes[k] = 4 * (uint32_t)w + 4 <= n_bytes ? vf_rotate(last, 13) * 5 + 0xE6546B64u : last;
        }
    }
    for (int64_t k = 0; k < VF_BLOCK; k++)
        hashes[k] = vf_murmur_finish(hashes[k], prefix.length + (uint32_t)block->lengths[k]);
}

VF_INLINE int64_t vf_longest(const vf_string_block *block, int64_t n) {
    int32_t longest = 0;
    for (int64_t k = 0; k < n; k++)
        longest = block->lengths[k] > longest ? block->lengths[k] : longest;
    return longest;
}

/* Hashes n strings from place `at`; of those that a bitmap or a negative length says are
 * missing the hash may be anything. */
VF_INLINE void vf_hash_block(const vf_strings *strings, const uint8_t *valid, int64_t valid_first, vf_murmur prefix,
                             int64_t at, int64_t n, vf_string_block *block) {
    const int32_t layout = strings->layout;
    if (layout == VF_OFFSETS)
        vf_stage_offsets(strings, layout, at, n, block);
    else if (layout == VF_WIDE_OFFSETS)
        vf_stage_wide_offsets(strings, layout, at, n, block);
    else
        vf_stage_views(strings, layout, valid, valid_first, at, n, block);
    const int64_t longest = vf_longest(block, n);
    vf_hash_short(prefix, block, longest);
    for (int64_t k = 0; k < n && longest > VF_SHORT; k++) {
        if (block->lengths[k] > VF_SHORT) {
            const vf_bytes text = vf_string_at(strings, layout, at + k);
            block->hashes[k] = vf_murmur_hash(prefix, text.data, text.length);
        }
    }
}

#endif
