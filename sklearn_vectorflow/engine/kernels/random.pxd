# cython: language_level=3
from libc.stdint cimport int64_t, uint64_t

cdef extern from "kernels/random.h" nogil:
    uint64_t vf_mix(uint64_t x)
    uint64_t vf_next(uint64_t *state)
    float vf_unit(uint64_t bits)
    unsigned int vf_below(uint64_t *state, unsigned int n)
    void vf_shuffle(int64_t *items, int64_t n, uint64_t *state)
