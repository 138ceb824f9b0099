# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Rounds of a linear net of one output: how hot features are merged (kernels/sharing/rounds_one.h).

The others are merged in parts where they have copies, too (part_rounds.pyx), and after every turn where they don't
(aside_rounds.pyx).
"""
import numpy as np

from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_single
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.sharing.meeting cimport vf_meet
from sklearn_vectorflow.engine.kernels.sharing.merge_one cimport vf_apart
from sklearn_vectorflow.engine.kernels.sharing.slots cimport vf_tiers_due
from sklearn_vectorflow.engine.net.copies cimport Copies, Hot
from sklearn_vectorflow.engine.net.plan cimport Net, Node
from sklearn_vectorflow.engine.net.rounds cimport Rounds
from sklearn_vectorflow.engine.net.worker cimport Worker


cdef class PlainRounds(Rounds):
    """Rounds of workers with `Copies`; see `Rounds` for the parameters."""

    def __cinit__(self, Net net, Hot hot, list workers, list copies, int n_threads, *rest):
        cdef int k
        cdef Copies own
        self.nets = <vf_single *>calloc(self.n_workers, sizeof(vf_single))
        self.apart = <vf_apart **>calloc(self.n_workers, sizeof(void *))
        if self.nets == NULL or self.apart == NULL:
            raise MemoryError
        for k in range(self.n_workers):
            own = copies[k]
            self.apart[k] = &own.apart
        self.arrays = []
        self.before.hot_before = self._take(hot.hot.n_hot * net.nodes[0].weights.stride)
        for k in range(2):
            if net.intercept(k) != NULL:
                self.before.bias_before[k] = self._take(net.intercept(k).stride)

    def __dealloc__(self):
        free(self.nets)
        free(self.apart)

    cdef float *_take(self, int64_t n) except NULL:
        array = np.zeros(n + 1, dtype=np.float32)
        self.arrays.append(array)
        return <float *><uintptr_t>array.ctypes.data

    def begin_pass(self):
        cdef int k
        cdef const vf_linear *bias
        Rounds.begin_pass(self)
        memcpy(self.before.hot_before, self.hot.hot.records,
               self.hot.hot.n_hot * self.net.nodes[0].weights.stride * sizeof(float))
        for k in range(2):
            bias = self.net.intercept(k)
            if bias != NULL:
                memcpy(self.before.bias_before[k], bias.record, bias.stride * sizeof(float))

    cdef _begin_worker(self, int k, Worker worker):
        self.nets[k] = worker._single(self.rows, self.targets, self.clock.schedule, self.ahead, self.copies[k])

    cdef void _take_turn(self, int k, int64_t first, int64_t last) noexcept nogil:
        self._take_joined(k)
        self.nets[k].places.until = 0
        self.turns[k].loss = self.net.nodes[0].kernels.single.train(&self.nets[k], &self.turns[k].clock, self.slice.queue,
                                                                    first, last, last)

    cdef void _take_joined(self, int k) noexcept nogil:
        """Gives worker k what the last round joined."""
        cdef Node *node = &self.net.nodes[0]
        cdef const vf_linear *intercepts[2]
        self.net.intercepts(intercepts)
        if self.n_rounds > 0:
            node.kernels.single.take(&node.weights, intercepts, &self.hot.hot, self.apart[k],
                                     vf_tiers_due(&self.hot.hot, self.n_rounds))

    cdef void _offer(self, int place, int64_t number) noexcept nogil:
        self._publish(place, vf_tiers_due(&self.hot.hot, number))

    cdef void _publish(self, int place, int64_t n_tiers) noexcept nogil:
        """Publishes the copies of the thread's own workers."""
        cdef int k = place
        cdef Node *node = &self.net.nodes[0]
        cdef const vf_linear *intercepts[2]
        self.net.intercepts(intercepts)
        while k < self.n_workers:
            node.kernels.single.publish(&node.weights, intercepts, &self.hot.hot, self.apart[k], n_tiers)
            k += self.n_threads

    cdef void _merge(self, int place, int64_t number, int64_t n) noexcept nogil:
        self._join_tiers(place, vf_tiers_due(&self.hot.hot, number))
        self._merge_others(place, number)

    cdef void _merge_others(self, int place, int64_t number) noexcept nogil:
        """Merges what is due of features that are not hot: a thread's part."""

    cdef void _merge_all(self, int place) noexcept nogil:
        cdef int k = place
        while k < self.n_workers:
            self._take_joined(k)
            k += self.n_threads
        self._publish(place, self.hot.hot.n_tiers)
        vf_meet(&self.meeting, self.n_threads)
        self._join_tiers(place, self.hot.hot.n_tiers)
        self._merge_all_others(place)

    cdef void _merge_all_others(self, int place) noexcept nogil:
        """Merges what is left of features that are not hot, after a pass: a thread's part."""

    cdef void _join_tiers(self, int64_t tier, int64_t n_tiers) noexcept nogil:
        """Joins every n-th tier from that one on: each of n threads some."""
        cdef Node *node = &self.net.nodes[0]
        cdef const vf_linear *intercepts[2]
        self.net.intercepts(intercepts)
        while tier < n_tiers:
            node.kernels.single.join(&node.weights, intercepts, &self.hot.hot, self.apart, self.n_workers, &self.before, tier)
            tier += self.n_threads
