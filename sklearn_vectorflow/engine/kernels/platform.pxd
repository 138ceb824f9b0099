# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

cdef extern from "kernels/platform.h" nogil:
    const int VF_LANES
    bint VF_TRY_LOCK(int32_t *flag)
    void vf_lock(int32_t *flag)
    void VF_UNLOCK(int32_t *flag)
    void VF_PREFETCH_READ(const void *address)
    int32_t VF_ADD(int32_t *counter, int32_t n)
    int64_t VF_ADD_WIDE(int64_t *counter, int64_t n)
