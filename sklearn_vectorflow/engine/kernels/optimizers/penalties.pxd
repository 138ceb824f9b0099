# cython: language_level=3

cdef extern from "kernels/optimizers/penalties.h" nogil:
    ctypedef struct vf_penalty:
        float l1, l2
        const float *l1_each
        const float *l2_each
        const float *center
        float lower
        const float *sign
