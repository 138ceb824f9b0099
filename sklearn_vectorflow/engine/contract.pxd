# cython: language_level=3
"""The C contract of a loss (kernels/contract.h) for Cython."""
from libc.stdint cimport int32_t, int64_t


cdef extern from "kernels/contract.h" nogil:
    const int VF_LOSS_VERSION
    const char *VF_LOSS_CAPSULE

    ctypedef struct vf_node:
        int64_t width
        const double *outputs
        double *gradient
    ctypedef struct vf_loss
    ctypedef double (*vf_loss_fn)(
        int64_t n, const double *y, const double *raw, const double *weight,
        double *gradient, const vf_loss *loss) noexcept nogil
    ctypedef struct vf_loss:
        int32_t version
        int32_t n_targets
        int32_t n_outputs
        int32_t n_parameters
        const double *parameters
        vf_loss_fn evaluate
        const void *context
        int64_t n_groups
        const int64_t *starts
        int64_t n_nodes
        const vf_node *nodes
        const void *owner
