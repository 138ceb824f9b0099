"""Interrupts at random moments of all public calls, some of them twice.

    python tools/robustness/interrupts.py --count 10000 --seed 0

After each: the call is over in time, its threads go, a model whose fitting was interrupted is the one before (its
predictions to the bit) unless the fit was over already, and the next calls work.
"""

import argparse
import collections
import copy
import ctypes
import os
import pickle
import random
import signal
import sys
import threading
import time

import common
import numpy as np
import pandas as pd
from common import N_ROWS, X, Y

from sklearn_vectorflow.io import BatchSource
from sklearn_vectorflow.preprocessing import HashingEncoder

SOON = 1e-4  # seconds between two interrupts: more often, and on a busy machine only signals would be handled
FRAME = pd.DataFrame({f"c{k}": (common.RNG.zipf(1.3, 3000) % 100).astype(str) for k in range(4)})
SOURCE = BatchSource(lambda: ((X[k : k + 100], Y[k : k + 100]) for k in range(0, N_ROWS, 100)), classes=[0, 1])
SMALL = BatchSource(SOURCE.batches, classes=[0, 1], buffer_bytes=20_000)  # is streamed

FITS = {
    "fit": lambda model: model.fit(X, Y),
    "fit again": lambda model: model.set_params(warm_start=True).fit(X, Y),
    "fit of a source": lambda model: model.fit(SOURCE),
    "fit of a stream": lambda model: model.fit(SMALL),
    "partial_fit": lambda model: model.partial_fit(X[:300], Y[:300], classes=[0, 1]),
    "partial_fit of all": lambda model: model.partial_fit(X, Y, classes=[0, 1]),
}
READS = {
    "predict": lambda model: model.predict(X),
    "predict_proba": lambda model: getattr(model, "predict_proba", model.predict)(X),
    "decision_function": lambda model: model.decision_function(X),
    "of a source": lambda model: model.decision_function(SMALL),
    "score": lambda model: model.score(X, Y),
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda model: copy.deepcopy(model),
    "coefs_": lambda model: model.coefs_,
    "predictor": lambda model: model.predictor("decision_function")(X),
    "sparsify": lambda model: model.sparsify() if hasattr(model, "sparsify") else model,
    "densify": lambda model: model.densify() if hasattr(model, "densify") else model,
    "transform": lambda model: HashingEncoder(n_bits=12, n_jobs=common.N_JOBS).fit_transform(FRAME),
}


class Interrupts:
    """Lets KeyboardInterrupt be raised in this thread while a call runs, by one of three ways."""

    def __init__(self):
        self.allowed = 0
        self.raised = 0
        signal.signal(signal.SIGALRM, self._raise)
        signal.signal(signal.SIGINT, self._raise)

    def _raise(self, number, frame):
        if self.allowed > 0:
            self.allowed -= 1
            self.raised += 1
            raise KeyboardInterrupt

    def during(self, call, delay, way, times):
        """Call; return whether it was interrupted."""
        self.raised, other = 0, None
        if way != "timer":
            other = threading.Timer(delay, self._interrupt, [way, threading.get_ident()])
            other.start()
        try:
            try:
                self.allowed = times
                if other is None:
                    signal.setitimer(signal.ITIMER_REAL, delay, max(SOON, delay / 10))
                call()
            finally:
                self.allowed = 0
                signal.setitimer(signal.ITIMER_REAL, 0)
                if other is not None:
                    other.cancel()
                    other.join()
        except KeyboardInterrupt:
            self.allowed = 0
            signal.setitimer(signal.ITIMER_REAL, 0)
            return True
        return False

    def _interrupt(self, way, thread):
        if way == "kill":
            os.kill(os.getpid(), signal.SIGINT)
        elif self.allowed > 0:
            self.allowed = 0
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))


def outputs(model):
    """What a model predicts; nothing if it is not fitted."""
    return model.decision_function(X) if hasattr(model, "network_") else None


def check_fit(model, before, n_iter, network, interrupted, counts):
    """Check a model after a call that fits it."""
    after = outputs(model)
    if interrupted and getattr(model, "n_iter_", 0) == n_iter and getattr(model, "network_", None) is network:
        np.testing.assert_array_equal(after, before)
        counts["as before"] += 1
    elif interrupted:  # by the time it came the model had been swapped in
        assert np.isfinite(after).all() and model.n_iter_ == len(model.loss_curve_)
        assert model.network_ is not network or not np.array_equal(after, before)
        counts["interrupted when all was done"] += 1


def check_usable(model):
    """Check that what follows works."""
    one = model if hasattr(model, "network_") else model.partial_fit(X, Y, classes=[0, 1])
    assert np.isfinite(one.decision_function(X)).all()
    assert pickle.loads(pickle.dumps(one)).predict(X).shape == (N_ROWS,)


class Run:
    """Calls interrupted one after the other, on one model after the other."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.interrupts = Interrupts()
        self.seconds = {}
        self.counts = collections.Counter()
        self.model = None

    def once(self):
        if self.model is None or self.random.random() < 0.1:
            self.name = self.random.choice(list(common.MODELS))
            self.model = common.make(self.name)
        fits = not hasattr(self.model, "network_") or self.random.random() < 0.6
        what = self.random.choice(list(FITS if fits else READS))
        call, key = (FITS if fits else READS)[what], (self.name, what)
        model = self.model
        if key not in self.seconds:
            begun = time.perf_counter()
            call(copy.deepcopy(model))
            self.seconds[key] = time.perf_counter() - begun
        n_before = common.n_threads()
        before, n_iter = outputs(model), getattr(model, "n_iter_", 0)
        network = getattr(model, "network_", None)
        delay = max(1e-6, self.random.uniform(0.0, 1.1) * self.seconds[key])
        # CPython may hand a thread's asynchronous exception to one that it just starts, which then ends
        ways = ["timer", "kill"] if "source" in what or "stream" in what else ["timer", "timer", "kill", "async"]
        way, times = self.random.choice(ways), self.random.choice([1, 1, 2, 3])
        with common.in_time():
            interrupted = self.interrupts.during(lambda: call(model), delay, way, times)
            common.wait_for_threads(n_before)
            self.counts["calls"] += 1
            self.counts["interrupted"] += interrupted
            self.counts["interrupted more than once"] += self.interrupts.raised > 1
            if fits:
                check_fit(model, before, n_iter, network, interrupted, self.counts)
            elif not fits:
                np.testing.assert_allclose(outputs(model), before, rtol=1e-5, atol=1e-5)
            check_usable(model)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="interrupts")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    common.use_threads_for_little_work()
    run = Run(options.seed)
    while run.counts["interrupted"] < options.count:
        run.once()
        if run.counts["calls"] % 500 == 0:
            print(f"{run.counts['interrupted']} interrupts", file=sys.stderr, flush=True)
    common.report(run.counts)


if __name__ == "__main__":
    main()
