/* What differs between compilers and processors, in one place. */
#ifndef VF_PLATFORM_H
#define VF_PLATFORM_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_MSC_VER) && !defined(__clang__)
#define VF_INLINE static __forceinline
#define VF_RESTRICT __restrict
#else
#define VF_INLINE static inline __attribute__((always_inline))
#define VF_RESTRICT __restrict__
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define VF_SANITIZER 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VF_SANITIZER 1
#endif
#ifndef VF_SANITIZER
#define VF_SANITIZER 0
#endif

/* Kernels carry VF_SIMD: one copy for each width of vector unit, picked when
 * the module is loaded. It needs ifunc, which glibc has and musl, macOS and
 * Windows have not; there the compiler's baseline serves. Sanitizers are not
 * ready yet when the copies are picked. Clang before 18 takes static kernels of the
 * same name in two files for one. VF_SIMD_AVX2 is for kernels that wider
 * vectors don't make faster. */
#if !VF_SANITIZER && defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && \
    (defined(__clang__) ? __clang_major__ >= 18 : __GNUC__ >= 11)
#define VF_SIMD __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define VF_SIMD_AVX2 __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define VF_SIMD
#define VF_SIMD_AVX2
#endif

/* Lanes of arithmetic done together: a multiple of every vector width. */
#define VF_LANES 16

#if defined(_MSC_VER) && !defined(__clang__)
#if defined(_M_X64)
#include <intrin.h>
#define VF_PREFETCH(address) _mm_prefetch((const char *)(address), _MM_HINT_T0)
#define VF_PREFETCH_READ(address) VF_PREFETCH(address)
#else
#define VF_PREFETCH(address) ((void)(address))
#define VF_PREFETCH_READ(address) ((void)(address))
#endif
#else
#define VF_PREFETCH(address) __builtin_prefetch((address), 1, 3)
#define VF_PREFETCH_READ(address) __builtin_prefetch((address), 0, 3)
#endif

/* A lock held for a few instructions, once every few dozen steps. */
#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#define VF_TRY_LOCK(flag) (_InterlockedExchange((volatile long *)(flag), 1) == 0)
#define VF_UNLOCK(flag) _InterlockedExchange((volatile long *)(flag), 0)
#define VF_INCREMENT(counter) _InterlockedIncrement((volatile long *)(counter))
#define VF_ADD(counter, n) _InterlockedExchangeAdd((volatile long *)(counter), (n)) /* gives what was there before */
#define VF_LOAD(flag) _InterlockedOr((volatile long *)(flag), 0)
#define VF_STORE(flag, value) _InterlockedExchange((volatile long *)(flag), (value))
#define VF_ADD_WIDE(counter, n) _InterlockedExchangeAdd64((volatile __int64 *)(counter), (n))
#define VF_ADD_IN_ORDER(counter, n) VF_ADD(counter, n) /* all threads see all of these in one order */
#else
#define VF_TRY_LOCK(flag) (__atomic_exchange_n((flag), 1, __ATOMIC_ACQUIRE) == 0)
#define VF_UNLOCK(flag) __atomic_store_n((flag), 0, __ATOMIC_RELEASE)
#define VF_INCREMENT(counter) __atomic_fetch_add((counter), 1, __ATOMIC_RELAXED)
#define VF_ADD(counter, n) __atomic_fetch_add((counter), (n), __ATOMIC_ACQ_REL)
#define VF_LOAD(flag) __atomic_load_n((flag), __ATOMIC_ACQUIRE)
#define VF_STORE(flag, value) __atomic_store_n((flag), (value), __ATOMIC_RELEASE)
#define VF_ADD_WIDE(counter, n) __atomic_fetch_add((counter), (n), __ATOMIC_RELAXED)
#define VF_ADD_IN_ORDER(counter, n) __atomic_fetch_add((counter), (n), __ATOMIC_SEQ_CST)
#endif

#if defined(_WIN32)
__declspec(dllimport) int __stdcall SwitchToThread(void);
#define VF_YIELD() SwitchToThread()
#else
#include <sched.h>
#define VF_YIELD() sched_yield()
#endif

/* Sleeps while a number is what it was, perhaps not as long; and wakes all who do. Elsewhere threads give up their cores.
 * The two operations have had their numbers, of memory that is one process's, since Linux 2.6.22. */
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(SYS_futex)
#define VF_SLEEP(number, was) syscall(SYS_futex, (number), 128, (was), NULL, NULL, 0)
#define VF_WAKE(number) syscall(SYS_futex, (number), 129, INT32_MAX, NULL, NULL, 0)
#else
#define VF_SLEEP(number, was) VF_YIELD()
#define VF_WAKE(number) ((void)0)
#endif

/* Where threads outnumber cores, the one that holds the lock may not be running: waiting on would keep it from it. */
static inline void vf_lock(int32_t *flag) {
    enum { SPINS = 1000 };
    for (int32_t n = 0; !VF_TRY_LOCK(flag); n += n < SPINS)
        if (n == SPINS)
            VF_YIELD();
}

#endif
