"""An interrupt at every bytecode boundary of the calling thread while a crew works, or a source is read.

    python tools/robustness/boundaries.py --repeats 20
    python tools/robustness/boundaries.py --of source

After each: the call is over in time, with KeyboardInterrupt, no other thread is in an item, the threads go, a fitted
model is as before, and the next call is right.
"""

import argparse
import collections
import shutil
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import common
import numpy as np

from sklearn_vectorflow import threads
from sklearn_vectorflow.io import Source, ahead, turns, write_cache
from sklearn_vectorflow.io.blocks import Block

LEAVE = 2.0  # seconds that threads may take to go


class Interrupt:
    """A trace function that interrupts before the bytecode of some number, of those in some files."""

    def __init__(self, at, files):
        self.at = at
        self.files = files
        self.seen = 0
        self.where = None

    def __call__(self, frame, event, argument):
        if frame.f_code.co_filename not in self.files or frame.f_code.co_name == "try_at":
            return None
        if not frame.f_trace_opcodes:
            frame.f_trace_opcodes = True
            sys.settrace(self)  # Python 3.12 and newer tell bytecodes only of frames that are marked before it
        if event == "opcode":
            self.seen += 1
            if self.seen == self.at:
                self.where = f"{frame.f_code.co_name}:{frame.f_lineno}, bytecode {frame.f_lasti}"
                raise KeyboardInterrupt
        return self


class Items:
    """Work that tells in which threads it is begun and done."""

    def __init__(self):
        self.begun, self.done = collections.Counter(), collections.Counter()

    def __call__(self, item):
        me = threading.get_ident()
        self.begun[me] += 1
        time.sleep(2e-4)
        self.done[me] += 1
        return item * item

    def in_other_threads(self):
        """Return how many items other threads are in."""
        me = threading.get_ident()
        return sum(n - self.done[thread] for thread, n in self.begun.items() if thread != me)


class OfCrew:
    """A crew, and two maps in it."""

    files = {threads.__file__, __file__}

    def __init__(self):
        self.work = Items()

    def use(self):
        """What is interrupted."""
        with threads.Crew(3) as crew:
            crew.map(self.work, range(6))
            return crew.map(self.work, range(5), 2)

    def check_now(self):
        """Check what must hold when the interrupt is through."""
        busy = self.work.in_other_threads()
        assert busy == 0, f"{busy} item(s) in other threads"

    def check_after(self):
        """Check that what follows works."""
        with threads.Crew(3) as crew:
            assert crew.map(self.work, range(7)) == [item * item for item in range(7)]


class Parts(Source):
    """Rows in parts that three threads read, streamed in several windows."""

    n_parts = 4

    def __init__(self):
        super().__init__(buffer_bytes=30_000, n_jobs=3)

    def read(self, piece):
        """Return some rows."""
        rows = slice(150 * piece, 150 * piece + 150)
        return (Block(common.X[rows], common.Y[rows]),)


class OfSource:
    """A fit of a fitted model to a source, of which one pass is streamed."""

    files = {ahead.__file__}
    model = None

    def __init__(self):
        if self.model is None:
            OfSource.model = self.fresh().fit(common.X[:300], common.Y[:300])
            OfSource.right = self.fresh().fit(Parts()).decision_function(common.X)
        self.before = vars(self.model).copy()
        self.outputs = self.model.decision_function(common.X)

    def fresh(self):
        """Return an unfitted model."""
        return common.make("ftrl", max_iter=1, n_jobs=1)

    def use(self):
        """What is interrupted."""
        self.model.fit(Parts())

    def check_now(self):
        """Check what must hold when the interrupt is through."""
        now = vars(self.model)
        assert now.keys() == self.before.keys() and all(now[name] is self.before[name] for name in now)
        np.testing.assert_array_equal(self.model.decision_function(common.X), self.outputs)

    def check_after(self):
        """Check that what follows works."""
        np.testing.assert_array_equal(self.fresh().fit(Parts()).decision_function(common.X), self.right)


class OfTurn:
    """A cache that is written, for which a folder's lock is held."""

    files = {turns.__file__}

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp())

    def use(self):
        """What is interrupted."""
        write_cache([(common.X, common.Y)], self.folder / "cache")

    def check_now(self):
        """Check what must hold when the interrupt is through."""

    def check_after(self):
        """Check that what follows works."""
        self.use()
        shutil.rmtree(self.folder)


def try_at(at, kind):
    """Run up to an interrupt; return where it came, None if the run was over before."""
    n_before, case = common.n_threads(), kind()
    interrupt = Interrupt(at, kind.files)
    with common.in_time():
        try:
            sys.settrace(interrupt)
            try:
                case.use()
            finally:
                sys.settrace(None)
        except KeyboardInterrupt as error:
            traceback.clear_frames(error.__traceback__)
        try:
            if interrupt.where is not None:
                case.check_now()
            common.wait_for_threads(n_before, LEAVE)
            case.check_after()
            common.wait_for_threads(n_before, LEAVE)
        except BaseException as error:
            error.add_note(f"after an interrupt at {interrupt.where}")
            raise
    return interrupt.where


KINDS = {"crew": OfCrew, "source": OfSource, "turn": OfTurn}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--of", default="crew", choices=list(KINDS))
    parser.add_argument("--step", type=int, default=1, help="interrupt at every so many boundaries only")
    options = parser.parse_args()
    counts = collections.Counter({"interrupts": 0, "boundaries": 0})
    for _ in range(options.repeats):
        at = 1
        while try_at(at, KINDS[options.of]) is not None:
            counts["interrupts"] += 1
            counts["boundaries"] = max(counts["boundaries"], at)
            at += options.step
    assert counts["boundaries"] > 20
    common.report(counts)


if __name__ == "__main__":
    main()
