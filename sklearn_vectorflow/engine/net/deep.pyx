# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Nets with hidden layers, perhaps with a linear layer beside them, trained by kernels of their own.

These are kernels/nets/deep.h, and hidden_batch.h for mini-batches.
"""
from libc.stdint cimport int64_t

from sklearn_vectorflow.engine.data cimport Targets
from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_single
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock
from sklearn_vectorflow.engine.kernels.platform cimport VF_LANES
from sklearn_vectorflow.engine.net.plan cimport *

cdef extern from "kernels/nets/deep.h" nogil:
    void vf_move_deep(bint back, const vf_deep *net)
    int64_t vf_lanes(int64_t n)
    double vf_train_deep(const vf_deep *net, vf_clock *clock, const int64_t *queue, int64_t from_row, int64_t to_row,
                         int64_t n_queued)
    enum:
        VF_DECAYING
        VF_ADAGRAD
        VF_ADAGRAD_ROWWISE
        VF_ADAM
        VF_ADAM_ROWWISE

cdef extern from "kernels/nets/hidden_batch.h" nogil:
    double vf_train_hidden_batch(const vf_deep *net, const vf_hidden_batch *batch, vf_clock *clock, const int64_t *queue,
                                 int64_t at, int64_t n, int64_t n_queued)
    enum:
        VF_SLOTS

cdef enum:
    MOST_ROWS = 1024     # of a mini-batch whose sums are of single precision
    LINE = 16            # numbers in a cache line


cdef class Deep(Walk):
    """A `Walk` that has a shorter way for hidden layers under AdaGrad or Adam, and for a linear layer beside them."""

    def __cinit__(self, *args):
        if self._find_chain() and self._serves():
            self._take_layers()
            if not self.direct:
                self._take_batch()

    # ---- which nets -----------------------------------------------------------------

    cdef bint _find_chain(self):
        """Whether all nodes are rows -> linear -> activation -> linear ... and perhaps a linear one that is added."""
        cdef Node *last = &self.plan[self.net.n_nodes - 1]
        cdef int end = self.net.n_nodes - 1, k
        self.wide = -1
        self.chain = <int *>self._take(self.net.n_nodes * sizeof(int))
        if last.kind != ADD:
            return self._find_front(end)
        for k in range(last.n_parents):
            if last.n_parents == 2 and last.parents[k] >= 0 and self.plan[last.parents[k]].parent == INPUT:
                self.wide = last.parents[k]
                return self._find_front(last.parents[1 - k])
        return False

    cdef bint _find_front(self, int end):
        """Fills `chain` with the linear nodes from rows to node `end`; whether it takes in all nodes."""
        cdef int n_linear = 1, n_found = 1 if self.wide < 0 else 3, k
        cdef Node *node
        k = end
        while k >= 0:
            node = &self.plan[k]
            if node.kind != LINEAR:
                return False
            self.chain[self.net.n_nodes - n_linear] = k
            if node.parent == INPUT:
                break
            if node.parent < 0 or self.plan[node.parent].kind != ACTIVATION:
                return False
            n_linear += 1
            n_found += 2
            k = self.plan[node.parent].parent
        if k < 0 or n_linear < 2 or n_found != self.net.n_nodes:
            return False
        for k in range(n_linear):
            self.chain[k] = self.chain[self.net.n_nodes - n_linear + k]
        self.deep.n_layers = n_linear - 1
        return True

    cdef bint _serves(self):
        """Whether all layers are of AdaGrad as it comes, or of Adam; of it, mini-batches take the general walk."""
        cdef Node *front = &self.plan[self.chain[0]]
        cdef Node *node
        cdef int64_t k
        cdef bint is_adam = front.rule == VF_ADAM_ROWWISE
        cdef int rule = VF_ADAM if is_adam else VF_ADAGRAD
        if self.net.reads or self.batch_size > MOST_ROWS or front.lazy > VF_DECAYING:
            return False
        if front.rule != VF_ADAGRAD_ROWWISE and not is_adam:
            return False
        for k in range(self.deep.n_layers + 1):
            node = &self.plan[self.chain[k]]
            if node.lazy != front.lazy or node.orthogonal != 0.0:
                return False
            if node.rule != rule and (node.rule != front.rule or k == self.deep.n_layers):
                return False
        if self.wide >= 0 and not self._serves_wide(rule):
            return False
        return self.direct or (self.deep.n_layers == 1 and self.wide < 0 and not is_adam
                               and self.gathered[self.chain[0]].touches != NULL)

    cdef bint _serves_wide(self, int rule):
        """Whether the layer beside is of one output, and its records lie in those of the hidden layer."""
        cdef Node *front = &self.plan[self.chain[0]]
        cdef Node *wide = &self.plan[self.wide]
        cdef int64_t behind = wide.weights.record - front.weights.record
        return (wide.kind == LINEAR and wide.width == 1 and wide.rule == rule and wide.lazy == front.lazy
                and wide.orthogonal == 0.0 and wide.weights.stride == front.weights.stride
                and -front.weights.stride < behind < front.weights.stride)

    cdef bint _has_kernel(self, Targets targets):
        """Whether the shorter way serves.

        It takes the inner layers out of their records for a while, and would put them back over the steps of other workers.
        What it reads of the wide layer it writes back, too. Sums over mini-batches are of single precision: in a full batch,
        a weight of 2 would not quite equal a copy of a row.
        """
        cdef int64_t k
        if self.deep.layers == NULL or self.group_rows or targets.dense == NULL:
            return False
        for k in range(1, self.deep.n_layers + 1):
            if self.shared and not self._has_copies(self.chain[k]):
                return False
        if self.shared and self.wide >= 0 and not self._has_copies(self.wide):
            return False
        return self.direct or targets.n_rows > self.batch_size

    # ---- memory ----------------------------------------------------------------------

    cdef _take_layers(self):
        """Takes what rows need."""
        cdef vf_deep *deep = &self.deep
        cdef int64_t k
        deep.layers = <vf_inner *>self._take(deep.n_layers * sizeof(vf_inner))
        deep.lazy = self.plan[self.chain[0]].lazy
        for k in range(deep.n_layers):
            self._take_inner(&deep.layers[k], &self.plan[self.chain[k + 1]])
            deep.layers[k].activation = self.plan[self.plan[self.chain[k + 1]].parent].activation
            if k > 0:
                deep.layers[k - 1].out = deep.layers[k].units
                deep.layers[k - 1].gradient = deep.layers[k].delta
        self._take_intercepts(&deep.intercepts, &self.plan[self.chain[0]])
        if self.wide >= 0:
            self._take_intercepts(&deep.wide.intercepts, &self.plan[self.wide])

    cdef _take_inner(self, vf_inner *inner, Node *node):
        cdef int64_t stride = vf_lanes(node.weights.n_in)
        cdef size_t n_bytes = node.width * stride * sizeof(float), n_each = stride * sizeof(float)
        cdef size_t n_out = vf_lanes(node.width) * sizeof(float)
        inner.rule = node.rule
        inner.n_in, inner.n_out, inner.stride = node.weights.n_in, node.width, stride
        inner.weights = <float *>self._take(n_bytes)
        inner.square = <float *>self._take(n_bytes)
        inner.first = <float *>self._take(n_bytes)
        inner.left = <float *>self._take(n_bytes)
        inner.rate = <float *>self._take(n_bytes)
        inner.now = <float *>self._take(n_bytes)
        inner.touches = <float *>self._take(n_each)
        inner.bias[0] = <float *>self._take(n_each)
        inner.bias[1] = <float *>self._take(n_each)
        inner.touched = <unsigned int *>self._take(stride * sizeof(int))
        inner.units = <float *>self._take(n_each)
        inner.delta = <float *>self._take(n_each)
        inner.out = <float *>self._take(n_out)
        inner.gradient = <float *>self._take(n_out)
        self._take_intercepts(&inner.intercepts, node)

    cdef _take_intercepts(self, vf_intercepts *intercepts, Node *node):
        cdef size_t n_bytes = vf_lanes(node.width) * sizeof(float)
        intercepts.rule = node.rule
        intercepts.n = node.width
        intercepts.numbers = <float *>self._take(n_bytes)
        intercepts.square = <float *>self._take(n_bytes)
        intercepts.first = <float *>self._take(n_bytes)
        intercepts.touches = <float *>self._take(sizeof(float))

    cdef _take_batch(self):
        """Takes what mini-batches need."""
        cdef vf_hidden_batch *batch = &self.batch
        cdef vf_inner *inner = &self.deep.layers[0]
        cdef int front = self.chain[0]
        cdef int64_t slots = self._n_slots(&self.plan[front])
        batch.stride = inner.stride
        batch.features = &self.gathered[front]
        batch.place = <int64_t *>self._take((slots + VF_LANES) * sizeof(int64_t))
        batch.slots = <int *>self._take(self.longest * sizeof(int))
        batch.units = <float *>self._take(self.batch_size * batch.stride * sizeof(float))
        batch.delta = <float *>self._take(self.batch_size * batch.stride * sizeof(float))
        batch.gradient = <float *>self._take(self.batch_size * inner.n_out * sizeof(float))
        batch.squares = <float *>self._take(self.batch_size * sizeof(float))
        batch.order = <int *>self._take(slots * sizeof(int))
        batch.total = <float *>self._take(batch.stride * max(inner.n_out, VF_SLOTS) * sizeof(float))

    # ---- passes ----------------------------------------------------------------------

    cdef vf_spread _spread(self, int i, int64_t most_asked) noexcept nogil:
        """Where records begin with those of node i."""
        cdef vf_linear *layer = &self.plan[i].weights
        cdef int64_t stride = layer.stride
        # records begin at multiples of the largest power of two that divides their stride
        cdef vf_spread out = vf_spread(record=layer.record, stride=stride, n_asked=min(stride, most_asked),
                                       straddles=stride <= most_asked and stride % LINE > (stride & -stride),
                                       hot=NULL, first=0)
        if self._has_places(i):
            out.hot = &self.replica.hot.hot
            out.first = self.replica.places[i]
        return out

    cdef void _open(self, vf_single data) noexcept nogil:
        """Makes ready for rows."""
        cdef vf_deep *deep = &self.deep
        cdef int front = self.chain[0]
        cdef Node *node = &self.plan[front]
        cdef int64_t k
        deep.data = data
        deep.data.weights = &node.weights
        deep.data.copies = self.copies[front]
        deep.intercepts.layer = &node.bias if node.has_bias else NULL
        deep.spread = self._spread(front if self.wide < 0 else min(front, self.wide), node.weights.stride)
        for k in range(deep.n_layers):
            node = &self.plan[self.chain[k + 1]]
            deep.layers[k].layer = &node.weights
            deep.layers[k].intercepts.layer = &node.bias if node.has_bias else NULL
        if self.wide >= 0:
            node = &self.plan[self.wide]
            deep.wide.layer = &node.weights
            deep.wide.copies = self.copies[self.wide]
            deep.wide.copies.at, deep.wide.copies.x = deep.data.copies.at, deep.data.copies.x
            deep.wide.intercepts.layer = &node.bias if node.has_bias else NULL
        self._open_inner()

    cdef void _open_inner(self) noexcept nogil:
        """Takes inner layers out of their records."""
        vf_move_deep(False, &self.deep)

    cdef void _close(self) noexcept nogil:
        """Puts them back."""
        vf_move_deep(True, &self.deep)

    cdef double _train_by_kernel(self, int64_t n) noexcept nogil:
        """Trains on the next n queued rows, a mini-batch if there are such; returns their loss."""
        if not self.direct:
            return vf_train_hidden_batch(&self.deep, &self.batch, &self.clock, self.queue, self.taken, n, self.queued)
        return vf_train_deep(&self.deep, &self.clock, self.queue, self.taken, self.taken + n, self.queued)
