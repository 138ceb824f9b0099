# cython: language_level=3
from libc.stdint cimport int64_t, uint64_t

from sklearn_vectorflow.engine.data cimport Rows, Targets
from sklearn_vectorflow.engine.net.worker cimport Worker


cdef class SliceRows:
    cdef int64_t *queue
    cdef char *ends_group
    cdef int64_t n_rows, room
    cdef _make_room(self, int64_t n_rows)
    cdef fill(self, Worker worker, Rows rows, Targets targets, const int64_t[::1] order, int64_t from_chunk,
              int64_t to_chunk, bint shuffle, uint64_t seed)
