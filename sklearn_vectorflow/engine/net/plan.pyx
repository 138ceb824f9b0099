# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""A net compiled to plain structs: the plan that workers walk (worker.pyx).

A `Net` is an array of nodes in topological order, with pointers into parameter arrays
that Python owns. The kernels of linear layers are reached through the function
pointers of the nodes.
"""
import numpy as np

from libc.math cimport log
from libc.stdint cimport int32_t, int64_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free

from sklearn_vectorflow.engine.contract cimport vf_loss
from sklearn_vectorflow.engine.net.crosses cimport Crosses
from sklearn_vectorflow.engine.data cimport Rows, Targets
from sklearn_vectorflow.engine.kernels.layers.outputs cimport vf_outputs_settle
from sklearn_vectorflow.engine.kernels.layers.pairs cimport vf_pairs_kernels
from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_linear_kernels
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock, vf_schedule
from sklearn_vectorflow.engine.kernels.optimizers.penalties cimport vf_penalty
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.random cimport vf_mix
from sklearn_vectorflow.engine.losses.capsule cimport open_capsule
from sklearn_vectorflow.engine.net.sampling cimport Sampler

cdef extern from "kernels/uniform.h" nogil:
    void vf_fill_uniform(float *record, int64_t stride, int64_t n_out, int64_t first, int64_t n, uint64_t key,
                         float bound)

cdef extern from "kernels/layers/linear_kernels.h" nogil:
    const vf_linear_kernels *const VF_KERNELS[7]
    const vf_pairs_kernels *const VF_PAIRS_KERNELS[7]
    cdef enum:
        VF_EAGER
        VF_DECAYING
        VF_LAZY

cdef extern from "kernels/sharing/merge_one.h" nogil:
    bint vf_is_plain(int kind, int lazy, const vf_linear *layer)

RULES = ("fixed", "sgd", "adagrad", "adagrad_rowwise", "adam", "ftrl", "adam_rowwise")
EAGER, DECAYING, LAZY = VF_EAGER, VF_DECAYING, VF_LAZY
ACTIVATIONS = ("relu", "tanh", "selu", "logistic")


cdef const void *_address(array):
    return <const void *><uintptr_t>array.__array_interface__["data"][0]


cdef class Clock:
    """Steps of all workers together, and the learning-rate schedule of SGD (`vf_schedule`)."""

    def __init__(self, rate=0.0, decay=0.0, power=0.0, step=0, elapsed=0.0):
        self.lock = 0
        self.schedule = vf_schedule(rate=rate, decay=decay, power=power)
        self.step = step
        self.elapsed = elapsed


cdef class Net:
    """The plan of a net. Nodes are added in topological order.

    Parameters
    ----------
    n_nodes : int
        Number of nodes that will be added; the last one is the output.
    n_features : int
    """
    def __cinit__(self, int n_nodes, int64_t n_features):
        self.nodes = <Node *>calloc(n_nodes, sizeof(Node))
        if self.nodes == NULL:
            raise MemoryError
        self.n_nodes = n_nodes
        self.n_added = 0
        self.n_features = n_features
        self.arrays = []
        self.crossed = []
        self.rules = []
        self.reads = []

    def __dealloc__(self):
        free(self.nodes)

    @property
    def n_outputs(self):
        return self.nodes[self.n_nodes - 1].width

    cdef Node *_add(self, int kind, parents) except NULL:
        """Adds a node; its width is that of its first parent."""
        cdef Node *node = &self.nodes[self.n_added]
        cdef int position
        parents = np.array(parents, dtype=np.int32)
        widths = [self._width(parent) for parent in parents]
        firsts = np.cumsum([0, *widths], dtype=np.int64)
        self.arrays.append((parents, firsts))
        self.n_added += 1
        node.kind = kind
        node.n_parents = len(parents)
        node.parents = <const int32_t *>_address(parents)
        node.firsts = <const int64_t *>_address(firsts)
        node.parent = node.parents[0]
        node.width = sum(widths) if kind in (CONCAT, JOIN) else widths[0]
        return node

    def _width(self, int node):
        return self.n_features if node == INPUT else self.nodes[node].width

    def add_columns(self, int first, int64_t width, places=None):
        """Add a root that reads columns [first, first + width) of X, or those with a place.

        Parameters
        ----------
        places : ndarray of int32, shape (n_features,), default=None
            By column: its place in the root's rows, -1 where it is not read.
        """
        cdef Node *node = self._add(COLUMNS, [INPUT])
        self.arrays.append(places)
        node.width = width
        node.columns.first = first
        node.columns.width = width
        node.columns.places = NULL if places is None else <const int32_t *>_address(places)

    def add_crosses(self, int parent, Crosses crosses):
        """Add crosses of the columns of a root."""
        cdef Node *node = self._add(CROSSES, [parent])
        self.arrays.append(crosses)
        node.crosses = crosses.crosses
        node.width = crosses.crosses.n_features
        self.crossed.append((self.n_added - 1, crosses))

    def measure(self, Rows rows, Targets targets=None):
        """Find the longest crossed rows, and the most candidates of a row, for which workers take memory.

        Raises
        ------
        ValueError
            If the rows have another number of columns than the net reads, or offsets are of another number of
            outputs than it has, which nothing below looks at.
        """
        cdef Crosses crosses
        if rows.rows.n_features != self.n_features:
            raise ValueError(f"X has {rows.rows.n_features} columns, but the net reads {self.n_features}.")
        if targets is not None and targets.offsets.values != NULL:
            n_outputs = self.loss.n_outputs if self.sampler is None else self.sampler.sampler.n_outputs
            if targets.n_offsets != n_outputs:
                raise ValueError(f"The offsets are of {targets.n_offsets} outputs, but the net has {n_outputs}.")
        for position, crosses in self.crossed:
            self.nodes[<int>position].longest = crosses.most(rows)
        if self.sampler is not None:
            self.loss.n_targets = self.sampler.most_candidates(targets.most_labels())
            self.nodes[self.n_nodes - 1].width = self.loss.n_targets

    def add_join(self, parents):
        """Add the concatenation of rows, some of them sparse."""
        self._add(JOIN, parents)

    def add_dense(self, int parent):
        """Add the dense form of sparse rows."""
        self._add(DENSE, [parent])

    def add_merged(self, how, parents):
        """Add a "concat", "add" or "multiply" of dense nodes."""
        self._add({"concat": CONCAT, "add": ADD, "multiply": MULTIPLY}[how], parents)

    def add_activation(self, int parent, name):
        """Add an activation: one of `ACTIVATIONS`."""
        self._add(ACTIVATION, [parent]).activation = ACTIVATIONS.index(name)

    def add_dropout(self, int parent, float rate):
        """Add dropout; it acts in training only."""
        self._add(DROPOUT, [parent]).rate = rate

    def add_pairs(self, int parent, int rank, record, *arguments):
        """Add pairwise interactions; a record holds the embeddings of all outputs.

        The other arguments are those of `add_linear` from `bias` on.
        """
        cdef Node *node
        self.add_linear(parent, record, *arguments)
        node = &self.nodes[self.n_added - 1]
        if rank < 1 or node.weights.n_out % rank:
            raise ValueError(f"records of {node.weights.n_out} weights do not hold embeddings of {rank} numbers")
        node.kind = PAIRS
        node.rank = rank
        node.pairs = VF_PAIRS_KERNELS[node.rule][node.lazy]
        node.width = node.weights.n_out // rank

    def add_field_pairs(self, int parent, fields, int64_t n_fields, int rank, record, *arguments):
        """Add pairwise interactions whose embeddings depend on the other column's field.

        A record holds, for each output, the embeddings for all fields.

        Parameters
        ----------
        fields : ndarray of int32, shape (n_in,)
            The field of each column that the node reads.
        n_fields, rank : int

        Raises
        ------
        ValueError
            If a column has no field, or one that records have no embedding for.
        """
        cdef Node *node
        fields = np.array(fields, dtype=np.int32, ndmin=1)  # a copy, which none but the net can change
        self.add_pairs(parent, rank, record, *arguments)
        node = &self.nodes[self.n_added - 1]
        if n_fields < 1 or node.width % n_fields:
            raise ValueError(
                f"network: records of {node.weights.n_out} weights do not hold embeddings of {rank} numbers for {n_fields} "
                "fields; a parameter of a layer has changed since the net was made. Reset it, or call fit."
            )
        if fields.shape != (node.weights.n_in,) or fields.size and not 0 <= fields.min() <= fields.max() < n_fields:
            raise ValueError(f"network: fields must be {node.weights.n_in} numbers in [0, {n_fields}).")
        self.arrays.append(fields)
        node.fields = <const int32_t *>_address(fields)
        node.n_fields = n_fields
        node.width //= n_fields

    def add_outputs(self, int parent, int64_t n_outputs, record, *arguments):
        """Add outputs of which a step computes those that `set_sampler` says.

        Parameters
        ----------
        parent, n_outputs : int
        record : ndarray of float32, shape (n_outputs * n_in, stride)
            A record for each weight; those of an output lie together.
        *arguments
            Those of `add_linear` from `bias` on, bias of shape (n_outputs, stride), n_out 1.
        """
        cdef Node *node
        self._add_weights(parent, n_outputs * self._width(parent), record, *arguments)
        node = &self.nodes[self.n_added - 1]
        node.kind = OUTPUTS
        node.width = node.n_outputs = n_outputs
        node.weights.n_in //= n_outputs

    def add_constant(self, record, *arguments):
        """Add outputs that are intercepts alone; the record has no rows.

        The other arguments are those of `add_linear` from `bias` on.
        """
        self._add_weights(INPUT, 0, record, *arguments)
        self.nodes[self.n_added - 1].kind = CONSTANT

    def add_linear(self, int parent, record, *arguments):
        """Add a linear layer: see `_add_weights`."""
        self._add_weights(parent, self._width(parent), record, *arguments)

    def _add_weights(self, int parent, int64_t n_records, record, bias, int n_out, layout, rule, int lazy,
                     dict optimizer, dict penalty, double orthogonal=0.0, int64_t n_draws=0,
                     int64_t average_from=0, values=None, bias_values=None):
        """Add a layer with weights.

        Parameters
        ----------
        parent : int
            Index of the node it reads, -1 for rows of X.
        n_records : int
            How many records the layer reads.
        record, bias : ndarray of float32, shape (n_records, stride) and (1, stride)
            Weights and state; bias may be None.
        layout : dict
            Offset of each kind of state in a record, -1 where absent.
        rule : str
            One of `RULES`.
        lazy : int
            What is caught up on reading: `EAGER`, `DECAYING` or `LAZY`.
        optimizer, penalty : dict
            Fields of the C structs of these names. Where the optimizer has "intercept", the dict there has
            the fields that intercepts have in place of weights.
        values, bias_values : ndarray of float32, shape (n_in, n_out) and (1, n_out), default=None
            Where settled weights go, if the records don't hold them.

        Raises
        ------
        ValueError
            If there are not as many records: a layer is an object of the user's, who may have changed it since.
        """
        cdef Node *node = self._add(LINEAR, [parent])
        if record.shape[0] != n_records:
            raise ValueError(
                f"network: weights of {record.shape[0]} columns do not fit a layer of {n_records}; "
                "a parameter of a layer has changed since the net was made. Reset it, or call fit."
            )
        cdef int kind = RULES.index(rule)
        self.rules.append(rule)
        node.frozen = kind == 0
        node.rule = kind
        node.lazy = lazy
        node.width = n_out
        node.orthogonal = orthogonal
        node.n_draws = n_draws
        self._fill(&node.weights, record, values, n_out, layout, optimizer, average_from)
        node.beside = self.leader_of(self.n_added - 1) != self.n_added - 1
        self._fill_penalty(&node.weights.penalty, penalty)
        node.kernels = VF_KERNELS[kind][lazy]
        node.has_bias = bias is not None
        if node.has_bias:
            # averaging is the only thing an intercept catches up on; FTRL's lazy kernel is that for records
            # which hold the weights
            lazy_bias = layout["average"] >= 0 or rule == "ftrl" and bias_values is None
            of_bias = {**optimizer, **optimizer.get("intercept", {})}
            self._fill(&node.bias, bias, bias_values, n_out, layout, of_bias, average_from)
            self._fill_penalty(&node.bias.penalty, {})
            node.bias_lazy = VF_LAZY if lazy_bias else VF_EAGER
            node.bias_kernels = VF_KERNELS[kind][node.bias_lazy]

    cdef int leader_of(self, int i) noexcept nogil:
        """The first node whose records lie in the same lines as those of node i: who asks for its has asked for both."""
        cdef int k
        cdef int64_t behind
        for k in range(i):
            behind = self.nodes[i].weights.record - self.nodes[k].weights.record
            if self.nodes[k].parent == self.nodes[i].parent and 0 < behind < self.nodes[k].weights.stride:
                return k
        return i

    cdef _fill(self, vf_linear *linear, record, values, int n_out, layout, dict optimizer, int64_t average_from):
        cdef const float[:, :] view = record  # read-only where the rule is "fixed"
        self.arrays.append((record, values))
        linear.record = <float *>&view[0, 0]
        linear.values = NULL if values is None else <float *>_address(values)
        linear.n_in = view.shape[0]
        linear.n_out = n_out
        linear.stride = view.strides[0] // sizeof(float)
        linear.size = view.shape[1]
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
        penalty.sign = self._floats(values.get("sign"))

    cdef const float *_floats(self, array):
        if array is None:
            return NULL
        self.arrays.append(array)
        return <const float *>_address(array)

    @property
    def is_plain(self):
        """Whether it is one linear layer of one output, perhaps with a constant beside it: what
        kernels/nets/plain.h can train.
        """
        cdef Node *node = &self.nodes[0]
        if self.n_nodes == 3:
            if self.nodes[1].kind != CONSTANT or self.nodes[1].width != 1 or self.nodes[1].rule != node.rule:
                return False
            if self.nodes[2].kind != CONCAT or self.nodes[2].n_parents != 2 or self.nodes[2].parents[0] != 0:
                return False
        return (self.n_nodes in (1, 3) and node.kind == LINEAR and node.orthogonal == 0.0 and not self.reads
                and node.kernels.single != NULL and vf_is_plain(node.rule, node.lazy, &node.weights))

    @property
    def can_have_replicas(self):
        """Whether workers can step copies of its records (a `Replica`), which are merged.

        Orthogonality reads all weights of a layer as they are now.
        """
        cdef int i
        for i in range(self.n_nodes):
            if self.nodes[i].orthogonal > 0.0:
                return False
        return True

    @property
    def can_be_copied_whole(self):
        """Whether workers can have copies of all records that they step: what else is shared then stands still."""
        cdef int i
        cdef Node *node
        for i in range(self.n_nodes):
            node = &self.nodes[i]
            if node.kind == OUTPUTS or node.orthogonal > 0.0:
                return False
            if node.frozen or node.kind != LINEAR and node.kind != PAIRS or node.parent == INPUT:
                continue
            if is_sparse(self.nodes[node.parent].kind) or node.weights.n_in * node.weights.stride > MOST_INNER:
                return False
        return self.sampler is None

    @property
    def hot_size(self):
        """How many numbers a feature has in layers that read rows of X."""
        cdef int i
        size = 0
        for i in range(self.n_nodes):
            if self.nodes[i].kind in (LINEAR, PAIRS) and self.nodes[i].parent == INPUT and not self.nodes[i].beside:
                size += self.nodes[i].weights.stride
        return size

    @property
    def can_be_divided(self):
        """Whether a step of each feature's weights needs no other's: whether a `Team` can train the net.

        Orthogonality reads all weights of a layer in every step, and sampled outputs have no columns to divide.
        """
        cdef int i
        for i in range(self.n_nodes):
            if self.nodes[i].orthogonal > 0.0 or self.nodes[i].kind == OUTPUTS:
                return False
        return self.sampler is None

    cdef bint is_one_fixed(self) noexcept nogil:
        """Whether it is one linear layer of one output that is not trained: for kernels/nets/plain_predict.h."""
        cdef Node *node = &self.nodes[0]
        return self.n_nodes == 1 and node.kind == LINEAR and node.parent == INPUT and node.width == 1 and node.frozen

    cdef const vf_linear *intercept(self, int output) noexcept nogil:
        """The intercept of an output of a plain net, or NULL."""
        if output >= self.n_nodes or not self.nodes[output].has_bias:
            return NULL
        return &self.nodes[output].bias

    cdef void intercepts(self, const vf_linear **out) noexcept nogil:
        """Those of both outputs of a plain net."""
        out[0], out[1] = self.intercept(0), self.intercept(1)

    def set_loss(self, capsule, parameters, int n_targets, reads=()):
        """Set the loss: a capsule of the C contract, its parameters (float64), and the dense nodes it reads."""
        cdef const double[::1] view = parameters
        self.arrays.append((capsule, parameters))
        self.loss = open_capsule(capsule)[0]
        self.loss.n_targets = n_targets
        self.loss.n_outputs = self.n_outputs
        self.loss.n_parameters = view.shape[0]
        self.reads = list(reads)
        self.loss.parameters = &view[0] if view.shape[0] else NULL

    def set_sampler(self, Sampler sampler):
        """Set what the last node's candidates are drawn from."""
        self.sampler = sampler

    def give_means(self):
        """Let outputs be those of the running means of weights, as they are by now."""
        cdef int i
        for i in range(self.n_nodes):
            self.nodes[i].weights.gives_means = True
            self.nodes[i].bias.gives_means = True

    def average_from(self, int64_t step):
        """Leave steps before this one out of the running means; weights must be settled up to it."""
        cdef int i
        for i in range(self.n_nodes):
            self.nodes[i].weights.average_from = step
            self.nodes[i].bias.average_from = step

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
                if node.kind not in (LINEAR, PAIRS, OUTPUTS, CONSTANT) or node.frozen:
                    continue
                if node.kind == OUTPUTS:
                    if from_feature == 0:
                        bad += vf_outputs_settle(&node.weights, node.kernels, &now, node.n_outputs)
                elif node.parent == INPUT:
                    bad += node.kernels.settle(&node.weights, &now, from_feature,
                                               min(to_feature, node.weights.n_in))
                elif from_feature == 0:
                    bad += node.kernels.settle(&node.weights, &now, 0, node.weights.n_in)
                if node.has_bias and from_feature == 0:
                    bad += node.bias_kernels.settle(&node.bias, &now, 0, node.bias.n_in)
        return bad


def fill_uniform(float[:, :] record, int64_t n_out, uint64_t seed, float bound, int64_t first=0):
    """Fill the first n_out columns with numbers uniform in [-bound, bound).

    Each comes from its own place in the seed's stream; the record's first row is number `first`.
    """
    if record.shape[0] > 0:
        with nogil:
            vf_fill_uniform(&record[0, 0], record.strides[0] // <int64_t>sizeof(float), n_out, first, record.shape[0],
                            vf_mix(seed), bound)
