"""Models, rows and checks that the robustness runs share."""

import contextlib
import faulthandler
import gc
import sys
import time
import warnings
from _thread import _count as n_threads
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

sys.path.append(str(Path(__file__).parents[2]))  # where no package is installed, the one beside this folder

from sklearn_vectorflow import VectorFlowClassifier, threads
from sklearn_vectorflow.optimizers import SGD, AdaGrad, Adam

HANG = 30.0  # seconds after which a step hangs; the process then ends with the stacks of all threads
N_ROWS, N_FEATURES, N_JOBS = 600, 4000, 3

RNG = np.random.RandomState(0)
COLUMNS = np.sort(RNG.zipf(1.3, (N_ROWS, 12)) % N_FEATURES, axis=1).ravel().astype(np.int32)
X = sparse.csr_matrix(
    (RNG.rand(N_ROWS * 12).astype(np.float32), COLUMNS, np.arange(0, 12 * N_ROWS + 1, 12)), (N_ROWS, N_FEATURES)
)
X.sum_duplicates()
Y = (X @ RNG.randn(N_FEATURES) > 0).astype(int)


def slow_logistic(y, raw, sample_weight):
    """A loss of users in Python that lets go of the GIL amid each block."""
    time.sleep(2e-4)
    p = 1.0 / (1.0 + np.exp(-raw))
    loss = np.logaddexp(0.0, raw) - y * raw
    return float(np.sum(sample_weight * loss)), sample_weight * (p - y)


MODELS = {
    "adagrad": {"optimizer": AdaGrad()},
    "sgd with L1": {"optimizer": SGD(), "alpha": 1e-4, "l1_ratio": 0.5},
    "ftrl": {"optimizer": "ftrl", "alpha": 1e-4, "l1_ratio": 0.5},
    "adam, averaged": {"optimizer": Adam(), "average": 1},
    "net": {"hidden_layer_sizes": (8,), "optimizer": AdaGrad()},
    "own loss": {"loss": slow_logistic, "batch_size": 64},
    "own loss, sgd": {"loss": slow_logistic, "batch_size": 64, "optimizer": SGD()},
}


def use_threads_for_little_work():
    """Let these few rows be worth threads, on however few cores."""
    threads.WORTHWHILE = 1
    threads._pool_limit = lambda: N_JOBS
    sys.setswitchinterval(1e-4)
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)


def make(name, **params):
    """Return an unfitted classifier."""
    return VectorFlowClassifier(**{"random_state": 0, "n_jobs": N_JOBS, "max_iter": 3, **MODELS[name], **params})


@contextlib.contextmanager
def in_time(seconds=HANG):
    """End the process, with the stacks of all threads, unless the block is over in time."""
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def wait_for_threads(n_before, seconds=HANG):
    """Raise unless helpers are gone soon; whoever holds their crew, or reads ahead, may have to be collected first."""
    until, busy_until = time.monotonic() + HANG, time.process_time() + seconds  # others may keep the cores from us
    while n_threads() > n_before:
        gc.collect()
        if time.monotonic() > until or time.process_time() > busy_until:
            raise AssertionError(f"{n_threads() - n_before} thread(s) are left")
        time.sleep(1e-3)


def report(counts):
    """Print what was counted, a line each."""
    for name, count in counts.items():
        print(f"{name}: {count}")
