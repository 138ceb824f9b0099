# cython: language_level=3, freethreading_compatible=True
"""Threads that share work, and an undo: what no interrupt may find half done.

Python delivers an interrupt between two bytecodes. There are none in here: an interrupt
comes out of the functions that are called from here, or waits until the caller goes on.
"""
import _thread
import os

from cpython.pythread cimport (
    NOWAIT_LOCK, WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_release_lock,
    PyThread_type_lock,
)
from libc.stdlib cimport calloc, free

cdef enum:
    MOST_RESTORES = 1000  # calls of an undo before its error counts

cdef int _forks = 0  # this process is so many forks away from the one that imported the module


def _count_fork():
    global _forks
    _forks += 1


def forks():
    """Return how many forks away this process is from the one that imported the module."""
    return _forks


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


cdef class _Job:
    """The items of one map. The board's lock guards what changes."""
    cdef object function
    cdef list items, results, errors
    cdef bint by_worker, stopped
    cdef Py_ssize_t n_items, taken
    cdef int n_workers

    def __init__(self, function, list items, int n_workers):
        self.function = function
        self.items = items
        self.n_items = len(items)
        self.results = [None] * self.n_items
        self.errors = [None] * n_workers
        self.by_worker = getattr(function, "wants_worker", False)
        self.n_workers = n_workers

    cdef call(self, item, int worker):
        return self.function(item, worker) if self.by_worker else self.function(item)


cdef class _Board:
    """Where helpers find work. They keep it alive, and not the crew, whose end ends them."""
    cdef PyThread_type_lock lock, done   # done is held; the last helper lets it go
    cdef PyThread_type_lock *bells       # by helper, each held; a ring lets it go
    cdef bint *rung
    cdef readonly int n_workers, n_helpers
    cdef int living, busy, forks
    cdef bint closed, caller_waits
    cdef _Job job

    def __cinit__(self, int n_workers):
        cdef int k
        self.n_workers = n_workers
        self.forks = _forks
        self.lock = PyThread_allocate_lock()
        self.done = _held_lock()
        self.bells = <PyThread_type_lock *>calloc(n_workers, sizeof(PyThread_type_lock))
        self.rung = <bint *>calloc(n_workers, sizeof(bint))
        if self.lock == NULL or self.done == NULL or self.bells == NULL or self.rung == NULL:
            raise MemoryError
        for k in range(1, n_workers):
            self.bells[k] = _held_lock()
            if self.bells[k] == NULL:
                raise MemoryError

    def __dealloc__(self):
        cdef int k
        if self.bells != NULL:
            for k in range(self.n_workers):
                if self.bells[k] != NULL:
                    PyThread_free_lock(self.bells[k])
        if self.lock != NULL:
            PyThread_free_lock(self.lock)
        if self.done != NULL:
            PyThread_free_lock(self.done)
        free(self.bells)
        free(self.rung)

    cdef void _ring(self, int worker) noexcept:
        """Wake a helper, if it has not been told already; under the lock."""
        if not self.rung[worker]:
            self.rung[worker] = True
            PyThread_release_lock(self.bells[worker])

    # ---- the caller's side ----------------------------------------------------------

    cdef start(self, int n_workers):
        """Have helpers for so many workers; fewer if the system gives no more threads."""
        while self.n_helpers < n_workers - 1:
            _acquire(self.lock)
            self.living += 1
            PyThread_release_lock(self.lock)
            try:
                _thread.start_new_thread(_help, (self, self.n_helpers + 1))
            except RuntimeError:
                _acquire(self.lock)
                self.living -= 1
                PyThread_release_lock(self.lock)
                return
            self.n_helpers += 1

    cdef offer(self, _Job job):
        """Let helpers join a job."""
        cdef int k
        _acquire(self.lock)
        self.job = job
        for k in range(1, min(job.n_workers, self.n_helpers + 1)):
            self._ring(k)
        PyThread_release_lock(self.lock)

    cdef withdraw(self, _Job job):
        """Let no one join any more, and wait for who has: nothing writes once the caller goes on."""
        cdef bint wait
        if self.forks != _forks:  # in a child process, whose only thread this is
            if self.busy:
                raise RuntimeError("The process was forked while other threads worked for this one.")
            return
        _acquire(self.lock)
        self.job = None
        wait = self.caller_waits = self.busy > 0
        PyThread_release_lock(self.lock)
        if wait:
            _acquire(self.done)

    cdef close(self, bint wait):
        """End the helpers, and perhaps wait until they are gone."""
        cdef int k
        if self.forks != _forks:
            return
        _acquire(self.lock)
        self.closed = True
        for k in range(1, self.n_helpers + 1):
            self._ring(k)
        wait = self.caller_waits = wait and self.living > 0
        PyThread_release_lock(self.lock)
        if wait:
            _acquire(self.done)

    # ---- everyone's -----------------------------------------------------------------

    cdef Py_ssize_t _take(self, _Job job) noexcept:
        """Return the place of the next item, -1 if there is none."""
        cdef Py_ssize_t k = -1
        _acquire(self.lock)
        if not job.stopped and job.taken < job.n_items:
            k = job.taken
            job.taken += 1
        PyThread_release_lock(self.lock)
        return k

    cdef work(self, _Job job, int worker):
        """Do items until none is left or one fails."""
        cdef Py_ssize_t k
        try:
            k = self._take(job)
            while k >= 0:
                job.results[k] = job.call(job.items[k], worker)
                k = self._take(job)
        except BaseException as error:
            job.stopped = True
            job.errors[worker] = error

    # ---- the helpers' side ----------------------------------------------------------

    cdef _Job _join(self, int worker):
        """Return the job to help with, or None."""
        cdef _Job job = None
        _acquire(self.lock)
        self.rung[worker] = False
        if self.job is not None and worker < self.job.n_workers and not self.closed:
            job = self.job
            self.busy += 1
        PyThread_release_lock(self.lock)
        return job

    cdef void _leave(self, bint for_good) noexcept:
        cdef bint tell
        _acquire(self.lock)
        if for_good:
            self.living -= 1
        else:
            self.busy -= 1
        tell = self.caller_waits and (self.living if self.closed else self.busy) == 0
        if tell:
            self.caller_waits = False
        PyThread_release_lock(self.lock)
        if tell:
            PyThread_release_lock(self.done)


def _help(_Board board, int worker):
    """Run a helper."""
    cdef _Job job
    while not board.closed:
        _acquire(board.bells[worker])
        job = board._join(worker)
        if job is not None:
            board.work(job, worker)
            job = None
            board._leave(False)
    board._leave(True)


cdef PyThread_type_lock _held_lock() noexcept:
    cdef PyThread_type_lock lock = PyThread_allocate_lock()
    if lock != NULL:
        PyThread_acquire_lock(lock, WAIT_LOCK)
    return lock


cdef void _acquire(PyThread_type_lock lock) noexcept:
    """Wait for a lock, without the GIL if it takes a while; signals wait, too."""
    if not PyThread_acquire_lock(lock, NOWAIT_LOCK):
        with nogil:
            PyThread_acquire_lock(lock, WAIT_LOCK)


cdef class Hands:
    """Threads that map functions over items; see `sklearn_vectorflow.threads.Crew`."""
    cdef readonly int n_workers
    cdef _Board board

    def __init__(self, int n_workers):
        self.n_workers = n_workers

    def __enter__(self):
        if self.n_workers > 1:
            self.board = _Board(self.n_workers)
        return self

    def __exit__(self, *error):
        cdef _Board board = self.board
        self.board = None
        if board is not None:
            board.close(True)

    def __del__(self):
        if self.board is not None:
            self.board.close(False)

    def ready(self, n_workers):
        """Start threads; return how many of so many there are, the caller's among them.

        As many calls that wait for each other can be mapped: each thread begins one.
        """
        n_workers = min(n_workers, self.n_workers)
        if self.board is None or n_workers <= 1:
            return 1
        if self.board.forks != _forks:
            self.board = _Board(self.n_workers)  # a child process has none of the threads
        self.board.start(n_workers)
        return min(n_workers, self.board.n_helpers + 1)

    def map(self, function, items, most=None):
        """Return ``[function(item) for item in items]``, shared between the threads, or at most so many.

        Items are handed out as threads become free. Each call may ask which thread it is
        in by a second argument if ``function`` is made by `by_worker`. After an error or an
        interrupt no further item is begun; all threads have stopped when the call is over.
        """
        cdef list waiting = list(items)
        cdef int n_workers = min(self.n_workers if most is None else min(self.n_workers, most), len(waiting))
        cdef _Job job
        if self.board is not None and self.board.forks != _forks:
            self.board = _Board(self.n_workers)  # a child process has none of the threads
        cdef _Board board = self.board
        if board is None or n_workers <= 1:
            job = _Job(function, [], 1)
            return [job.call(item, 0) for item in waiting]
        job = _Job(function, waiting, n_workers)
        board.start(n_workers)
        board.offer(job)
        board.work(job, 0)
        board.withdraw(job)
        errors, job.errors = job.errors, None
        for error in errors:
            if error is not None:
                raise error
        return job.results


cdef class Undo:
    """Puts things back if the block of its ``with`` fails or is interrupted.

    Parameters
    ----------
    restore : callable
        Called without arguments, from the start again if it is itself interrupted: what it
        does must be the same when done twice.
    """
    cdef object restore

    def __init__(self, restore):
        self.restore = restore

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        cdef int k
        restore, self.restore = self.restore, None
        if kind is None:
            return False
        interrupt = None
        for k in range(MOST_RESTORES):
            try:
                restore()
                break
            except BaseException as again:
                interrupt = again
        if interrupt is not None:
            raise interrupt
        return False
