/* Numbers below the normal range cost a hundred times more than others, and
 * they appear wherever weights decay. They are flushed to zero inside a worker's
 * pass only: the mode belongs to the thread and is restored on the way out, and
 * wherever a pass calls Python. */
#ifndef VF_DENORMALS_H
#define VF_DENORMALS_H

#include "kernels/platform.h"

#if defined(__SSE__) || defined(_M_X64)
#include <xmmintrin.h>
static inline uint64_t vf_flush_denormals(void) {
    const uint64_t before = _mm_getcsr();
    _mm_setcsr((unsigned int)before | 0x8040u); /* flush to zero, denormals are zero */
    return before;
}
static inline uint64_t vf_keep_denormals(void) {
    const uint64_t before = _mm_getcsr();
    _mm_setcsr((unsigned int)before & ~0x8040u);
    return before;
}
static inline void vf_restore_denormals(uint64_t before) {
    _mm_setcsr((unsigned int)before);
}
#elif defined(__aarch64__) && !defined(_MSC_VER)
static inline uint64_t vf_flush_denormals(void) {
    uint64_t before;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(before));
    __asm__ __volatile__("msr fpcr, %0" : : "r"(before | (1ull << 24)));
    return before;
}
static inline uint64_t vf_keep_denormals(void) {
    uint64_t before;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(before));
    __asm__ __volatile__("msr fpcr, %0" : : "r"(before & ~(1ull << 24)));
    return before;
}
static inline void vf_restore_denormals(uint64_t before) {
    __asm__ __volatile__("msr fpcr, %0" : : "r"(before));
}
#else
static inline uint64_t vf_flush_denormals(void) { return 0; }
static inline uint64_t vf_keep_denormals(void) { return 0; }
static inline void vf_restore_denormals(uint64_t before) { (void)before; }
#endif

#endif
