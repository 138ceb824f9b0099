# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Workers with copies of all records, which merge them at the same rows whatever the number of threads.

A linear net of one output that is small enough is copied whole (kernels/sharing). Its workers, a fixed number of them,
train in rounds: each takes a turn of a few rows with its own copies, and touches nothing else. Then copies are merged,
each range of records by one thread, of all workers in their order. So what a record becomes depends on neither the
number of threads nor their speed.
"""
import numpy as np

from libc.math cimport NAN, isfinite
from libc.stdint cimport int64_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from sklearn_vectorflow.engine.data cimport Rows, Targets
from sklearn_vectorflow.engine.kernels.denormals cimport vf_flush_denormals, vf_restore_denormals
from sklearn_vectorflow.engine.kernels.nets.walk cimport VF_AHEAD_DATA, vf_single
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.random cimport vf_mix
from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_prefetch_data
from sklearn_vectorflow.engine.kernels.sharing.merge_one cimport vf_apart
from sklearn_vectorflow.engine.kernels.sharing.meeting cimport vf_meet, vf_meeting
from sklearn_vectorflow.engine.kernels.sharing.slots cimport vf_hot, vf_tiers_due
from sklearn_vectorflow.engine.net.copies cimport Copies, Hot
from sklearn_vectorflow.engine.net.plan cimport Clock, Net, Node
from sklearn_vectorflow.engine.net.slice_rows cimport SliceRows
from sklearn_vectorflow.engine.net.worker cimport Worker

cdef enum:
    LINE = 64  # bytes of a cache line
    MOST_THREADS = 8  # that merge parts at the same time

# What a worker has for its turns, on lines of its own.
cdef struct Turn:
    vf_single net
    vf_clock clock
    double loss
    char alone[LINE]


cdef class Rounds:
    """Workers, and the threads that run them.

    Parameters
    ----------
    net : Net
        A plain one.
    hot : Hot
        All of whose features have copies.
    workers : list of Worker
    copies : list of Copies
        One for each worker.
    n_threads : int
        How many threads run the workers; at most as many as there are workers.
    part_rounds : int
        Rounds in which each worker would merge one part. So many parts are merged at once that each thread has some.
    """
    cdef readonly int n_workers, n_threads
    cdef Net net
    cdef Hot hot
    cdef list workers, copies
    cdef Turn *turns
    cdef vf_apart **apart        # by worker
    cdef vf_apart before         # what shared records of hot features were when all workers took them
    cdef list arrays
    cdef int64_t n_rounds, round_rows, part_rounds, parts_due, most_kept
    cdef float *kept             # by thread: room for the hot records of a part, shared and of all workers
    cdef SliceRows slice
    cdef Rows rows
    cdef Targets targets
    cdef Clock clock
    cdef double loss
    cdef bint failed
    cdef vf_meeting meeting

    def __cinit__(self, Net net, Hot hot, list workers, list copies, int n_threads, int64_t part_rounds):
        cdef int k
        cdef Copies own
        self.net, self.hot = net, hot
        self.workers, self.copies = workers, copies
        self.n_workers = len(workers)
        self.n_threads = n_threads
        self.round_rows = self.n_workers * hot.period
        self.parts_due = min(MOST_THREADS, hot.hot.n_parts)
        self.part_rounds = part_rounds * self.parts_due
        self.slice = SliceRows()
        self.turns = <Turn *>calloc(self.n_workers, sizeof(Turn))
        self.apart = <vf_apart **>calloc(self.n_workers, sizeof(void *))
        if self.turns == NULL or self.apart == NULL:
            raise MemoryError
        for k in range(self.n_workers):
            own = copies[k]
            self.apart[k] = &own.apart
        self.arrays = []
        self.before.hot_before = self._take(hot.hot.n_hot * net.nodes[0].weights.stride)
        edges = [hot.hot.part_hot[k] for k in range(hot.hot.n_parts + 1)]
        self.most_kept = max(np.diff(edges)) * net.nodes[0].weights.stride * (self.n_workers + 1)
        self.kept = self._take(n_threads * self.most_kept)
        for k in range(2):
            if net.intercept(k) != NULL:
                self.before.bias_before[k] = self._take(net.intercept(k).stride)

    def __dealloc__(self):
        free(self.turns)
        free(self.apart)

    cdef float *_take(self, int64_t n) except NULL:
        array = np.zeros(n + 1, dtype=np.float32)
        self.arrays.append(array)
        return <float *><uintptr_t>array.ctypes.data

    def begin_pass(self):
        """Note what the shared records are, before a pass."""
        cdef int k
        cdef const vf_linear *bias
        self.n_rounds = 0
        memcpy(self.before.hot_before, self.hot.hot.records,
               self.hot.hot.n_hot * self.net.nodes[0].weights.stride * sizeof(float))
        for k in range(2):
            bias = self.net.intercept(k)
            if bias != NULL:
                memcpy(self.before.bias_before[k], bias.record, bias.stride * sizeof(float))

    def begin(self, Rows rows, Targets targets, Clock clock, const int64_t[::1] order, int64_t from_chunk,
              int64_t to_chunk, bint shuffle, uint64_t seed, float input_dropout, int64_t ahead):
        """Make ready for a slice of rows; see `Worker.train` for the parameters."""
        cdef int k
        cdef Worker worker
        self.slice.fill(self.workers[0], rows, targets, order, from_chunk, to_chunk, shuffle, seed)
        self.rows, self.targets, self.clock = rows, targets, clock
        self.loss = 0.0
        self.failed = False
        for k in range(self.n_workers):
            worker = self.workers[k]
            worker.input_dropout.rate = input_dropout
            worker.input_dropout.seed = vf_mix(seed + 1)
            worker.n_last = 1
            self.turns[k].net = worker._single(rows, targets, clock.schedule, ahead, self.copies[k])

    def __call__(self, int place):
        """Do a thread's part; returns when all have done theirs. No bytecode: no interrupt keeps one away."""
        cdef uint64_t mode
        with nogil:
            mode = vf_flush_denormals()
            self._run(place)
            vf_restore_denormals(mode)

    def end(self):
        """Return what `Worker.train` does, of the slice that all workers have gone over."""
        return NAN if self.failed else self.loss, self.slice.n_rows

    def faulty(self):
        """Return a worker that saw a loss that is not finite, after such a slice."""
        return next(worker for k, worker in enumerate(self.workers) if not isfinite(self.turns[k].loss))

    def finish(self, int place):
        """Merge all, after a pass: a thread's part of the work."""
        cdef int k = place
        with nogil:
            while k < self.n_workers:
                self._take_joined(k)
                k += self.n_threads
            self._publish_own(place, self.hot.hot.n_tiers)
            vf_meet(&self.meeting, self.n_threads)
            self._join_tiers(place, self.hot.hot.n_tiers)
            self._join_parts(place, 0, self.hot.hot.n_parts)

    # ---- rounds -----------------------------------------------------------------------

    cdef void _run(self, int place) noexcept nogil:
        """Goes over the rows of the slice."""
        cdef int64_t n, number, n_tiers, begin = 0
        cdef int k
        while begin < self.slice.n_rows:
            n = min(self.round_rows, self.slice.n_rows - begin)
            number = self.n_rounds + 1
            n_tiers = vf_tiers_due(&self.hot.hot, number)
            k = place
            while k < self.n_workers:
                self._take_turn(k, begin, n)
                k += self.n_threads
            self._publish_own(place, n_tiers)
            vf_meet(&self.meeting, self.n_threads)
            if self._has_failed():
                break
            self._join_tiers(place, n_tiers)
            if number % self.part_rounds == 0:
                self._join_parts(place, number // self.part_rounds * self.parts_due, self.parts_due)
            if place == 0:
                self._count(n)
            vf_meet(&self.meeting, self.n_threads)
            begin += n
        if place == 0:
            self.failed = self._has_failed()

    cdef void _take_turn(self, int k, int64_t begin, int64_t n) noexcept nogil:
        """Trains worker k on its share of the n rows from `begin` on."""
        cdef Turn *turn = &self.turns[k]
        cdef int64_t first = begin + n * k // self.n_workers, last = begin + n * (k + 1) // self.n_workers
        self._take_joined(k)
        turn.clock.step, turn.clock.elapsed = self.clock.step, self.clock.elapsed
        turn.net.places.until = 0
        self._ask_for_next(turn, begin + n * (k + self.n_threads) // self.n_workers)
        turn.loss = self.net.nodes[0].kernels.single.train(&turn.net, &turn.clock, self.slice.queue, first, last, last)

    cdef void _take_joined(self, int k) noexcept nogil:
        """Gives worker k what the last round joined."""
        cdef Node *node = &self.net.nodes[0]
        cdef const vf_linear *intercepts[2]
        self.net.intercepts(intercepts)
        if self.n_rounds > 0:
            node.kernels.single.take(&node.weights, intercepts, &self.hot.hot, self.apart[k],
                                     vf_tiers_due(&self.hot.hot, self.n_rounds))

    cdef void _ask_for_next(self, Turn *turn, int64_t first) noexcept nogil:
        """Asks for the rows that the thread's next turn begins with."""
        cdef int64_t row
        for row in range(first, min(first + VF_AHEAD_DATA, self.slice.n_rows)):
            vf_prefetch_data(turn.net.rows, self.slice.queue[row])

    cdef bint _has_failed(self) noexcept nogil:
        cdef int k
        for k in range(self.n_workers):
            if not isfinite(self.turns[k].loss):
                return True
        return False

    cdef void _count(self, int64_t n) noexcept nogil:
        """Counts what a round has done; for one thread, while none trains."""
        cdef int k
        cdef double elapsed = self.clock.elapsed
        self.n_rounds += 1
        for k in range(self.n_workers):
            self.loss += self.turns[k].loss
            elapsed += self.turns[k].clock.elapsed - self.clock.elapsed
        self.clock.step += n
        self.clock.elapsed = elapsed

    cdef void _publish_own(self, int place, int64_t n_tiers) noexcept nogil:
        """Publishes the copies of the thread's own workers."""
        cdef int k = place
        cdef Node *node = &self.net.nodes[0]
        cdef const vf_linear *intercepts[2]
        self.net.intercepts(intercepts)
        while k < self.n_workers:
            node.kernels.single.publish(&node.weights, intercepts, &self.hot.hot, self.apart[k], n_tiers)
            k += self.n_threads

    cdef void _join_tiers(self, int64_t tier, int64_t n_tiers) noexcept nogil:
        """Joins every n-th tier from that one on: each of n threads some."""
        cdef Node *node = &self.net.nodes[0]
        cdef const vf_linear *intercepts[2]
        self.net.intercepts(intercepts)
        while tier < n_tiers:
            node.kernels.single.join(&node.weights, intercepts, &self.hot.hot, self.apart, self.n_workers, &self.before, tier)
            tier += self.n_threads

    cdef void _join_parts(self, int64_t k, int64_t first, int64_t n) noexcept nogil:
        """Joins every n-th of n parts from the k-th on: each of n threads some."""
        cdef Node *node = &self.net.nodes[0]
        cdef float *kept = self.kept + k * self.most_kept
        while k < n:
            node.kernels.single.join_part(&node.weights, &self.hot.hot, self.apart, self.n_workers, kept,
                                          (first + k) % self.hot.hot.n_parts)
            k += self.n_threads
