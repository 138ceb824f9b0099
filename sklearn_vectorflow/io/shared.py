"""Sources that several fits read in step: each block is read once, and given to all of them."""

import contextlib
import threading
from typing import Any

import joblib
import sklearn
from joblib.parallel import get_active_backend

from sklearn_vectorflow.io.ahead import Ahead
from sklearn_vectorflow.io.blocks import drained, first_blocks
from sklearn_vectorflow.io.cache import Kept, as_source
from sklearn_vectorflow.io.source import Source, source_name
from sklearn_vectorflow.threads import n_allowed


class Stopped(Exception):
    """Ends the readers of a round that is given up."""


class Readers:
    """Runs functions in threads of their own, which read shared sources in step.

    A pass begins once every thread that still runs waits for one. Those that want the same order of the same source
    share it: the next block is read when each of them has taken the last. So one block is held, however many threads
    there are, beside what the source itself reads ahead. A thread that waits lets another work in its place.

    Parameters
    ----------
    n_jobs : int or None
        Threads that may work at a time, through joblib. If several may, each has one thread for itself.
    """

    def __init__(self, n_jobs):
        self.n_places = n_allowed(n_jobs)
        backend, n_threads = get_active_backend(prefer="threads")
        self._outside = {"backend": backend, "n_jobs": n_threads}
        self._inside = self._outside if self.n_places == 1 else {"backend": "sequential"}
        self._changed = threading.Condition()
        self._n_free = self.n_places
        self._n_running = 0
        self._waiting = []  # readers that want a pass to begin
        self._stopped = False

    def shared(self, X):
        """Return a source that the threads share, or one of rows in memory if the buffer of a source holds all."""
        source = as_source(X)
        if isinstance(source, Kept):
            return source
        with contextlib.ExitStack() as stack:
            head, rest = first_blocks(stack.enter_context(source.checked()), source.buffer_bytes)
            if rest is not None:
                return Shared(self, source, (head, rest, stack.pop_all()))
        source.release()
        return Kept(source, head)

    def map(self, function, items):
        """Return ``function(item)`` of all items, which are worked on at once; an error ends all of them."""
        self._n_running, self._stopped = len(items), False
        self._waiting, self._n_free = [], self.n_places
        config = sklearn.get_config()

        def run(item):
            try:
                with joblib.parallel_config(**self._inside), sklearn.config_context(**config):
                    self._take_place()
                    return function(item)
            finally:
                self._leave()

        with Ahead(run, items, max(1, len(items))) as done, contextlib.closing(self):
            return list(done)

    def close(self):
        """End the threads at the next block they want."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _leave(self):
        with self._changed:
            self._n_running -= 1
            self._n_free += 1
            self._begin_passes()
            self._changed.notify_all()

    def _take_place(self):
        with self._changed:
            self._wait(lambda: self._n_free > 0)
            self._n_free -= 1

    def _wait(self, ready):
        self._changed.wait_for(lambda: self._stopped or ready())
        if self._stopped:
            raise Stopped

    @contextlib.contextmanager
    def away(self):
        """Let another thread work in place of this one, which has the lock meanwhile."""
        with self._changed:
            self._n_free += 1
            self._changed.notify_all()
            try:
                yield
            finally:
                # a stopped thread counts as working until it leaves
                self._changed.wait_for(lambda: self._stopped or self._n_free > 0)
                self._n_free -= 1

    def join_pass(self, reader):
        """Wait for the pass of a reader to begin."""
        with self.away():
            self._waiting.append(reader)
            self._begin_passes()
            self._wait(lambda: reader.shared_pass is not None)

    def _begin_passes(self):
        if not self._waiting or len(self._waiting) < self._n_running:
            return
        groups = {}
        for reader in self._waiting:
            groups.setdefault(reader.wanted, []).append(reader)
        for group in groups.values():
            shared_pass = _Pass(group)
            for reader in group:
                reader.shared_pass = shared_pass
        self._waiting = []
        self._changed.notify_all()

    def next_block(self, reader):
        """Return the next block of a reader's pass; None at its end."""
        shared_pass = reader.shared_pass
        with self.away():
            self._wait(lambda: reader.n_taken < shared_pass.n_read or shared_pass.may_read)
            if reader.n_taken == shared_pass.n_read:
                self._read(shared_pass)
            reader.n_taken += 1
            shared_pass.n_behind -= 1
            block, error = shared_pass.block, shared_pass.error
            if shared_pass.n_behind == 0:
                shared_pass.block = None
            self._changed.notify_all()
        if error is not None:
            raise error
        return block

    def _read(self, shared_pass):
        """Read a block without the lock, which others need to take their places."""
        shared_pass.is_reading = True
        self._changed.release()
        block, error = None, None
        try:
            with joblib.parallel_config(**self._outside):
                block = shared_pass.next()
        except BaseException as raised:
            error = raised
        finally:
            self._changed.acquire()
            shared_pass.is_reading = False
        shared_pass.block, shared_pass.error = block, error
        shared_pass.n_read += 1
        shared_pass.n_behind = shared_pass.n_readers

    def leave_pass(self, reader):
        """Let the others of a pass go on without a reader; the last one closes it."""
        shared_pass = reader.shared_pass
        with self._changed:
            if reader in self._waiting:
                self._waiting.remove(reader)
            if shared_pass is None:
                return
            shared_pass.n_readers -= 1
            if reader.n_taken < shared_pass.n_read:
                shared_pass.n_behind -= 1
            last = shared_pass.n_readers == 0
            self._changed.notify_all()
        if last:
            shared_pass.close()


class _Pass:
    """One pass over a source for a group of readers."""

    def __init__(self, group):
        self.source = group[0].source
        self.order, self.held = group[0].order, group[0].held
        for reader in group[1:]:  # they have the same blocks
            if reader.held is not None:
                reader.held.clear()
        self.n_readers = len(group)
        self.n_read = 0
        self.n_behind = 0  # readers that have not taken the last block
        self.is_reading = False
        self.block = None
        self.error = None
        self._blocks = None
        self._open = contextlib.ExitStack()

    @property
    def may_read(self):
        """Whether nobody reads, and all have taken what was read."""
        return self.n_behind == 0 and not self.is_reading

    def next(self):
        """Read a block; None at the end."""
        if self._blocks is None:
            self._blocks = self.source.opened(self._open, self.order, self.held)
        return next(self._blocks, None)

    def close(self):
        self._open.close()


class _Reader:
    """One thread's part in a pass: a context manager whose value iterates over the blocks."""

    def __init__(self, source, order, held):
        self.source = source
        self.order = order
        self.held = held
        self.wanted = id(source), None if order is None else tuple(order)
        self.shared_pass = None
        self.n_taken = 0

    def __enter__(self):
        try:
            self.source.readers.join_pass(self)
        except BaseException:
            self.source.readers.leave_pass(self)
            raise
        return self._blocks()

    def __exit__(self, *error):
        self.source.readers.leave_pass(self)

    def _blocks(self):
        while (block := self.source.readers.next_block(self)) is not None:
            yield block


class Shared(Source):
    """A source whose blocks several threads read in step.

    Parameters
    ----------
    readers : Readers
    source : Source
    begun : tuple
        A pass that has begun: blocks read so far, an iterator over the others, and what closes it.
    """

    reads_ahead = False  # a window that waits would be one for each thread

    def __init__(self, readers: Readers, source: Source, begun: Any) -> None:
        options = {name: getattr(source, name) for name in ("buffer_bytes", "survey", "n_jobs", "classes")}
        super().__init__(**options)
        self.readers = readers
        self.source = source
        self.n_rows, self.n_features, self.n_parts = source.n_rows, source.n_features, source.n_parts
        self.why_no_targets = source.why_no_targets
        self._stands_for = source_name(source)
        self._begun = begun

    def checked(self, order=None, held=None):
        """Return a context manager whose value iterates over checked blocks, see `Source.checked`."""
        return _Reader(self, order, held)

    def opened(self, stack, order, held):
        """Return an iterator over checked blocks, which a stack closes: of the pass that has begun, or a new one."""
        if order is None and self._begun is not None:
            (head, rest, begun), self._begun = self._begun, None
            stack.enter_context(begun)
            return drained(head, rest)
        self.close()
        return stack.enter_context(self.source.checked(order, held))

    def close(self) -> None:
        """Stop the pass that had begun, if nobody took it."""
        if self._begun is not None:
            begun, self._begun = self._begun, None
            begun[2].close()

    def finish(self) -> None:
        """Let go of what is read, when no thread reads any more."""
        self.close()
        self.source.release()

    def __str__(self) -> str:
        return f"{self.source}"
