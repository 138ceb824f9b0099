# cython: language_level=3
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef extern from "kernels/rows/marks.h" nogil:
    const int VF_MARKS
    ctypedef struct vf_marks:
        uint64_t bits
        int64_t before
    void vf_mark32(vf_marks *marks, const uint32_t *numbers, int64_t n)
    void vf_mark64(vf_marks *marks, const uint64_t *numbers, int64_t n)
    void vf_rank32(const vf_marks *marks, const uint32_t *numbers, int64_t n, int32_t *out)
    void vf_rank64(const vf_marks *marks, const uint64_t *numbers, int64_t n, int32_t *out)
    int64_t vf_count_marks(vf_marks *marks, int64_t n_words)
    void vf_list_marks32(const vf_marks *marks, int64_t n_words, int32_t *out)
    void vf_list_marks64(const vf_marks *marks, int64_t n_words, int64_t *out)
