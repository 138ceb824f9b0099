# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The walk over a net: forward and backward through its nodes, for rows of a batch.

Nothing is allocated here, and nothing needs the GIL.
"""
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

from sklearn_vectorflow.engine.net.buffers cimport Buffers, Held
from sklearn_vectorflow.engine.data cimport Rows
from sklearn_vectorflow.engine.kernels.layers.activations cimport vf_activate, vf_activate_back
from sklearn_vectorflow.engine.kernels.layers.candidates cimport vf_candidates, vf_link_candidates
from sklearn_vectorflow.engine.kernels.layers.columns cimport vf_prefetch_columns, vf_select
from sklearn_vectorflow.engine.kernels.layers.crosses cimport vf_cross_row
from sklearn_vectorflow.engine.kernels.layers.merging cimport (
    vf_add, vf_add_back, vf_multiply, vf_multiply_back, vf_place, vf_place_back, vf_scatter,
)
from sklearn_vectorflow.engine.kernels.layers.orthogonal cimport vf_add_orthogonality
from sklearn_vectorflow.engine.kernels.layers.outputs cimport (
    vf_outputs, vf_outputs_back, vf_outputs_forward, vf_outputs_update,
)
from sklearn_vectorflow.engine.kernels.layers.field_pairs cimport (
    vf_back_fields, vf_forward_fields, vf_gather_fields, vf_order_by_field, vf_update_fields,
)
from sklearn_vectorflow.engine.kernels.layers.pairs cimport vf_gather_pairs, vf_pairs
from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_rows_of
from sklearn_vectorflow.engine.kernels.optimizers.misses cimport vf_copies, vf_copies_from
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.random cimport vf_next, vf_unit
from sklearn_vectorflow.engine.kernels.rows.batch_gradient cimport (
    vf_gather_row, vf_gathered, vf_gathered_clear, vf_gathered_features, vf_gathered_open, vf_gathered_values,
    vf_link_row, vf_rounded, vf_sum_lists,
)
from sklearn_vectorflow.engine.kernels.rows.rows cimport (
    vf_compress, vf_load, vf_portion, vf_prefetch_row, vf_row, vf_row_length, vf_rows,
)
from sklearn_vectorflow.engine.kernels.sharing.slots cimport vf_hot
from sklearn_vectorflow.engine.net.plan cimport *

cdef extern from "kernels/sharing/merge_wide.h" nogil:
    void vf_place_row(const vf_hot *hot, int64_t first, const int32_t *indices, int64_t n, int32_t *places)
    void vf_prefetch_places(const vf_rows *rows, int64_t row, vf_portion portion, const vf_hot *hot, int64_t first,
                            const float *record, int64_t stride)

cdef enum:
    PREFETCHED = 64        # numbers of a record that are asked for at once
    MOST_PREFETCHED = 256  # of one that holds embeddings for each field: all are read in their order

cdef int32_t ZERO = 0
cdef float ONE = 1.0


cdef class Walk(Buffers):
    """One thread's way through a net, see `Buffers` for its parameters."""

    # ---- rows that nodes read -----------------------------------------------------

    cdef vf_row _row_of(self, int i, Rows rows, int64_t row, int64_t r) noexcept nogil:
        """What node i gives for row r of the batch, as a sparse row."""
        cdef vf_row x
        if i == INPUT:
            return vf_load(&rows.rows, row, self.row_indices, self.row_values, &self.input_dropout)
        if is_sparse(self.plan[i].kind):
            return self._sparse_row(i, rows, row, r)
        x.length = vf_compress(self.out[i] + r * self.plan[i].width, self.plan[i].width,
                               self.inner_indices, self.inner_values)
        x.indices = self.inner_indices
        x.values = self.inner_values
        return x

    cdef vf_row _sparse_row(self, int i, Rows rows, int64_t row, int64_t r) noexcept nogil:
        cdef Node *node = &self.plan[i]
        cdef Held *held = &self.held[i]
        cdef vf_row x
        if node.kind == JOIN:
            self._join(node, held, rows, row, r)
        elif held.row != row:
            x = self._row_of(node.parent, rows, row, r)
            if node.kind == COLUMNS:
                held.length = vf_select(&node.columns, x, held.indices, held.values)
            else:
                held.length = vf_cross_row(&node.crosses, x, &self.bags[i], held.indices, held.values)
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

    cdef vf_row _placed(self, int i, int64_t row, vf_row x) noexcept nogil:
        """A row that node i reads, with the places of records in place of features: hot ones have copies."""
        cdef Held *placed
        cdef int leader
        if not self._has_places(i):
            return x
        leader = self.replica.leader[i]
        placed = &self.placed[leader]
        if placed.row != row:
            vf_place_row(&self.replica.hot.hot, self.replica.places[leader], x.indices, x.length, placed.indices)
            placed.row = row
        x.indices = placed.indices
        return x

    cdef void _place_gathered(self, int i, vf_gathered *g) noexcept nogil:
        """The same for the features of a mini-batch."""
        if self._has_places(i):
            vf_place_row(&self.replica.hot.hot, self.replica.places[i], g.features, g.n_slots, g.features)

    cdef void _forget_rows(self) noexcept nogil:
        cdef int i
        self.intercepts_of = -1
        for i in range(self.net.n_nodes):
            self.held[i].row = -1
            self.placed[i].row = -1

    cdef void _prefetch(self, Rows rows, int64_t row, int64_t part, int64_t n_parts) noexcept nogil:
        """Asks for the weights that a part of a row needs.

        Workers call it through the table of methods: compilers drop direct calls of what
        only prefetches.
        """
        cdef int i
        cdef int64_t first, to
        cdef Node *node
        cdef vf_portion portion = vf_portion(part, n_parts)
        for i in range(self.net.n_nodes):
            node = &self.plan[i]
            if node.kind != LINEAR and node.kind != PAIRS:
                continue
            first = PREFETCHED if node.beside else 0
            to = min(node.weights.n_out, <int64_t>MOST_PREFETCHED) if node.fields != NULL else 1
            while first < to:
                if self._has_places(i):
                    vf_prefetch_places(&rows.rows, row, portion, &self.replica.hot.hot, self.replica.places[i],
                                       node.weights.record + first, node.weights.stride)
                elif node.parent == INPUT:
                    vf_prefetch_row(&rows.rows, row, portion, node.weights.record + first, node.weights.stride)
                elif self.plan[node.parent].kind == COLUMNS:
                    vf_prefetch_columns(&self.plan[node.parent].columns, &rows.rows, row, portion,
                                        node.weights.record + first, node.weights.stride)
                first += PREFETCHED

    # ---- forward --------------------------------------------------------------------

    cdef void _forward(self, Rows rows, int64_t row, int64_t r) noexcept nogil:
        """Sets every dense node's output for row r of the batch."""
        cdef int i
        cdef Node *node
        cdef float *out
        if self.intercepts_of != self.clock.step:
            self._read_intercepts()
        for i in range(self.net.n_nodes):
            node = &self.plan[i]
            out = self.out[i] + r * node.width
            if self.intercepts[i] != NULL:
                memcpy(out, self.intercepts[i], node.width * sizeof(float))
            elif node.kind == LINEAR or node.kind == CONSTANT:
                memset(out, 0, node.width * sizeof(float))
            if node.kind == LINEAR:
                node.kernels.forward(&node.weights, &self.clock,
                                     self._placed(i, row, self._row_of(node.parent, rows, row, r)), self.copies[i], out)
            elif node.kind == ACTIVATION:
                vf_activate(node.activation, self.out[node.parent] + r * node.width, out, node.width)
            elif node.kind != CONSTANT and not is_sparse(node.kind):
                self._forward_other(i, rows, row, r, out)

    cdef void _read_intercepts(self) noexcept nogil:
        """Works intercepts out, which are the same for all rows of a step."""
        cdef int i
        cdef Node *node
        cdef vf_row one = vf_row(indices=&ZERO, values=&ONE, length=1)
        for i in range(self.net.n_nodes):
            node = &self.plan[i]
            if self.intercepts[i] != NULL:
                memset(self.intercepts[i], 0, node.width * sizeof(float))
                node.bias_kernels.forward(&node.bias, &self.clock, one, self.bias_copies[i], self.intercepts[i])
        self.intercepts_of = self.clock.step

    cdef void _forward_other(self, int i, Rows rows, int64_t row, int64_t r, float *out) noexcept nogil:
        cdef Node *node = &self.plan[i]
        cdef int k
        cdef int64_t width = node.width
        cdef vf_row x
        cdef vf_outputs outputs
        if node.kind == PAIRS:
            self._forward_pairs(i, rows, row, r, out)
        elif node.kind == OUTPUTS:
            outputs = self._outputs(i)
            vf_outputs_forward(&outputs, self._row_of(node.parent, rows, row, r), self._candidates(r),
                               self.candidates.candidates.n_candidates[r], out)
        elif node.kind == DROPOUT:
            self._drop(i, r, out)
        elif node.kind == DENSE:
            x = self._row_of(node.parent, rows, row, r)
            vf_scatter(x.indices, x.values, x.length, out, width)
        elif node.kind == CONCAT:
            for k in range(node.n_parents):
                vf_place(self._out_of(node.parents[k], r), self.plan[node.parents[k]].width, out, width,
                         node.firsts[k], 1)
        else:
            vf_place(self._out_of(node.parent, r), width, out, width, 0, 1)
            for k in range(1, node.n_parents):
                if node.kind == ADD:
                    vf_add(self._out_of(node.parents[k], r), out, width)
                else:
                    vf_multiply(self._out_of(node.parents[k], r), out, width)

    cdef void _forward_pairs(self, int i, Rows rows, int64_t row, int64_t r, float *out) noexcept nogil:
        cdef Node *node = &self.plan[i]
        cdef float *sums = self.sums[i] + r * sums_of(node)
        cdef vf_row x = self._row_of(node.parent, rows, row, r)
        if node.fields == NULL:
            node.pairs.forward(&self.pairs[i], self._placed(i, row, x), sums, out)
            return
        x = self._in_fields(i, row, x)
        node.pairs.read(&self.pairs[i], x)
        vf_forward_fields(&self.fields[i], &self.pairs[i], &node.pairs, node.rule, node.lazy, x, sums, out)

    cdef vf_row _in_fields(self, int i, int64_t row, vf_row x) noexcept nogil:
        """A row that node i reads, in the order of its fields, with the places of records in place of features."""
        return vf_order_by_field(&self.fields[i], x, self._placed(i, row, x).indices)

    cdef float *_out_of(self, int i, int64_t r) noexcept nogil:
        return self.out[i] + r * self.plan[i].width

    cdef vf_outputs _outputs(self, int i) noexcept nogil:
        cdef Node *node = &self.plan[i]
        cdef vf_outputs outputs = vf_outputs(
            first=&node.weights, bias=NULL, kernels=node.kernels, bias_kernels=node.bias_kernels, clock=&self.clock,
            copies=self.copies[i], bias_copies=self.bias_copies[i])
        if node.has_bias:
            outputs.bias = &node.bias
        return outputs

    cdef const int32_t *_candidates(self, int64_t r) noexcept nogil:
        return self.candidates.candidates.outputs + r * self.candidates.candidates.most

    cdef void _drop(self, int i, int64_t r, float *out) noexcept nogil:
        cdef Node *node = &self.plan[i]
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
        self._pass_back(i, n)
        self._update(i, rows, n)

    cdef void _pass_back(self, int i, int64_t n) noexcept nogil:
        """Adds to the gradients of node i's parents."""
        cdef Node *node = &self.plan[i]
        cdef int64_t c
        cdef int k
        cdef double *gradient = self.gradient[i]
        if node.kind == LINEAR or node.kind == PAIRS or node.kind == OUTPUTS:
            self._pass_back_weighted(i, n)
        elif node.kind == ACTIVATION:
            vf_activate_back(node.activation, self.out[i], gradient, self.gradient[node.parent], n * node.width)
        elif node.kind == DROPOUT:
            for c in range(n * node.width):
                self.gradient[node.parent][c] += gradient[c] * self.mask[i][c]
        elif node.kind == CONCAT:
            for k in range(node.n_parents):
                vf_place_back(gradient, node.width, node.firsts[k], self.gradient[node.parents[k]],
                              self.plan[node.parents[k]].width, n)
        elif node.kind == ADD:
            for k in range(node.n_parents):
                vf_add_back(gradient, self.gradient[node.parents[k]], n * node.width)
        elif node.kind == MULTIPLY:
            for k in range(node.n_parents):
                self.factors[k] = self.out[node.parents[k]]
            for k in range(node.n_parents):
                vf_multiply_back(self.factors, node.n_parents, k, gradient, self.gradient[node.parents[k]],
                                 n * node.width)

    cdef void _pass_back_weighted(self, int i, int64_t n) noexcept nogil:
        cdef Node *node = &self.plan[i]
        cdef Node *join
        cdef int k
        if node.parent != INPUT and not is_sparse(self.plan[node.parent].kind):
            self._pass_on(i, node.parent, 0, n)
        elif node.parent != INPUT and self.plan[node.parent].kind == JOIN:
            join = &self.plan[node.parent]
            for k in range(join.n_parents):
                if join.parents[k] != INPUT and not is_sparse(self.plan[join.parents[k]].kind):
                    self._pass_on(i, join.parents[k], join.firsts[k], n)

    cdef void _update(self, int i, Rows rows, int64_t n) noexcept nogil:
        """Steps the weights of node i, if it has some that are trained."""
        cdef Node *node = &self.plan[i]
        if node.kind == CONSTANT:
            self._step_bias(i, n)
        if node.kind != LINEAR and node.kind != PAIRS and node.kind != OUTPUTS or node.frozen:
            return
        if node.kind == OUTPUTS:
            self._update_outputs(i, rows, n)
        elif self.direct and node.orthogonal == 0.0:
            self._update_directly(i, rows)
        else:
            self._update_gathered(i, rows, n)

    cdef void _pass_on(self, int i, int parent, int64_t first, int64_t n) noexcept nogil:
        """Adds to the gradient of a dense parent, which are node i's inputs from `first` on."""
        cdef Node *node = &self.plan[i]
        cdef vf_linear part
        cdef vf_outputs outputs
        cdef int64_t r, width = self.plan[parent].width
        if node.kind == OUTPUTS:
            outputs = self._outputs(i)
            for r in range(n):
                vf_outputs_back(&outputs, self._candidates(r), self.candidates.candidates.n_candidates[r],
                                self.gradient[i] + r * node.width, first, width, self.gradient[parent] + r * width)
            return
        if node.kind == LINEAR:
            part = vf_rows_of(&node.weights, first, width)
            for r in range(n):
                node.kernels.backward(&part, &self.clock, self.gradient[i] + r * node.width,
                                      self.gradient[parent] + r * width)
            return
        for r in range(n):
            if node.fields != NULL:
                vf_back_fields(&self.fields[i], &self.pairs[i], &node.pairs, self._out_of(parent, r), first, width,
                               self.sums[i] + r * sums_of(node), self.gradient[i] + r * node.width,
                               self.gradient[parent] + r * width)
                continue
            node.pairs.backward(&self.pairs[i], self._out_of(parent, r), first, width,
                                self.sums[i] + r * node.weights.n_out, self.gradient[i] + r * node.width,
                                self.gradient[parent] + r * width)

    cdef vf_row _row_to_step(self, int i, Rows rows, int64_t r) noexcept nogil:
        """What node i gives for row r of the batch, as far as this worker steps the weights of its columns."""
        return self._row_of(i, rows, self.queue[self.taken + r], r)

    cdef bint _steps_bias(self, int i) noexcept nogil:
        """Whether this worker steps the intercepts of node i."""
        return True

    cdef void _update_directly(self, int i, Rows rows) noexcept nogil:
        cdef Node *node = &self.plan[i]
        cdef int64_t c
        cdef vf_row x = self._row_to_step(node.parent, rows, 0)
        for c in range(node.width):
            self.delta[c] = self.gradient[i][c]
        if node.fields != NULL:
            self._update_fields(i, x)
            return
        x = self._placed(i, self.queue[self.taken], x)
        if node.kind == PAIRS:
            self._update_pairs(i, x)
            return
        if self.reads_anew or self.shared and node.width == 1 and not self._has_copies(i):
            # what was read is written back: others' steps must be in it
            node.kernels.read(&node.weights, &self.clock, x, self.copies[i])
        node.kernels.update(&node.weights, &self.clock, x, self.copies[i], self.delta)
        if node.has_bias and self._steps_bias(i):
            self._update_bias(i)

    cdef bint _has_copies(self, int i) noexcept nogil:
        """Whether this worker has copies of records of node i."""
        return self.replica is not None and self.replica.weights[i].own != NULL

    cdef bint _has_places(self, int i) noexcept nogil:
        """Whether these are of hot features alone: a row has their places then."""
        return self._has_copies(i) and self.replica.weights[i].is_hot

    cdef void _update_bias(self, int i) noexcept nogil:
        """Steps the intercepts of node i by `delta`."""
        cdef Node *node = &self.plan[i]
        cdef vf_row one = vf_row(indices=&ZERO, values=&ONE, length=1)
        if self.reads_anew:
            node.bias_kernels.read(&node.bias, &self.clock, one, self.bias_copies[i])
        node.bias_kernels.update(&node.bias, &self.clock, one, self.bias_copies[i], self.delta)

    cdef void _update_pairs(self, int i, vf_row x) noexcept nogil:
        cdef Node *node = &self.plan[i]
        cdef int64_t o, c
        for o in range(node.width):
            for c in range(o * node.rank, (o + 1) * node.rank):
                self.pair_delta[c] = self.delta[o] * self.sums[i][c]
        if self.reads_anew:
            node.pairs.read(&self.pairs[i], x)
        node.pairs.update(&self.pairs[i], x, self.pair_delta, self.delta)

    cdef void _update_fields(self, int i, vf_row x) noexcept nogil:
        cdef Node *node = &self.plan[i]
        x = self._in_fields(i, self.queue[self.taken], x)
        if self.reads_anew:
            node.pairs.read(&self.pairs[i], x)
        vf_update_fields(&self.fields[i], &self.pairs[i], &node.pairs, node.rule, node.lazy, x, self.sums[i], self.delta)

    cdef void _update_gathered(self, int i, Rows rows, int64_t n) noexcept nogil:
        cdef Node *node = &self.plan[i]
        cdef vf_gathered *g = &self.gathered[i]
        vf_gathered_open(g, self._most_gathered(i, rows, n))
        self._gather(i, g, rows, n)
        if node.orthogonal > 0.0:
            vf_add_orthogonality(&node.weights, g, node.orthogonal, node.n_draws, &self.random)
        if node.kind == PAIRS:
            self._step_pairs(i, g)
        else:
            self._step_gathered(i, g)
        vf_gathered_clear(g)
        if node.has_bias:
            self._step_bias(i, n)

    cdef void _gather(self, int i, vf_gathered *g, Rows rows, int64_t n) noexcept nogil:
        """Sums the gradients of n rows by feature of node i."""
        cdef Node *node = &self.plan[i]
        cdef int64_t r
        cdef vf_row x
        if g.touches != NULL:
            for r in range(n - 1, -1, -1):
                vf_link_row(g, self._row_to_step(node.parent, rows, r), <int32_t>r)
            vf_sum_lists(g, self.gradient[i])
            return
        for r in range(n):
            x = self._row_to_step(node.parent, rows, r)
            if node.fields != NULL:
                vf_gather_fields(g, &self.fields[i], x, self.gradient[i] + r * node.width,
                                 self.sums[i] + r * sums_of(node))
            elif node.kind == PAIRS:
                vf_gather_pairs(g, x, self.gradient[i] + r * node.width, self.sums[i] + r * node.weights.n_out,
                                node.width, node.rank)
            else:
                vf_gather_row(g, x, self.gradient[i] + r * node.width)

    cdef int64_t _most_gathered(self, int i, Rows rows, int64_t n) noexcept nogil:
        """At most how many features of node i the next n rows touch."""
        cdef int64_t r, most = 0
        if self.plan[i].parent != INPUT or rows.rows.indices == NULL:
            return self.plan[i].weights.n_in
        for r in range(n):
            most += vf_row_length(&rows.rows, self.queue[self.taken + r])
        return most

    cdef void _step_gathered(self, int i, vf_gathered *g) noexcept nogil:
        cdef Node *node = &self.plan[i]
        self._place_gathered(i, g)
        node.kernels.read(&node.weights, &self.clock, vf_gathered_features(g), self.copies[i])
        node.kernels.update_each(&node.weights, &self.clock, g, self.copies[i])

    cdef void _step_pairs(self, int i, vf_gathered *g) noexcept nogil:
        cdef Node *node = &self.plan[i]
        cdef vf_pairs pairs = self.pairs[i]
        cdef const float *gradient
        cdef int64_t k
        cdef vf_row one = vf_row(indices=&ZERO, values=&ONE, length=1)
        self._place_gathered(i, g)
        node.pairs.read(&pairs, vf_gathered_features(g))
        for k in range(g.n_slots):
            gradient = vf_rounded(g, k * g.n_out, g.n_out)
            one.indices = g.features + k
            pairs.copies = vf_copies_from(node.rule, node.lazy, node.weights.n_out, self.copies[i], k)
            node.pairs.update(&pairs, one, gradient, gradient + node.weights.n_out)

    cdef void _update_outputs(self, int i, Rows rows, int64_t n) noexcept nogil:
        """Steps every output that is a candidate of some row, once."""
        cdef Node *node = &self.plan[i]
        cdef vf_candidates *c = &self.candidates.candidates
        cdef vf_gathered *g = &self.gathered[i]
        cdef vf_outputs outputs = self._outputs(i)
        cdef vf_row x
        cdef int64_t slot, entry, r
        cdef double total
        vf_link_candidates(&self.net.sampler.sampler, c, n)
        if self.direct:
            x = self._row_of(node.parent, rows, self.queue[self.taken], 0)
            for slot in range(c.n_slots):
                total = self.gradient[i][c.first[slot]]
                vf_outputs_update(&outputs, c.slot_output[slot], x, total, total)
            return
        vf_gathered_open(g, node.weights.n_in)
        for slot in range(c.n_slots):
            total = 0.0
            entry = c.first[slot]
            while entry >= 0:
                r = entry // c.most
                x = self._row_of(node.parent, rows, self.queue[self.taken + r], r)
                vf_gather_row(g, x, self.gradient[i] + entry)
                total += self.gradient[i][entry]
                entry = c.next[entry]
            vf_outputs_update(&outputs, c.slot_output[slot], vf_gathered_values(g), 1.0, total)
            vf_gathered_clear(g)

    cdef void _step_bias(self, int i, int64_t n) noexcept nogil:
        cdef int64_t r, c, width = self.plan[i].width
        cdef double total
        if not self._steps_bias(i):
            return
        for c in range(width):
            total = 0.0
            for r in range(n):
                total += self.gradient[i][r * width + c]
            self.delta[c] = total
        self._update_bias(i)
