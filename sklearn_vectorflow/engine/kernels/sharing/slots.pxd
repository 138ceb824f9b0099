# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

cdef extern from "kernels/sharing/slots.h" nogil:
    ctypedef struct vf_hot:
        int64_t n_slots
        const int32_t *owner
        const int32_t *rank
        int32_t bits, shift
        int64_t n_hot
        const int32_t *feature
        const int64_t *slot
        int64_t first, n_tiers
        int32_t *locks
        int64_t *averaged
        float *records
        int64_t n_parts
        const int64_t *part_hot
        const int64_t *hot_slot
    int64_t vf_slot_of(int32_t feature, int32_t bits, int32_t shift)
    int64_t vf_tier_start(const vf_hot *hot, int64_t tier)
    int64_t vf_tiers_due(const vf_hot *hot, int64_t n)
    cdef enum:
        VF_LOCK_STRIDE
        VF_PART_HOT
