# cython: language_level=3
from libc.stdint cimport int64_t

cdef extern from "kernels/optimizers/optimizers.h" nogil:
    ctypedef struct vf_optimizer:
        float learning_rate, epsilon, beta, decay1, decay2, log_decay1, log_decay2
    ctypedef struct vf_clock:
        int64_t step
        double rate, elapsed
    ctypedef struct vf_schedule:
        double rate, decay, power
    double vf_rate_at(vf_schedule schedule, int64_t step)
