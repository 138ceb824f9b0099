# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Nets whose layers all read rows, trained a row a step by kernels of their own (kernels/nets/machine.h and plain_wide.h)."""
from libc.stdint cimport int64_t

from sklearn_vectorflow.engine.data cimport Targets
from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_single
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock
from sklearn_vectorflow.engine.kernels.platform cimport VF_LANES
from sklearn_vectorflow.engine.net.deep cimport Deep
from sklearn_vectorflow.engine.net.plan cimport *

cdef extern from "kernels/nets/machine.h" nogil:
    double vf_train_machine(const vf_machine *net, vf_clock *clock, const int64_t *queue, int64_t from_row,
                            int64_t to_row, int64_t n_queued)
    enum:
        VF_EAGER
        VF_DECAYING
        VF_ADAGRAD
        VF_ADAGRAD_ROWWISE
        VF_FTRL

cdef extern from "kernels/nets/plain_wide.h" nogil:
    double vf_train_wide(const vf_plain_wide *net, vf_clock *clock, const int64_t *queue, int64_t from_row,
                         int64_t to_row, int64_t n_queued)
    enum:
        VF_GROUP

cdef enum:
    FACTORS = 4          # ranks are multiples of it: whole vectors
    MOST_ASKED = 64      # numbers of a record that are asked for ahead, at most


cdef class Fused(Deep):
    """A `Deep` that has shorter ways for factorization machines and linear layers of several outputs, too."""

    def __cinit__(self, *args):
        self.shape = self._find_shape() if self.direct and self.net.sampler is None and not self.net.reads else OTHER
        cdef int64_t n = self.plan[0].weights.n_out + VF_LANES
        if self.shape == MACHINE:
            self.machine.sums = <float *>self._take((self.plan[self.pairs_node].weights.n_out + VF_LANES) * sizeof(float))
        elif self.shape == PLAIN_WIDE:
            self.wide.sums = <float *>self._take(n * sizeof(float))
            self.wide.delta = <float *>self._take(n * sizeof(float))
            self.wide.of_bias = <float *>self._take(n * sizeof(float))

    cdef Shape _find_shape(self):
        if self._is_machine():
            return MACHINE
        return PLAIN_WIDE if self._is_plain_wide() else OTHER

    cdef bint _is_machine(self):
        """Whether the net is the sum of a linear layer and pairs, both of AdaGrad as it comes, with records side by side."""
        cdef Node *linear
        cdef Node *pairs
        cdef Node *last = &self.plan[2]
        if self.net.n_nodes != 3 or last.kind != ADD or last.n_parents != 2 or last.parents[0] + last.parents[1] != 1:
            return False
        self.pairs_node = self.plan[1].kind == PAIRS
        self.linear_node = 1 - self.pairs_node
        linear, pairs = &self.plan[self.linear_node], &self.plan[self.pairs_node]
        return (linear.kind == LINEAR and pairs.kind == PAIRS and linear.parent == INPUT and pairs.parent == INPUT
                and linear.width == 1 and pairs.width == 1 and pairs.fields == NULL and pairs.rank % FACTORS == 0
                and linear.rule == VF_ADAGRAD and pairs.rule == VF_ADAGRAD_ROWWISE
                and linear.lazy == pairs.lazy and linear.lazy <= VF_DECAYING and linear.bias_lazy == VF_EAGER
                and linear.orthogonal == 0.0 and pairs.orthogonal == 0.0 and self.plan[1].beside)

    cdef bint _is_plain_wide(self):
        """Whether the net is a linear layer of FTRL as it comes, of as many outputs as a group has or more."""
        cdef Node *node = &self.plan[0]
        return (self.net.n_nodes == 1 and node.kind == LINEAR and node.parent == INPUT and node.width >= VF_GROUP
                and node.rule == VF_FTRL and node.lazy <= VF_DECAYING and node.bias_lazy == VF_EAGER
                and node.weights.values != NULL and node.orthogonal == 0.0)

    @property
    def has_kernel(self):
        """Whether a kernel of its own trains the net, if targets and other workers permit."""
        return self.shape != OTHER or self.deep.layers != NULL

    cdef bint _has_kernel(self, Targets targets):
        """Whether a shorter way serves.

        Such kernels write back what they read of a record: only where workers have copies of hot ones are others' steps
        seldom lost.
        """
        if self.shape == OTHER:
            return Deep._has_kernel(self, targets)
        return not self.group_rows and targets.dense != NULL and (not self.shared or self._has_copies(0))

    cdef void _open(self, vf_single data) noexcept nogil:
        cdef Node *node = &self.plan[self.linear_node]
        if self.shape == OTHER:
            Deep._open(self, data)
            return
        data.weights = &node.weights
        data.copies = self.copies[self.linear_node]
        if self.shape == MACHINE:
            self.machine.data = data
            self.machine.pairs = &self.plan[self.pairs_node].weights
            self.machine.bias = &node.bias if node.has_bias else NULL
            self.machine.of_pairs = self.copies[self.pairs_node]
            self.machine.spread = self._spread(0, MOST_ASKED)
            self.machine.lazy = node.lazy
        else:
            self.wide.data = data
            self.wide.bias = &node.bias if node.has_bias else NULL
            self.wide.spread = self._spread(0, MOST_ASKED)
            self.wide.worth = data.copies.w
            self.wide.lazy = node.lazy

    cdef void _open_inner(self) noexcept nogil:
        if self.shape == OTHER:
            Deep._open_inner(self)

    cdef void _close(self) noexcept nogil:
        if self.shape == OTHER:
            Deep._close(self)

    cdef double _train_by_kernel(self, int64_t n) noexcept nogil:
        if self.shape == MACHINE:
            return vf_train_machine(&self.machine, &self.clock, self.queue, self.taken, self.taken + n, self.queued)
        if self.shape == PLAIN_WIDE:
            return vf_train_wide(&self.wide, &self.clock, self.queue, self.taken, self.taken + n, self.queued)
        return Deep._train_by_kernel(self, n)
