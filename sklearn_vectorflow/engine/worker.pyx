# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The workers that run rows through a net.

A `Worker` owns one thread's buffers and walks the plan (net.pyx) forward and backward
over rows. Nothing is allocated during a pass, and nothing here needs the GIL.
"""
cimport cython
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from sklearn_vectorflow.engine.crosses cimport Bags, Crosses
from sklearn_vectorflow.engine.data cimport Rows, Targets
from sklearn_vectorflow.engine.kernels cimport *
from sklearn_vectorflow.engine.net cimport *

cdef enum:
    GROUP = 16           # chunks of rows shuffled together
    PUBLISH = 64         # steps between two looks at the shared clock
    AHEAD_DATA = 8       # rows between asking for a row's values and using them

cdef int32_t ZERO = 0
cdef float ONE = 1.0

# The sparse row a node gives, in memory of its own.
cdef struct Held:
    int64_t row               # of X, -1 if none
    int32_t *indices
    float *values
    int64_t length


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
    cdef int64_t longest, batch_size, batch_nonzeros, chunk, queued, taken, capacity
    cdef bint direct
    cdef float **out          # by node: (batch_size, width)
    cdef double **gradient    # by node: (batch_size, width)
    cdef float **mask         # by dropout node
    cdef Held *held           # by sparse node
    cdef vf_bags *bags        # by node of crosses
    cdef float **sums         # by node of pairs: (batch_size, outputs times rank)
    cdef vf_gathered *gathered  # by linear node
    cdef vf_copies *copies    # by linear node: of the row or the gathered features at hand
    cdef vf_copies bias_copies
    cdef double *y
    cdef double *raw
    cdef double *weight
    cdef double *loss_gradient
    cdef float *delta
    cdef float *embedding
    cdef double *wide_delta
    cdef const float **factors
    cdef float *inner_values
    cdef int32_t *inner_indices
    cdef int32_t *row_indices
    cdef float *row_values
    cdef float *slot_values
    cdef int64_t *queue
    cdef list owned           # addresses to free
    cdef list kept
    cdef vf_clock clock
    cdef uint64_t random
    cdef vf_input_dropout input_dropout
    cdef bint training

    def __cinit__(self, Net net, int64_t longest, int64_t batch_size=1, int64_t batch_nonzeros=0, int64_t chunk=1):
        cdef int i
        cdef int64_t widest = 1, n_outputs = net.n_outputs, slots = 1
        cdef Node *node
        self.owned = []
        self.kept = []
        self.net = net
        self.longest = longest
        self.batch_size = batch_size
        self.batch_nonzeros = batch_nonzeros
        self.chunk = chunk
        self.direct = batch_nonzeros == 0
        self.capacity = batch_size + GROUP * chunk
        self.out = <float **>self._take(net.n_nodes * sizeof(void *))
        self.gradient = <double **>self._take(net.n_nodes * sizeof(void *))
        self.mask = <float **>self._take(net.n_nodes * sizeof(void *))
        self.held = <Held *>self._take(net.n_nodes * sizeof(Held))
        self.bags = <vf_bags *>self._take(net.n_nodes * sizeof(vf_bags))
        self.sums = <float **>self._take(net.n_nodes * sizeof(void *))
        self.gathered = <vf_gathered *>self._take(net.n_nodes * sizeof(vf_gathered))
        self.copies = <vf_copies *>self._take(net.n_nodes * sizeof(vf_copies))
        self._take_copies(&self.bias_copies, 1)
        for i in range(net.n_nodes):
            node = &net.nodes[i]
            if is_sparse(node.kind):
                self._take_row(i)
                continue
            widest = max(widest, node.width)
            self.out[i] = <float *>self._take(batch_size * node.width * sizeof(float))
            self.gradient[i] = <double *>self._take(batch_size * node.width * sizeof(double))
            if node.kind == DROPOUT:
                self.mask[i] = <float *>self._take(batch_size * node.width * sizeof(float))
            if node.kind in (LINEAR, PAIRS):
                slots = max(slots, self._take_weighted(i))
                widest = max(widest, node.weights.n_out)
                if not self._reads_rows(node):
                    widest = max(widest, node.weights.n_in)
        self.y = <double *>self._take(batch_size * max(net.loss.n_targets, 1) * sizeof(double))
        self.raw = <double *>self._take(batch_size * n_outputs * sizeof(double))
        self.loss_gradient = <double *>self._take(batch_size * n_outputs * sizeof(double))
        self.weight = <double *>self._take(batch_size * sizeof(double))
        self.delta = <float *>self._take(widest * sizeof(float))
        self.embedding = <float *>self._take(widest * sizeof(float))
        self.wide_delta = <double *>self._take(widest * sizeof(double))
        self.factors = <const float **>self._take(net.n_nodes * sizeof(void *))
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

    cdef bint _reads_rows(self, Node *node):
        return node.parent == INPUT or is_sparse(self.net.nodes[node.parent].kind)

    cdef int64_t _most(self, int i):
        """The most entries of a row that node i gives."""
        cdef Node *node
        if i == INPUT:
            return self.longest
        node = &self.net.nodes[i]
        if node.kind == COLUMNS:
            return self.longest
        if node.kind == CROSSES:
            return node.longest
        if node.kind == JOIN:
            return sum([self._most(node.parents[k]) for k in range(node.n_parents)])
        return node.width

    cdef _take_row(self, int i):
        cdef Crosses crosses
        cdef Bags bags
        cdef int64_t most = self._most(i)
        self.held[i].row = -1
        self.held[i].indices = <int32_t *>self._take((most + 1) * sizeof(int32_t))
        self.held[i].values = <float *>self._take((most + 1) * sizeof(float))
        for position, crosses in self.net.crossed:
            if position == i:
                bags = Bags(crosses, self.longest, most)
                self.kept.append(bags)
                self.bags[i] = bags.bags

    cdef int64_t _take_weighted(self, int i) except -1:
        """Takes what a node with weights needs; returns its slots of gathered features."""
        cdef Node *node = &self.net.nodes[i]
        cdef int64_t slots = self._n_slots(node)
        self._take_copies(&self.copies[i], max(self._most(node.parent), slots))
        if node.kind == PAIRS:
            self.sums[i] = <float *>self._take(self.batch_size * node.weights.n_out * sizeof(float))
        if self.direct and node.orthogonal == 0.0:
            return 1
        self._take_gathered(&self.gathered[i], node, slots)
        return slots

    cdef int64_t _n_slots(self, Node *node):
        if not self._reads_rows(node) or node.orthogonal > 0.0:
            return node.weights.n_in
        if node.parent == INPUT or self.net.nodes[node.parent].kind == COLUMNS:
            return min(self.batch_nonzeros, node.weights.n_in)
        return min(self.batch_size * self._most(node.parent), node.weights.n_in)

    cdef _take_gathered(self, vf_gathered *g, Node *node, int64_t slots):
        cdef int64_t k
        g.n_out = node.weights.n_out
        g.direct = slots == node.weights.n_in
        g.capacity = slots
        if not g.direct:
            g.capacity = 1
            while g.capacity < 2 * slots:
                g.capacity *= 2
        g.slot_of = <int32_t *>self._take(g.capacity * sizeof(int32_t))
        g.features = <int32_t *>self._take(slots * sizeof(int32_t))
        g.gradient = <double *>self._take(slots * g.n_out * sizeof(double))
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
            self._forget_rows()
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
            if not is_sparse(self.net.nodes[i].kind):
                memset(self.gradient[i], 0, n * self.net.nodes[i].width * sizeof(double))
        gradient = self.gradient[last]
        for c in range(n * n_outputs):
            gradient[c] = self.loss_gradient[c] * scale
        for i in range(last, -1, -1):
            self._backward(i, rows, n)
        return loss

    cdef void _look_ahead(self, Rows rows, Targets targets, int64_t at, int64_t ahead) noexcept nogil:
        if at + AHEAD_DATA < self.queued:
            vf_prefetch_data(&rows.rows, self.queue[at + AHEAD_DATA])
            targets.look_ahead(self.queue[at + AHEAD_DATA])
        if ahead and at + ahead < self.queued:
            self._prefetch(rows, self.queue[at + ahead])

    cdef void _prefetch(self, Rows rows, int64_t row) noexcept nogil:
        """Asks for the weights a row needs."""
        cdef int i
        cdef Node *node
        cdef int64_t lines
        for i in range(self.net.n_nodes):
            node = &self.net.nodes[i]
            if node.kind != LINEAR and node.kind != PAIRS:
                continue
            lines = min(4, (node.weights.stride + 15) // 16)
            if node.parent == INPUT:
                vf_prefetch_row(&rows.rows, row, node.weights.record, node.weights.stride, lines)
            elif self.net.nodes[node.parent].kind == COLUMNS:
                vf_prefetch_columns(&self.net.nodes[node.parent].columns, &rows.rows, row, node.weights.record,
                                    node.weights.stride, lines)

    # ---- rows that nodes read -----------------------------------------------------

    cdef vf_row _row_of(self, int i, Rows rows, int64_t row, int64_t r) noexcept nogil:
        """What node i gives for row r of the batch, as a sparse row."""
        cdef vf_row x
        if i == INPUT:
            return vf_load(&rows.rows, row, self.row_indices, self.row_values, &self.input_dropout)
        if is_sparse(self.net.nodes[i].kind):
            return self._sparse_row(i, rows, row, r)
        x.length = vf_compress(self.out[i] + r * self.net.nodes[i].width, self.net.nodes[i].width,
                               self.inner_indices, self.inner_values)
        x.indices = self.inner_indices
        x.values = self.inner_values
        return x

    cdef vf_row _sparse_row(self, int i, Rows rows, int64_t row, int64_t r) noexcept nogil:
        cdef Node *node = &self.net.nodes[i]
        cdef Held *held = &self.held[i]
        if node.kind == JOIN:
            self._join(node, held, rows, row, r)
        elif held.row != row:
            if node.kind == COLUMNS:
                held.length = vf_select(&node.columns, self._row_of(node.parent, rows, row, r), held.indices, held.values)
            else:
                held.length = vf_cross_row(&node.crosses, self._row_of(node.parent, rows, row, r), &self.bags[i],
                                           held.indices, held.values)
            held.row = row
        return vf_row(indices=held.indices, values=held.values, length=held.length)

    cdef void _join(self, Node *node, Held *held, Rows rows, int64_t row, int64_t r) noexcept nogil:
        cdef int k
        cdef int64_t entry
        cdef vf_row part
        held.length = 0
        for k in range(node.n_parents):
            part = self._row_of(node.parents[k], rows, row, r)
            for entry in range(part.length):
                held.indices[held.length] = <int32_t>(node.firsts[k] + part.indices[entry])
                held.values[held.length] = part.values[entry]
                held.length += 1

    cdef void _forget_rows(self) noexcept nogil:
        cdef int i
        for i in range(self.net.n_nodes):
            self.held[i].row = -1

    # ---- forward --------------------------------------------------------------------

    cdef void _forward(self, Rows rows, int64_t row, int64_t r) noexcept nogil:
        """Sets every dense node's output for row r of the batch."""
        cdef int i
        cdef Node *node
        cdef float *out
        cdef vf_row one = vf_row(indices=&ZERO, values=&ONE, length=1)
        for i in range(self.net.n_nodes):
            node = &self.net.nodes[i]
            out = self.out[i] + r * node.width
            if node.kind == LINEAR:
                memset(out, 0, node.width * sizeof(float))
                if node.has_bias:
                    node.bias_kernels.forward(&node.bias, &self.clock, one, self.bias_copies, out)
                node.kernels.forward(&node.weights, &self.clock, self._row_of(node.parent, rows, row, r),
                                     self.copies[i], out)
            elif node.kind == ACTIVATION:
                vf_activate(node.activation, self.out[node.parent] + r * node.width, out, node.width)
            elif not is_sparse(node.kind):
                self._forward_other(i, rows, row, r, out)

    cdef void _forward_other(self, int i, Rows rows, int64_t row, int64_t r, float *out) noexcept nogil:
        cdef Node *node = &self.net.nodes[i]
        cdef int k
        cdef int64_t width = node.width
        cdef vf_row x
        cdef vf_pairs pairs
        if node.kind == PAIRS:
            pairs = self._pairs(i)
            vf_pairs_forward(&pairs, self._row_of(node.parent, rows, row, r), self.sums[i] + r * node.weights.n_out,
                             self.delta, out)
        elif node.kind == DROPOUT:
            self._drop(i, r, out)
        elif node.kind == DENSE:
            x = self._row_of(node.parent, rows, row, r)
            vf_scatter(x.indices, x.values, x.length, out, width)
        elif node.kind == CONCAT:
            for k in range(node.n_parents):
                vf_place(self._out_of(node.parents[k], r), self.net.nodes[node.parents[k]].width, out, width,
                         node.firsts[k], 1)
        else:
            vf_place(self._out_of(node.parent, r), width, out, width, 0, 1)
            for k in range(1, node.n_parents):
                if node.kind == ADD:
                    vf_add(self._out_of(node.parents[k], r), out, width)
                else:
                    vf_multiply(self._out_of(node.parents[k], r), out, width)

    cdef float *_out_of(self, int i, int64_t r) noexcept nogil:
        return self.out[i] + r * self.net.nodes[i].width

    cdef vf_pairs _pairs(self, int i) noexcept nogil:
        cdef Node *node = &self.net.nodes[i]
        return vf_pairs(layer=&node.weights, kernels=&node.kernels, clock=&self.clock, copies=self.copies[i],
                        rank=node.rank, embedding=self.embedding)

    cdef void _drop(self, int i, int64_t r, float *out) noexcept nogil:
        cdef Node *node = &self.net.nodes[i]
        cdef int64_t c, width = node.width
        cdef float keep = 1.0
        for c in range(width):
            if self.training:
                keep = 0.0 if vf_unit(vf_next(&self.random)) < node.rate else 1.0 / (1.0 - node.rate)
                self.mask[i][r * width + c] = keep
            out[c] = self.out[node.parent][r * width + c] * keep

    # ---- backward -------------------------------------------------------------------

    cdef void _backward(self, int i, Rows rows, int64_t n) noexcept nogil:
        """Passes node i's gradient on to its parents and updates its weights."""
        cdef Node *node = &self.net.nodes[i]
        cdef int64_t c
        cdef int k
        cdef double *gradient = self.gradient[i]
        if node.kind == LINEAR or node.kind == PAIRS:
            self._backward_weighted(i, rows, n)
        elif node.kind == ACTIVATION:
            vf_activate_back(node.activation, self.out[i], gradient, self.gradient[node.parent], n * node.width)
        elif node.kind == DROPOUT:
            for c in range(n * node.width):
                self.gradient[node.parent][c] += gradient[c] * self.mask[i][c]
        elif node.kind == CONCAT:
            for k in range(node.n_parents):
                vf_place_back(gradient, node.width, node.firsts[k], self.gradient[node.parents[k]],
                              self.net.nodes[node.parents[k]].width, n)
        elif node.kind == ADD:
            for k in range(node.n_parents):
                vf_add_back(gradient, self.gradient[node.parents[k]], n * node.width)
        elif node.kind == MULTIPLY:
            for k in range(node.n_parents):
                self.factors[k] = self.out[node.parents[k]]
            for k in range(node.n_parents):
                vf_multiply_back(self.factors, node.n_parents, k, gradient, self.gradient[node.parents[k]],
                                 n * node.width)

    cdef void _backward_weighted(self, int i, Rows rows, int64_t n) noexcept nogil:
        cdef Node *node = &self.net.nodes[i]
        cdef Node *join
        cdef int k
        if node.parent != INPUT and not is_sparse(self.net.nodes[node.parent].kind):
            self._pass_on(i, node.parent, 0, n)
        elif node.parent != INPUT and self.net.nodes[node.parent].kind == JOIN:
            join = &self.net.nodes[node.parent]
            for k in range(join.n_parents):
                if join.parents[k] != INPUT and not is_sparse(self.net.nodes[join.parents[k]].kind):
                    self._pass_on(i, join.parents[k], join.firsts[k], n)
        if node.frozen:
            return
        if self.direct and node.orthogonal == 0.0:
            self._update_directly(i, rows)
        else:
            self._update_gathered(i, rows, n)

    cdef void _pass_on(self, int i, int parent, int64_t first, int64_t n) noexcept nogil:
        """Adds to the gradient of a dense parent, which are node i's inputs from `first` on."""
        cdef Node *node = &self.net.nodes[i]
        cdef vf_linear part
        cdef vf_pairs pairs
        cdef int64_t r, width = self.net.nodes[parent].width
        if node.kind == LINEAR:
            part = vf_rows_of(&node.weights, first, width)
            for r in range(n):
                node.kernels.backward(&part, &self.clock, self.gradient[i] + r * node.width,
                                      self.gradient[parent] + r * width)
            return
        pairs = self._pairs(i)
        for r in range(n):
            vf_pairs_back(&pairs, self._out_of(parent, r), first, width, self.sums[i] + r * node.weights.n_out,
                          self.gradient[i] + r * node.width, self.gradient[parent] + r * width)

    cdef void _update_directly(self, int i, Rows rows) noexcept nogil:
        cdef Node *node = &self.net.nodes[i]
        cdef int64_t c
        cdef vf_pairs pairs
        cdef vf_row one = vf_row(indices=&ZERO, values=&ONE, length=1)
        cdef vf_row x = self._row_of(node.parent, rows, self.queue[self.taken], 0)
        if node.kind == PAIRS:
            pairs = self._pairs(i)
            vf_pairs_update(&pairs, x, self.sums[i], self.gradient[i], self.delta)
            return
        for c in range(node.width):
            self.delta[c] = self.gradient[i][c]
        node.kernels.update(&node.weights, &self.clock, x, self.copies[i], self.delta)
        if node.has_bias:
            node.bias_kernels.update(&node.bias, &self.clock, one, self.bias_copies, self.delta)

    cdef void _update_gathered(self, int i, Rows rows, int64_t n) noexcept nogil:
        cdef Node *node = &self.net.nodes[i]
        cdef vf_gathered *g = &self.gathered[i]
        cdef int64_t r
        cdef vf_row x
        cdef vf_pairs pairs = self._pairs(i)
        for r in range(n):
            x = self._row_of(node.parent, rows, self.queue[self.taken + r], r)
            if node.kind == PAIRS:
                vf_pairs_gather(&pairs, x, self.sums[i] + r * node.weights.n_out, self.gradient[i] + r * node.width,
                                g, self.wide_delta)
            else:
                vf_gather_row(g, x, self.gradient[i] + r * node.width)
        if node.orthogonal > 0.0:
            vf_add_orthogonality(&node.weights, g, node.orthogonal, node.n_draws, &self.random)
        self._step_gathered(i, g)
        vf_gathered_clear(g)
        if node.has_bias:
            self._step_bias(i, n)

    cdef void _step_gathered(self, int i, vf_gathered *g) noexcept nogil:
        cdef Node *node = &self.net.nodes[i]
        cdef vf_copies copies = self.copies[i]
        cdef int64_t c, k, width = node.weights.n_out
        cdef vf_row one = vf_row(indices=&ZERO, values=&ONE, length=1)
        cdef vf_row slots = vf_row(indices=g.features, values=self.slot_values, length=g.n_slots)
        node.kernels.read(&node.weights, &self.clock, slots, copies)
        if width == 1:
            for k in range(g.n_slots):
                self.slot_values[k] = g.gradient[k]
            node.kernels.update(&node.weights, &self.clock, slots, copies, &ONE)
            return
        for k in range(g.n_slots):
            for c in range(width):
                self.delta[c] = g.gradient[k * width + c]
            one.indices = g.features + k
            node.kernels.update(&node.weights, &self.clock, one, copies, self.delta)
            copies.left += 1
            copies.threshold += 1

    cdef void _step_bias(self, int i, int64_t n) noexcept nogil:
        cdef Node *node = &self.net.nodes[i]
        cdef int64_t r, c
        cdef double total
        cdef vf_row one = vf_row(indices=&ZERO, values=&ONE, length=1)
        for c in range(node.width):
            total = 0.0
            for r in range(n):
                total += self.gradient[i][r * node.width + c]
            self.delta[c] = total
        node.bias_kernels.update(&node.bias, &self.clock, one, self.bias_copies, self.delta)

    def predict(self, Rows rows, Clock clock, int64_t from_row, int64_t to_row, float[:, ::1] out, int64_t ahead,
                int node=-1):
        """Write a dense node's outputs for rows [from_row, to_row) into out, shape (n_rows, width).

        The node -1 is the last one, whose outputs are the raw ones.
        """
        cdef int64_t row
        cdef int which = self.net.n_nodes - 1 if node < 0 else node
        cdef size_t n_bytes = self.net.nodes[which].width * sizeof(float)
        self.training = False
        self.input_dropout.rate = 0.0
        self.clock.step = clock.step
        self.clock.elapsed = clock.elapsed
        with nogil:
            self._forget_rows()
            for row in range(from_row, to_row):
                if ahead and row + ahead < to_row:
                    self._prefetch(rows, row + ahead)
                self._forward(rows, row, 0)
                memcpy(&out[row, 0], self.out[which], n_bytes)
