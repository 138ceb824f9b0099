# cython: language_level=3
from libc.stdint cimport int64_t, uint64_t

from sklearn_vectorflow.engine.data cimport Rows, Targets
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock
from sklearn_vectorflow.engine.kernels.sharing.meeting cimport vf_meeting
from sklearn_vectorflow.engine.net.copies cimport Hot
from sklearn_vectorflow.engine.net.plan cimport Clock, Net
from sklearn_vectorflow.engine.net.slice_rows cimport SliceRows
from sklearn_vectorflow.engine.net.worker cimport Worker

cdef enum:
    LINE = 64  # bytes of a cache line

# What came of a worker's last turn, on lines of its own.
cdef struct Turn:
    vf_clock clock
    double loss
    int64_t next_row  # of the slice, which the thread's next turn begins with
    char alone[LINE]


cdef class Rounds:
    cdef readonly int n_workers, n_threads
    cdef Net net
    cdef Hot hot
    cdef list workers, copies
    cdef Turn *turns          # by worker
    cdef int64_t n_rounds, most_rows  # rounds of the pass so far; rows of one
    cdef SliceRows slice
    cdef Rows rows
    cdef Targets targets
    cdef Clock clock
    cdef uint64_t seed
    cdef int64_t ahead
    cdef double loss
    cdef bint failed
    cdef vf_meeting meeting
    cdef _begin_worker(self, int k, Worker worker)
    cdef void _run(self, int place) noexcept nogil
    cdef int64_t _round_rows(self) noexcept nogil
    cdef void _begin_turn(self, int k, int64_t begin, int64_t n) noexcept nogil
    cdef void _take_turn(self, int k, int64_t first, int64_t last) noexcept nogil
    cdef void _offer(self, int place, int64_t number) noexcept nogil
    cdef void _merge(self, int place, int64_t number, int64_t n) noexcept nogil
    cdef void _merge_all(self, int place) noexcept nogil
    cdef bint _has_failed(self) noexcept nogil
    cdef void _count(self, int64_t n) noexcept nogil
