# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""A linear layer of several outputs, trained row by row beside other threads.

Each thread trains copies of its own of the hot features' records and of the intercepts, and merges them
with the shared ones every some rows (kernels/sharing/merge_wide.h). Kernels find a copy as they find any
record: by its place, counted from the layer's first one.
"""
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.string cimport memcpy

from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.platform cimport VF_TRY_LOCK, VF_UNLOCK, vf_lock
from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_row
from sklearn_vectorflow.engine.kernels.sharing.slots cimport vf_hot, vf_slot_of, vf_tier_start, vf_tiers_due
from sklearn_vectorflow.engine.net.plan cimport *

cdef extern from "kernels/sharing/merge_wide.h" nogil:
    bint vf_merges_wide(int kind, int lazy)
    void vf_merge(int kind, int lazy, const vf_linear *layer, const vf_clock *clock, const vf_hot *hot, int64_t n,
                  float *own, float *before)

cdef enum:
    LATEST = 2  # periods that a merge may be late


cdef class SharedRows(Walk):
    """A `Walk` that can train copies of hot records."""

    cdef bint _can_share(self):
        cdef Node *node = &self.net.nodes[0]
        return (self.net.n_nodes == 1 and self.direct and not self.group_rows and node.kind == LINEAR
                and node.parent == INPUT and node.width > 1 and node.orthogonal == 0.0 and not self.net.reads
                and vf_merges_wide(node.rule, node.lazy))

    def share(self, Hot hot):
        """Train copies of its own of hot features: other workers train the same net."""
        cdef Node *node = &self.net.nodes[0]
        cdef int64_t size = node.weights.stride * sizeof(float)
        layer, memory = int(<uintptr_t>node.weights.record), int(<uintptr_t>self._take((hot.hot.n_hot + 1) * size))
        address = memory + (layer - memory) % int(size)  # whole records away from the layer's
        self.first_place = (address - layer) // int(size)
        if not -2**31 <= self.first_place < 2**31 - hot.hot.n_hot:
            return  # too far away for the index of a row
        self.hot_own = <float *><uintptr_t>address
        self.hot_before = <float *>self._take(hot.hot.n_hot * size)
        self.own_bias = node.bias
        self.own_bias.record = <float *>self._take(size)
        self.bias_before = <float *>self._take(size)
        self.own_places = <int32_t *>self._take((self.longest + 1) * sizeof(int32_t))
        self.hot = hot

    # ---- records of a row -------------------------------------------------------------

    cdef vf_row _places_of(self, vf_row x) noexcept nogil:
        cdef vf_hot *hot
        cdef int64_t k, slot
        if self.own_places == NULL or not self.training:
            return x
        hot = &self.hot.hot
        for k in range(x.length):
            slot = vf_slot_of(x.indices[k], hot.bits, hot.shift)
            if hot.owner[slot] == x.indices[k]:
                self.own_places[k] = <int32_t>(self.first_place + hot.rank[slot])
            else:
                self.own_places[k] = x.indices[k]
        x.indices = self.own_places
        return x

    cdef const vf_linear *_bias_at(self, int i) noexcept nogil:
        return &self.net.nodes[i].bias if self.own_places == NULL or not self.training else &self.own_bias

    # ---- merging -----------------------------------------------------------------------

    cdef void _open_rows(self) noexcept nogil:
        """Makes ready for rows: copies the shared records, once."""
        cdef Node *node = &self.net.nodes[0]
        cdef vf_hot *hot
        cdef int64_t k, stride = node.weights.stride
        cdef size_t size = stride * sizeof(float)
        if self.own_places == NULL or self.loaded:
            return
        hot = &self.hot.hot
        self.until_merge = self.hot.period
        for k in range(hot.n_hot):
            memcpy(self.hot_own + k * stride, node.weights.record + hot.feature[k] * stride, size)
        memcpy(self.hot_before, self.hot_own, hot.n_hot * size)
        if node.has_bias:
            memcpy(self.own_bias.record, node.bias.record, size)
            memcpy(self.bias_before, self.own_bias.record, size)
        self.loaded = True

    cdef void _merge_if_due(self, int64_t n) noexcept nogil:
        """After n rows: merges, if it is time."""
        if self.hot is None:
            return
        self.until_merge -= n
        if self.until_merge > 0:
            return
        # a few rows later is as good, but not many: who holds the lock may have to wait for a core
        if self.until_merge <= -LATEST * self.hot.period:
            vf_lock(self.hot.hot.locks)
        elif not VF_TRY_LOCK(self.hot.hot.locks):
            return
        self.until_merge = self.hot.period
        self.n_merges += 1
        self._merge(vf_tiers_due(&self.hot.hot, self.n_merges))
        VF_UNLOCK(self.hot.hot.locks)

    cdef void _merge(self, int64_t n_tiers) noexcept nogil:
        """Adds what copies gained to the shared records, and brings them up to date. The first lock is held."""
        cdef Node *node = &self.net.nodes[0]
        cdef vf_hot *hot = &self.hot.hot
        vf_merge(node.rule, node.lazy, &node.weights, &self.clock, hot,
                 min(hot.n_hot, vf_tier_start(hot, n_tiers)), self.hot_own, self.hot_before)
        if node.has_bias:
            vf_merge(node.rule, node.bias_lazy, &node.bias, &self.clock, NULL, 1, self.own_bias.record,
                     self.bias_before)

    cdef void _merge_all(self) noexcept nogil:
        """Leaves everything in the shared records."""
        if self.hot is None:
            return
        vf_lock(self.hot.hot.locks)
        self._merge(self.hot.hot.n_tiers)
        VF_UNLOCK(self.hot.hot.locks)
