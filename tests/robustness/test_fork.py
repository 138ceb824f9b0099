import os

import pytest
from runs import counts_of

from sklearn_vectorflow.threads import Crew

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks on this system")


def test_forks_while_threads_train_settle_and_predict():
    counts = counts_of("forks.py", "--count", 20)
    assert counts["fine"] == 20


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
