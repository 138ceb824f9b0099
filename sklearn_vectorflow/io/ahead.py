"""Work done ahead of its use by threads, in order and bounded.

An interrupt may come before any bytecode of who takes the results. That thread holds no lock, and waits in functions
of C alone: they end with the interrupt, or are complete.
"""

import _thread
import functools
import queue
import time
import types
import weakref

LOOK = 0.1  # seconds between two looks at interrupts
PATIENCE = 0.3  # seconds that closing waits for work in hand; a stream closes two: within a second


SILENT = (StopIteration, StopAsyncIteration, GeneratorExit)  # who iterates takes them for the end


def audible(error, who):
    """Return an error that nobody takes for the end of an iteration: the same, or one that it causes."""
    if not isinstance(error, SILENT):
        return error
    loud = RuntimeError(f"{who} raised {error!r}, which would have ended the pass without an error.")
    loud.__cause__ = error
    return loud


def close_generator(items):
    """Close what is iterated over if it is a generator, and so the files it has open.

    After an error the traceback has the generator, which would live as long.
    """
    if isinstance(items, types.GeneratorType):
        items.close()


class Ahead:
    """Iterates over ``function(item)`` in the order of the items, computed ahead by threads.

    An error in a thread is raised by the next look at the iterator, whatever came before
    it in the order.

    Parameters
    ----------
    function : callable
        Called from the threads. It should leave Python's lock alone most of its time.
    items : iterable
        Taken one by one, by one thread at a time.
    n_threads : int, default=1
        At least one is started.
    n_waiting : int, default=1
        Most results that wait to be taken, beside those that threads are working on.
    """

    def __init__(self, function, items, n_threads=1, n_waiting=1):
        self._n_threads = max(1, n_threads)  # without a thread nobody would find out that there are no items
        self._work = _Work(function, items, self._n_threads + n_waiting, self)
        self._ended = []  # by thread: a lock that it lets go at its end
        self._results = {}
        self._n_taken = 0

    def __enter__(self):
        try:
            for _ in range(self._n_threads):
                ended = _thread.allocate_lock()
                ended.acquire()
                self._ended.append(ended)
                _thread.start_new_thread(self._work.run, (ended,))  # `Thread.start` waits in Python
        except BaseException:  # those that have started would wait for ever
            self._stop()
            raise
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        """Begin nothing more. A thread that does not come back soon is left behind."""
        self._stop()
        until = time.monotonic() + PATIENCE
        for ended in self._ended:
            if ended.acquire(timeout=max(0.0, until - time.monotonic())):
                ended.release()

    def _stop(self):
        self._work.stopped = True
        self._work.turns.put(None)
        self._work.results.put(None)
        self._results = {}

    def __iter__(self):
        return self

    def __next__(self):
        work = self._work
        while True:
            if work.error is not None:
                raise work.error
            if work.stopped or self._n_taken == work.n_all:
                raise StopIteration
            if self._n_taken in self._results:
                result = self._results.pop(self._n_taken)
                self._n_taken += 1
                work.turns.put(None)
                return result
            try:
                found = work.results.get(timeout=LOOK)
            except queue.Empty:
                continue
            if found is not None:
                number, result = found
                self._results[number] = result


class _Work:
    """What the threads share. They keep it alive, and not the `Ahead`, whose end ends them."""

    def __init__(self, function, items, n_ahead, owner):
        self.function = function
        self.items = iter(items)
        self.taking = _thread.allocate_lock()
        self.n_begun = 0
        self.n_all = None  # items there are, once that is known
        self.error = None
        self.stopped = False
        self.results = queue.SimpleQueue()  # pairs of number and result; None to look at the rest
        self.turns = queue.SimpleQueue()  # as many as items may be begun, and one more at the end
        for _ in range(n_ahead):
            self.turns.put(None)
        # no bytecode, in which an interrupt would be lost; the reference itself stands for `block`
        self.owner = weakref.ref(owner, functools.partial(self.turns.put, None))

    def run(self, ended):
        """Do items until none is left, one fails or nobody wants them."""
        try:
            while self._may_begin() and self._do_one():
                pass
        except BaseException as error:
            self.error = audible(error, "Work that was done ahead")
        finally:
            self._close_items()
            self.results.put(None)
            ended.release()

    def _close_items(self):
        """Close the items, unless another thread takes one: that thread will close them."""
        if self.taking.acquire(blocking=False):
            try:
                close_generator(self.items)
            except BaseException as error:
                self.error = self.error or audible(error, "What was read ahead")
            finally:
                self.taking.release()

    def _may_begin(self):
        self.turns.get()
        if self.stopped or self.owner() is None:
            self.turns.put(None)  # for the next thread
            return False
        return True

    def _do_one(self):
        """Do the next item; return whether there was one, and keep nothing of it."""
        # items may come from slow code, which must not hold up who waits for results
        with self.taking:
            number = self.n_begun
            item = next(self.items, self)
            if item is self:
                self.n_all = number
                return False
            self.n_begun += 1
        self.results.put((number, self.function(item)))
        return True
