# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The net with one hidden layer, trained by kernels of its own (kernels/nets/one_hidden.h and hidden_batch.h)."""
from libc.stdint cimport int64_t

from sklearn_vectorflow.engine.data cimport Targets
from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_single
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock
from sklearn_vectorflow.engine.kernels.platform cimport VF_LANES
from sklearn_vectorflow.engine.net.plan cimport *

cdef extern from "kernels/nets/one_hidden.h" nogil:
    void vf_open_inner(const vf_hidden *net, vf_inner *inner, const float *record, const float *bias,
                       const float *output_bias)
    void vf_close_inner(const vf_hidden *net, const vf_inner *inner, float *record, float *bias, float *output_bias)
    double vf_train_hidden(const vf_hidden *net, vf_inner *inner, vf_clock *clock, const int64_t *queue,
                           int64_t from_row, int64_t to_row, int64_t n_queued)
    enum:
        VF_DECAYING
        VF_ADAGRAD
        VF_ADAGRAD_ROWWISE

cdef extern from "kernels/nets/hidden_batch.h" nogil:
    double vf_train_hidden_batch(const vf_hidden *net, vf_inner *inner, const vf_hidden_batch *batch, vf_clock *clock,
                                 const int64_t *queue, int64_t at, int64_t n, int64_t n_queued)
    enum:
        VF_SLOTS

cdef enum:
    MOST_ROWS = 1024     # of a mini-batch whose sums are of single precision


cdef class OneHidden(Walk):
    """A `Walk` that has a shorter way for one hidden layer under AdaGrad."""

    def __cinit__(self, *args):
        cdef Node *first
        cdef Node *last
        cdef int64_t n_units, n
        if not self._serves():
            return
        first, last = &self.plan[0], &self.plan[2]
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
        if not self.direct:
            self._take_batch(first, last.width)

    cdef _take_batch(self, Node *first, int64_t n_outputs):
        """Takes what mini-batches need."""
        cdef vf_hidden_batch *batch = &self.batch
        cdef int64_t slots = self._n_slots(first), n_units = first.width
        batch.stride = (n_units + VF_LANES - 1) // VF_LANES * VF_LANES
        batch.features = &self.gathered[0]
        batch.record = <float **>self._take(slots * sizeof(void *))
        batch.slots = <int *>self._take(self.longest * sizeof(int))
        batch.units = <float *>self._take(self.batch_size * batch.stride * sizeof(float))
        batch.delta = <float *>self._take(self.batch_size * batch.stride * sizeof(float))
        batch.gradient = <float *>self._take(self.batch_size * n_outputs * sizeof(float))
        batch.squares = <float *>self._take(self.batch_size * sizeof(float))
        batch.order = <int *>self._take(slots * sizeof(int))
        batch.total = <float *>self._take(n_units * max(n_outputs, VF_SLOTS) * sizeof(float))

    cdef bint _serves(self):
        """Whether the net is rows -> linear -> activation -> linear, all of AdaGrad as it comes."""
        cdef Node *first = &self.plan[0]
        cdef Node *last = &self.plan[2]
        if self.net.n_nodes != 3 or self.net.reads or self.batch_size > MOST_ROWS:
            return False
        if not self.direct and self.gathered[0].touches == NULL:
            return False
        return (first.kind == LINEAR and first.parent == INPUT and self.plan[1].kind == ACTIVATION
                and last.kind == LINEAR and last.parent == 1 and self.plan[1].parent == 0
                and first.rule == VF_ADAGRAD_ROWWISE and last.rule == VF_ADAGRAD
                and first.lazy == last.lazy and first.lazy <= VF_DECAYING
                and first.orthogonal == 0.0 and last.orthogonal == 0.0)

    cdef bint _has_one_hidden(self, Targets targets):
        """Whether the shorter way serves.

        It takes the inner layer out of its records for a while, and would put it back over the steps of other workers. Sums
        over mini-batches are of single precision: in a full batch, a weight of 2 would not quite equal a copy of a row.
        """
        return (self.hidden.at != NULL and not self.group_rows and targets.dense != NULL
                and (self.direct or targets.n_rows > self.batch_size)
                and (not self.shared or self._has_copies(2)))

    cdef float *_bias_of(self, int which) noexcept nogil:
        """The intercepts of node `which`, or NULL."""
        return self.plan[which].bias.record if self.plan[which].has_bias else NULL

    cdef void _open(self, vf_single data) noexcept nogil:
        """Makes ready for rows."""
        cdef Node *last = &self.plan[2]
        self.hidden.data = data
        self.hidden.output = &last.weights
        self.hidden.output_bias = &last.bias if last.has_bias else NULL
        self.hidden.activation = self.plan[1].activation
        self.hidden.lazy = last.lazy
        self.hidden.hot = NULL
        if self._has_places(0):
            self.hidden.hot = &self.replica.hot.hot
            self.hidden.own = self.replica.weights[0].own
        self._open_inner()

    cdef void _open_inner(self) noexcept nogil:
        """Takes inner layers out of their records."""
        vf_open_inner(&self.hidden, &self.inner, self.plan[2].weights.record, self._bias_of(0), self._bias_of(2))

    cdef void _close(self) noexcept nogil:
        """Puts them back."""
        vf_close_inner(&self.hidden, &self.inner, self.plan[2].weights.record, self._bias_of(0), self._bias_of(2))

    cdef double _train_hidden(self, int64_t n) noexcept nogil:
        """Trains on the next n queued rows, a mini-batch if there are such; returns their loss."""
        if not self.direct:
            return vf_train_hidden_batch(&self.hidden, &self.inner, &self.batch, &self.clock, self.queue, self.taken, n,
                                         self.queued)
        return vf_train_hidden(&self.hidden, &self.inner, &self.clock, self.queue, self.taken, self.taken + n, self.queued)
