# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Workers that train together, with the same bits however many there are.

A team goes over its rows in windows. First its members read the rows of a window, each some of them: all outputs,
losses and gradients are those of the weights as the window finds them. Then each steps the features that are its own,
for all rows in their order. So a weight has one writer, and what it becomes depends on neither the number of members
nor their speed; gradients are late by no more than a window, as they are by as many rows of others where threads share
weights without locks.
"""
from libc.math cimport NAN, isfinite, sqrt
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free

from sklearn_vectorflow.engine.data cimport Rows, Targets
from sklearn_vectorflow.engine.kernels.denormals cimport vf_flush_denormals, vf_restore_denormals
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_rate_at
from sklearn_vectorflow.engine.kernels.platform cimport VF_ADD, VF_ADD_WIDE
from sklearn_vectorflow.engine.kernels.random cimport vf_mix
from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_row
from sklearn_vectorflow.engine.kernels.sharing.meeting cimport vf_divide_row, vf_meet
from sklearn_vectorflow.engine.net.buffers cimport GROUP
from sklearn_vectorflow.engine.net.plan cimport *
from sklearn_vectorflow.engine.net.slice_rows cimport SliceRows
from sklearn_vectorflow.engine.net.worker cimport Worker

cdef enum:
    LINE = 64   # bytes of a cache line
    MANY_COLUMNS = 4096  # enough to divide them line by line


cdef class Team:
    """Members, and what they share.

    Parameters
    ----------
    net : Net
    n_members : int
    longest, batch_size, batch_nonzeros, chunk, group_rows
        See `Buffers`.
    most_rows : int
        Rows in a window, if steps have no more.
    most_nonzeros : int
        The most non-zeros that as many rows can have.
    growth : float, default=1.0
        Rows of a window over the root of the rows that were trained on before it.
    unit_rows : int, default=16
        Rows of a step, at most, that a member reads before it asks for more. Where the loss compares the rows of a step
        with each other: as many as a step has.
    """

    def __init__(self, Net net, int n_members, int64_t longest, int64_t batch_size, int64_t batch_nonzeros, int64_t chunk,
                 int64_t group_rows, int64_t most_rows, int64_t most_nonzeros, double growth=1.0,
                 int64_t unit_rows=16):
        cdef int i
        cdef Shared *shared
        cdef Member member
        most_rows = max(most_rows, batch_size)
        self.owned = []
        self.net = net
        self.slice = SliceRows()
        self.shared = shared = <Shared *>self._take(sizeof(Shared))
        shared.n_members = n_members
        shared.growth = growth
        shared.unit_rows = unit_rows
        shared.batch_size = batch_size
        shared.most_rows = most_rows
        shared.out = <float **>self._take(net.n_nodes * sizeof(void *))
        shared.gradient = <double **>self._take(net.n_nodes * sizeof(void *))
        shared.mask = <float **>self._take(net.n_nodes * sizeof(void *))
        shared.sums = <float **>self._take(net.n_nodes * sizeof(void *))
        shared.ledgers = <Ledger *>self._take((net.n_nodes + 1) * sizeof(Ledger))
        shared.losses = <double *>self._take(most_rows * sizeof(double))
        self.members = [
            Member(net, longest, max(batch_size, unit_rows), batch_nonzeros, chunk, group_rows) for _ in range(n_members)
        ]
        for i in range(net.n_nodes):
            self._take_node(i)
        for place, member in enumerate(self.members):
            member.team = shared
            member.place = place
            member.batch_size = batch_size
            member.steps = <int64_t *>member._take((most_rows + 1) * sizeof(int64_t))
            member.units = <int64_t *>member._take((most_rows + 1) * sizeof(int64_t))
            member.scales = <double *>member._take(most_rows * sizeof(double))
        for i in range(-1, net.n_nodes if n_members > 1 else -1):
            self._take_ledger(i, self.members[0], most_nonzeros)

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

    def _take_node(self, int i):
        """Take what a node gives for the rows of a window."""
        cdef Node *node = &self.net.nodes[i]
        cdef Shared *shared = self.shared
        cdef int64_t n = shared.most_rows
        node.weights.is_divided = node.bias.is_divided = True
        if is_sparse(node.kind):
            return
        shared.out[i] = <float *>self._take(n * node.width * sizeof(float))
        shared.gradient[i] = <double *>self._take(n * node.width * sizeof(double))
        if node.kind == DROPOUT:
            shared.mask[i] = <float *>self._take(n * node.width * sizeof(float))
        if node.kind == PAIRS:
            shared.sums[i] = <float *>self._take(n * sums_of(node) * sizeof(float))

    cdef _take_ledger(self, int i, Member first, int64_t most_nonzeros):
        """Take room for the rows that a node, or X, gives, if it gives them to a layer of weights."""
        cdef Ledger *ledger = &self.shared.ledgers[i + 1]
        cdef Node *node
        cdef int k
        cdef int64_t most = most_nonzeros, stride = LINE // sizeof(float), n_columns = 0
        for k in range(self.net.n_nodes):
            node = &self.net.nodes[k]
            if node.parent == i and not node.frozen and node.kind in (LINEAR, PAIRS):
                stride = min(stride, node.weights.stride)
                n_columns = node.weights.n_in
        if n_columns == 0:
            return
        if i != INPUT and self.net.nodes[i].kind != COLUMNS:
            most = self.shared.most_rows * first._most(i)
        while n_columns > MANY_COLUMNS and stride << ledger.shift < LINE // <int64_t>sizeof(float):
            ledger.shift += 1
        ledger.indices = <int32_t *>self._take((most + 1) * sizeof(int32_t))
        ledger.values = <float *>self._take((most + 1) * sizeof(float))
        ledger.starts = <int64_t *>self._take(self.shared.most_rows * (self.shared.n_members + 1) * sizeof(int64_t))

    def begin(self, Rows rows, Targets targets, Clock clock, const int64_t[::1] order, int64_t from_chunk,
              int64_t to_chunk, bint shuffle, uint64_t seed, float input_dropout, int64_t ahead):
        """Make ready for a slice of rows; see `Worker.train` for the parameters."""
        cdef Shared *shared = self.shared
        cdef Member member
        self.slice.fill(self.members[0], rows, targets, order, from_chunk, to_chunk, shuffle, seed)
        self.rows, self.targets, self.clock = rows, targets, clock
        shared.queue, shared.ends_group, shared.n_rows = self.slice.queue, self.slice.ends_group, self.slice.n_rows
        shared.n_means = 0
        shared.ahead = ahead
        shared.seed = seed
        shared.schedule = clock.schedule
        shared.loss = 0.0
        shared.failed = False
        for member in self.members:
            member.failed = False
            member.input_dropout.rate = input_dropout
            member.input_dropout.seed = vf_mix(seed + 1)
            member.training = member.reads_anew = True
            member.clock.step = clock.step
            member.clock.elapsed = clock.elapsed

    def __call__(self, int place):
        """Do a member's part; returns when all have done theirs. No bytecode: no interrupt keeps one away."""
        cdef Member member = self.members[place]
        cdef Rows rows = self.rows
        cdef Targets targets = self.targets
        cdef uint64_t mode
        with nogil:
            mode = vf_flush_denormals()
            member._run(rows, targets)
            vf_restore_denormals(mode)

    def end(self):
        """Return what `Worker.train` does, of the slice that all members have gone over."""
        cdef Member leader = self.members[0]
        self.clock.step, self.clock.elapsed = leader.clock.step, leader.clock.elapsed
        return NAN if self.shared.failed else self.shared.loss, self.shared.n_means

    def faulty(self):
        """Return a member that saw a loss that is not finite, after such a slice."""
        return next(member for member in self.members if member.failed)


cdef class Member(Worker):
    """A worker of a team, see `Buffers` for its parameters."""

    # ---- windows ----------------------------------------------------------------------

    cdef void _run(self, Rows rows, Targets targets) noexcept nogil:
        """Goes over the rows of the slice."""
        cdef int64_t begin = 0, end
        cdef Shared *team = self.team
        cdef int64_t *queue = self.queue
        cdef char *ends_group = self.ends_group
        self.queue, self.ends_group, self.queued = team.queue, team.ends_group, team.n_rows
        self._forget_rows()
        while begin < team.n_rows:
            end = self._cut(begin)
            self._read_units(rows, targets, begin)
            vf_meet(&team.meeting, team.n_members)
            if team.failed:
                break
            self._step_own(rows, begin)
            if self.place == 0:
                self._finish_window()
            vf_meet(&team.meeting, team.n_members)
            begin = end
        self.queue, self.ends_group, self.queued = queue, ends_group, 0

    cdef void _finish_window(self) noexcept nogil:
        """Adds up the losses, and takes back what was handed out; for one member, while none reads."""
        cdef Shared *team = self.team
        cdef int64_t k
        cdef int i
        for k in range(self.n_units):
            team.loss += team.losses[k]
        team.meeting.taken = 0
        for i in range(self.net.n_nodes + 1):
            team.ledgers[i].used = 0

    cdef int64_t _most_rows(self) noexcept nogil:
        """Rows of a window that begins with the next step: few while steps are long.

        The steps of AdaGrad and FTRL fall with the root of how many a weight has taken. So as many as that root
        together move it about as far as the first one, and a share of them less.
        """
        cdef int64_t n_rows = <int64_t>(self.team.growth * sqrt(<double>self.clock.step * self.team.batch_size))
        return max(1, min(self.team.most_rows, n_rows))

    cdef int64_t _cut(self, int64_t begin) noexcept nogil:
        """Cuts the window that begins there into steps and units; returns its end."""
        cdef Shared *team = self.team
        cdef int64_t n, end = begin, most = self._most_rows()
        self.n_steps = self.n_units = 0
        while end < self.queued:
            self.taken = end
            n = self._next_batch()
            if end > begin and end + n - begin > most:
                break
            self._cut_step(end - begin, n)
            end += n
        self.steps[self.n_steps] = self.units[self.n_units] = end - begin
        return end

    cdef void _cut_step(self, int64_t begin, int64_t n) noexcept nogil:
        """Notes a step, and where units begin in it: rows are read in any order, those that are compared together.

        A unit goes on in the next step only while steps are single rows: its rows have one scale, and there are no
        more of them than members have room for.
        """
        cdef int64_t row = begin, last
        cdef bint is_first
        cdef double scale = 1.0 / (self.loss.n_groups if self.group_rows else n)
        self.steps[self.n_steps] = begin
        self.n_steps += 1
        while row < begin + n:
            last = self.units[self.n_units - 1] if self.n_units else 0
            is_first = self.n_units == 0 or self.group_rows or n > 1 or scale != self.scales[self.n_units - 1]
            if is_first or row - last >= self.team.unit_rows:
                self.units[self.n_units] = row
                self.scales[self.n_units] = scale
                self.n_units += 1
            row += min(self.team.unit_rows, n)

    cdef void _aim(self, int64_t begin, int64_t first) noexcept nogil:
        """Makes a row of the window the first of the batch."""
        cdef Shared *team = self.team
        cdef int i
        cdef Node *node
        self.taken = begin + first
        self.first = first
        for i in range(self.net.n_nodes):
            node = &self.net.nodes[i]
            if is_sparse(node.kind):
                continue
            self.out[i] = team.out[i] + first * node.width
            self.gradient[i] = team.gradient[i] + first * node.width
            if node.kind == DROPOUT:
                self.mask[i] = team.mask[i] + first * node.width
            if node.kind == PAIRS:
                self.sums[i] = team.sums[i] + first * sums_of(node)

    # ---- reading: outputs, losses, gradients --------------------------------------------

    cdef void _read_units(self, Rows rows, Targets targets, int64_t begin) noexcept nogil:
        """Reads units of the window until none is left."""
        cdef Shared *team = self.team
        cdef int64_t unit
        while not self.failed:
            unit = VF_ADD(&team.meeting.taken, 1)
            if unit >= self.n_units:
                return
            self._read_unit(rows, targets, begin, unit)

    cdef void _read_unit(self, Rows rows, Targets targets, int64_t begin, int64_t unit) noexcept nogil:
        cdef Shared *team = self.team
        cdef int64_t r, row, n = self.units[unit + 1] - self.units[unit]
        cdef int i
        cdef double loss
        self._aim(begin, self.units[unit])
        self.n_last = n
        if self.group_rows:
            self._next_batch()
        for r in range(n):
            row = self.queue[self.taken + r]
            self.random = vf_mix(team.seed + 2 + vf_mix(self.taken + r))
            self._look_ahead(rows, targets, self.taken + r, team.ahead, 0)
            self._forward(rows, row, r)
            self._look_ahead(rows, targets, self.taken + r, team.ahead, 1)
            self.weight[r] = targets.weight_of(row)
            if team.n_members > 1:
                self._note(rows, row, r)
        loss = self._evaluate(targets, n)
        team.losses[unit] = loss
        if not isfinite(loss):
            self.failed = team.failed = True
            return
        self._begin_gradients(n, self.scales[unit])
        for i in range(self.net.n_nodes - 1, -1, -1):
            self._pass_back(i, n)

    cdef void _note(self, Rows rows, int64_t row, int64_t r) noexcept nogil:
        """Notes what layers of weights read of row r of the batch, by who steps it."""
        cdef Shared *team = self.team
        cdef Ledger *ledger
        cdef vf_row x
        cdef int i
        for i in range(-1, self.net.n_nodes):
            ledger = &team.ledgers[i + 1]
            if ledger.starts == NULL:
                continue
            x = self._row_of(i, rows, row, r)
            vf_divide_row(x, ledger.shift, team.n_members, VF_ADD_WIDE(&ledger.used, x.length),
                          ledger.starts + (self.first + r) * (team.n_members + 1), ledger.indices, ledger.values)

    # ---- stepping what is one's own -------------------------------------------------------

    cdef void _step_own(self, Rows rows, int64_t begin) noexcept nogil:
        """Takes the window's steps on the features that are this member's."""
        cdef Shared *team = self.team
        cdef int64_t k, n
        cdef int i
        for k in range(self.n_steps):
            n = self.steps[k + 1] - self.steps[k]
            self._aim(begin, self.steps[k])
            if self.group_rows:
                self._next_batch()
            if self.place == 0:
                team.n_means += self.loss.n_groups if self.group_rows else n
            self.clock.rate = vf_rate_at(team.schedule, self.clock.step)
            for i in range(self.net.n_nodes - 1, -1, -1):
                self._update(i, rows, n)
            self.clock.elapsed += self.clock.rate
            self.clock.step += 1

    cdef vf_row _row_to_step(self, int i, Rows rows, int64_t r) noexcept nogil:
        cdef Ledger *ledger = &self.team.ledgers[i + 1]
        cdef int64_t *starts
        if self.team.n_members == 1:
            return self._row_of(i, rows, self.queue[self.taken + r], r)
        starts = ledger.starts + (self.first + r) * (self.team.n_members + 1) + self.place
        return vf_row(indices=ledger.indices + starts[0], values=ledger.values + starts[0],
                      length=starts[1] - starts[0])

    cdef bint _steps_bias(self, int i) noexcept nogil:
        return i % self.team.n_members == self.place
