"""The number of threads, work shared between them, and locks of objects that only one thread may write to.

Thread safety, with and without the GIL: any number of threads may read a model while one writes to it. Writers take
turns (`Turn`), and replace what they have changed by one assignment. Only training changes weights in place, see
`Network`. A `Crew` and the engine's workers belong to the thread that entered them.
"""

import functools
import numbers
import os
import threading
import weakref

import joblib
from joblib.parallel import get_active_backend
from threadpoolctl import ThreadpoolController

from sklearn_vectorflow.engine import crew as engine

# Non-zeros times outputs that justify another thread: about ten milliseconds of work.
WORTHWHILE = 1_000_000

# Mini-batch size from which threads save more time than they lose by waiting for the GIL.
WORTH_THE_GIL = 64

# Features that are never divided among threads: whole groups of those that kernels read together.
BLOCK = 128


def n_allowed(n_jobs):
    """Return the number of threads that joblib allows: None means 1 outside its contexts, -1 all cores.

    Asking joblib for threads avoids its limit for processes, which is zero in daemonic processes.
    """
    if n_jobs is not None and not isinstance(n_jobs, numbers.Integral):
        raise TypeError(f"n_jobs must be None or a non-zero integer, got {n_jobs!r}.")
    backend, jobs_of_context = get_active_backend(prefer="threads")
    return backend.effective_n_jobs(jobs_of_context if n_jobs is None else n_jobs)


def n_workers(n_jobs, work):
    """Return the number of threads for an amount of work.

    Parameters
    ----------
    n_jobs : int or None
        As everywhere in scikit-learn: None means 1 outside a joblib context, -1 all cores. The limits of threadpoolctl
        and of joblib's nested parallelism apply.
    work : int
        Approximate number of multiplications.
    """
    jobs = n_allowed(n_jobs)
    if jobs > 1:
        jobs = min(jobs, max(1, work // WORTHWHILE))
    return min(jobs, _pool_limit()) if jobs > 1 else 1


def _pool_limit():
    """Return the smallest number of threads that threadpoolctl or OMP_NUM_THREADS allows."""
    pools = [pool["num_threads"] for pool in _openmp_pools().info()]
    return min(pools, default=n_cores())


def n_cores():
    """Return how many cores this process may use, as joblib counts them."""
    return joblib.cpu_count()


@functools.cache
def _openmp_pools():
    return ThreadpoolController().select(user_api="openmp")  # looks at all libraries: a millisecond


class _SingleThreadedBlas:
    """Context in which BLAS runs in the threads that call it, for small matrices between passes over the rows.

    A thread of OpenBLAS that has done its part waits busily for the next, for milliseconds, on a core that the crew's
    threads need. The number of BLAS's threads belongs to the process, and several fits may be in this context at a
    time: the first one sets it and the last one restores it.
    """

    def __init__(self):
        self.begin_anew()

    def begin_anew(self):
        """Forget who is inside."""
        self._lock, self._n_inside, self._limits = threading.Lock(), 0, None

    def __enter__(self):
        with self._lock:
            if self._n_inside == 0:
                self._limits = _blas_pools().limit(limits=1)
            self._n_inside += 1

    def __exit__(self, *_):
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0:
                self._limits.restore_original_limits()


single_threaded_blas = _SingleThreadedBlas()
if hasattr(os, "register_at_fork"):  # in a forked process nobody else is inside, and nobody would give the lock back
    os.register_at_fork(after_in_child=single_threaded_blas.begin_anew)


@functools.cache
def _blas_pools():
    return ThreadpoolController().select(user_api="blas")


class Crew(engine.Hands):
    """The threads of a fit, including the caller's.

    They are threads of Python, not of joblib, which checks for results only every ten milliseconds: a pass may take as
    long. joblib determines their number, see `n_workers`. The first `map` starts them, and leaving the ``with`` block
    ends them.

    Parameters
    ----------
    n_workers : int
        Number of threads. With 1, everything runs in the caller's thread.
    """

    def ranges(self, n):
        """Return ranges that cover [0, n), several for each thread.

        They are of whole blocks: what is computed of the features of a group together must not depend on the threads.
        """
        n_blocks = -(-n // BLOCK)
        n_ranges = max(1, min(n_blocks, 4 * self.n_workers)) if self.n_workers > 1 else 1
        edges = [min(n, k * n_blocks // n_ranges * BLOCK) for k in range(n_ranges + 1)]
        return list(zip(edges[:-1], edges[1:]))


ALONE = Crew(1)


def by_worker(function):
    """Mark a function with the arguments (item, index of the worker)."""

    @functools.wraps(function)
    def marked(item, worker):
        return function(item, worker)

    marked.wants_worker = True
    return marked


class Turn:
    """A lock that lets one thread at a time write to an object.

    The lock of ``with turn.lock:`` is reentrant. Copies of the object, pickled copies and those in a forked process
    have their own lock, which is free.
    """

    def __init__(self):
        self._locks = {}  # by forks: in a forked process nobody would give back what others held

    @property
    def lock(self):
        """The lock in this process."""
        forks = engine.forks()
        try:
            return self._locks[forks]  # without a lock of the dict's, unlike dict.get where there is no GIL
        except KeyError:
            return self._locks.setdefault(forks, threading.RLock())  # the first one's stays

    def __reduce__(self):
        return Turn, ()


_TURNS_OF: dict = {}  # by id of what is written to: its turn, and what forgets it


def turn_of(thing):
    """Return the turn of an object. It is not an attribute, as the attributes of estimators are for users."""
    key = id(thing)
    try:
        return _TURNS_OF[key][0]
    except KeyError:
        forget = functools.partial(_TURNS_OF.pop, key)  # no bytecode, in which an interrupt would be lost
        return _TURNS_OF.setdefault(key, (Turn(), weakref.ref(thing, forget)))[0]  # the first one's stays
