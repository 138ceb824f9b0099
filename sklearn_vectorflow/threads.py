"""How many threads, work shared between them, and turns at what only one may write to.

What is safe with and without the GIL: any number of threads may read a model beside one that writes to it. Writers
take turns (`Turn`), and swap what they made in by one assignment; training alone steps weights in place, see
`Network`. A `Crew` belongs to the thread that entered it, as the engine's workers do.
"""

import functools
import numbers
import threading
import weakref

import joblib
from joblib.parallel import get_active_backend
from threadpoolctl import ThreadpoolController

from sklearn_vectorflow.engine import crew as engine

# Non-zeros times outputs that are worth a thread: some ten milliseconds of work.
WORTHWHILE = 1_000_000

# Rows in a step from which threads gain more than they lose by waiting for the GIL.
WORTH_THE_GIL = 64


def n_allowed(n_jobs):
    """Return the number of threads that joblib allows: None is 1 outside its contexts, -1 all cores.

    Asked for threads, joblib does not say how many processes there may be: in daemonic ones, none.
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
        As everywhere in scikit-learn: None is 1 outside a joblib context, -1 all cores.
        Limits of threadpoolctl and of joblib's nested parallelism hold.
    work : int
        Multiplications the work needs, about.
    """
    jobs = n_allowed(n_jobs)
    if jobs > 1:
        jobs = min(jobs, max(1, work // WORTHWHILE))
    return min(jobs, _pool_limit()) if jobs > 1 else 1


def _pool_limit():
    """The least number of threads that threadpoolctl or OMP_NUM_THREADS allows."""
    pools = [pool["num_threads"] for pool in _openmp_pools().info()]
    return min(pools, default=n_cores())


def n_cores():
    """Return how many cores this process may use, as joblib counts them."""
    return joblib.cpu_count()


@functools.cache
def _openmp_pools():
    return ThreadpoolController().select(user_api="openmp")  # looks at all libraries: a millisecond


class Crew(engine.Hands):
    """Threads that live as long as a fit; the caller's is one of them.

    They are Python's own and not joblib's, whose caller looks for results every ten
    milliseconds only, about as long as a pass may take. How many there are is for joblib to
    say, see `n_workers`. The first `map` starts them, and leaving the ``with`` ends them.

    Parameters
    ----------
    n_workers : int
        1 runs everything in the caller's thread.
    """

    def ranges(self, n):
        """Return ranges that cover [0, n), some for every thread."""
        n_ranges = min(n, 4 * self.n_workers) if self.n_workers > 1 else 1
        edges = [k * n // n_ranges for k in range(n_ranges + 1)]
        return list(zip(edges[:-1], edges[1:]))


ALONE = Crew(1)


def by_worker(function):
    """Mark a function that takes (item, index of the worker)."""

    @functools.wraps(function)
    def marked(item, worker):
        return function(item, worker)

    marked.wants_worker = True
    return marked


class Turn:
    """Lets one thread at a time write to an object.

    ``with turn.lock:`` waits for the turn; who has it may take it again. Copies of the object,
    pickled ones and those in a forked process have turns of their own, which nobody holds.
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
    """Return the turn of an object that may have no attribute for it: estimators have theirs for users alone."""
    key = id(thing)
    try:
        return _TURNS_OF[key][0]
    except KeyError:
        forget = functools.partial(_TURNS_OF.pop, key)  # no bytecode, in which an interrupt would be lost
        return _TURNS_OF.setdefault(key, (Turn(), weakref.ref(thing, forget)))[0]  # the first one's stays
