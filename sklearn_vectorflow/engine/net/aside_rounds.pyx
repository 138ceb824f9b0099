# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Rounds of a linear net of one output that is too large to be copied whole (kernels/sharing/aside.h).

Records of features that are not hot are seldom in another core's cache, so each thread adds what its own workers' turns gained:
pieces of the features go round among the workers, and no two of these add to the same piece at the same time.
"""
import numpy as np

from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport calloc, free

from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_aside as vf_given
from sklearn_vectorflow.engine.kernels.sharing.aside cimport VF_GROUP, vf_aside, vf_ask_for_row, vf_laid, vf_sort_aside
from sklearn_vectorflow.engine.kernels.sharing.meeting cimport vf_meet
from sklearn_vectorflow.engine.net.copies cimport Hot
from sklearn_vectorflow.engine.net.plain_rounds cimport PlainRounds
from sklearn_vectorflow.engine.net.plan cimport Net, Node
from sklearn_vectorflow.engine.net.worker cimport Worker


cdef class AsideRounds(PlainRounds):
    """Rounds of workers that set records aside for a turn; see `Rounds` for the other parameters.

    Parameters
    ----------
    most : int
        Features that are not hot, of a turn, at most: the copies of each worker have room for so many.
    """
    cdef vf_aside *aside         # by worker

    def __cinit__(self, Net net, Hot hot, list workers, list copies, int n_threads, int64_t most):
        cdef int k, bits = int(most).bit_length()  # some entries are left: most features come more than once
        cdef vf_aside *aside
        cdef vf_aside *others
        self.aside = <vf_aside *>calloc(self.n_workers, sizeof(vf_aside))
        if self.aside == NULL:
            raise MemoryError
        for k in range(self.n_workers):
            aside = &self.aside[k]
            aside.bits, aside.n_pieces = bits, self.n_workers
            if k < n_threads:
                aside.table, aside.entry = <vf_laid *>self._numbers(2 << bits, -1), self._numbers(most + 1, 0)
                aside.cold = self._numbers(VF_GROUP, 0)
            else:
                others = &self.aside[k - n_threads]
                aside.table, aside.entry, aside.cold = others.table, others.entry, others.cold
            aside.feature = self._numbers(most, 0)
            aside.order = self._numbers(most, 0)
            aside.starts = self._numbers(self.n_workers + 1, 0)
            aside.before = self._take(most * net.nodes[0].weights.stride)

    def __dealloc__(self):
        free(self.aside)

    cdef int32_t *_numbers(self, int64_t n, int32_t value) except NULL:
        array = np.full(n, value, dtype=np.int32)
        self.arrays.append(array)
        return <int32_t *><uintptr_t>array.ctypes.data

    cdef _begin_worker(self, int k, Worker worker):
        PlainRounds._begin_worker(self, k, worker)
        self.nets[k].aside = <vf_given *>&self.aside[k]

    cdef void _take_turn(self, int k, int64_t first, int64_t last) noexcept nogil:
        cdef int64_t row = self.turns[k].next_row
        PlainRounds._take_turn(self, k, first, last)
        vf_sort_aside(&self.aside[k])
        for row in range(row, min(row + self.ahead, self.slice.n_rows)):
            vf_ask_for_row(&self.rows.rows, &self.net.nodes[0].weights, &self.hot.hot, self.slice.queue[row])

    cdef void _merge_others(self, int place, int64_t number) noexcept nogil:
        """Adds the gains of the turns: each of n threads those of its workers."""
        cdef Node *node = &self.net.nodes[0]
        cdef int k, turn
        for turn in range(self.n_workers):
            if turn > 0:
                vf_meet(&self.meeting, self.n_threads)
            k = place
            while k < self.n_workers:
                node.kernels.single.add_aside(&node.weights, &self.turns[k].clock, &self.hot.hot, self.apart[k],
                                              <vf_given *>&self.aside[k], (k + turn) % self.n_workers)
                k += self.n_threads
