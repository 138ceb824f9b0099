/* How often letters occur in a text. */
#ifndef VF_LETTERS_H
#define VF_LETTERS_H

#include "kernels/platform.h"

enum { VF_SPAN = 64, VF_SPANS = 255 }; /* counts of so many spans fit into bytes: narrow lanes */

VF_SIMD
static void vf_count_letters(const char *text, int64_t n, int64_t *n_colons, int64_t *n_lines) {
    int64_t at = 0;
    *n_colons = *n_lines = 0;
    while (n - at >= VF_SPAN) {
        uint8_t colons[VF_SPAN] = {0}, lines[VF_SPAN] = {0};
        for (int s = 0; s < VF_SPANS && n - at >= VF_SPAN; s++, at += VF_SPAN) {
            for (int k = 0; k < VF_SPAN; k++) {
                colons[k] += text[at + k] == ':';
                lines[k] += text[at + k] == '\n';
            }
        }
        for (int k = 0; k < VF_SPAN; k++) {
            *n_colons += colons[k];
            *n_lines += lines[k];
        }
    }
    for (; at < n; at++) {
        *n_colons += text[at] == ':';
        *n_lines += text[at] == '\n';
    }
}

#endif
