# cython: language_level=3
"""The plan of a net, as workers read it."""
cimport cython
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.contract cimport vf_loss
from sklearn_vectorflow.engine.kernels.layers.columns cimport vf_columns
from sklearn_vectorflow.engine.kernels.layers.crosses cimport vf_crosses
from sklearn_vectorflow.engine.kernels.layers.pairs cimport vf_pairs_kernels
from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_linear_kernels
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock, vf_schedule
from sklearn_vectorflow.engine.kernels.optimizers.penalties cimport vf_penalty
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.platform cimport VF_UNLOCK, vf_lock
from sklearn_vectorflow.engine.net.sampling cimport Sampler

cdef enum:
    # sparse: their rows are lists of entries
    COLUMNS
    CROSSES
    JOIN
    # dense
    DENSE
    LINEAR
    PAIRS
    OUTPUTS
    CONSTANT
    ACTIVATION
    DROPOUT
    CONCAT
    ADD
    MULTIPLY

cdef enum:
    MOST_INNER = 1 << 16  # numbers of an inner layer: of larger ones workers have no copies

cdef enum:
    INPUT = -1           # the parent of a node that reads whole rows of X

cdef struct Node:
    int kind, parent, n_parents, activation
    const int32_t *parents     # parent is the first of them
    const int64_t *firsts      # by parent: where its columns begin in those of the node
    int64_t width
    float rate                 # dropout
    bint has_bias, frozen
    bint beside                # its records lie behind those of another node, in the same lines
    int rule, lazy, bias_lazy  # of a node with weights: in the order of RULES; what is caught up on reading
    vf_linear weights, bias
    vf_linear_kernels kernels, bias_kernels
    double orthogonal          # strength of the soft orthogonality of its columns
    int64_t n_draws            # pairs of columns drawn a step; 0: all of them
    int64_t rank               # pairs
    vf_pairs_kernels pairs
    const int32_t *fields      # by column: the field it belongs to; NULL: pairs know of none
    int64_t n_fields
    vf_columns columns
    vf_crosses crosses
    int64_t longest            # crosses: the most entries of a row, see Net.measure
    int64_t n_outputs          # outputs: all there are; the width is that of a row's candidates


cdef inline bint is_sparse(int kind) noexcept nogil:
    return kind <= JOIN


cdef inline int64_t sums_of(const Node *node) noexcept nogil:
    """How many numbers a row leaves for the gradient of pairs."""
    if node.fields != NULL:
        return node.n_fields * (node.weights.n_out + 1)  # and which of the fields it has
    return node.weights.n_out


@cython.final
cdef class Clock:
    cdef int32_t lock
    cdef readonly int64_t step
    cdef readonly double elapsed
    cdef vf_schedule schedule

    cdef inline void exchange(self, vf_clock *mine, vf_clock *seen) noexcept nogil:
        """Adds a worker's steps since `seen`, its last exchange, and brings it up to date."""
        vf_lock(&self.lock)
        self.step += mine.step - seen.step
        self.elapsed += mine.elapsed - seen.elapsed
        mine.step = self.step
        mine.elapsed = self.elapsed
        VF_UNLOCK(&self.lock)
        seen[0] = mine[0]


@cython.final
cdef class Net:
    cdef Node *nodes
    cdef readonly int n_nodes, n_added
    cdef readonly int64_t n_features
    cdef vf_loss loss
    cdef Sampler sampler      # of the candidates among the outputs; None: all are computed
    cdef list arrays, crossed, reads
    cdef readonly list rules   # of the nodes with weights
    cdef bint is_one_fixed(self) noexcept nogil
    cdef const vf_linear *intercept(self, int output) noexcept nogil
    cdef void intercepts(self, const vf_linear **out) noexcept nogil
    cdef int leader_of(self, int i) noexcept nogil
    cdef Node *_add(self, int kind, parents) except NULL
    cdef _fill(self, vf_linear *linear, record, values, int n_out, layout, dict optimizer, int64_t average_from)
    cdef _fill_penalty(self, vf_penalty *penalty, dict values)
    cdef const float *_floats(self, array)
