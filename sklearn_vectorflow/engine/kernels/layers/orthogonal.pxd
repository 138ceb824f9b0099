# cython: language_level=3
from libc.stdint cimport int64_t, uint64_t

from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.rows.batch_gradient cimport vf_gathered

cdef extern from "kernels/layers/orthogonal.h" nogil:
    void vf_add_orthogonality(const vf_linear *layer, vf_gathered *g, double strength, int64_t n_draws,
                              uint64_t *random)
