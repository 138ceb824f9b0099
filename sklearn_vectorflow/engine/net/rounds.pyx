# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Workers that train in rounds: the same bits, however many threads run them.

Their number is fixed. In a round each takes a turn of a few rows, and steps copies of its own alone. Then all copies are
merged, each record by one thread, of all workers in their order. So what a record becomes depends on neither the number of
threads nor their speed. plain_rounds.pyx and net_rounds.pyx say what copies there are, and how they are merged.
"""
from libc.math cimport NAN, isfinite
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free

from sklearn_vectorflow.engine.data cimport Rows, Targets
from sklearn_vectorflow.engine.kernels.denormals cimport vf_flush_denormals, vf_restore_denormals
from sklearn_vectorflow.engine.kernels.nets.walk cimport VF_AHEAD_DATA
from sklearn_vectorflow.engine.kernels.random cimport vf_mix
from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_prefetch_data
from sklearn_vectorflow.engine.kernels.sharing.meeting cimport vf_meet
from sklearn_vectorflow.engine.net.copies cimport Hot
from sklearn_vectorflow.engine.net.plan cimport Clock, Net
from sklearn_vectorflow.engine.net.slice_rows cimport SliceRows
from sklearn_vectorflow.engine.net.worker cimport Worker


cdef class Rounds:
    """Workers, and the threads that run them.

    Parameters
    ----------
    net : Net
    hot : Hot
        The features that are merged in tiers; all others are merged in parts.
    workers : list of Worker
    copies : list of Copies or Replica
        One for each worker.
    n_threads : int
        How many threads run the workers; at most as many as there are workers.
    """

    def __cinit__(self, Net net, Hot hot, list workers, list copies, int n_threads, *rest):
        self.net, self.hot = net, hot
        self.workers, self.copies = workers, copies
        self.n_workers = len(workers)
        self.n_threads = n_threads
        self.most_rows = self.n_workers * hot.period
        self.slice = SliceRows()
        self.turns = <Turn *>calloc(self.n_workers, sizeof(Turn))
        if self.turns == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.turns)

    def begin_pass(self):
        """Make ready for a pass, for which all workers have copied the records."""
        self.n_rounds = 0

    def begin(self, Rows rows, Targets targets, Clock clock, const int64_t[::1] order, int64_t from_chunk,
              int64_t to_chunk, bint shuffle, uint64_t seed, float input_dropout, int64_t ahead):
        """Make ready for a slice of rows; see `Worker.train` for the parameters."""
        cdef int k
        cdef Worker worker
        self.slice.fill(self.workers[0], rows, targets, order, from_chunk, to_chunk, shuffle, seed)
        self.rows, self.targets, self.clock = rows, targets, clock
        self.seed = seed
        self.ahead = ahead
        self.loss = 0.0
        self.failed = False
        for k in range(self.n_workers):
            worker = self.workers[k]
            worker.input_dropout.rate = input_dropout
            worker.input_dropout.seed = vf_mix(seed + 1)
            worker.n_last = 1
            self._begin_worker(k, worker)

    cdef _begin_worker(self, int k, Worker worker):
        """Makes a worker ready for the slice."""

    def __call__(self, int place):
        """Do a thread's part; returns when all have done theirs. No bytecode: no interrupt keeps one away."""
        cdef uint64_t mode
        with nogil:
            mode = vf_flush_denormals()
            self._run(place)
            vf_restore_denormals(mode)

    def end(self):
        """Return what `Worker.train` does, of the slice that all workers have gone over."""
        return NAN if self.failed else self.loss, self.slice.n_rows

    def faulty(self):
        """Return a worker that saw a loss that is not finite, after such a slice; the first if only their sum is not."""
        found = (worker for k, worker in enumerate(self.workers) if not isfinite(self.turns[k].loss))
        return next(found, self.workers[0])

    def finish(self, int place):
        """Merge all, after a pass: a thread's part of the work."""
        with nogil:
            self._merge_all(place)

    cdef void _run(self, int place) noexcept nogil:
        """Goes over the rows of the slice."""
        cdef int64_t n, number, begin = 0
        cdef int k
        while begin < self.slice.n_rows:
            n = min(self._round_rows(), self.slice.n_rows - begin)
            number = self.n_rounds + 1
            k = place
            while k < self.n_workers:
                self._begin_turn(k, begin, n)
                self._take_turn(k, begin + n * k // self.n_workers, begin + n * (k + 1) // self.n_workers)
                k += self.n_threads
            self._offer(place, number)
            vf_meet(&self.meeting, self.n_threads)
            if self._has_failed():
                break
            self._merge(place, number, n)
            if place == 0:
                self._count(n)
            vf_meet(&self.meeting, self.n_threads)
            begin += n
        if place == 0:
            self.failed = self._has_failed()

    cdef int64_t _round_rows(self) noexcept nogil:
        return self.most_rows

    cdef void _begin_turn(self, int k, int64_t begin, int64_t n) noexcept nogil:
        """Sets the clock of worker k, and asks for the rows that the thread's next turn begins with."""
        cdef int64_t row, first = begin + n * (k + self.n_threads) // self.n_workers
        self.turns[k].next_row = first
        self.turns[k].clock.step, self.turns[k].clock.elapsed = self.clock.step, self.clock.elapsed
        for row in range(first, min(first + VF_AHEAD_DATA, self.slice.n_rows)):
            vf_prefetch_data(&self.rows.rows, self.slice.queue[row])

    cdef void _take_turn(self, int k, int64_t first, int64_t last) noexcept nogil:
        """Trains worker k on rows [first, last) of the slice."""

    cdef void _offer(self, int place, int64_t number) noexcept nogil:
        """Does what copies need before they are merged in the round of that number: those of the thread's own workers."""

    cdef void _merge(self, int place, int64_t number, int64_t n) noexcept nogil:
        """Merges what is due after the n rows of a round: a thread's part of the records."""

    cdef void _merge_all(self, int place) noexcept nogil:
        """Merges all records: a thread's part of them."""

    cdef bint _has_failed(self) noexcept nogil:
        cdef int k
        for k in range(self.n_workers):
            if not isfinite(self.turns[k].loss):
                return True
        return False

    cdef void _count(self, int64_t n) noexcept nogil:
        """Counts what a round has done; for one thread, while none trains."""
        cdef int k
        cdef int64_t step = self.clock.step
        cdef double elapsed = self.clock.elapsed
        self.n_rounds += 1
        for k in range(self.n_workers):
            self.loss += self.turns[k].loss
            step += self.turns[k].clock.step - self.clock.step
            elapsed += self.turns[k].clock.elapsed - self.clock.elapsed
        self.clock.step, self.clock.elapsed = step, elapsed
