# cython: language_level=3
from libc.stdint cimport int32_t

cdef extern from "kernels/platform.h" nogil:
    const int VF_LANES
    bint VF_TRY_LOCK(int32_t *flag)
    void vf_lock(int32_t *flag)
    void VF_UNLOCK(int32_t *flag)
    void VF_PREFETCH_READ(const void *address)
