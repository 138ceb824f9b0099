import gc
import os
import threading

import pytest
from runs import counts_of

from sklearn_vectorflow import threads
from sklearn_vectorflow.threads import Crew, Turn, turn_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks on this system")


def test_forks_while_threads_train_settle_and_predict():
    counts = counts_of("forks.py", "--count", 12)
    assert counts["fine"] == 12


def exit_code(function):
    """Return what a forked process ends with: 0 if the function is true there."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if function() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_crew_works_on_in_a_forked_process_without_its_threads():
    with Crew(3) as crew:
        assert crew.map(abs, range(-9, 0)) == list(range(9, 0, -1))
        assert exit_code(lambda: crew.map(abs, range(-9, 0)) == list(range(9, 0, -1))) == 0
        assert crew.map(abs, range(-9, 0)) == list(range(9, 0, -1))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_turns_that_other_threads_held():
    turn, taken, enough = Turn(), threading.Event(), threading.Event()

    def hold():
        with turn.lock:
            taken.set()
            enough.wait()

    other = threading.Thread(target=hold)
    other.start()
    taken.wait()
    try:
        assert not turn.lock.acquire(blocking=False)
        assert exit_code(lambda: turn.lock.acquire(blocking=False)) == 0
    finally:
        enough.set()
        other.join()


def test_turns_of_objects_go_with_them():
    class Thing:
        pass

    thing = Thing()
    turn = turn_of(thing)
    assert turn_of(thing) is turn
    del thing
    gc.collect()
    assert turn not in [one for one, _ in threads._TURNS_OF.values()]
