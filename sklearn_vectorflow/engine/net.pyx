# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""A net compiled to plain structs, and the workers that run rows through it.

A `Net` is the plan: an array of nodes in topological order, with pointers into
parameter arrays that Python owns. A `Worker` owns one thread's buffers and walks
the plan forward and backward over rows. Nothing is allocated during a pass, and
nothing here needs the GIL.
"""
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport isfinite, log, pow
from libc.stdint cimport int32_t, int64_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from sklearn_vectorflow.engine.contract cimport VF_LOSS_CAPSULE, vf_loss
from sklearn_vectorflow.engine.data cimport Rows, Targets
from sklearn_vectorflow.engine.kernels cimport *

RULES = ("fixed", "sgd", "adagrad", "adagrad_rowwise", "adam", "ftrl")
EAGER, DECAYING, LAZY = VF_EAGER, VF_DECAYING, VF_LAZY
ACTIVATIONS = ("relu", "tanh", "selu", "logistic")

cdef enum:
    LINEAR
    ACTIVATION
    DROPOUT
    CONSTANT

cdef enum:
    INPUT = -1           # the parent of a node that reads rows of X
    GROUP = 16           # chunks of rows shuffled together
    PUBLISH = 64         # steps between two looks at the shared clock
    AHEAD_DATA = 8       # rows between asking for a row's values and using them

cdef struct Node:
    int kind, parent, activation
    int64_t width
    float rate                 # dropout
    bint has_bias
    vf_linear weights, bias
    vf_linear_kernels kernels, bias_kernels
    double orthogonal          # strength of the soft orthogonality of its columns
    int64_t n_draws            # pairs of columns drawn a step; 0: all of them

cdef int32_t ZERO = 0
cdef float ONE = 1.0


cdef class Clock:
    """Steps of all workers together, and the learning-rate schedule of SGD.

    The rate of step t is ``rate / (1 + decay * t) ** power``.
    """
    cdef int32_t lock
    cdef readonly int64_t step
    cdef readonly double elapsed
    cdef double rate, decay, power

    def __init__(self, rate=0.0, decay=0.0, power=0.0, step=0, elapsed=0.0):
        self.lock = 0
        self.rate = rate
        self.decay = decay
        self.power = power
        self.step = step
        self.elapsed = elapsed

    cdef double rate_at(self, int64_t step) noexcept nogil:
        if self.power == 0.0:
            return self.rate
        return self.rate / pow(1.0 + self.decay * step, self.power)

    cdef void exchange(self, vf_clock *mine, int64_t *steps, double *elapsed) noexcept nogil:
        """Adds a worker's steps since the last exchange and brings it up to date."""
        VF_LOCK(&self.lock)
        self.step += steps[0]
        self.elapsed += elapsed[0]
        mine.step = self.step
        mine.elapsed = self.elapsed
        VF_UNLOCK(&self.lock)
        steps[0] = 0
        elapsed[0] = 0.0


cdef class Net:
    """The plan of a net. Nodes are added in topological order.

    The raw outputs are those of the last node, followed by those of the constant node if
    there is one.

    Parameters
    ----------
    n_nodes : int
        Number of nodes that will be added, the constant one last.
    n_features : int
    """
    cdef Node *nodes
    cdef readonly int n_nodes, n_added, output, constant
    cdef readonly int64_t n_features
    cdef vf_loss loss
    cdef list arrays

    def __cinit__(self, int n_nodes, int64_t n_features):
        self.nodes = <Node *>calloc(n_nodes, sizeof(Node))
        if self.nodes == NULL:
            raise MemoryError
        self.n_nodes = n_nodes
        self.n_added = 0
        self.output = self.constant = -1
        self.n_features = n_features
        self.arrays = []

    def __dealloc__(self):
        free(self.nodes)

    @property
    def n_outputs(self):
        constant = 0 if self.constant < 0 else self.nodes[self.constant].width
        return self.nodes[self.output].width + constant

    cdef Node *_add(self, int kind, int parent):
        cdef Node *node = &self.nodes[self.n_added]
        if kind == CONSTANT:
            self.constant = self.n_added
        else:
            self.output = self.n_added
        self.n_added += 1
        node.kind = kind
        node.parent = parent
        if parent != INPUT:
            node.width = self.nodes[parent].width
        return node

    def add_activation(self, int parent, name):
        """Add an activation: one of `ACTIVATIONS`."""
        self._add(ACTIVATION, parent).activation = ACTIVATIONS.index(name)

    def add_dropout(self, int parent, float rate):
        """Add dropout; it acts in training only."""
        self._add(DROPOUT, parent).rate = rate

    def add_linear(self, int parent, record, bias, int n_out, layout, rule, int lazy,
                   dict optimizer, dict penalty, double orthogonal=0.0, int64_t n_draws=0,
                   int64_t average_from=0):
        """Add a linear layer.

        Parameters
        ----------
        parent : int
            Index of the node it reads, -1 for rows of X.
        record, bias : ndarray of float32, shape (n_in, stride) and (1, stride)
            Weights and state; bias may be None.
        layout : dict
            Offset of each kind of state in a record, -1 where absent.
        rule : str
            One of `RULES`.
        lazy : int
            What is caught up on reading: `EAGER`, `DECAYING` or `LAZY`.
        optimizer, penalty : dict
            Fields of the C structs of these names.
        """
        cdef Node *node = self._add(LINEAR, parent)
        cdef int kind = RULES.index(rule)
        node.width = n_out
        node.orthogonal = orthogonal
        node.n_draws = n_draws
        self._fill(&node.weights, record, n_out, layout, optimizer, average_from)
        self._fill_penalty(&node.weights.penalty, penalty)
        node.kernels = VF_KERNELS[kind][lazy]
        if bias is not None:
            self._fill_bias(node, bias, n_out, layout, kind, optimizer, average_from)

    def add_constant(self, bias, int n_out, layout, rule, dict optimizer, int64_t average_from=0):
        """Add the node of outputs that are the same for every row; see `add_linear`."""
        cdef Node *node = self._add(CONSTANT, INPUT)
        node.width = n_out
        self._fill_bias(node, bias, n_out, layout, RULES.index(rule), optimizer, average_from)

    cdef _fill_bias(self, Node *node, bias, int n_out, layout, int kind, dict optimizer, int64_t average_from):
        # averaging is the only thing an intercept catches up on
        node.has_bias = True
        self._fill(&node.bias, bias, n_out, layout, optimizer, average_from)
        self._fill_penalty(&node.bias.penalty, {})
        node.bias_kernels = VF_KERNELS[kind][VF_LAZY if layout["average"] >= 0 else VF_EAGER]

    cdef _fill(self, vf_linear *linear, record, int n_out, layout, dict optimizer, int64_t average_from):
        cdef const float[:, :] view = record  # read-only where the rule is "fixed"
        self.arrays.append(record)
        linear.record = <float *>&view[0, 0]
        linear.n_in = view.shape[0]
        linear.n_out = n_out
        linear.stride = view.strides[0] // sizeof(float)
        linear.slot1 = layout["slot1"]
        linear.slot2 = layout["slot2"]
        linear.row_slot = layout["row"]
        linear.clock_slot = layout["clock"]
        linear.average_slot = layout["average"]
        linear.average_from = average_from
        linear.optimizer.learning_rate = optimizer.get("learning_rate", 0.0)
        linear.optimizer.epsilon = optimizer.get("epsilon", 0.0)
        linear.optimizer.beta = optimizer.get("beta", 0.0)
        linear.optimizer.decay1 = optimizer.get("decay1", 0.0)
        linear.optimizer.decay2 = optimizer.get("decay2", 0.0)
        linear.optimizer.log_decay1 = log(max(<double>linear.optimizer.decay1, 1e-300))
        linear.optimizer.log_decay2 = log(max(<double>linear.optimizer.decay2, 1e-300))

    cdef _fill_penalty(self, vf_penalty *penalty, dict values):
        penalty.l1 = values.get("l1", 0.0)
        penalty.l2 = values.get("l2", 0.0)
        penalty.lower = values.get("lower", float("-inf"))
        penalty.l1_each = self._floats(values.get("l1_each"))
        penalty.l2_each = self._floats(values.get("l2_each"))
        penalty.center = self._floats(values.get("center"))

    cdef const float *_floats(self, array):
        if array is None:
            return NULL
        self.arrays.append(array)
        return <const float *><uintptr_t>array.__array_interface__["data"][0]

    def set_loss(self, capsule, parameters, int n_targets):
        """Set the loss: a capsule of the C contract and its parameters (float64)."""
        cdef const double[::1] view = parameters
        cdef const vf_loss *given = <const vf_loss *>PyCapsule_GetPointer(capsule, VF_LOSS_CAPSULE)
        self.arrays.append((capsule, parameters))
        self.loss = given[0]
        self.loss.n_targets = n_targets
        self.loss.n_outputs = self.n_outputs
        self.loss.parameters = &view[0] if view.shape[0] else NULL

    def settle(self, Clock clock, int64_t from_feature, int64_t to_feature):
        """Apply all missed penalty steps to the input layers' features in a range, and
        (with the range that starts at 0) to the inner layers. Returns how many weights
        are not finite."""
        cdef int64_t bad = 0
        cdef vf_clock now = vf_clock(step=clock.step, rate=0.0, elapsed=clock.elapsed)
        cdef Node *node
        cdef int i
        with nogil:
            for i in range(self.n_nodes):
                node = &self.nodes[i]
                if node.kind == LINEAR and node.parent == INPUT:
                    bad += node.kernels.settle(&node.weights, &now, from_feature,
                                               min(to_feature, node.weights.n_in))
                elif node.kind == LINEAR and from_feature == 0:
                    bad += node.kernels.settle(&node.weights, &now, 0, node.weights.n_in)
                if node.has_bias and from_feature == 0:
                    bad += node.bias_kernels.settle(&node.bias, &now, 0, 1)
        return bad


cdef class Worker:
    """One thread's buffers and its walk over rows.

    Parameters
    ----------
    net : Net
    longest : int
        Length of the longest row.
    batch_size : int
        Rows in a step.
    batch_nonzeros : int
        Most non-zeros a batch can have; 0 if rows update the weights directly,
        which needs one row a step and canonical rows.
    chunk : int
        Rows of a chunk: rows that stay neighbours when the order is drawn.
    """
    cdef Net net
    cdef int64_t batch_size, chunk, queued, taken, capacity
    cdef bint direct
    cdef float **out          # by node: (batch_size, width)
    cdef double **gradient    # by node: (batch_size, width)
    cdef float **mask         # by dropout node
    cdef vf_gathered *gathered  # by linear node
    cdef vf_copies *copies    # by linear node: of the row or the gathered features at hand
    cdef vf_copies *bias_copies  # by node
    cdef double *y
    cdef double *raw
    cdef double *weight
    cdef double *loss_gradient
    cdef float *delta
    cdef float *inner_values
    cdef int32_t *inner_indices
    cdef int32_t *row_indices
    cdef float *row_values
    cdef float *slot_values
    cdef int64_t *queue
    cdef list owned           # capsules of nothing: addresses to free
    cdef vf_clock clock
    cdef uint64_t random
    cdef vf_input_dropout input_dropout
    cdef bint training

    def __cinit__(self, Net net, int64_t longest, int64_t batch_size=1, int64_t batch_nonzeros=0, int64_t chunk=1):
        cdef int i
        cdef int64_t widest = 1, rows, n_outputs = net.n_outputs, slots = 1
        cdef Node *node
        self.owned = []
        self.net = net
        self.batch_size = batch_size
        self.chunk = chunk
        self.direct = batch_nonzeros == 0
        self.capacity = batch_size + GROUP * chunk
        self.out = <float **>self._take(net.n_nodes * sizeof(void *))
        self.gradient = <double **>self._take(net.n_nodes * sizeof(void *))
        self.mask = <float **>self._take(net.n_nodes * sizeof(void *))
        self.gathered = <vf_gathered *>self._take(net.n_nodes * sizeof(vf_gathered))
        self.copies = <vf_copies *>self._take(net.n_nodes * sizeof(vf_copies))
        self.bias_copies = <vf_copies *>self._take(net.n_nodes * sizeof(vf_copies))
        for i in range(net.n_nodes):
            node = &net.nodes[i]
            widest = max(widest, node.width)
            self.out[i] = <float *>self._take(batch_size * node.width * sizeof(float))
            self.gradient[i] = <double *>self._take(batch_size * node.width * sizeof(double))
            if node.kind == DROPOUT:
                self.mask[i] = <float *>self._take(batch_size * node.width * sizeof(float))
            if node.has_bias:
                self._take_copies(&self.bias_copies[i], 1)
            if node.kind == LINEAR:
                self._take_copies(&self.copies[i], max(longest, self._n_slots(i, batch_nonzeros)))
                if not self.direct or node.orthogonal > 0.0:
                    self._take_gathered(i, batch_nonzeros)
                    slots = max(slots, self._n_slots(i, batch_nonzeros))
                if node.parent != INPUT:
                    widest = max(widest, node.weights.n_in)
        self.y = <double *>self._take(batch_size * max(net.loss.n_targets, 1) * sizeof(double))
        self.raw = <double *>self._take(batch_size * n_outputs * sizeof(double))
        self.loss_gradient = <double *>self._take(batch_size * n_outputs * sizeof(double))
        self.weight = <double *>self._take(batch_size * sizeof(double))
        self.delta = <float *>self._take(widest * sizeof(float))
        self.inner_values = <float *>self._take(widest * sizeof(float))
        self.inner_indices = <int32_t *>self._take(widest * sizeof(int32_t))
        self.row_indices = <int32_t *>self._take(longest * sizeof(int32_t))
        self.row_values = <float *>self._take(longest * sizeof(float))
        self.slot_values = <float *>self._take(slots * sizeof(float))
        self.queue = <int64_t *>self._take(self.capacity * sizeof(int64_t))

    def __dealloc__(self):
        for address in self.owned or ():
            free(<void *><uintptr_t>address)

    cdef void *_take(self, size_t n_bytes) except NULL:
        cdef void *memory = calloc(max(n_bytes, 64), 1)
        if memory == NULL:
            raise MemoryError
        self.owned.append(<uintptr_t>memory)
        return memory

    cdef _take_copies(self, vf_copies *copies, int64_t most):
        cdef size_t n_bytes = (most + VF_LANES) * sizeof(float)
        copies.left = <float *>self._take(n_bytes)
        copies.threshold = <float *>self._take(n_bytes)
        copies.w = <float *>self._take(n_bytes)
        copies.s1 = <float *>self._take(n_bytes)
        copies.s2 = <float *>self._take(n_bytes)
        copies.row = <float *>self._take(n_bytes)

    cdef int64_t _n_slots(self, int i, int64_t batch_nonzeros):
        cdef Node *node = &self.net.nodes[i]
        if node.parent != INPUT or node.orthogonal > 0.0:
            return node.weights.n_in
        return min(batch_nonzeros, node.weights.n_in)

    cdef _take_gathered(self, int i, int64_t batch_nonzeros):
        cdef Node *node = &self.net.nodes[i]
        cdef vf_gathered *g = &self.gathered[i]
        cdef int64_t k, slots = self._n_slots(i, batch_nonzeros)
        g.n_out = node.width
        g.direct = slots == node.weights.n_in
        g.capacity = slots
        if not g.direct:
            g.capacity = 1
            while g.capacity < 2 * slots:
                g.capacity *= 2
        g.slot_of = <int32_t *>self._take(g.capacity * sizeof(int32_t))
        g.features = <int32_t *>self._take(slots * sizeof(int32_t))
        g.gradient = <double *>self._take(slots * node.width * sizeof(double))
        for k in range(g.capacity):
            g.slot_of[k] = -1

    def train(self, Rows rows, Targets targets, Clock clock, const int64_t[::1] order, int64_t from_chunk,
              int64_t to_chunk, bint shuffle, uint64_t seed, float input_dropout, int64_t ahead):
        """Train on the rows of chunks order[from_chunk:to_chunk], one step a batch.

        Parameters
        ----------
        shuffle : bool
            Whether rows are shuffled within every `GROUP` chunks.
        seed : int
            Of the shuffle and of dropout.
        ahead : int
            Rows between asking for a row's weights and using them; 0: don't ask.

        Returns
        -------
        loss : float
            Sum over rows of weight * loss, each with the weights before its step.
            NaN or infinity as soon as one batch gave it.
        n_rows : int
            Rows of positive weight.
        """
        cdef double loss = 0.0, batch_loss, unpublished = 0.0
        cdef int64_t n_rows = 0, n, next_chunk = from_chunk, steps = 0
        cdef uint64_t mode
        self.random = vf_mix(seed)
        self.input_dropout.rate = input_dropout
        self.input_dropout.seed = vf_mix(seed + 1)
        self.training = True
        self.queued = self.taken = 0
        with nogil:
            mode = vf_flush_denormals()
            clock.exchange(&self.clock, &steps, &unpublished)
            while True:
                if self.queued - self.taken < self.batch_size and next_chunk < to_chunk:
                    next_chunk = self._refill(rows, targets, order, next_chunk, to_chunk, shuffle)
                n = min(self.batch_size, self.queued - self.taken)
                if n == 0:
                    break
                self.clock.rate = clock.rate_at(self.clock.step)
                batch_loss = self._step(rows, targets, n, ahead)
                loss += batch_loss
                n_rows += n
                self.taken += n
                if not isfinite(batch_loss):
                    break
                unpublished += self.clock.rate
                self.clock.elapsed += self.clock.rate
                self.clock.step += 1
                steps += 1
                if steps == PUBLISH:
                    clock.exchange(&self.clock, &steps, &unpublished)
            clock.exchange(&self.clock, &steps, &unpublished)
            vf_restore_denormals(mode)
        return loss, n_rows

    cdef int64_t _refill(self, Rows rows, Targets targets, const int64_t[::1] order, int64_t chunk,
                         int64_t to_chunk, bint shuffle) noexcept nogil:
        """Queues rows of the next chunks behind those left over."""
        cdef int64_t k, row, start, end, left = self.queued - self.taken
        for k in range(left):
            self.queue[k] = self.queue[self.taken + k]
        self.taken = 0
        self.queued = left
        while self.queued < self.batch_size and chunk < to_chunk:
            start = self.queued
            end = min(chunk + GROUP, to_chunk)
            while chunk < end and self.queued + self.chunk <= self.capacity:
                row = order[chunk] * self.chunk
                for k in range(row, min(row + self.chunk, rows.rows.n_rows)):
                    if targets.weight_of(k) > 0.0:
                        self.queue[self.queued] = k
                        self.queued += 1
                chunk += 1
            if shuffle:
                vf_shuffle(self.queue + start, self.queued - start, &self.random)
        return chunk

    cdef double _step(self, Rows rows, Targets targets, int64_t n, int64_t ahead) noexcept nogil:
        """Forward, backward and update for the next n queued rows; returns their loss."""
        cdef int64_t r, row, n_targets = targets.n_targets
        cdef int i
        cdef double loss
        for i in range(self.net.n_nodes):
            if self.net.nodes[i].orthogonal > 0.0:  # reads every weight as it is now
                self.net.nodes[i].kernels.settle(&self.net.nodes[i].weights, &self.clock, 0,
                                                 self.net.nodes[i].weights.n_in)
        for r in range(n):
            row = self.queue[self.taken + r]
            self._look_ahead(rows, targets, self.taken + r, ahead)
            self._forward(rows, row, r)
            targets.load(row, self.y + r * n_targets)
            self.weight[r] = targets.weight_of(row)
            self._collect(r)
        loss = self.net.loss.evaluate(n, self.y, self.raw, self.weight, self.loss_gradient, &self.net.loss)
        if not isfinite(loss):
            return loss
        for i in range(self.net.output):
            memset(self.gradient[i], 0, n * self.net.nodes[i].width * sizeof(double))
        self._distribute(n)
        for i in range(self.net.n_nodes - 1, -1, -1):
            self._backward(i, rows, n)
        return loss

    cdef void _collect(self, int64_t r) noexcept nogil:
        """Puts the raw outputs of row r of the batch together."""
        cdef int64_t c, own = self.net.nodes[self.net.output].width, n_outputs = self.net.loss.n_outputs
        for c in range(own):
            self.raw[r * n_outputs + c] = self.out[self.net.output][r * own + c]
        for c in range(n_outputs - own):
            self.raw[r * n_outputs + own + c] = self.out[self.net.constant][r * (n_outputs - own) + c]

    cdef void _distribute(self, int64_t n) noexcept nogil:
        """Gives the nodes of the raw outputs their gradients, of the mean over the batch."""
        cdef int64_t r, c, own = self.net.nodes[self.net.output].width, n_outputs = self.net.loss.n_outputs
        cdef double scale = 1.0 / n
        for r in range(n):
            for c in range(own):
                self.gradient[self.net.output][r * own + c] = self.loss_gradient[r * n_outputs + c] * scale
            for c in range(n_outputs - own):
                self.gradient[self.net.constant][r * (n_outputs - own) + c] = (
                    self.loss_gradient[r * n_outputs + own + c] * scale)

    cdef void _look_ahead(self, Rows rows, Targets targets, int64_t at, int64_t ahead) noexcept nogil:
        cdef Node *node = &self.net.nodes[0]
        if at + AHEAD_DATA < self.queued:
            vf_prefetch_data(&rows.rows, self.queue[at + AHEAD_DATA])
            targets.look_ahead(self.queue[at + AHEAD_DATA])
        if ahead and at + ahead < self.queued:
            vf_prefetch_row(&rows.rows, self.queue[at + ahead], node.weights.record, node.weights.stride,
                            min(4, (node.weights.stride + 15) // 16))

    cdef vf_row _input_of(self, Node *node, Rows rows, int64_t row, int64_t r) noexcept nogil:
        """What a linear node reads for row r of the batch, as a sparse row."""
        cdef vf_row x
        if node.parent == INPUT:
            return vf_load(&rows.rows, row, self.row_indices, self.row_values, &self.input_dropout)
        x.length = vf_compress(self.out[node.parent] + r * node.weights.n_in, node.weights.n_in,
                               self.inner_indices, self.inner_values)
        x.indices = self.inner_indices
        x.values = self.inner_values
        return x

    cdef void _forward(self, Rows rows, int64_t row, int64_t r) noexcept nogil:
        """Sets every node's output for row r of the batch."""
        cdef int i
        cdef int64_t c, width
        cdef Node *node
        cdef float *out
        cdef float keep
        cdef vf_row one = vf_row(indices=&ZERO, values=&ONE, length=1)
        for i in range(self.net.n_nodes):
            node = &self.net.nodes[i]
            width = node.width
            out = self.out[i] + r * width
            if node.kind == LINEAR or node.kind == CONSTANT:
                memset(out, 0, width * sizeof(float))
                if node.has_bias:
                    node.bias_kernels.forward(&node.bias, &self.clock, one, self.bias_copies[i], out)
            if node.kind == LINEAR:
                node.kernels.forward(&node.weights, &self.clock, self._input_of(node, rows, row, r),
                                     self.copies[i], out)
            elif node.kind == ACTIVATION:
                vf_activate(node.activation, self.out[node.parent] + r * width, out, width)
            elif node.kind == DROPOUT:
                for c in range(width):
                    keep = 1.0
                    if self.training:
                        keep = 0.0 if vf_unit(vf_next(&self.random)) < node.rate else 1.0 / (1.0 - node.rate)
                        self.mask[i][r * width + c] = keep
                    out[c] = self.out[node.parent][r * width + c] * keep

    cdef void _backward(self, int i, Rows rows, int64_t n) noexcept nogil:
        """Passes node i's gradient on to its parent and updates its weights."""
        cdef Node *node = &self.net.nodes[i]
        cdef int64_t c, r, width = node.width
        cdef double *gradient = self.gradient[i]
        if node.kind == ACTIVATION:
            vf_activate_back(node.activation, self.out[i], gradient, self.gradient[node.parent], n * width)
            return
        if node.kind == DROPOUT:
            for c in range(n * width):
                self.gradient[node.parent][c] += gradient[c] * self.mask[i][c]
            return
        if node.kind == CONSTANT:
            self._update_bias(i, gradient, n)
            return
        if node.parent != INPUT:
            for r in range(n):
                node.kernels.backward(&node.weights, &self.clock, gradient + r * width,
                                      self.gradient[node.parent] + r * node.weights.n_in)
        if self.direct and node.orthogonal == 0.0:
            self._update_directly(i, rows, gradient)
        else:
            self._update_gathered(i, rows, gradient, n)

    cdef void _update_directly(self, int i, Rows rows, const double *gradient) noexcept nogil:
        cdef Node *node = &self.net.nodes[i]
        cdef int64_t c
        for c in range(node.width):
            self.delta[c] = gradient[c]
        node.kernels.update(&node.weights, &self.clock,
                            self._input_of(node, rows, self.queue[self.taken], 0), self.copies[i], self.delta)
        if node.has_bias:
            self._update_bias(i, gradient, 1)

    cdef void _update_gathered(self, int i, Rows rows, const double *gradient, int64_t n) noexcept nogil:
        cdef Node *node = &self.net.nodes[i]
        cdef vf_gathered *g = &self.gathered[i]
        cdef int64_t r, c, k, width = node.width
        cdef vf_row one = vf_row(indices=&ZERO, values=&ONE, length=1), slots
        cdef vf_copies copies = self.copies[i]
        for r in range(n):
            vf_gather_row(g, self._input_of(node, rows, self.queue[self.taken + r], r), gradient + r * width)
        if node.orthogonal > 0.0:
            self._add_orthogonality(node, g)
        slots = vf_row(indices=g.features, values=self.slot_values, length=g.n_slots)
        node.kernels.read(&node.weights, &self.clock, slots, copies)
        if width == 1:
            for k in range(g.n_slots):
                self.slot_values[k] = g.gradient[k]
            node.kernels.update(&node.weights, &self.clock, slots, copies, &ONE)
        else:
            for k in range(g.n_slots):
                for c in range(width):
                    self.delta[c] = g.gradient[k * width + c]
                one.indices = g.features + k
                node.kernels.update(&node.weights, &self.clock, one, copies, self.delta)
                copies.left += 1
                copies.threshold += 1
        vf_gathered_clear(g)
        if node.has_bias:
            self._update_bias(i, gradient, n)

    cdef void _update_bias(self, int i, const double *gradient, int64_t n) noexcept nogil:
        """A step on node i's intercepts, whose gradient is the sum over the batch."""
        cdef Node *node = &self.net.nodes[i]
        cdef int64_t r, c, width = node.width
        cdef double total
        cdef vf_row one = vf_row(indices=&ZERO, values=&ONE, length=1)
        for c in range(width):
            total = 0.0
            for r in range(n):
                total += gradient[r * width + c]
            self.delta[c] = total
        node.bias_kernels.update(&node.bias, &self.clock, one, self.bias_copies[i], self.delta)

    cdef void _add_orthogonality(self, Node *node, vf_gathered *g) noexcept nogil:
        """Adds the gradient of strength / 4 * ||W'W - I||^2, over all pairs of columns
        or over some drawn at random, scaled to the same expectation."""
        cdef int64_t k, a, b, width = node.width
        cdef double scale = node.orthogonal
        if node.n_draws == 0:
            for a in range(width):
                for b in range(width):
                    self._add_pair(node, g, a, b, scale)
            return
        scale *= <double>(width * width) / node.n_draws
        for k in range(node.n_draws):
            a = vf_below(&self.random, width)
            b = vf_below(&self.random, width)
            self._add_pair(node, g, a, b, scale)

    cdef void _add_pair(self, Node *node, vf_gathered *g, int64_t a, int64_t b, double scale) noexcept nogil:
        cdef int64_t j
        cdef float *record
        cdef double product = -1.0 if a == b else 0.0
        for j in range(node.weights.n_in):
            record = node.weights.record + j * node.weights.stride
            product += <double>record[a] * record[b]
        for j in range(node.weights.n_in):
            record = node.weights.record + j * node.weights.stride
            vf_gathered_row(g, j)[a] += scale * product * record[b]

    def predict(self, Rows rows, Clock clock, int64_t from_row, int64_t to_row, float[:, ::1] out, int64_t ahead):
        """Write the raw outputs of rows [from_row, to_row) into out, shape (n_rows, n_outputs)."""
        cdef int64_t row, c, own = self.net.nodes[self.net.output].width, n_outputs = self.net.n_outputs
        self.training = False
        self.input_dropout.rate = 0.0
        self.clock.step = clock.step
        self.clock.elapsed = clock.elapsed
        with nogil:
            for row in range(from_row, to_row):
                if ahead and row + ahead < to_row:
                    vf_prefetch_row(&rows.rows, row + ahead, self.net.nodes[0].weights.record,
                                    self.net.nodes[0].weights.stride,
                                    min(4, (self.net.nodes[0].weights.stride + 15) // 16))
                self._forward(rows, row, 0)
                for c in range(own):
                    out[row, c] = self.out[self.net.output][c]
                for c in range(n_outputs - own):
                    out[row, own + c] = self.out[self.net.constant][c]


def fill_uniform(float[:, :] record, int64_t n_out, uint64_t seed, float bound):
    """Fill the first n_out columns with numbers uniform in [-bound, bound).

    Each comes from its own place in the seed's stream.
    """
    cdef int64_t row, column
    cdef uint64_t key = vf_mix(seed)
    with nogil:
        for row in range(record.shape[0]):
            for column in range(n_out):
                record[row, column] = bound * (2.0 * vf_unit(vf_mix(key + row * n_out + column)) - 1.0)
