# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The workers that run rows through a net.

A `Worker` owns one thread's buffers and walks the plan (net.pyx) forward and backward
over rows. Nothing is allocated during a pass, and nothing here needs the GIL.
"""
cimport cython
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from sklearn_vectorflow.engine.data cimport Rows, Targets
from sklearn_vectorflow.engine.kernels cimport *
from sklearn_vectorflow.engine.net cimport ACTIVATION, DROPOUT, INPUT, LINEAR, Clock, Net, Node

cdef enum:
    GROUP = 16           # chunks of rows shuffled together
    PUBLISH = 64         # steps between two looks at the shared clock
    AHEAD_DATA = 8       # rows between asking for a row's values and using them

cdef int32_t ZERO = 0
cdef float ONE = 1.0


@cython.final
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
    cdef vf_copies bias_copies
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
        self._take_copies(&self.bias_copies, 1)
        for i in range(net.n_nodes):
            node = &net.nodes[i]
            widest = max(widest, node.width)
            self.out[i] = <float *>self._take(batch_size * node.width * sizeof(float))
            self.gradient[i] = <double *>self._take(batch_size * node.width * sizeof(double))
            if node.kind == DROPOUT:
                self.mask[i] = <float *>self._take(batch_size * node.width * sizeof(float))
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
        cdef int64_t r, c, row, n_outputs, n_targets = targets.n_targets
        cdef int i, last = self.net.n_nodes - 1
        cdef double loss, scale = 1.0 / n
        cdef double *gradient
        n_outputs = self.net.nodes[last].width
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
            for c in range(n_outputs):
                self.raw[r * n_outputs + c] = self.out[last][r * n_outputs + c]
        loss = self.net.loss.evaluate(n, self.y, self.raw, self.weight, self.loss_gradient, &self.net.loss)
        if not isfinite(loss):
            return loss
        for i in range(last):
            memset(self.gradient[i], 0, n * self.net.nodes[i].width * sizeof(double))
        gradient = self.gradient[last]
        for c in range(n * n_outputs):
            gradient[c] = self.loss_gradient[c] * scale
        for i in range(last, -1, -1):
            self._backward(i, rows, n)
        return loss

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
            if node.kind == LINEAR:
                memset(out, 0, width * sizeof(float))
                if node.has_bias:
                    node.bias_kernels.forward(&node.bias, &self.clock, one, self.bias_copies, out)
                node.kernels.forward(&node.weights, &self.clock, self._input_of(node, rows, row, r),
                                     self.copies[i], out)
            elif node.kind == ACTIVATION:
                vf_activate(node.activation, self.out[node.parent] + r * width, out, width)
            else:
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
        cdef vf_row one = vf_row(indices=&ZERO, values=&ONE, length=1)
        for c in range(node.width):
            self.delta[c] = gradient[c]
        node.kernels.update(&node.weights, &self.clock,
                            self._input_of(node, rows, self.queue[self.taken], 0), self.copies[i], self.delta)
        if node.has_bias:
            node.bias_kernels.update(&node.bias, &self.clock, one, self.bias_copies, self.delta)

    cdef void _update_gathered(self, int i, Rows rows, const double *gradient, int64_t n) noexcept nogil:
        cdef Node *node = &self.net.nodes[i]
        cdef vf_gathered *g = &self.gathered[i]
        cdef int64_t r, c, k, width = node.width
        cdef double total
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
            one.indices = &ZERO
        vf_gathered_clear(g)
        if node.has_bias:
            for c in range(width):
                total = 0.0
                for r in range(n):
                    total += gradient[r * width + c]
                self.delta[c] = total
            node.bias_kernels.update(&node.bias, &self.clock, one, self.bias_copies, self.delta)

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
        cdef int64_t row, c, n_outputs = self.net.n_outputs
        cdef int last = self.net.n_nodes - 1
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
                for c in range(n_outputs):
                    out[row, c] = self.out[last][c]
