"""Disturb fits on Dask at random moments: each must end with the bits of an undisturbed one.

    python tools/robustness/cluster_faults.py [kill add freeze raise] [--times 50] [--frozen 20] [--solver sgd]

`kill` ends a worker with SIGKILL, `add` starts another, and `freeze` stops one for some seconds. `raise`
has a part raise, whose error must name it: from the start, since it has a value that is refused, or since it can't be
computed; or from some moment on, since it can't be read any more. A fit that takes longer than `--patience` seconds
hangs.
"""

import argparse
import os
import signal
import sys
import threading
import time
from pathlib import Path

import dask
import distributed
import numpy as np
from scipy import sparse

sys.path.append(str(Path(__file__).parents[2]))  # where no package is installed, the one beside this folder

from sklearn_vectorflow.cluster import merges, schedule
from sklearn_vectorflow.dask import DaskVectorFlowClassifier
from sklearn_vectorflow.io.blocks import Block
from sklearn_vectorflow.io.source import Source

N_WORKERS, N_ROWS, N_COLUMNS, N_PARTS = 2, 8_000, 1_000, 5
RNG = np.random.RandomState(0)
X = sparse.random(N_ROWS, N_COLUMNS, density=0.01, random_state=0, format="csr", dtype=np.float32)
Y = (X @ RNG.randn(N_COLUMNS) > 0).astype(int)
EDGES = np.linspace(0, N_ROWS, N_PARTS + 1).astype(int).tolist()
SPANS = [slice(start, end) for start, end in zip(EDGES[:-1], EDGES[1:])]


def parts(bad=None, how=None, moment=0.0):
    """Return parts; one of them perhaps raises."""
    if how == "read":
        return Unreadable(bad, time.time() + moment)
    rows = [[X[span], Y[span]] for span in SPANS]
    if how == "refuse":
        rows[bad][0].data[0] = np.nan
    delayed = [dask.delayed(tuple(part)) for part in rows]
    if how == "compute":
        delayed[bad] = dask.delayed(lost)(delayed[bad])
    return delayed


def lost(part):
    """Raise: a part is nowhere."""
    raise OSError("no such part")


class Unreadable(Source):
    """Rows one part of which can't be read from some moment on."""

    n_parts = N_PARTS

    def __init__(self, bad, moment):
        super().__init__(n_jobs=1)
        self.bad, self.moment = bad, moment

    def read(self, piece):
        """Yield the rows of a part."""
        if piece == self.bad and time.time() > self.moment:
            raise OSError("no such part")
        yield Block(X[SPANS[piece]], Y[SPANS[piece]])


def fitted(client, rows, solver):
    """Return the model of a fit."""
    options = {"max_iter": 6, "tol": None} if solver == "sgd" else {"alpha": 1e-4}
    return DaskVectorFlowClassifier(solver=solver, random_state=0, client=client, **options).fit(rows)


class Fit(threading.Thread):
    """A fit in a thread, so that one that hangs is seen."""

    def __init__(self, *arguments):
        super().__init__(daemon=True)
        self.arguments, self.found = arguments, None
        self.start()

    def run(self):
        try:
            self.found = fitted(*self.arguments)
        except Exception as error:
            self.found = error


def disturb(kind, cluster, client, rng, frozen):
    """Do something to the cluster."""
    processes = sorted(client.run(os.getpid, on_error="ignore").values())
    if kind == "add":
        cluster.scale(N_WORKERS + 1)
        return
    victim = int(rng.choice(processes))
    if kind == "kill":
        os.kill(victim, signal.SIGKILL)
        return
    os.kill(victim, signal.SIGSTOP)
    time.sleep(frozen)
    os.kill(victim, signal.SIGCONT)


def states(scheduler):
    """Return what tasks and workers of a cluster are at."""
    waiting = {}
    for task in list(scheduler.tasks.values()):
        waiting.setdefault(task.state, []).append(task.key)
    workers = {worker.address: (worker.status.name, len(worker.processing)) for worker in scheduler.workers.values()}
    return f"workers {workers}, tasks { {state: (len(keys), keys[:3]) for state, keys in waiting.items()} }"


def once(kind, cluster, client, rng, expected, seconds, arguments):
    """Run one fit and return what is wrong with it, or None."""
    moment, bad, how = rng.uniform(0, seconds), None, None
    if kind == "raise":
        bad, how = int(rng.randint(N_PARTS)), str(rng.choice(["refuse", "compute", "read"]))
    fit = Fit(client, parts(bad, how, moment), arguments.solver)
    if kind != "raise":
        time.sleep(moment)
        disturb(kind, cluster, client, rng, arguments.frozen)
    fit.join(arguments.patience)
    if fit.is_alive():
        return f"hangs, disturbed after {moment:.2f} s; {states(cluster.scheduler)}"
    if kind == "raise":
        if how == "read" and not isinstance(fit.found, Exception):
            return None  # it was over before
        told = " ".join([str(fit.found), *getattr(fit.found, "__notes__", [])])
        return None if f"part {bad}" in told else f"part {bad} is not named ({how}): {fit.found!r}"
    if isinstance(fit.found, Exception):
        return f"disturbed after {moment:.2f} s: {fit.found!r}"
    return None if np.array_equal(fit.found.coef_, expected) else f"other bits, disturbed after {moment:.2f} s"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kinds", nargs="*", default=["kill", "add", "freeze", "raise"])
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frozen", type=float, default=20.0)
    parser.add_argument("--patience", type=float, default=180.0)
    parser.add_argument("--solver", choices=["sgd", "exact"], default="sgd")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    schedule.ROWS_APART = 1000
    merges.WORTHWHILE = 1  # workers have shares of the records to merge, as of wide models
    # else the cluster gives a worker up that takes longer to come back, and in the end has none
    dask.config.set({"distributed.deploy.lost-worker-timeout": "1 hour"})
    rng, wrong = np.random.RandomState(arguments.seed), 0
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": None, "silence_logs": "CRITICAL"}
    with distributed.LocalCluster(n_workers=N_WORKERS, **options) as cluster, distributed.Client(cluster) as client:
        fitted(client, parts(), arguments.solver)  # imports
        begun = time.perf_counter()
        expected = fitted(client, parts(), arguments.solver).coef_
        seconds = time.perf_counter() - begun
        print(f"a fit takes {seconds:.2f} s", flush=True)
        for kind in arguments.kinds:
            faults = []
            for _ in range(arguments.times):
                cluster.scale(N_WORKERS)
                client.wait_for_workers(N_WORKERS, timeout=arguments.patience)
                fault = once(kind, cluster, client, rng, expected, seconds, arguments)
                faults += [fault] if fault else []
                if arguments.verbose:
                    print(f"{kind}: {fault or 'well'} after {time.perf_counter() - begun:.0f} s", flush=True)
            print(f"{kind}: {arguments.times} fits, {len(faults)} went wrong {faults}", flush=True)
            wrong += len(faults)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
