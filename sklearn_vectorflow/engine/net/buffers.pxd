# cython: language_level=3
from libc.stdint cimport int32_t, int64_t, uint64_t

from sklearn_vectorflow.engine.contract cimport vf_loss, vf_node
from sklearn_vectorflow.engine.kernels.layers.crosses cimport vf_bags
from sklearn_vectorflow.engine.kernels.layers.fields cimport vf_fields
from sklearn_vectorflow.engine.kernels.layers.pairs cimport vf_pairs
from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_places
from sklearn_vectorflow.engine.kernels.optimizers.misses cimport vf_copies
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.rows.batch_gradient cimport vf_gathered
from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_input_dropout
from sklearn_vectorflow.engine.net.plan cimport *
from sklearn_vectorflow.engine.net.replicas cimport Replica
from sklearn_vectorflow.engine.net.sampling cimport Candidates

cdef enum:
    GROUP = 16           # chunks of rows shuffled together

# The sparse row a node gives, in memory of its own.
cdef struct Held:
    int64_t row               # of X, -1 if none
    int32_t *indices
    float *values
    int64_t length


cdef class Buffers:
    cdef Net net
    cdef vf_loss loss         # the net's, with this worker's blocks
    cdef int64_t longest, batch_size, batch_nonzeros, chunk, queued, taken, capacity, group_rows, n_last
    cdef bint direct
    cdef float **out          # by node: (batch_size, width)
    cdef double **gradient    # by node: (batch_size, width)
    cdef float **mask         # by dropout node
    cdef Node *plan           # the net's nodes, or those of this worker's replica
    cdef Replica replica      # None: all records are shared
    cdef Held *held           # by sparse node
    cdef Held *placed         # by node that reads rows and whose hot features have copies
    cdef vf_bags *bags        # by node of crosses
    cdef float **sums         # by node of pairs: (batch_size, sums_of)
    cdef vf_gathered *gathered  # by linear node
    cdef vf_copies *copies    # by linear node: of the row or the gathered features at hand
    cdef vf_copies *bias_copies  # by node
    cdef float **intercepts   # by node: what they are worth at step `intercepts_of`, -1 if none; NULL: it has none
    cdef int64_t intercepts_of
    cdef Candidates candidates  # where outputs are sampled
    cdef double *y
    cdef double *raw
    cdef double *weight
    cdef double *loss_gradient
    cdef float *delta
    cdef float *pair_delta    # gradient of a record of pairs, and what makes its own part
    cdef vf_pairs *pairs      # by node of pairs
    cdef vf_fields *fields    # by node of pairs that know fields
    cdef const float **factors
    cdef float *inner_values
    cdef int32_t *inner_indices
    cdef int32_t *row_indices
    cdef float *row_values
    cdef int64_t *queue
    cdef char *ends_group     # by queued row
    cdef int64_t *starts      # of the groups of a step
    cdef int *read            # nodes that the loss reads
    cdef vf_node *nodes       # by them: what the loss sees
    cdef double **node_outputs  # by them
    cdef list owned           # addresses to free
    cdef list kept            # objects whose memory is pointed to
    cdef vf_clock clock
    cdef uint64_t random
    cdef vf_input_dropout input_dropout
    cdef vf_places places     # of coming rows
    cdef bint training, shared
    cdef bint reads_anew      # weights have been stepped since the forward pass read them
    cdef _use(self, Replica replica)
    cdef void *_take(self, size_t n_bytes) except NULL
    cdef _take_copies(self, vf_copies *copies, const vf_linear *layer, int rule, int lazy, int64_t most)
    cdef bint _reads_rows(self, Node *node)
    cdef bint _reads_units(self, Node *node)
    cdef int64_t _most(self, int i)
    cdef _take_row(self, int i)
    cdef _take_weighted(self, int i)
    cdef _take_fields(self, int i)
    cdef int64_t _n_slots(self, Node *node)
    cdef int64_t _most_touches(self, Node *node)
    cdef _take_read(self)
    cdef _take_gathered(self, vf_gathered *g, Node *node, int64_t slots)
    cdef _take_table(self, vf_gathered *g, int64_t n_features, int64_t slots)
    cdef _take_lists(self, vf_gathered *g, int64_t touches, int64_t slots)
