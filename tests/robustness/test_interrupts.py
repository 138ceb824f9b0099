import signal
import sys
import threading
import time

import pytest
from runs import counts_of

from sklearn_vectorflow.engine.crew import Undo
from sklearn_vectorflow.threads import Crew

needs_timer = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")


def test_an_interrupt_at_every_bytecode_boundary_of_a_crew():
    counts = counts_of("boundaries.py")
    assert counts["interrupts"] == counts["boundaries"]


@pytest.mark.parametrize("of, step", [("source", 7), ("turn", 1)])
def test_an_interrupt_at_bytecode_boundaries_of(of, step):
    """Of reading ahead, and of the lock of a cache's folder."""
    counts = counts_of("boundaries.py", "--of", of, "--step", step)
    assert counts["interrupts"] > 100


@needs_timer
def test_interrupts_at_random_moments_of_all_calls():
    counts = counts_of("interrupts.py", "--count", 80)
    assert counts["interrupted"] == 80
    assert counts["as before"] > 25


@pytest.fixture
def interrupts(monkeypatch):
    """Lets SIGALRM, again and again, raise KeyboardInterrupt."""

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    yield lambda first, then: signal.setitimer(signal.ITIMER_REAL, first, then)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@needs_timer
def test_a_map_is_left_when_all_threads_are_done_however_many_interrupts(interrupts):
    main, working = threading.get_ident(), threading.Barrier(3)
    log = []

    def work(item):
        working.wait()
        if threading.get_ident() == main:
            interrupts(0.01, 0)
            time.sleep(5)
        time.sleep(0.3)
        log.append(item)

    def leave():
        with Crew(3) as crew:
            try:
                crew.map(work, range(3))
            finally:
                interrupts(0, 0)
                log.append("left")

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert log[-1] == "left" and len(log) == 3


@needs_timer
def test_interrupts_while_a_map_waits_come_when_it_is_over(interrupts):
    main, working, log = threading.get_ident(), threading.Barrier(2), []

    def work(item):
        working.wait()
        if threading.get_ident() == main:
            interrupts(0.02, 0.15)  # the next one after the map is far enough from its end
        else:
            for _ in range(10):
                time.sleep(0.02)
            log.append("done")

    with pytest.raises(KeyboardInterrupt):
        try:
            with Crew(2) as crew:
                crew.map(work, range(2))
        finally:
            interrupts(0, 0)
            log.append("left")
    assert log == ["done", "left"]


def test_an_error_wins_over_those_of_other_threads_and_ends_the_map():
    main, begun = threading.get_ident(), []

    def work(item):
        begun.append(item)
        time.sleep(0.01)
        raise ValueError("mine" if threading.get_ident() == main else "another's")

    with Crew(3) as crew:
        with pytest.raises(ValueError, match="mine"):
            crew.map(work, range(100))
        assert len(begun) <= 3
        assert crew.map(abs, range(-4, 0)) == [4, 3, 2, 1]


def test_a_crew_without_threads_to_get_works_alone(monkeypatch):
    import _thread

    def refuse(*arguments):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    with Crew(3) as crew:
        assert crew.map(abs, range(-4, 0)) == [4, 3, 2, 1]


class Interrupt:
    """A trace function that interrupts `restore` before its bytecode of some number."""

    def __init__(self, at):
        self.left = at

    def __call__(self, frame, event, argument):
        if frame.f_code.co_name != "restore":
            return None
        if not frame.f_trace_opcodes:
            frame.f_trace_opcodes = True
            sys.settrace(self)  # Python 3.12 and newer tell bytecodes only of frames that are marked before it
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


def test_an_undo_is_complete_whatever_bytecode_an_interrupt_comes_before():
    things = {}

    def restore():
        things.clear()
        things["first"] = 1
        things["second"] = 2

    def fail():
        with Undo(restore):
            things["third"] = 3
            raise ValueError("the block's own")

    n_interrupts = 0
    for at in range(1, 100):
        interrupt = Interrupt(at)
        before = sys.gettrace()
        sys.settrace(interrupt)
        try:
            fail()
        except KeyboardInterrupt:
            n_interrupts += 1
        except ValueError:
            break
        finally:
            sys.settrace(before)
        assert things == {"first": 1, "second": 2}
    assert n_interrupts > 5
    assert things == {"first": 1, "second": 2}


def test_an_undo_leaves_alone_what_succeeds_and_gives_up_where_it_cannot_work():
    calls = []
    with Undo(lambda: calls.append(1)):
        pass
    assert calls == []
    with pytest.raises(ZeroDivisionError), Undo(lambda: 1 / 0):
        raise ValueError
