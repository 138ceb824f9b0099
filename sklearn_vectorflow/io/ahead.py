"""Work done ahead of its use by threads, in order and bounded."""

import threading
import time

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
        self._function = function
        self._items = iter(items)
        self._n_items = 0
        self._taking = threading.Lock()
        self._changed = threading.Condition()
        self._results = {}
        self._error = None
        self._end = None
        self._stopped = False
        self._n_taken = 0
        n_threads = max(1, n_threads)  # without a thread nobody would find out that there are no items
        self._n_ahead = n_threads + n_waiting
        self._n_begun = 0
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(n_threads)]

    def __enter__(self):
        try:
            for thread in self._threads:
                thread.start()
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
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))

    def _stop(self):
        with self._changed:
            self._stopped = True
            self._results.clear()
            self._changed.notify_all()

    def __iter__(self):
        return self

    def __next__(self):
        with self._changed:
            while True:
                if self._error is not None:
                    raise self._error
                if self._n_taken in self._results:
                    result = self._results.pop(self._n_taken)
                    self._n_taken += 1
                    self._changed.notify_all()
                    return result
                if self._stopped or self._n_taken == self._end:
                    raise StopIteration
                self._changed.wait(LOOK)

    def _work(self):
        try:
            while self._may_begin():
                index, item = self._take()
                if index is None:
                    return
                result = self._function(item)
                with self._changed:
                    self._results[index] = result
                    self._changed.notify_all()
        except BaseException as error:
            with self._changed:
                self._error = audible(error, "Work that was done ahead")
                self._changed.notify_all()

    def _may_begin(self):
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._n_begun < self._n_taken + self._n_ahead)
            self._n_begun += 1
            return not self._stopped

    def _take(self):
        # items may come from slow code, which must not hold up who waits for results
        with self._taking:
            for item in self._items:
                self._n_items += 1
                return self._n_items - 1, item
        with self._changed:
            self._end = self._n_items
            self._changed.notify_all()
        return None, None
