# cython: language_level=3
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef extern from "kernels/layers/candidates.h" nogil:
    ctypedef struct vf_sampler:
        int64_t n_outputs, n_draws
        const float *keep
        const int32_t *alias
        const float *correction
        int32_t independent
    ctypedef struct vf_candidates:
        int64_t most, n_drawn, n_slots
        int32_t *drawn
        uint32_t *mark
        uint32_t stamp
        int32_t *slot_of
        int32_t *outputs
        int64_t *n_candidates
        int64_t *n_own
        int32_t *slot_output
        int64_t *first
        int64_t *next
    void vf_draw_outputs(const vf_sampler *s, vf_candidates *c, uint64_t *random)
    void vf_add_candidates(const vf_sampler *s, vf_candidates *c, int64_t r, int64_t n_own)
    void vf_link_candidates(const vf_sampler *s, vf_candidates *c, int64_t n)
    void vf_load_candidates(const vf_sampler *s, const vf_candidates *c, int64_t r, const float *scores, double *y,
                            double *raw)
