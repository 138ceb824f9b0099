"""How many threads, and work shared between them."""

import functools
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
from joblib.parallel import get_active_backend
from threadpoolctl import ThreadpoolController

# Non-zeros times outputs that are worth a thread: some ten milliseconds of work.
WORTHWHILE = 1_000_000

# Rows in a step from which threads gain more than they lose by waiting for the GIL.
WORTH_THE_GIL = 64


def n_allowed(n_jobs):
    """Return the number of threads that joblib allows: None is 1 outside its contexts, -1 all cores.

    Asked for threads, joblib does not say how many processes there may be: in daemonic ones, none.
    """
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
    return min(pools, default=joblib.cpu_count())


@functools.cache
def _openmp_pools():
    return ThreadpoolController().select(user_api="openmp")  # looks at all libraries: a millisecond


class Crew:
    """Threads that live as long as a fit; the caller's is one of them.

    They are Python's own and not joblib's, whose caller looks for results every ten
    milliseconds only, about as long as a pass may take. How many there are is for joblib to
    say, see `n_workers`.

    Parameters
    ----------
    n_workers : int
        1 runs everything in the caller's thread.
    """

    def __init__(self, n_workers):
        self.n_workers = n_workers
        self._others = None

    def __enter__(self):
        if self.n_workers > 1:
            self._others = ThreadPoolExecutor(self.n_workers - 1)
        return self

    def __exit__(self, *error):
        if self._others is not None:
            self._others.shutdown()

    def ranges(self, n):
        """Return ranges that cover [0, n), some for every thread."""
        n_ranges = min(n, 4 * self.n_workers) if self.n_workers > 1 else 1
        edges = [k * n // n_ranges for k in range(n_ranges + 1)]
        return list(zip(edges[:-1], edges[1:]))

    def map(self, function, items, most=None):
        """Return ``[function(item) for item in items]``, shared between the threads, or at most so many.

        Items are handed out as threads become free. Each call may ask which thread it is
        in by a second argument if ``function`` is made by `by_worker`.
        """
        items = list(items)
        if self._others is None:
            return [function(item, 0) if _wants_worker(function) else function(item) for item in items]
        shared = _Shared(items)
        n_workers = min(self.n_workers, len(items), self.n_workers if most is None else most)
        try:
            others = [self._others.submit(_work, function, shared, worker) for worker in range(1, n_workers)]
            _work(function, shared, 0)
        finally:
            shared.stop()  # also waits: nothing may write once the caller goes on
        for other in others:
            other.result()
        return shared.results


ALONE = Crew(1)


def by_worker(function):
    """Mark a function that takes (item, index of the worker)."""

    @functools.wraps(function)
    def marked(item, worker):
        return function(item, worker)

    marked.wants_worker = True
    return marked


def _wants_worker(function):
    return getattr(function, "wants_worker", False)


class _Shared:
    """Items waiting, and the results of those done."""

    def __init__(self, items):
        self.items = items
        self.results = [None] * len(items)
        self._next = itertools.count()
        self._changed = threading.Condition()
        self.stopped = False
        self._busy = 0

    def take(self):
        """Return the index of the next item, or None."""
        with self._changed:
            index = next(self._next)
            if self.stopped or index >= len(self.items):
                return None
            self._busy += 1
            return index

    def give_back(self):
        """Tell that an item is done, or has failed."""
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def stop(self):
        """Hand out no more items, and wait for those in work: an error or an interrupt ends it all."""
        with self._changed:
            self.stopped = True
            self._changed.wait_for(lambda: self._busy == 0)


def _work(function, shared, worker):
    while (index := shared.take()) is not None:
        item = shared.items[index]
        try:
            shared.results[index] = function(item, worker) if _wants_worker(function) else function(item)
        except BaseException:
            shared.stopped = True
            raise
        finally:
            shared.give_back()
