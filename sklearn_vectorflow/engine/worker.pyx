# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The workers that run rows through a net.

A `Worker` draws the order of rows, and walks the plan (net.pyx) forward and backward
over them, one step a batch. Nothing is allocated during a pass, and nothing here needs
the GIL.
"""
cimport cython
from libc.math cimport isfinite
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

from sklearn_vectorflow.engine.buffers cimport GROUP
from sklearn_vectorflow.engine.data cimport Rows, Targets
from sklearn_vectorflow.engine.hidden cimport OneHidden
from sklearn_vectorflow.engine.kernels cimport *
from sklearn_vectorflow.engine.net cimport *

cdef enum:
    PUBLISH = 64         # steps between two looks at the shared clock


@cython.final
cdef class Worker(OneHidden):
    """One thread's passes over rows, see `Buffers` for its parameters."""

    def train(self, Rows rows, Targets targets, Clock clock, const int64_t[::1] order, int64_t from_chunk,
              int64_t to_chunk, bint shuffle, uint64_t seed, float input_dropout, int64_t ahead, bint shared=True):
        """Train on the rows of chunks order[from_chunk:to_chunk], one step a batch.

        Parameters
        ----------
        shuffle : bool
            Whether rows are shuffled within every `GROUP` chunks.
        seed : int
            Of the shuffle and of dropout.
        ahead : int
            Rows between asking for a row's weights and using them; 0: don't ask.
        shared : bool
            Whether other workers train the same weights meanwhile.

        Returns
        -------
        loss : float
            Sum over rows of weight * loss, each with the weights before its step.
            NaN or infinity as soon as one batch gave it.
        n_means : int
            Rows of positive weight, or groups that have such: what losses are the mean over.
        """
        cdef double loss = 0.0, batch_loss
        cdef int64_t n_means = 0, n, next_chunk = from_chunk
        cdef uint64_t mode
        cdef vf_clock seen = self.clock
        cdef vf_single net
        cdef bint single = self._is_single(targets), hidden = self._has_one_hidden(targets)
        self.random = vf_mix(seed)
        self.input_dropout.rate = input_dropout
        self.input_dropout.seed = vf_mix(seed + 1)
        self.training = True
        self.shared = shared
        self.queued = self.taken = 0
        if single or hidden:
            net = self._single(rows, targets, clock.schedule, shared, ahead)
        with nogil:
            mode = vf_flush_denormals()
            clock.exchange(&self.clock, &seen)
            self._forget_rows()
            if hidden:
                self._open(net)
            while True:
                if self.queued - self.taken < self.batch_size and next_chunk < to_chunk:
                    next_chunk = self._refill(rows, targets, order, next_chunk, to_chunk, shuffle)
                n = min(PUBLISH, self.queued - self.taken) if single or hidden else self._next_batch()
                if n == 0:
                    break
                self.n_last = 1 if single or hidden else n
                if single:
                    batch_loss = self.net.nodes[0].kernels.train(&net, &self.clock, self.queue, self.taken,
                                                                 self.taken + n, self.queued)
                elif hidden:
                    batch_loss = self._train_hidden(n)
                else:
                    self.clock.rate = vf_rate_at(clock.schedule, self.clock.step)
                    batch_loss = self._step(rows, targets, n, ahead)
                    self.clock.elapsed += self.clock.rate
                    self.clock.step += 1
                loss += batch_loss
                n_means += self.loss.n_groups if self.group_rows else n
                self.taken += n
                if not isfinite(batch_loss):
                    break
                if self.clock.step - seen.step >= PUBLISH:
                    clock.exchange(&self.clock, &seen)
            clock.exchange(&self.clock, &seen)
            if hidden:
                self._close()
            vf_restore_denormals(mode)
        return loss, n_means

    cdef bint _is_single(self, Targets targets):
        """Whether the kernel for the plainest net serves (kernels/single.h)."""
        cdef Node *node = &self.net.nodes[0]
        return (self.direct and not self.group_rows and self.net.n_nodes == 1 and node.kind == LINEAR
                and node.width == 1 and node.orthogonal == 0.0 and not node.frozen and node.kernels.train != NULL
                and targets.dense != NULL)

    cdef vf_single _single(self, Rows rows, Targets targets, vf_schedule schedule, bint shared, int64_t ahead):
        cdef Node *node = &self.net.nodes[0]
        cdef vf_linear *bias = NULL
        if node.has_bias:
            bias = &node.bias
        return vf_single(
            weights=&node.weights, bias=bias, rows=&rows.rows, targets=targets.dense, n_targets=targets.n_targets,
            sample_weight=targets.weight, loss=&self.loss, y=self.y, raw=self.raw, weight=self.weight,
            gradient=self.loss_gradient, dropout=&self.input_dropout, schedule=schedule,
            copies=self.copies[0], before=self.before, indices=self.row_indices, values=self.row_values, shared=shared, ahead=ahead)

    cdef int64_t _refill(self, Rows rows, Targets targets, const int64_t[::1] order, int64_t chunk,
                         int64_t to_chunk, bint shuffle) noexcept nogil:
        """Queues rows of the next chunks behind those left over."""
        cdef int64_t k, row, start, end, left = self.queued - self.taken
        for k in range(left):
            self.queue[k] = self.queue[self.taken + k]
            if self.group_rows:
                self.ends_group[k] = self.ends_group[self.taken + k]
        self.taken = 0
        self.queued = left
        while self.queued < self.batch_size and chunk < to_chunk:
            start = self.queued
            end = min(chunk + GROUP, to_chunk)
            while chunk < end and self.queued + self.chunk <= self.capacity:
                if self.group_rows:
                    self._queue_group(targets, order[chunk])
                else:
                    row = order[chunk] * self.chunk
                    self._queue_rows(targets, row, min(row + self.chunk, rows.rows.n_rows))
                chunk += 1
            if shuffle and not self.group_rows:
                vf_shuffle(self.queue + start, self.queued - start, &self.random)
        return chunk

    cdef void _queue_rows(self, Targets targets, int64_t from_row, int64_t to_row) noexcept nogil:
        cdef int64_t k
        for k in range(from_row, to_row):
            if targets.weight_of(k) > 0.0:
                self.queue[self.queued] = k
                self.queued += 1

    cdef void _queue_group(self, Targets targets, int64_t group) noexcept nogil:
        cdef int64_t begin = self.queued
        self._queue_rows(targets, targets.starts[group], targets.starts[group + 1])
        if self.queued > begin:
            memset(self.ends_group + begin, 0, self.queued - begin)
            self.ends_group[self.queued - 1] = 1

    cdef int64_t _next_batch(self) noexcept nogil:
        """How many of the queued rows the next step takes; notes where their groups start."""
        cdef int64_t k, n = 0, queued = self.queued - self.taken
        if not self.group_rows:
            return min(self.batch_size, queued)
        self.loss.n_groups = 0
        for k in range(queued):
            if self.ends_group[self.taken + k]:
                if n > 0 and k >= self.group_rows:
                    break
                n = k + 1
                self.loss.n_groups += 1
                self.starts[self.loss.n_groups] = n
        return n

    def last_block(self):
        """Return copies of what the loss saw last: y, raw, weight and starts (or None), as nested lists."""
        cdef int64_t r, c, n_targets = self.loss.n_targets, n_outputs = self.loss.n_outputs
        y = [[self.y[r * n_targets + c] for c in range(n_targets)] for r in range(self.n_last)]
        raw = [[self.raw[r * n_outputs + c] for c in range(n_outputs)] for r in range(self.n_last)]
        starts = [self.starts[r] for r in range(self.loss.n_groups + 1)] if self.group_rows else None
        return y, raw, [self.weight[r] for r in range(self.n_last)], starts

    cdef double _step(self, Rows rows, Targets targets, int64_t n, int64_t ahead) noexcept nogil:
        """Forward, backward and update for the next n queued rows; returns their loss."""
        cdef int64_t r, c, row, n_outputs, n_targets = targets.n_targets
        cdef int i, last = self.net.n_nodes - 1
        cdef double loss, scale = 1.0 / (self.loss.n_groups if self.group_rows else n)
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
        loss = self.loss.evaluate(n, self.y, self.raw, self.weight, self.loss_gradient, &self.loss)
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
        if at + VF_AHEAD_DATA < self.queued:
            vf_prefetch_data(&rows.rows, self.queue[at + VF_AHEAD_DATA])
            targets.look_ahead(self.queue[at + VF_AHEAD_DATA])
        if ahead and at + ahead < self.queued:
            self._prefetch(rows, self.queue[at + ahead])

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
