# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""One worker's copies of records of any net: of inner layers, intercepts, and the layers that read rows.

Nothing in the walk over a net knows of them. Inner layers and intercepts are those of a plan of the worker's own, and so are
layers that read rows where they are small. Of large ones, hot features have copies, which lie whole records away from those
of their layer: so their place is a number in a row, as a feature is.
"""
import mmap

import numpy as np

from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.string cimport memcpy

from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_rows_of
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock
from sklearn_vectorflow.engine.kernels.optimizers.penalties cimport vf_penalty
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.platform cimport VF_TRY_LOCK, VF_UNLOCK, vf_lock
from sklearn_vectorflow.engine.kernels.sharing.slots cimport VF_LOCK_STRIDE, vf_tier_start, vf_tiers_due
from sklearn_vectorflow.engine.net.plan cimport *

cdef enum:
    LINE = 16             # floats in a cache line
    LATEST = 2            # periods that a merge may be late

MOST_INNER = 1 << 16      # numbers of an inner layer: of larger ones all workers step the same records
cdef int64_t _MOST_INNER = MOST_INNER


def _mapped(n, dtype):
    """Return zeros that the system gives, beside other large arrays."""
    return np.frombuffer(mmap.mmap(-1, int(n) * np.dtype(dtype).itemsize), dtype=dtype)


def _is_a_place(place, n):
    """Whether rows can hold the numbers of n records from this one on, counted from the layer's first."""
    return -(1 << 31) <= place < (1 << 31) - n


cdef bint has_numbers_of_features(const vf_penalty *penalty) noexcept nogil:
    """Whether a penalty asks whose weights it acts on: a copy has a place, but no feature."""
    return (penalty.l1_each != NULL or penalty.l2_each != NULL or penalty.center != NULL or penalty.sign != NULL)


cdef class Replica:
    """A worker's copies of the records of a net.

    Parameters
    ----------
    hot : Hot
        The features that have copies in the layers that read rows of X; if it has parts, all others have some, too.
    inner_period : int
        Most rows of the worker between two merges of inner layers and intercepts, which every step changes.
    unseen : float
        Times the steps so far, as many rows at most: steps are longest in the beginning.
    part_period : int, default=128
        Rows of the worker between two merges of a part.
    offset : float, default=0.0
        Where among the parts merging starts, in [0, 1): apart from the other workers.
    """

    def __init__(self, Hot hot, int64_t inner_period, double unseen, int64_t part_period=128, double offset=0.0):
        cdef int i
        cdef Node *node
        self.hot = hot
        self.inner_period = inner_period
        self.unseen = unseen
        self.part_period = part_period
        self.offset = offset
        self.net = hot.net
        self.arrays = []
        self.nodes = <Node *>self._take(self.net.n_nodes * sizeof(Node))
        self.turn = <Turn *>self._take(sizeof(Turn))
        self.leader = <int *>self._take(self.net.n_nodes * sizeof(int))
        self.weights = <Part *>self._take(self.net.n_nodes * sizeof(Part))
        self.biases = <Part *>self._take(self.net.n_nodes * sizeof(Part))
        self.places = <int64_t *>self._take(self.net.n_nodes * sizeof(int64_t))
        for i in range(self.net.n_nodes):
            node = &self.net.nodes[i]
            self.leader[i] = self.net.leader_of(i)
            if node.frozen or node.kind == OUTPUTS:
                continue
            if node.kind == LINEAR or node.kind == PAIRS:
                self._take_weights(i)
            if node.has_bias:
                self._take_part(&self.biases[i], &node.bias, 1)

    cdef void *_take(self, size_t n_bytes, make=np.zeros) except NULL:
        array = make(n_bytes // sizeof(float) + 2 * LINE, dtype=np.float32)
        self.arrays.append(array)
        return <void *><uintptr_t>(array.ctypes.data + LINE * sizeof(float))

    cdef float *_records(self, const vf_linear *layer, int64_t n) except NULL:
        """Room for n records, which lie whole ones away from the layer's, and a cache line away from all else.

        As near as can be: what allocators take from the system for one array, and from their own store for another, may lie
        further apart than a place can say.
        """
        cdef int64_t size = layer.stride * sizeof(float)
        for make in (np.zeros, _mapped):
            address = int(<uintptr_t>self._take((n + 1) * size, make))
            address += (int(<uintptr_t>layer.record) - address) % int(size)  # of Python: never negative
            if _is_a_place((address - int(<uintptr_t>layer.record)) // int(size), n):
                break
        return <float *><uintptr_t>address

    cdef _take_part(self, Part *part, const vf_linear *layer, int64_t n):
        part.own = self._records(layer, n)
        part.before = self._records(layer, n)
        part.n = n
        part.is_hot = False

    cdef _take_weights(self, int i):
        cdef Node *node = &self.net.nodes[i]
        cdef Node *first = &self.net.nodes[self.leader[i]]
        cdef Part *part = &self.weights[i]
        cdef int64_t behind = node.weights.record - first.weights.record
        if node.parent != INPUT and is_sparse(self.net.nodes[node.parent].kind):
            return
        if node.parent == INPUT and not self.hot.n_parts and has_numbers_of_features(&node.weights.penalty):
            return
        if node.parent != INPUT and node.weights.n_in * node.weights.stride > _MOST_INNER:
            return
        if self.leader[i] == i:
            only_hot = node.parent == INPUT and not self.hot.n_parts
            self._take_part(part, &node.weights, self.hot.hot.n_hot if only_hot else node.weights.n_in)
            part.is_hot = only_hot
        elif self.weights[self.leader[i]].own == NULL:
            return
        else:
            part[0] = self.weights[self.leader[i]]
            part.own += behind
            part.before += behind
        if part.is_hot:
            self.places[i] = (part.own - node.weights.record) // node.weights.stride
            if not _is_a_place(self.places[i], part.n):  # all is shared then
                part.own = NULL

    @property
    def n_hot_layers(self):
        """In how many layers that read rows of X hot features have copies."""
        return sum([self.net.nodes[i].parent == INPUT and self.weights[i].own != NULL for i in range(self.net.n_nodes)])

    @property
    def n_merges(self):
        """How often hot features have been merged during passes."""
        return self.turn.n_merges

    def begin(self, Clock clock):
        """Copy the records, before a pass."""
        cdef int i
        cdef Node *node
        with nogil:
            self.turn.until_merge = self.turn.wait = min(self.inner_period, self._most_unseen(clock.step))
            self.turn.rows = self.turn.part_rows = 0
            self.turn.part = <int64_t>(self.offset * self.hot.n_parts)
            memcpy(self.nodes, self.net.nodes, self.net.n_nodes * sizeof(Node))
            for i in range(self.net.n_nodes):
                node = &self.net.nodes[i]
                self._copy(&self.weights[i], &node.weights, self.hot.hot.feature if self.weights[i].is_hot else NULL)
                self._copy(&self.biases[i], &node.bias, NULL)
                if self.weights[i].own != NULL and not self.weights[i].is_hot:
                    self.nodes[i].weights.record = self.weights[i].own
                if self.biases[i].own != NULL:
                    self.nodes[i].bias.record = self.biases[i].own

    cdef void _copy(self, Part *part, const vf_linear *layer, const int32_t *features) noexcept nogil:
        cdef int64_t k, record, stride = layer.stride
        cdef size_t size = layer.size * sizeof(float)
        if part.own == NULL:
            return
        for k in range(part.n):
            record = features[k] if features != NULL else k
            memcpy(part.own + k * stride, layer.record + record * stride, size)
            memcpy(part.before + k * stride, layer.record + record * stride, size)

    def finish(self, Clock clock):
        """Merge all, after a pass."""
        cdef int64_t k
        cdef vf_clock now = vf_clock(step=clock.step, rate=0.0, elapsed=clock.elapsed)
        with nogil:
            vf_lock(self._inner_lock())
            self._merge_inner(&now)
            VF_UNLOCK(self._inner_lock())
            self._merge_tiers(self.hot.hot.n_tiers, &now)
            for k in range(self.hot.n_parts):  # workers begin far from each other, and seldom wait
                self._merge_part((self.turn.part + k) % self.hot.n_parts, &now)

    cdef int32_t *_inner_lock(self) noexcept nogil:
        return self.hot.hot.locks + self.hot.hot.n_tiers * VF_LOCK_STRIDE

    cdef bint due(self, int64_t n_rows) noexcept nogil:
        """Whether to merge after so many more rows. The lock of inner layers is held then."""
        self.turn.until_merge -= n_rows
        self.turn.rows += n_rows
        self.turn.part_rows += n_rows
        if self.turn.until_merge > 0:
            return False
        # a few rows later is as good, but not many: who holds the lock may have to wait for a core
        if self.turn.until_merge <= -LATEST * self.turn.wait:
            vf_lock(self._inner_lock())
        elif not VF_TRY_LOCK(self._inner_lock()):
            return False
        return True

    cdef void merge(self, const vf_clock *clock) noexcept nogil:
        """Merges inner layers and intercepts, and now and then hot features. The lock of inner layers is held."""
        cdef int64_t most = self._most_unseen(clock.step)
        self.turn.until_merge = self.turn.wait = min(self.inner_period, most)
        self._merge_inner(clock)
        VF_UNLOCK(self._inner_lock())
        if self.hot.n_parts and self.turn.part_rows >= min(self.part_period, most):
            self.turn.part_rows = 0
            self.turn.part = (self.turn.part + 1) % self.hot.n_parts
            self._merge_part(self.turn.part, clock)
        if self.turn.rows >= min(self.hot.period, most):
            self.turn.rows = 0
            self.turn.n_merges += 1
            self._merge_tiers(vf_tiers_due(&self.hot.hot, self.turn.n_merges), clock)

    cdef int64_t _most_unseen(self, int64_t step) noexcept nogil:
        return max(1, <int64_t>(self.unseen * (step + 1)))

    cdef void _merge_tiers(self, int64_t n_tiers, const vf_clock *clock) noexcept nogil:
        cdef int64_t tier
        for tier in range(n_tiers):
            vf_lock(self.hot.hot.locks + tier * VF_LOCK_STRIDE)
            self._merge_tier(tier, clock)
            VF_UNLOCK(self.hot.hot.locks + tier * VF_LOCK_STRIDE)

    cdef void _merge_tier(self, int64_t tier, const vf_clock *clock) noexcept nogil:
        cdef int i
        cdef Node *node
        cdef Part *part
        cdef int64_t first = min(self.hot.hot.n_hot, vf_tier_start(&self.hot.hot, tier))
        cdef int64_t n = min(self.hot.hot.n_hot, vf_tier_start(&self.hot.hot, tier + 1)) - first
        for i in range(self.net.n_nodes):
            node = &self.net.nodes[i]
            part = &self.weights[i]
            if part.own != NULL and node.parent == INPUT:
                if part.is_hot:
                    node.kernels.merge(&node.weights, clock, self.hot.hot.feature + first, n, False,
                                       part.own + first * node.weights.stride, part.before + first * node.weights.stride)
                else:
                    node.kernels.merge(&node.weights, clock, self.hot.hot.feature + first, n, True, part.own, part.before)

    cdef void _merge_part(self, int64_t part, const vf_clock *clock) noexcept nogil:
        """Merges a range of features of layers that are copied whole. A hot one among them is merged once more."""
        cdef int i
        cdef Node *node
        cdef vf_linear layer
        cdef int64_t first, n
        cdef int32_t *lock = self.hot.hot.locks + (self.hot.hot.n_tiers + 1 + part) * VF_LOCK_STRIDE
        vf_lock(lock)
        for i in range(self.net.n_nodes):
            node = &self.net.nodes[i]
            if self.weights[i].own == NULL or node.parent != INPUT:
                continue
            first = node.weights.n_in * part // self.hot.n_parts
            n = node.weights.n_in * (part + 1) // self.hot.n_parts - first
            layer = vf_rows_of(&node.weights, first, n)
            node.kernels.merge(&layer, clock, NULL, n, True, self.weights[i].own + first * layer.stride,
                               self.weights[i].before + first * layer.stride)
        VF_UNLOCK(lock)

    cdef void _merge_inner(self, const vf_clock *clock) noexcept nogil:
        cdef int i
        cdef Node *node
        for i in range(self.net.n_nodes):
            node = &self.net.nodes[i]
            if self.weights[i].own != NULL and node.parent != INPUT:
                node.kernels.merge(&node.weights, clock, NULL, self.weights[i].n, True, self.weights[i].own,
                                   self.weights[i].before)
            if self.biases[i].own != NULL:
                node.bias_kernels.merge(&node.bias, clock, NULL, 1, True, self.biases[i].own, self.biases[i].before)
