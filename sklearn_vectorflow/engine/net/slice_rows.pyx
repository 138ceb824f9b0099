# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""All rows of a slice in the order in which a team trains on them: every member knows which are its own."""
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from sklearn_vectorflow.engine.data cimport Rows, Targets
from sklearn_vectorflow.engine.kernels.random cimport vf_mix
from sklearn_vectorflow.engine.net.worker cimport Worker


cdef class SliceRows:
    """Rows of positive weight, and which of them end groups."""

    def __dealloc__(self):
        free(self.queue)
        free(self.ends_group)

    cdef _make_room(self, int64_t n_rows):
        if n_rows <= self.room:
            return
        free(self.queue)
        free(self.ends_group)
        self.room = 0
        self.queue = <int64_t *>calloc(n_rows, sizeof(int64_t))
        self.ends_group = <char *>calloc(n_rows, 1)
        if self.queue == NULL or self.ends_group == NULL:
            raise MemoryError
        self.room = n_rows

    cdef fill(self, Worker worker, Rows rows, Targets targets, const int64_t[::1] order, int64_t from_chunk,
              int64_t to_chunk, bint shuffle, uint64_t seed):
        """Take the rows of chunks order[from_chunk:to_chunk], as a worker would draw them."""
        cdef int64_t chunk = from_chunk
        self._make_room(min((to_chunk - from_chunk) * worker.chunk, rows.rows.n_rows))  # groups may be shorter
        self.n_rows = 0
        worker.random = vf_mix(seed)
        worker.queued = worker.taken = 0
        with nogil:
            while chunk < to_chunk:
                worker.taken = worker.queued
                chunk = worker._refill(rows, targets, order, chunk, to_chunk, shuffle)
                memcpy(self.queue + self.n_rows, worker.queue, worker.queued * sizeof(int64_t))
                if worker.group_rows:
                    memcpy(self.ends_group + self.n_rows, worker.ends_group, worker.queued)
                self.n_rows += worker.queued
