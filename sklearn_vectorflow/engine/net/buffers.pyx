# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""One thread's memory for walking a net: what a batch's rows are and become.

All of it is taken when a worker is made.
"""
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from sklearn_vectorflow.engine.net.crosses cimport Bags, Crosses
from sklearn_vectorflow.engine.kernels.layers.crosses cimport vf_bags
from sklearn_vectorflow.engine.kernels.layers.fields cimport vf_fields
from sklearn_vectorflow.engine.kernels.layers.pairs cimport vf_pairs
from sklearn_vectorflow.engine.kernels.nets.walk cimport VF_RING
from sklearn_vectorflow.engine.kernels.optimizers.misses cimport vf_copies, vf_holds_weights, vf_misses_each
from sklearn_vectorflow.engine.kernels.platform cimport VF_LANES
from sklearn_vectorflow.engine.kernels.rows.batch_gradient cimport vf_gathered, vf_table_entry, vf_listed
from sklearn_vectorflow.engine.net.plan cimport *
from sklearn_vectorflow.engine.net.sampling cimport Candidates

cdef enum:
    LINE = 64            # bytes of a cache line, and of the widest vectors
    MOST_PLACES = 1 << 16  # of features, below which all their slots have numbers of two bytes, and need no hashing


cdef class Buffers:
    """Buffers of one thread, in the sizes that a net and its rows need.

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
        Rows of a chunk: rows that stay neighbours when the order is drawn. Where the
        targets have groups, a chunk is a group, and this is the longest.
    group_rows : int
        0, or steps take whole groups: as many as have at most so many rows together, or one.
    """

    def __cinit__(self, Net net, int64_t longest, int64_t batch_size=1, int64_t batch_nonzeros=0, int64_t chunk=1,
                  int64_t group_rows=0):
        cdef int i
        cdef int64_t widest = 1, n_outputs = net.n_outputs
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
        self.plan = net.nodes
        self.held = <Held *>self._take(net.n_nodes * sizeof(Held))
        self.placed = <Held *>self._take(net.n_nodes * sizeof(Held))
        self.bags = <vf_bags *>self._take(net.n_nodes * sizeof(vf_bags))
        self.sums = <float **>self._take(net.n_nodes * sizeof(void *))
        self.pairs = <vf_pairs *>self._take(net.n_nodes * sizeof(vf_pairs))
        self.fields = <vf_fields *>self._take(net.n_nodes * sizeof(vf_fields))
        self.gathered = <vf_gathered *>self._take(net.n_nodes * sizeof(vf_gathered))
        self.copies = <vf_copies *>self._take(net.n_nodes * sizeof(vf_copies))
        self.bias_copies = <vf_copies *>self._take(net.n_nodes * sizeof(vf_copies))
        self.intercepts = <float **>self._take(net.n_nodes * sizeof(void *))
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
            if node.has_bias:
                self._take_copies(&self.bias_copies[i], &node.bias, node.rule, node.bias_lazy, 1)
                if node.kind == LINEAR or node.kind == CONSTANT:
                    self.intercepts[i] = <float *>self._take(node.width * sizeof(float))
            if node.kind in (LINEAR, PAIRS, OUTPUTS):
                self._take_weighted(i)
                widest = max(widest, node.weights.n_out)
                if not self._reads_rows(node):
                    widest = max(widest, node.weights.n_in)
        self.y = <double *>self._take(batch_size * max(net.loss.n_targets, 1) * sizeof(double))
        self.raw = <double *>self._take(batch_size * n_outputs * sizeof(double))
        self.loss_gradient = <double *>self._take(batch_size * n_outputs * sizeof(double))
        self.weight = <double *>self._take(batch_size * sizeof(double))
        self.delta = <float *>self._take(widest * sizeof(float))
        self.pair_delta = <float *>self._take(2 * widest * sizeof(float))
        self.factors = <const float **>self._take(net.n_nodes * sizeof(void *))
        self.inner_values = <float *>self._take(widest * sizeof(float))
        self.inner_indices = <int32_t *>self._take(widest * sizeof(int32_t))
        self.row_indices = <int32_t *>self._take(longest * sizeof(int32_t))
        self.row_values = <float *>self._take(longest * sizeof(float))
        if net.is_plain and self.direct:
            self.places.room = longest + VF_LANES
            self.places.at = <int64_t *>self._take(VF_RING * self.places.room * sizeof(int64_t))
        self.queue = <int64_t *>self._take(self.capacity * sizeof(int64_t))
        if net.sampler is not None:
            self.candidates = Candidates(net.sampler, batch_size, n_outputs)
        self.loss = net.loss
        self.loss.owner = <const void *>self
        self.group_rows = group_rows
        if group_rows:
            self.ends_group = <char *>self._take(self.capacity)
            self.starts = <int64_t *>self._take((batch_size + 1) * sizeof(int64_t))
            self.loss.starts = self.starts
        self._take_read()

    cdef _use(self, Replica replica):
        """Walk over a replica of the net; None: over the net itself."""
        cdef int i
        self.replica = replica
        self.plan = self.net.nodes if replica is None else replica.nodes
        for i in range(self.net.n_nodes):
            self.pairs[i].layer = &self.plan[i].weights
            if replica is not None and replica.weights[i].own != NULL and self.placed[i].indices == NULL:
                self.placed[i].indices = <int32_t *>self._take(self.longest * sizeof(int32_t))

    def __dealloc__(self):
        for address in self.owned or ():
            free(<void *><uintptr_t>address)

    cdef void *_take(self, size_t n_bytes) except NULL:
        """Zeros that start with a cache line."""
        cdef void *memory = calloc(n_bytes + LINE, 1)
        if memory == NULL:
            raise MemoryError
        self.owned.append(<uintptr_t>memory)
        return <void *>((<uintptr_t>memory + LINE - 1) // LINE * LINE)

    cdef _take_copies(self, vf_copies *copies, const vf_linear *layer, int rule, int lazy, int64_t most):
        cdef size_t n_bytes = (most + VF_LANES) * sizeof(float)
        cdef size_t n_wide = (most * layer.n_out + VF_LANES) * sizeof(float)
        copies.left = <float *>self._take(n_wide if vf_misses_each(rule, lazy) else n_bytes)
        copies.threshold = <float *>self._take(n_wide if vf_misses_each(rule, lazy) else n_bytes)
        copies.w = <float *>self._take(n_wide if vf_holds_weights(rule, lazy) else n_bytes)
        copies.rate = <float *>self._take(n_bytes)
        copies.s1 = <float *>self._take(n_bytes)
        copies.s2 = <float *>self._take(n_bytes)
        copies.row = <float *>self._take(n_bytes)
        copies.x = <float *>self._take(n_bytes)
        copies.at = <int64_t *>self._take(2 * n_bytes)
        copies.l1 = <float *>self._take(n_bytes)
        copies.l2 = <float *>self._take(n_bytes)
        copies.center = <float *>self._take(n_bytes)
        copies.sign = <float *>self._take(n_bytes)
        copies.steps = <float *>self._take(n_bytes)
        copies.time = <float *>self._take(n_bytes)
        copies.clock = <float *>self._take(n_bytes)
        copies.stamp = <float *>self._take(n_bytes)
        copies.average = <float *>self._take(n_bytes)

    cdef _take_read(self):
        """Takes what the loss sees of the nodes it reads."""
        cdef int k, n_nodes = len(self.net.reads)
        cdef int64_t size
        self.loss.n_nodes = n_nodes
        self.read = <int *>self._take(n_nodes * sizeof(int))
        self.nodes = <vf_node *>self._take(n_nodes * sizeof(vf_node))
        self.node_outputs = <double **>self._take(n_nodes * sizeof(void *))
        self.loss.nodes = self.nodes
        for k in range(n_nodes):
            self.read[k] = self.net.reads[k]
            self.nodes[k].width = self.net.nodes[self.read[k]].width
            size = self.batch_size * self.nodes[k].width * sizeof(double)
            self.node_outputs[k] = <double *>self._take(size)
            self.nodes[k].outputs = self.node_outputs[k]
            self.nodes[k].gradient = <double *>self._take(size)

    cdef bint _reads_rows(self, Node *node):
        return node.parent == INPUT or is_sparse(self.net.nodes[node.parent].kind)

    cdef bint _reads_units(self, Node *node):
        """Whether it reads dense nodes, perhaps joined to rows."""
        cdef int k
        cdef Node *parent
        if node.parent == INPUT:
            return False
        parent = &self.net.nodes[node.parent]
        if parent.kind != JOIN:
            return not is_sparse(parent.kind)
        for k in range(parent.n_parents):
            if parent.parents[k] != INPUT and not is_sparse(self.net.nodes[parent.parents[k]].kind):
                return True
        return False

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

    cdef _take_weighted(self, int i):
        """Takes what a node with weights needs."""
        cdef Node *node = &self.net.nodes[i]
        cdef int64_t slots = self._n_slots(node)
        self._take_copies(&self.copies[i], &node.weights, node.rule, node.lazy, max(self._most(node.parent), slots))
        if node.kind == PAIRS:
            self.sums[i] = <float *>self._take(self.batch_size * sums_of(node) * sizeof(float))
            self.pairs[i] = vf_pairs(layer=&node.weights, clock=&self.clock, copies=self.copies[i], rank=node.rank,
                                     step=<float *>self._take(3 * node.weights.n_out * sizeof(float)))
            if node.fields != NULL:
                self._take_fields(i)
        if not self.direct or node.orthogonal > 0.0:
            self._take_gathered(&self.gathered[i], node, slots)

    cdef _take_fields(self, int i):
        cdef Node *node = &self.net.nodes[i]
        cdef vf_fields *fields = &self.fields[i]
        cdef int64_t most = self._most(node.parent) + 1, n = node.weights.n_out
        fields.field = node.fields
        fields.n_fields = node.n_fields
        fields.n_outputs = node.width
        fields.rank = node.rank
        fields.passes_back = self._reads_units(node)
        fields.indices = <int32_t *>self._take(most * sizeof(int32_t))
        fields.values = <float *>self._take(most * sizeof(float))
        fields.next = <int64_t *>self._take((node.n_fields + 1) * sizeof(int64_t))
        fields.starts = <int64_t *>self._take((node.n_fields + 1) * sizeof(int64_t))
        fields.present = <int32_t *>self._take(node.n_fields * sizeof(int32_t))
        fields.gradient = <float *>self._take(n * sizeof(float))
        fields.own = <float *>self._take(n * sizeof(float))
        fields.delta = <double *>self._take(n * sizeof(double))

    cdef int64_t _n_slots(self, Node *node):
        if not self._reads_rows(node) or node.orthogonal > 0.0:
            return node.weights.n_in
        return min(self._most_touches(node), node.weights.n_in)

    cdef int64_t _most_touches(self, Node *node):
        """The most entries of a batch's rows that a node reads."""
        if node.parent == INPUT or self.net.nodes[node.parent].kind == COLUMNS:
            return self.batch_nonzeros
        return self.batch_size * self._most(node.parent)

    cdef _take_gathered(self, vf_gathered *g, Node *node, int64_t slots):
        g.n_out = node.weights.n_out + (node.weights.n_out // node.rank if node.kind == PAIRS else 0)
        if node.weights.n_in < MOST_PLACES and node.orthogonal == 0.0:
            g.direct = <uint16_t *>self._take(node.weights.n_in * sizeof(uint16_t))
        else:
            self._take_table(g, node.weights.n_in, slots)
        g.places = <uint32_t *>self._take((slots + 1) * sizeof(int32_t))  # behind the last one, of none that is new
        g.features = <int32_t *>self._take((slots + 1) * sizeof(int32_t))
        if node.kind == LINEAR and g.n_out > 1 and node.orthogonal == 0.0:
            self._take_lists(g, self._most_touches(node), slots)
        else:
            g.sums = <double *>self._take(slots * g.n_out * sizeof(double))
            g.rounded = <float *>self._take((max(slots, g.n_out) + VF_LANES) * sizeof(float))

    cdef _take_table(self, vf_gathered *g, int64_t n_features, int64_t slots):
        cdef int64_t k, n_places = n_features
        if slots < n_features:
            g.most_bits = 1
            while (<int64_t>1 << g.most_bits) < 2 * slots:
                g.most_bits += 1
            n_places = <int64_t>1 << g.most_bits
        g.table = <vf_table_entry *>self._take(n_places * sizeof(vf_table_entry))
        for k in range(n_places):
            g.table[k].slot = -1

    cdef _take_lists(self, vf_gathered *g, int64_t touches, int64_t slots):
        g.touches = <vf_listed *>self._take((touches + 1) * sizeof(vf_listed))
        g.first = <int32_t *>self._take((slots + 1) * sizeof(int32_t))
        memset(g.first, -1, (slots + 1) * sizeof(int32_t))
        g.sums = <double *>self._take(g.n_out * sizeof(double))
        g.rounded = <float *>self._take((slots * g.n_out + VF_LANES) * sizeof(float))
