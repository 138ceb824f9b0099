# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The workers that run rows through a net.

A `Worker` draws the order of rows, and walks the plan (plan.pyx) forward and backward
over them, one step a batch. Nothing is allocated during a pass, and nothing here needs
the GIL.
"""
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy, memset

from sklearn_vectorflow.engine.net.buffers cimport GROUP
from sklearn_vectorflow.engine.data cimport Rows, Targets
from sklearn_vectorflow.engine.net.fused cimport Fused
from sklearn_vectorflow.engine.net.copies cimport Copies
from sklearn_vectorflow.engine.kernels.denormals cimport vf_flush_denormals, vf_restore_denormals
from sklearn_vectorflow.engine.kernels.layers.candidates cimport (
    vf_add_candidates, vf_candidates, vf_draw_outputs, vf_load_candidates, vf_sampler,
)
from sklearn_vectorflow.engine.kernels.nets.walk cimport VF_AHEAD_DATA, vf_single
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock, vf_rate_at, vf_schedule
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.random cimport vf_mix, vf_shuffle
from sklearn_vectorflow.engine.kernels.rows.offsets cimport vf_add_offsets, vf_offset_of
from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_prefetch_data, vf_rows
from sklearn_vectorflow.engine.kernels.sharing.merge_one cimport vf_apart
from sklearn_vectorflow.engine.kernels.sharing.slots cimport vf_hot
from sklearn_vectorflow.engine.net.plan cimport *
from sklearn_vectorflow.engine.net.replicas cimport Replica

cdef extern from "kernels/nets/plain_predict.h" nogil:
    void vf_predict_one(const vf_linear *layer, const vf_linear *bias, const vf_rows *rows, int64_t from_row,
                        int64_t to_row, int64_t ahead, int32_t *indices, float *values, float *out)

cdef enum:
    PUBLISH = 64         # steps between two looks at the shared clock


cdef class Worker(Fused):
    """One thread's passes over rows, see `Buffers` for its parameters."""

    def train(self, Rows rows, Targets targets, Clock clock, const int64_t[::1] order, int64_t from_chunk,
              int64_t to_chunk, bint shuffle, uint64_t seed, float input_dropout, int64_t ahead, bint shared=True,
              copies=None):
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
        copies : Copies or Replica, default=None
            This worker's copies of records.

        Returns
        -------
        loss : float
            Sum over rows of weight * loss, each with the weights before its step.
            NaN or infinity as soon as one batch gave it.
        n_means : int
            Rows of positive weight, or groups that have such: what losses are the mean over.
        """
        cdef double loss = 0.0, batch_loss
        cdef int64_t n_means = 0, n, next_chunk = from_chunk, at_most = PUBLISH
        cdef uint64_t mode
        cdef vf_clock seen = self.clock
        cdef vf_single net = vf_single(apart=NULL)
        cdef bint single, by_kernel, by_row
        cdef Copies apart = copies if isinstance(copies, Copies) else None
        self._use(copies if isinstance(copies, Replica) else None)
        self.random = vf_mix(seed)
        self.input_dropout.rate = input_dropout
        self.input_dropout.seed = vf_mix(seed + 1)
        self.training = True
        self.shared = shared
        single, by_kernel = self._is_single(targets), self._has_kernel(targets)
        self.queued = self.taken = 0
        if single or by_kernel:
            net = self._single(rows, targets, clock.schedule, ahead, apart)
            if apart is not None:
                at_most = apart.hot.period
            if self.replica is not None:
                at_most = min(at_most, self.replica.inner_period)
        with nogil:
            mode = vf_flush_denormals()
            clock.exchange(&self.clock, &seen)
            self._forget_rows()
            if by_kernel:
                self._open(net)
            while True:
                if self.queued - self.taken < self.batch_size and next_chunk < to_chunk:
                    next_chunk = self._refill(rows, targets, order, next_chunk, to_chunk, shuffle)
                by_row = self.direct and (single or by_kernel)
                n = min(at_most, self.queued - self.taken) if by_row else self._next_batch()
                if n == 0:
                    break
                self.n_last = 1 if by_row else n
                if single:
                    batch_loss = self.plan[0].kernels.single.train(&net, &self.clock, self.queue, self.taken,
                                                                        self.taken + n, self.queued)
                    if net.apart != NULL:
                        apart.merge_due()
                elif by_kernel:
                    batch_loss = self._train_by_kernel(n)
                else:
                    batch_loss = self._take_step(rows, targets, n, clock.schedule, ahead)
                loss += batch_loss
                n_means += self.loss.n_groups if self.group_rows else n
                self.taken += n
                if not isfinite(batch_loss):
                    break
                if self.replica is not None:
                    self._merge_due(n, by_kernel)
                if self.clock.step - seen.step >= PUBLISH:
                    clock.exchange(&self.clock, &seen)
            clock.exchange(&self.clock, &seen)
            if by_kernel:
                self._close()
            vf_restore_denormals(mode)
        return loss, n_means

    cdef void _take_rows(self, Rows rows, Targets targets, int64_t *queue, int64_t first, int64_t last, int64_t ahead,
                         bint by_kernel, uint64_t seed, vf_clock *clock, double *loss) noexcept nogil:
        """Trains on rows [first, last) of a queue that others have, too; moves a clock on and returns their loss."""
        cdef int64_t n
        cdef int64_t *own = self.queue
        cdef bint by_row = by_kernel and self.direct
        self.queue, self.taken, self.queued = queue, first, last
        self.random = seed
        self.clock = clock[0]
        self._forget_rows()
        loss[0] = 0.0
        if by_kernel:
            self._open_inner()
        while self.taken < last and isfinite(loss[0]):
            n = last - self.taken if by_row else self._next_batch()
            self.n_last = 1 if by_row else n
            loss[0] += self._train_by_kernel(n) if by_kernel else self._take_step(rows, targets, n, self.schedule, ahead)
            self.taken += n
        if by_kernel:
            self._close()
        clock[0] = self.clock
        self.queue, self.taken, self.queued = own, 0, 0

    cdef void _merge_due(self, int64_t n, bint by_kernel) noexcept nogil:
        """After n rows: merges this worker's copies, if it is time."""
        if not self.replica.due(n):
            return
        if by_kernel:
            self._close()
        self.replica.merge(&self.clock)
        if by_kernel:
            self._open_inner()

    cdef bint _is_single(self, Targets targets):
        """Whether the kernel for the plainest net serves (kernels/nets/plain.h)."""
        return self.direct and not self.group_rows and self.net.is_plain and targets.dense != NULL

    cdef vf_single _single(self, Rows rows, Targets targets, vf_schedule schedule, int64_t ahead, Copies copies):
        cdef Node *node = &self.plan[0]
        cdef vf_hot *hot = NULL
        cdef vf_apart *apart = NULL
        if copies is not None:
            hot, apart = &copies.hot.hot, &copies.apart
        return vf_single(
            weights=&node.weights, intercepts=[self.net.intercept(0), self.net.intercept(1)], rows=&rows.rows,
            targets=targets.dense, n_targets=targets.n_targets,
            sample_weight=targets.weight, offsets=targets.offsets, loss=&self.loss, y=self.y, raw=self.raw, weight=self.weight,
            gradient=self.loss_gradient, dropout=&self.input_dropout, schedule=schedule, copies=self.copies[0],
            indices=self.row_indices, values=self.row_values, hot=hot, apart=apart, aside=NULL,
            places=&self.places, ahead=ahead)

    cdef int64_t _refill(self, Rows rows, Targets targets, const int64_t[::1] order, int64_t chunk,
                         int64_t to_chunk, bint shuffle) noexcept nogil:
        """Queues rows of the next chunks behind those left over."""
        cdef int64_t k, row, start, end, left = self.queued - self.taken
        for k in range(left):
            self.queue[k] = self.queue[self.taken + k]
            if self.group_rows:
                self.ends_group[k] = self.ends_group[self.taken + k]
        self.taken = 0
        self.places.until = 0
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
        """Return copies of what the loss saw last, as nested lists: y, raw, weight, starts (or None), nodes."""
        cdef int64_t r, c, n_targets = self.loss.n_targets, n_outputs = self.loss.n_outputs
        y = [[self.y[r * n_targets + c] for c in range(n_targets)] for r in range(self.n_last)]
        raw = [[self.raw[r * n_outputs + c] for c in range(n_outputs)] for r in range(self.n_last)]
        starts = [self.starts[r] for r in range(self.loss.n_groups + 1)] if self.group_rows else None
        nodes = [
            [[self.node_outputs[k][r * self.nodes[k].width + c] for c in range(self.nodes[k].width)]
             for r in range(self.n_last)]
            for k in range(self.loss.n_nodes)
        ]
        return y, raw, [self.weight[r] for r in range(self.n_last)], starts, nodes

    cdef void _show_nodes(self, int64_t n) noexcept nogil:
        """Lets the loss see the nodes it reads, each with a gradient of zero."""
        cdef int64_t k, c, size
        for k in range(self.loss.n_nodes):
            size = n * self.nodes[k].width
            for c in range(size):
                self.node_outputs[k][c] = self.out[self.read[k]][c]
            memset(self.nodes[k].gradient, 0, size * sizeof(double))

    cdef void _add_gradients_of_nodes(self, int64_t n, double scale) noexcept nogil:
        cdef int64_t k, c
        for k in range(self.loss.n_nodes):
            for c in range(n * self.nodes[k].width):
                self.gradient[self.read[k]][c] += self.nodes[k].gradient[c] * scale

    cdef double _take_step(self, Rows rows, Targets targets, int64_t n, vf_schedule schedule, int64_t ahead) noexcept nogil:
        """A step by the next n queued rows, at the rate that is due; moves the clock on and returns their loss."""
        cdef double loss
        self.clock.rate = vf_rate_at(schedule, self.clock.step)
        loss = self._step(rows, targets, n, ahead)
        self.clock.elapsed += self.clock.rate
        self.clock.step += 1
        return loss

    cdef double _step(self, Rows rows, Targets targets, int64_t n, int64_t ahead) noexcept nogil:
        """Forward, backward and update for the next n queued rows; returns their loss."""
        cdef int64_t r, row
        cdef int i, last = self.net.n_nodes - 1
        cdef double loss, scale = 1.0 / (self.loss.n_groups if self.group_rows else n)
        for i in range(self.net.n_nodes):
            if self.plan[i].orthogonal > 0.0:  # reads every weight as it is now
                self.plan[i].kernels.settle(&self.plan[i].weights, &self.clock, 0,
                                                 self.plan[i].weights.n_in)
        if self.net.sampler is not None:
            self._choose_candidates(targets, n)
        for r in range(n):
            row = self.queue[self.taken + r]
            self._look_ahead(rows, targets, self.taken + r, ahead, 0)
            self._forward(rows, row, r)
            self._look_ahead(rows, targets, self.taken + r, ahead, 1)
            self.weight[r] = targets.weight_of(row)
        loss = self._evaluate(targets, n) if self.net.sampler is None else self._evaluate_candidates(targets, n)
        if not isfinite(loss):
            return loss
        self._begin_gradients(n, scale)
        for i in range(last, -1, -1):
            self._backward(i, rows, n)
        return loss

    cdef void _begin_gradients(self, int64_t n, double scale) noexcept nogil:
        """Sets the gradients of all nodes to those of the loss, times a scale: those of others are zero."""
        cdef int64_t c, n_outputs
        cdef int i, last = self.net.n_nodes - 1
        cdef double *gradient = self.gradient[last]
        for i in range(last):
            if not is_sparse(self.plan[i].kind):
                memset(self.gradient[i], 0, n * self.plan[i].width * sizeof(double))
        n_outputs = self.plan[last].width
        for c in range(n * n_outputs):
            gradient[c] = self.loss_gradient[c] * scale
        self._add_gradients_of_nodes(n, scale)

    cdef double _evaluate(self, Targets targets, int64_t n) noexcept nogil:
        """The loss of n rows, and its gradient."""
        cdef int64_t r, k, n_outputs = self.loss.n_outputs
        cdef float *out = self.out[self.net.n_nodes - 1]
        for r in range(n):
            targets.load(self.queue[self.taken + r], self.y + r * targets.n_targets)
        for k in range(n * n_outputs):
            self.raw[k] = out[k]
        for r in range(n):
            vf_add_offsets(&targets.offsets, self.queue[self.taken + r], n_outputs, self.raw + r * n_outputs)
        self._show_nodes(n)
        return self.loss.evaluate(n, self.y, self.raw, self.weight, self.loss_gradient, &self.loss)

    cdef void _choose_candidates(self, Targets targets, int64_t n) noexcept nogil:
        cdef vf_candidates *c = &self.candidates.candidates
        cdef vf_sampler *sampler = &self.net.sampler.sampler
        cdef int64_t r, n_own
        vf_draw_outputs(sampler, c, &self.random)
        for r in range(n):
            n_own = targets.labels(self.queue[self.taken + r], c.outputs + r * c.most)
            vf_add_candidates(sampler, c, r, n_own)

    cdef double _evaluate_candidates(self, Targets targets, int64_t n) noexcept nogil:
        """The loss of n rows' candidates, row by row, and its gradient."""
        cdef vf_candidates *c = &self.candidates.candidates
        cdef float *out = self.out[self.net.n_nodes - 1]
        cdef int64_t r, k, at
        cdef double loss = 0.0
        self.n_last = 0
        for r in range(n):
            at = r * c.most
            vf_load_candidates(&self.net.sampler.sampler, c, r, out + at, self.y + at, self.raw + at)
            if targets.offsets.values != NULL:
                for k in range(c.n_candidates[r]):
                    self.raw[at + k] += vf_offset_of(&targets.offsets, self.queue[self.taken + r], c.outputs[at + k])
            self.loss.n_outputs = c.n_candidates[r]
            self.loss.n_targets = c.n_candidates[r] if self.net.sampler.sampler.independent else 1
            loss += self.loss.evaluate(1, self.y + at, self.raw + at, self.weight + r, self.loss_gradient + at,
                                       &self.loss)
        return loss

    cdef void _look_ahead(self, Rows rows, Targets targets, int64_t at, int64_t ahead, int64_t half) noexcept nogil:
        """Asks for what coming rows need, before (0) and after (1) the work on a row: few misses can be in flight."""
        if half == 0 and at + VF_AHEAD_DATA < self.queued:
            vf_prefetch_data(&rows.rows, self.queue[at + VF_AHEAD_DATA])
            targets.look_ahead(self.queue[at + VF_AHEAD_DATA])
        if ahead and at + ahead < self.queued:
            self._prefetch(rows, self.queue[at + ahead], half, 2)

    def predict(self, Rows rows, Clock clock, int64_t from_row, int64_t to_row, float[:, ::1] out, int64_t ahead,
                int node=-1, int64_t first=0):
        """Write a dense node's outputs for rows [from_row, to_row) into out, shape (n_rows, width).

        The node -1 is the last one, whose outputs are the raw ones. Row `first` is the first of out.
        """
        cdef int64_t row
        cdef int which = self.net.n_nodes - 1 if node < 0 else node
        cdef size_t n_bytes = self.plan[which].width * sizeof(float)
        if out.shape[1] != self.plan[which].width:
            raise ValueError(
                f"network: the node gives {self.plan[which].width} outputs, not {out.shape[1]}; a parameter of a "
                "layer has changed since the net was made. Reset it, or call fit."
            )
        if self.net.is_one_fixed() and from_row < to_row:
            with nogil:
                vf_predict_one(&self.plan[0].weights, self.net.intercept(0), &rows.rows, from_row, to_row, ahead,
                               self.row_indices, self.row_values, &out[from_row - first, 0])
            return
        self._use(None)
        self.training = False
        self.input_dropout.rate = 0.0
        self.clock.step = clock.step
        self.clock.elapsed = clock.elapsed
        with nogil:
            self._forget_rows()
            for row in range(from_row, to_row):
                if ahead and row + ahead < to_row:
                    self._prefetch(rows, row + ahead, 0, 1)
                self._forward(rows, row, 0)
                memcpy(&out[row - first, 0], self.out[which], n_bytes)
