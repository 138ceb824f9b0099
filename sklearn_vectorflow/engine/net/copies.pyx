# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Hot features (kernels/sharing/slots.h), and threads' copies of their records."""
import numpy as np

from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.string cimport memcpy, memset

from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.sharing.slots cimport (
    VF_LOCK_STRIDE, VF_PART_HOT, vf_slot_of, vf_tier_start, vf_tiers_due,
)
from sklearn_vectorflow.engine.net.plan cimport Clock, Node

cdef enum:
    LINE = 16  # floats in a cache line

PART_STEPS = 128  # steps of a worker between two merges of a part
cdef int64_t _PART_STEPS = PART_STEPS


cdef const void *_address(array):
    return <const void *><uintptr_t>array.__array_interface__["data"][0]


def slots_of(const int32_t[:] features, int32_t bits, int32_t shift):
    """Return the slot of each feature in a table of 2**bits slots, which one depends on the shift."""
    cdef int64_t k
    slots = np.empty(features.shape[0], dtype=np.int64)
    cdef int64_t[::1] out = slots
    for k in range(features.shape[0]):
        out[k] = vf_slot_of(features[k], bits, shift)
    return slots


cdef class Hot:
    """The hot features of the layer that reads rows, in training by several workers.

    Parameters
    ----------
    net : Net
        That layer is its first.
    features : ndarray of int32, shape (n_hot,)
        The hottest first.
    bits : int
        Copies are kept in 2**bits slots; features that share a slot may not both be hot.
        0: every feature has a copy, hot or not.
    shift : int
        How features find their slots.
    first, period : int
        How many of the hottest a worker merges every `period` of its steps. As many again are
        merged half as often, and so on.
    n_parts : int, default=0
        In how many parts those of features that are not hot are merged, if they have any: one
        of them every `PART_STEPS` steps.
    """

    def __init__(self, Net net, features, int bits, int shift, int64_t first, int64_t period, int64_t n_parts=0):
        cdef int64_t n_hot = len(features)
        if bits == 0 and n_hot > VF_PART_HOT:
            raise ValueError("too many hot features")
        self.net = net
        self.period = period
        self.features = features
        self.n_parts = 0 if bits else n_parts
        self.hot.n_hot = n_hot
        self.hot.bits = bits
        self.hot.shift = shift
        self.hot.n_slots = 1 << bits if bits else net.nodes[0].weights.n_in
        self.hot.first = first
        self.hot.n_parts = 0 if bits else n_parts
        while vf_tier_start(&self.hot, self.hot.n_tiers) < max(n_hot, 1):
            self.hot.n_tiers += 1
        slots = slots_of(features, bits, shift) if bits else features.astype(np.int64)
        self.hot.feature = <const int32_t *>self._keep(features)
        self.hot.slot = <const int64_t *>self._keep(slots)
        self.hot.locks = <int32_t *>self._keep(
            np.zeros((self.hot.n_tiers + self.hot.n_parts + 1) * VF_LOCK_STRIDE, dtype=np.int32)
        )
        self.averaged = np.zeros(self.hot.n_tiers + self.hot.n_parts, dtype=np.int64)
        self.hot.averaged = &self.averaged[0]
        if bits:
            owner = np.full(self.hot.n_slots, -1, dtype=np.int32)
            owner[slots] = features
            rank = np.zeros(self.hot.n_slots, dtype=np.int32)
            rank[slots] = np.arange(n_hot)
            self.hot.rank = <const int32_t *>self._keep(rank)
            self.hot.owner = <const int32_t *>self._keep(owner)
        else:
            hot_slot = np.sort(slots)
            edges = self.hot.n_slots * np.arange(n_parts + 1) // n_parts
            self.hot.hot_slot = <const int64_t *>self._keep(hot_slot)
            self.hot.part_hot = <const int64_t *>self._keep(np.searchsorted(hot_slot, edges))

    @property
    def tiers(self):
        """How many features are merged after every period, after every second, fourth, ... one."""
        edges = [min(self.hot.n_hot, vf_tier_start(&self.hot, tier)) for tier in range(self.hot.n_tiers + 1)]
        return [last - first for first, last in zip(edges, edges[1:])]

    cdef const void *_keep(self, array):
        if self.arrays is None:
            self.arrays = []
        self.arrays.append(array)
        return _address(array)

    def load(self, Clock clock):
        """Take the records from a layer of one output, before a pass."""
        cdef Node *node = &self.net.nodes[0]
        self.step = clock.step
        self.averaged[:] = max(0, self.step - node.weights.average_from)
        if self.hot.records == NULL:
            self.hot.records = <float *>self._keep(np.zeros((self.hot.n_hot, node.weights.stride), dtype=np.float32))
        cdef vf_clock now = vf_clock(step=clock.step, rate=0.0, elapsed=clock.elapsed)
        cdef const vf_linear *intercepts[2]
        self.net.intercepts(intercepts)
        with nogil:
            node.kernels.single.load(&node.weights, intercepts, &now, &self.hot)

    def store(self, Clock clock):
        """Put the records back, after a pass."""
        cdef Node *node = &self.net.nodes[0]
        cdef vf_clock now = vf_clock(step=clock.step, rate=0.0, elapsed=clock.elapsed)
        cdef const vf_linear *intercepts[2]
        self.net.intercepts(intercepts)
        with nogil:
            node.kernels.single.store(&node.weights, intercepts, &now, &self.hot)


cdef class Copies:
    """One worker's copies of records of one output (kernels/sharing/merge_one.h).

    Parameters
    ----------
    hot : Hot
    offset : float
        Where among the parts merging starts, in [0, 1): apart from the other workers.
    n_workers : int
        How many have copies.
    keeps_before : bool, default=True
        Whether to keep what the shared records of parts were, which others change meanwhile.
    n_aside : int, default=0
        How many records of features that are not hot there is room for.
    """

    def __init__(self, Hot hot, double offset, int64_t n_workers, bint keeps_before=True, int64_t n_aside=0):
        stride = hot.net.nodes[0].weights.stride
        layer = int(<uintptr_t>hot.net.nodes[0].weights.record)

        def records(n):
            # a cache line on either side keeps other threads' data off; from the layer's records it is whole ones
            array = np.zeros((n + 1) * stride + 2 * LINE, dtype=np.float32)
            self.arrays.append(array)
            address = int(array.ctypes.data + LINE * sizeof(float))
            return address + (layer - address) % int(stride * sizeof(float))  # of Python: never negative

        self.hot = hot
        self.n_workers = n_workers
        self.arrays = []
        self.averaged = np.zeros(hot.hot.n_tiers + hot.hot.n_parts, dtype=np.int64)
        self.apart.averaged = &self.averaged[0]
        self.merged = np.zeros((hot.hot.n_tiers + hot.hot.n_parts) * sizeof(vf_clock), dtype=np.uint8)
        self.apart.merged = <vf_clock *>&self.merged[0]
        self.part = <int64_t>(offset * hot.hot.n_parts)
        self.apart.records = <float *><uintptr_t>records(hot.hot.n_slots + n_aside)
        if hot.hot.n_parts and keeps_before:
            self.apart.before = <float *><uintptr_t>records(hot.hot.n_slots)
        self.apart.hot_before = <float *><uintptr_t>records(hot.hot.n_hot)
        for output in range(2):
            self.apart.bias[<int>output] = <float *><uintptr_t>records(1)
            self.apart.bias_before[<int>output] = <float *><uintptr_t>records(1)

    def begin(self):
        """Copy the records, before a pass; the copies' clock starts at zero."""
        cdef Node *node = &self.hot.net.nodes[0]
        cdef vf_hot *hot = &self.hot.hot
        cdef const vf_linear *bias
        cdef int64_t k, stride = node.weights.stride
        cdef size_t size = stride * sizeof(float)
        cdef int i
        self.averaged[:] = 0
        self.merged[:] = 0
        with nogil:
            self.apart.clock = vf_clock(step=0, rate=0.0, elapsed=0.0)
            self.apart.average_from = max(0, node.weights.average_from - self.hot.step) // self.n_workers
            memcpy(self.apart.hot_before, hot.records, hot.n_hot * size)
            self._rewind(self.apart.hot_before, hot.n_hot)
            if hot.n_parts:
                memcpy(self.apart.records, node.weights.record, hot.n_slots * size)
                self._rewind(self.apart.records, hot.n_slots)
            if self.apart.before != NULL:
                memcpy(self.apart.before, self.apart.records, hot.n_slots * size)
            for k in range(hot.n_hot):
                memcpy(self.apart.records + hot.slot[k] * stride, self.apart.hot_before + k * stride, size)
            for i in range(2):
                bias = self.hot.net.intercept(i)
                if bias != NULL:
                    memcpy(self.apart.bias_before[i], bias.record, bias.stride * sizeof(float))
                    memcpy(self.apart.bias[i], self.apart.bias_before[i], bias.stride * sizeof(float))
                    self._rewind(self.apart.bias[i], 1)

    cdef void _rewind(self, float *records, int64_t n) noexcept nogil:
        cdef int64_t k, stride = self.hot.net.nodes[0].weights.stride, at = self.hot.net.nodes[0].weights.clock_slot
        if at >= 0:
            for k in range(n):
                memset(records + k * stride + at, 0, (stride - at) * sizeof(float))

    def finish(self):
        """Merge all, after a pass."""
        cdef int64_t k
        with nogil:
            for k in range(self.hot.hot.n_tiers):
                self.merge_tier(k)
            for k in range(self.hot.hot.n_parts):  # workers begin far from each other, and seldom wait
                self.merge_part((self.part + k) % self.hot.hot.n_parts)

    cdef void merge_tier(self, int64_t tier) noexcept nogil:
        cdef Node *node = &self.hot.net.nodes[0]
        cdef const vf_linear *intercepts[2]
        self.hot.net.intercepts(intercepts)
        node.kernels.single.merge_tier(&node.weights, intercepts, &self.hot.hot, &self.apart, tier)

    cdef void merge_part(self, int64_t part) noexcept nogil:
        cdef Node *node = &self.hot.net.nodes[0]
        node.kernels.single.merge_part(&node.weights, &self.hot.hot, &self.apart, part)

    cdef void merge_due(self) noexcept nogil:
        """After a period: merges the tiers whose turn it is."""
        cdef int64_t tier
        self.merges += 1
        for tier in range(vf_tiers_due(&self.hot.hot, self.merges)):
            self.merge_tier(tier)
        if self.hot.hot.n_parts and self.merges % max(1, _PART_STEPS // self.hot.period) == 0:
            self.part = (self.part + 1) % self.hot.hot.n_parts
            self.merge_part(self.part)
