/* Words of a text in UTF-8, copied one after the other with a space between, so that
 * every n-gram of words is one piece of the copy. */
#ifndef VF_WORDS_H
#define VF_WORDS_H

#include "text/strings.h"

typedef struct {
    const uint32_t *letters; /* of each code point: 0, or what is written for it in a word */
    uint32_t n_letters;
    int32_t shortest;        /* characters of a word */
    int32_t from_n, to_n;    /* lengths of n-grams */
} vf_word_rules;

/* Scratch of a worker. */
typedef struct {
    uint8_t *text;
    int64_t *starts; /* of words in text */
    int64_t *ends;
    int64_t n_words, capacity;
} vf_words;

VF_INLINE uint32_t vf_next_code(const uint8_t **at, const uint8_t *end) {
    const uint8_t first = *(*at)++;
    if (first < 0x80)
        return first;
    int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    uint32_t code = first & (0x3F >> more);
    while (more-- > 0 && *at < end)
        code = code << 6 | (*(*at)++ & 0x3F);
    return code;
}

VF_INLINE uint8_t *vf_write_code(uint8_t *at, uint32_t code) {
    if (code < 0x80) {
        *at++ = (uint8_t)code;
    } else if (code < 0x800) {
        *at++ = (uint8_t)(0xC0 | code >> 6);
        *at++ = (uint8_t)(0x80 | (code & 0x3F));
    } else {
        if (code < 0x10000) {
            *at++ = (uint8_t)(0xE0 | code >> 12);
        } else {
            *at++ = (uint8_t)(0xF0 | code >> 18);
            *at++ = (uint8_t)(0x80 | (code >> 12 & 0x3F));
        }
        *at++ = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        *at++ = (uint8_t)(0x80 | (code & 0x3F));
    }
    return at;
}

/* Room for a text of `length` bytes: no letter grows to more than twice its bytes by
 * lower-casing, and a word and what ends it have two bytes or more, save the last. */
static inline int vf_words_reserve(vf_words *words, int64_t length) {
    if (length < words->capacity)
        return 1;
    const int64_t capacity = 2 * length + 64;
    uint8_t *text = (uint8_t *)realloc(words->text, (size_t)(2 * capacity + 8));
    if (text != NULL)
        words->text = text;
    int64_t *starts = (int64_t *)realloc(words->starts, sizeof(int64_t) * (size_t)capacity);
    if (starts != NULL)
        words->starts = starts;
    int64_t *ends = (int64_t *)realloc(words->ends, sizeof(int64_t) * (size_t)capacity);
    if (ends != NULL)
        words->ends = ends;
    if (text == NULL || starts == NULL || ends == NULL)
        return 0;
    words->capacity = capacity;
    return 1;
}

/* The word at `at`, or none if what is there is too short. */
static inline const uint8_t *vf_split_word(const vf_word_rules *rules, vf_words *words, const uint8_t *at,
                                           const uint8_t *end, uint8_t **out) {
    uint8_t *start = *out, *to = start;
    int64_t n_letters = 0;
    while (at < end) {
        const uint32_t code = vf_next_code(&at, end);
        const uint32_t letter = code < rules->n_letters ? rules->letters[code] : 0;
        if (letter == 0)
            break;
        to = vf_write_code(to, letter);
        n_letters++;
    }
    if (n_letters >= rules->shortest) {
        words->starts[words->n_words] = start - words->text;
        words->ends[words->n_words++] = to - words->text;
        *to++ = ' ';
        *out = to;
    }
    return at;
}

/* Returns 0 if memory is short. */
static inline int vf_split(const vf_word_rules *rules, vf_words *words, vf_bytes text) {
    words->n_words = 0;
    if (!vf_words_reserve(words, text.length))
        return 0;
    const uint8_t *at = text.data, *end = text.data + text.length;
    uint8_t *out = words->text;
    while (at < end)
        at = vf_split_word(rules, words, at, end, &out);
    return 1;
}

#endif
