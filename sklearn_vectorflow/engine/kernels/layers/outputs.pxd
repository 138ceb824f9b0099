# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_linear_kernels
from sklearn_vectorflow.engine.kernels.optimizers.misses cimport vf_copies
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_row

cdef extern from "kernels/layers/outputs.h" nogil:
    ctypedef struct vf_outputs:
        const vf_linear *first
        const vf_linear *bias
        vf_linear_kernels kernels, bias_kernels
        const vf_clock *clock
        vf_copies copies, bias_copies
    void vf_outputs_forward(const vf_outputs *o, vf_row x, const int32_t *outputs, int64_t n, float *scores)
    void vf_outputs_back(const vf_outputs *o, const int32_t *outputs, int64_t n, const double *delta, int64_t first,
                         int64_t width, double *of_x)
    void vf_outputs_update(const vf_outputs *o, int32_t output, vf_row x, float delta, float of_bias)
    int64_t vf_outputs_settle(const vf_linear *first, vf_linear_kernels kernels, const vf_clock *clock,
                              int64_t n_outputs)
