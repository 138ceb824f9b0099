"""An interrupt at every bytecode boundary of the calling thread while a crew works.

    python tools/robustness/boundaries.py --repeats 20

After each: the call is over in time, no other thread is in an item, the threads go, and the next map is right.
"""

import argparse
import collections
import sys
import threading
import time
import traceback

import common

from sklearn_vectorflow import threads

WATCHED = {threads.__file__, __file__}


class Interrupt:
    """A trace function that interrupts before the bytecode of some number."""

    def __init__(self, at):
        self.at = at
        self.seen = 0
        self.where = None

    def __call__(self, frame, event, argument):
        if frame.f_code.co_filename not in WATCHED or frame.f_code.co_name == "interrupted":
            return None
        frame.f_trace_opcodes = True
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


def use(work):
    """What is interrupted: a crew, two maps in it."""
    with threads.Crew(3) as crew:
        crew.map(work, range(6))
        return crew.map(work, range(5), 2)


def interrupted(at):
    """Run up to an interrupt; return where it came, None if the run was over before."""
    work, interrupt = Items(), Interrupt(at)
    n_before = common.n_other_threads()
    with common.in_time():
        sys.settrace(interrupt)
        try:
            use(work)
        except KeyboardInterrupt as error:
            sys.settrace(None)
            busy = work.in_other_threads()
            traceback.clear_frames(error.__traceback__)
        else:
            sys.settrace(None)
            busy = work.in_other_threads()
        assert busy == 0, f"{busy} item(s) in other threads after an interrupt at {interrupt.where}"
        common.wait_for_threads(n_before)
        with threads.Crew(3) as crew:
            assert crew.map(work, range(7)) == [item * item for item in range(7)], interrupt.where
        common.wait_for_threads(n_before)
    return interrupt.where


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1)
    counts = collections.Counter({"interrupts": 0, "boundaries": 0})
    for _ in range(parser.parse_args().repeats):
        at = 1
        while interrupted(at) is not None:
            counts["interrupts"] += 1
            counts["boundaries"] = max(counts["boundaries"], at)
            at += 1
    assert counts["boundaries"] > 20
    common.report(counts)


if __name__ == "__main__":
    main()
