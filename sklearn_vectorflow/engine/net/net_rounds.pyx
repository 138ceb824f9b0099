# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Rounds of any net whose layers are all copied whole (replicas.pyx).

Records are long here, and would have to be fetched from other cores to be merged by one thread. So each thread merges the
copies of its own workers, and no two workers merge the same record at the same time: inner layers and the pieces of each tier
go around among them, and so do parts, which have hot features, too, and wait until all pieces are merged.
"""
from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free

from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock
from sklearn_vectorflow.engine.kernels.random cimport vf_mix
from sklearn_vectorflow.engine.kernels.sharing.slots cimport vf_tiers_due
from sklearn_vectorflow.engine.net.copies cimport Hot
from sklearn_vectorflow.engine.net.plan cimport Net
from sklearn_vectorflow.engine.net.replicas cimport Replica
from sklearn_vectorflow.engine.net.rounds cimport Rounds
from sklearn_vectorflow.engine.net.worker cimport Worker


cdef class NetRounds(Rounds):
    """Rounds of workers with a `Replica` each; see `Rounds` for the other parameters.

    Parameters
    ----------
    part_rounds : int
        Rounds between two merges of a part by a worker; each merges another one.
    batch_size : int
        Rows of a step.
    unseen : float
        Rows of a round over those that were trained on before it, at most: steps are longest in the beginning.
    """
    cdef PyObject **worker_at    # borrowed from the lists
    cdef PyObject **replica_at
    cdef int64_t part_rounds, batch_size
    cdef double unseen
    cdef bint by_kernel

    def __cinit__(self, Net net, Hot hot, list workers, list copies, int n_threads, int64_t part_rounds,
                  int64_t batch_size, double unseen):
        cdef int k
        self.part_rounds = part_rounds
        self.batch_size = batch_size
        self.unseen = unseen
        self.worker_at = <PyObject **>calloc(self.n_workers, sizeof(void *))
        self.replica_at = <PyObject **>calloc(self.n_workers, sizeof(void *))
        if self.worker_at == NULL or self.replica_at == NULL:
            raise MemoryError
        for k in range(self.n_workers):
            self.worker_at[k] = <PyObject *>workers[k]
            self.replica_at[k] = <PyObject *>copies[k]

    def __dealloc__(self):
        free(self.worker_at)
        free(self.replica_at)

    cdef _begin_worker(self, int k, Worker worker):
        worker._use(self.copies[k])
        worker.training = worker.shared = True
        worker.schedule = self.clock.schedule
        self.by_kernel = worker._has_kernel(self.targets)
        if self.by_kernel:
            worker._open(worker._single(self.rows, self.targets, self.clock.schedule, self.ahead, None))
            worker._close()

    cdef int64_t _round_rows(self) noexcept nogil:
        """Whole steps of each worker."""
        cdef int64_t steps = <int64_t>(self.unseen * self.clock.step / (self.n_workers * self.n_workers))
        return self.n_workers * self.batch_size * max(1, min(steps, self.most_rows // (self.n_workers * self.batch_size)))

    cdef void _take_turn(self, int k, int64_t first, int64_t last) noexcept nogil:
        (<Worker>self.worker_at[k])._take_rows(self.rows, self.targets, self.slice.queue, first, last, self.ahead,
                                               self.by_kernel, vf_mix(self.seed + 2 + vf_mix(first)), &self.turns[k].clock,
                                               &self.turns[k].loss)

    cdef void _offer(self, int place, int64_t number) noexcept nogil:
        cdef int k = place
        while k < self.n_workers:
            self._merge_piece(k, number + k)
            k += self.n_threads

    cdef void _merge_piece(self, int k, int64_t turn) noexcept nogil:
        """Merges the inner layers of worker k, or its copies of a piece of the tiers that are due."""
        cdef int64_t tier, piece = turn % self.n_workers
        cdef const vf_clock *now = &self.turns[k].clock
        if piece == 0:
            (<Replica>self.replica_at[k])._merge_inner(now)
        for tier in range(vf_tiers_due(&self.hot.hot, turn // self.n_workers)):
            (<Replica>self.replica_at[k])._merge_piece(tier, piece, self.n_workers, now)

    cdef void _merge(self, int place, int64_t number, int64_t n) noexcept nogil:
        cdef int k = place
        cdef int64_t n_parts = self.hot.hot.n_parts, turn = number // self.part_rounds
        while k < self.n_workers and number % self.part_rounds == 0:
            (<Replica>self.replica_at[k])._merge_part((turn + k * n_parts // self.n_workers) % n_parts, &self.turns[k].clock)
            k += self.n_threads

    cdef void _merge_all(self, int place) noexcept nogil:
        cdef int64_t part = place
        cdef int k
        cdef vf_clock now = vf_clock(step=self.clock.step, rate=0.0, elapsed=self.clock.elapsed)
        for k in range(self.n_workers if place == 0 else 0):
            (<Replica>self.replica_at[k])._merge_inner(&now)
        while part < self.hot.hot.n_parts:  # hot features, too
            for k in range(self.n_workers):
                (<Replica>self.replica_at[k])._merge_part(part, &now)
            part += self.n_threads
