# cython: language_level=3
from libc.stdint cimport int64_t

from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_single
from sklearn_vectorflow.engine.kernels.sharing.merge_one cimport vf_apart
from sklearn_vectorflow.engine.net.rounds cimport Rounds


cdef class PlainRounds(Rounds):
    cdef vf_single *nets         # by worker
    cdef vf_apart **apart        # by worker
    cdef vf_apart before         # what shared records of hot features were when all workers took them
    cdef list arrays
    cdef float *_take(self, int64_t n) except NULL
    cdef void _take_joined(self, int k) noexcept nogil
    cdef void _publish(self, int place, int64_t n_tiers) noexcept nogil
    cdef void _join_tiers(self, int64_t tier, int64_t n_tiers) noexcept nogil
    cdef void _merge_others(self, int place, int64_t number) noexcept nogil
    cdef void _merge_all_others(self, int place) noexcept nogil
