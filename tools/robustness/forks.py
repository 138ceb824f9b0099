"""Forks while other threads train, settle and predict; each child must predict, train and end.

python tools/robustness/forks.py --count 500
"""

import argparse
import collections
import os
import pickle
import signal
import threading
import time
import traceback

import common
import numpy as np
from common import X, Y

PATIENCE = 30.0  # seconds that a child may take
MODELS = ("adagrad", "sgd with L1", "ftrl", "adam, averaged", "net")


def loads(models, wide, stop, faults):
    """Return threads that keep the locks of models busy."""

    def forever(call):
        def run():
            try:
                while not stop.is_set():
                    call()
            except BaseException:
                faults.append(traceback.format_exc())

        return threading.Thread(target=run, daemon=True)

    calls = [lambda model=model: model.partial_fit(X, Y) for model in models]
    calls += [lambda model=model: model.decision_function(X) for model in models]
    calls += [lambda: wide.partial_fit(*WIDE).coefs_, lambda: pickle.dumps(wide), lambda: wide.coefs_]
    return [forever(call) for call in calls]


def wide_model():
    """Return a model that takes long to settle, and its rows."""
    columns = common.RNG.randint(0, 1_000_000, 2000).astype(np.int32)
    rows = common.sparse.csr_matrix(
        (np.ones(2000, np.float32), columns, np.arange(0, 2001, 20)), (100, 1_000_000), copy=False
    )
    model = common.make("sgd with L1", average=1)
    return model.partial_fit(rows, np.arange(100) % 2, classes=[0, 1]), (rows, np.arange(100) % 2)


def child(models, wide):
    """What a forked process does; never returns."""
    code = 1
    try:
        for model in models:
            assert np.isfinite(model.decision_function(X)).all()
            assert len(model.partial_fit(X[:50], Y[:50]).coefs_) > 0
        assert np.isfinite(wide.decision_function(WIDE[0])).all()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def outcome(pid):
    """Wait for a child and say how it ended."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return "fine" if status == 0 else "failed"
        time.sleep(2e-3)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hung"


def main():
    global WIDE
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=500)
    count = parser.parse_args().count
    common.use_threads_for_little_work()
    models = [common.make(name).fit(X, Y) for name in MODELS]
    wide, WIDE = wide_model()
    stop, faults, counts = threading.Event(), [], collections.Counter({"fine": 0, "failed": 0, "hung": 0})
    busy = loads(models, wide, stop, faults)
    for thread in busy:
        thread.start()
    for _ in range(count):
        time.sleep(common.RNG.uniform(0.0, 0.02))
        pid = os.fork()
        if pid == 0:
            child(models, wide)
        counts[outcome(pid)] += 1
    stop.set()
    with common.in_time():
        for thread in busy:
            thread.join()
    common.report({"forks": count, **counts, "faults beside": len(faults)})
    assert counts["fine"] == count and not faults, faults[:1]


if __name__ == "__main__":
    main()
