# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The net with one hidden layer, trained row by row (kernels/nets/one_hidden.h).

Beside other threads each trains copies of its own of what all rows touch, and merges
them with the shared records every some rows.
"""
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from sklearn_vectorflow.engine.data cimport Targets
from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_single
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.platform cimport VF_LANES, VF_TRY_LOCK, VF_UNLOCK, vf_lock
from sklearn_vectorflow.engine.kernels.sharing.slots cimport vf_hot, vf_tier_start, vf_tiers_due
from sklearn_vectorflow.engine.net.plan cimport *

cdef extern from "kernels/nets/one_hidden.h" nogil:
    void vf_open_inner(const vf_hidden *net, vf_inner *inner, const float *record, const float *bias,
                       const float *output_bias)
    void vf_close_inner(const vf_hidden *net, const vf_inner *inner, float *record, float *bias, float *output_bias)
    double vf_train_hidden(const vf_hidden *net, vf_inner *inner, vf_clock *clock, const int64_t *queue,
                           int64_t from_row, int64_t to_row, int64_t n_queued)
    void vf_merge(int rowwise, int lazy, const vf_linear *layer, const vf_clock *clock, const vf_hot *hot, int64_t n,
                  float *own, float *before)
    enum:
        VF_DECAYING
        VF_ADAGRAD
        VF_ADAGRAD_ROWWISE

cdef enum:
    LATEST = 2  # periods that a merge may be late


cdef class OneHidden(Walk):
    """A `Walk` that has a shorter way for one hidden layer under AdaGrad."""

    def __cinit__(self, *args):
        cdef Node *first
        cdef Node *last
        cdef int64_t n_units, n
        if not self._serves():
            return
        first, last = &self.net.nodes[0], &self.net.nodes[2]
        n_units = first.width + VF_LANES
        n = first.width * last.width + VF_LANES
        self.hidden.at = <float **>self._take(self.longest * sizeof(void *))
        self.inner.n_units, self.inner.n_outputs = first.width, last.width
        self.inner.weights = <float *>self._take(n * sizeof(float))
        self.inner.state = <float *>self._take(n * sizeof(float))
        self.inner.left = <float *>self._take(n * sizeof(float))
        self.inner.rate = <float *>self._take(n * sizeof(float))
        self.inner.now = <float *>self._take(n * sizeof(float))
        self.inner.touched = <unsigned int *>self._take(n_units * sizeof(int))
        self.inner.intercepts = <float *>self._take(n_units * sizeof(float))
        self.inner.units = <float *>self._take(n_units * sizeof(float))
        self.inner.delta = <float *>self._take(n_units * sizeof(float))
        self.inner.output_intercepts = <float *>self._take(last.width * sizeof(float))
        self.inner.output_state = <float *>self._take(last.width * sizeof(float))
        self.inner.gradient = <float *>self._take(last.width * sizeof(float))

    cdef bint _serves(self):
        """Whether the net is rows -> linear -> activation -> linear, all of AdaGrad as it comes."""
        cdef Node *first = &self.net.nodes[0]
        cdef Node *last = &self.net.nodes[2]
        if not self.direct or self.net.n_nodes != 3 or self.net.reads:
            return False
        return (first.kind == LINEAR and first.parent == INPUT and self.net.nodes[1].kind == ACTIVATION
                and last.kind == LINEAR and last.parent == 1 and self.net.nodes[1].parent == 0
                and first.rule == VF_ADAGRAD_ROWWISE and last.rule == VF_ADAGRAD
                and first.lazy == last.lazy and first.lazy <= VF_DECAYING
                and first.orthogonal == 0.0 and last.orthogonal == 0.0)

    cdef bint _has_one_hidden(self, Targets targets):
        """Whether the shorter way serves."""
        return self.hidden.at != NULL and not self.group_rows and targets.dense != NULL

    def has_one_hidden(self, Targets targets):
        """Whether the shorter way serves."""
        return self._has_one_hidden(targets)

    def share(self, Hot hot):
        """Train copies of its own of inner layers and hot features: other workers train the same net."""
        cdef int64_t n_inner
        if self.hidden.at == NULL:
            return
        n_inner = self.net.nodes[2].weights.n_in * self.net.nodes[2].weights.stride
        n_inner += self.net.nodes[0].weights.stride + self.net.nodes[2].weights.stride
        self.hot_own = <float *>self._take(hot.hot.n_hot * self.net.nodes[0].weights.stride * sizeof(float))
        self.hot_before = <float *>self._take(hot.hot.n_hot * self.net.nodes[0].weights.stride * sizeof(float))
        self.inner_own = <float *>self._take(n_inner * sizeof(float))
        self.inner_before = <float *>self._take(n_inner * sizeof(float))
        self.hot = hot

    # ---- records --------------------------------------------------------------------

    cdef float *_bias_of(self, float *records, int which) noexcept nogil:
        """Where the intercepts of node `which` lie, in copies or (NULL) in the net; NULL if there are none."""
        cdef Node *last = &self.net.nodes[2]
        if not self.net.nodes[which].has_bias:
            return NULL
        if records == NULL:
            return self.net.nodes[which].bias.record
        records += last.weights.n_in * last.weights.stride
        return records if which == 0 else records + self.net.nodes[0].weights.stride

    cdef void _open(self, vf_single data) noexcept nogil:
        """Makes ready for rows."""
        cdef Node *last = &self.net.nodes[2]
        self.hidden.data = data
        self.hidden.output = &last.weights
        self.hidden.output_bias = &last.bias if last.has_bias else NULL
        self.hidden.activation = self.net.nodes[1].activation
        self.hidden.lazy = last.lazy
        if self.hot is None:
            vf_open_inner(&self.hidden, &self.inner, last.weights.record, self._bias_of(NULL, 0),
                          self._bias_of(NULL, 2))
            return
        self.hidden.hot = &self.hot.hot
        self.hidden.own = self.hot_own
        if not self.loaded:
            self._load()

    cdef void _load(self) noexcept nogil:
        """Copies the shared records."""
        cdef Node *first = &self.net.nodes[0]
        cdef Node *last = &self.net.nodes[2]
        cdef vf_hot *hot = &self.hot.hot
        cdef int64_t k, stride = first.weights.stride
        cdef size_t size = stride * sizeof(float), n_inner = last.weights.n_in * last.weights.stride * sizeof(float)
        self.until_merge = self.hot.period
        for k in range(hot.n_hot):
            memcpy(self.hot_own + k * stride, first.weights.record + hot.feature[k] * stride, size)
        memcpy(self.hot_before, self.hot_own, hot.n_hot * size)
        memcpy(self.inner_own, last.weights.record, n_inner)
        if first.has_bias:
            memcpy(self._bias_of(self.inner_own, 0), first.bias.record, size)
        if last.has_bias:
            memcpy(self._bias_of(self.inner_own, 2), last.bias.record, last.weights.stride * sizeof(float))
        memcpy(self.inner_before, self.inner_own, n_inner + (stride + last.weights.stride) * sizeof(float))
        vf_open_inner(&self.hidden, &self.inner, self.inner_own, self._bias_of(self.inner_own, 0),
                      self._bias_of(self.inner_own, 2))
        self.loaded = True

    # ---- training -------------------------------------------------------------------

    cdef double _train_hidden(self, int64_t n) noexcept nogil:
        """Trains on the next n queued rows; returns their loss."""
        cdef double loss = vf_train_hidden(&self.hidden, &self.inner, &self.clock, self.queue, self.taken,
                                           self.taken + n, self.queued)
        if self.hot is None:
            return loss
        self.until_merge -= n
        if self.until_merge > 0:
            return loss
        # a few rows later is as good, but not many: who holds the lock may have to wait for a core
        if self.until_merge <= -LATEST * self.hot.period:
            vf_lock(self.hot.hot.locks)
            self._merge_and_unlock()
        elif VF_TRY_LOCK(self.hot.hot.locks):
            self._merge_and_unlock()
        return loss

    cdef void _merge_and_unlock(self) noexcept nogil:
        self.until_merge = self.hot.period
        self.n_merges += 1
        self._merge(vf_tiers_due(&self.hot.hot, self.n_merges))
        VF_UNLOCK(self.hot.hot.locks)

    cdef void _merge(self, int64_t n_tiers) noexcept nogil:
        """Adds what copies gained to the shared records, and brings them up to date. The first lock is held."""
        cdef Node *first = &self.net.nodes[0]
        cdef Node *last = &self.net.nodes[2]
        cdef vf_hot *hot = &self.hot.hot
        cdef int64_t n_hot = min(hot.n_hot, vf_tier_start(hot, n_tiers))
        cdef float *bias = self._bias_of(self.inner_own, 0)
        cdef float *output_bias = self._bias_of(self.inner_own, 2)
        vf_merge(True, first.lazy, &first.weights, &self.clock, hot, n_hot, self.hot_own, self.hot_before)
        vf_close_inner(&self.hidden, &self.inner, self.inner_own, bias, output_bias)
        vf_merge(False, last.lazy, &last.weights, &self.clock, NULL, last.weights.n_in, self.inner_own,
                 self.inner_before)
        if bias != NULL:
            vf_merge(True, False, &first.bias, &self.clock, NULL, 1, bias, self._bias_of(self.inner_before, 0))
        if output_bias != NULL:
            vf_merge(False, False, &last.bias, &self.clock, NULL, 1, output_bias, self._bias_of(self.inner_before, 2))
        vf_open_inner(&self.hidden, &self.inner, self.inner_own, bias, output_bias)

    cdef void _close(self) noexcept nogil:
        """Leaves everything in the shared records."""
        if self.hot is None:
            vf_close_inner(&self.hidden, &self.inner, self.net.nodes[2].weights.record, self._bias_of(NULL, 0),
                           self._bias_of(NULL, 2))
            return
        vf_lock(self.hot.hot.locks)
        self._merge(self.hot.hot.n_tiers)
        VF_UNLOCK(self.hot.hot.locks)
