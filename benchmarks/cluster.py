"""A fit on Dask: time a round, bytes over the wire, and memory of client and workers (Linux only).

    python benchmarks/cluster.py [--rows 1000000] [--parts 8] [--workers 1 2] [--epochs 6] [--tasks] [--folder FOLDER]

Writes a Parquet file of rows like those of the workload `ctr`, with 34 non-zeros each, and fits to it over worker
processes of one thread each. From the third epoch on, an epoch is a round; as the next one begins while the last merge
goes on, each but the first includes the merge of the one before. Memory is what processes grow by at most, from when
they have imported all and have fitted to a few rows. Each figure stands beside what it may be at most, and beside the
time of a round stands the CPU time of all processes: client and scheduler share the cores with the workers, so no round
takes less than the sum over the number of cores. Some of it Dask takes without any task, too. Says besides what the
same arithmetic gives for 10**9 rows on 32 machines, and with ``--tasks`` where the time of the last epoch goes.
"""

import argparse
import collections
import contextlib
import os
import tempfile
import threading
import time
from pathlib import Path

import distributed
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from machine import describe
from workloads import zipf

from sklearn_vectorflow.cluster import fit as cluster_fit
from sklearn_vectorflow.cluster import merges
from sklearn_vectorflow.dask import DaskVectorFlowClassifier
from sklearn_vectorflow.io import ParquetSource, parquet

WIDTH, PER_ROW = 10_000_000, 34
IDLE = 3  # seconds without a task, which tell what Dask's own clocks, monitors and profilers take
NETWORK = 10e9 / 8  # bytes a second of a machine of the arithmetic
MACHINES, CORES, ROWS = 32, 16, 10**9


def write(path, n_rows, n_parts):
    """Write rows with labels of a logistic model, a row group for each part."""
    weights = np.random.default_rng(7).normal(0, 0.35, WIDTH).astype(np.float32)
    rng = np.random.default_rng(1)
    schema = pa.schema({"indices": pa.list_(pa.int32()), "y": pa.int8()})
    with pq.ParquetWriter(path, schema, compression="snappy") as writer:
        for _ in range(n_parts):
            size = n_rows // n_parts
            columns = np.sort(zipf(rng, size * PER_ROW, WIDTH - PER_ROW).reshape(size, PER_ROW), axis=1)
            columns = np.maximum.accumulate(columns - np.arange(PER_ROW), axis=1) + np.arange(PER_ROW)  # none twice
            columns = columns.astype(np.int32)
            y = (rng.random(size) < 1 / (1 + np.exp(1 - weights[columns].sum(axis=1)))).astype(np.int8)
            starts = np.arange(0, size * PER_ROW + 1, PER_ROW, dtype=np.int32)
            table = pa.table([pa.ListArray.from_arrays(starts, columns.ravel()), y], schema=schema)
            writer.write_table(table, row_group_size=size)


class Peak:
    """Watches the memory that processes allocate themselves, in MB, in a thread."""

    def __init__(self, processes):
        self.peaks = dict.fromkeys(processes, 0)
        self.first = {process: self._now(process) for process in processes}
        threading.Thread(target=self._watch, daemon=True).start()

    def _now(self, process):
        try:
            return int(Path(f"/proc/{process}/status").read_text().partition("RssAnon:")[2].split()[0]) / 1000
        except (OSError, IndexError):
            return 0

    def _watch(self):
        while True:
            for process in self.peaks:
                self.peaks[process] = max(self.peaks[process], self._now(process))
            time.sleep(0.02)

    def grown(self, process):
        """Return by how many MB a process has grown at most."""
        return self.peaks[process] - self.first[process]


class Epochs:
    """Seconds of each epoch, and of the CPU that processes took for it, and take without any task."""

    def __init__(self, processes):
        self.processes = processes
        before = self._taken()
        time.sleep(IDLE)
        self.idle = (self._taken() - before).sum() / IDLE
        self.seconds, self.spans, self.fits, self._cpu = [], [], [], []

    def timed(self, epoch):
        """Return a method that runs an epoch and notes it."""

        def run(fit, number):
            before, began, begun = self._taken(), time.time(), time.perf_counter()
            loss = epoch(fit, number)
            self.seconds.append(time.perf_counter() - begun)
            self.spans.append((began, time.time()))
            self._cpu.append(self._taken() - before)
            self.fits.append(fit)
            return loss

        return run

    def _taken(self):
        stats = [Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split() for process in self.processes]
        return np.array([int(one[11]) + int(one[12]) for one in stats]) / os.sysconf("SC_CLK_TCK")

    def round(self):
        """Return seconds of a round, and of the CPU of each process for it: medians from the third epoch on."""
        return np.median(self.seconds[2:] or self.seconds), np.median(self._cpu[2:] or self._cpu, axis=0)


def received(begun, ended, dask_worker):
    """Return how many bytes a worker got from others in a span of time."""
    return sum(one["total"] for one in dask_worker.transfer_incoming_log if begun <= one["start"] <= ended)


class Tasks:
    """What workers did when, of each kind of task."""

    def __init__(self, client, wanted):
        self.stream = distributed.get_task_stream(client=client) if wanted else contextlib.nullcontext()

    def between(self, begun, ended):
        """Return for each kind of task, or of transfer for one, how many there were, and seconds in all."""
        kinds = collections.defaultdict(list)
        for task in getattr(self.stream, "data", []):
            for span in task["startstops"]:
                if begun <= span["start"] <= ended:
                    kind = str(task["key"]).rpartition("-")[0], span["action"]
                    kinds[kind].append(span["stop"] - span["start"])
        return {kind: (len(own), sum(own)) for kind, own in kinds.items()}


def measure(source, n_workers, arguments):
    """Fit; return epochs, memory, bytes over the wire a round, and tasks of the last one."""
    epoch = cluster_fit.PartsFit.epoch
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(n_workers=n_workers, **options) as cluster, distributed.Client(cluster) as client:
        model = DaskVectorFlowClassifier(random_state=0, max_iter=arguments.epochs, tol=None, client=client)
        model.fit(source.few)  # imports
        processes = [os.getpid(), *client.run(os.getpid).values()]
        peak, epochs = Peak(processes), Epochs(processes)
        cluster_fit.PartsFit.epoch = epochs.timed(epoch)
        tasks = Tasks(client, arguments.tasks)
        try:
            with tasks.stream:
                model.fit(source.source)
        finally:
            cluster_fit.PartsFit.epoch = epoch
        assert epochs.fits[-1].history  # which the cluster tells, when all is merged
        rounds = epochs.spans[2:] or epochs.spans
        n_bytes = sum(client.run(received, rounds[0][0], time.time()).values()) / len(rounds)
        return epochs, [peak.grown(process) for process in processes], n_bytes, tasks.between(*epochs.spans[-1])


class Sources:
    """The file, and a small one to warm workers up with."""

    def __init__(self, folder, n_rows, n_parts):
        lists = {"indices": "indices", "n_features": WIDTH, "n_jobs": 1}
        write(folder / "rows.parquet", n_rows, n_parts)
        write(folder / "few.parquet", 2_000, 2)
        self.source = ParquetSource(folder / "rows.parquet", "y", **lists)
        self.few = ParquetSource(folder / "few.parquet", "y", **lists)


def tell(n_workers, epochs, memory, n_bytes, n_rows, n_parts):
    """Print what was measured, beside what it may be at most."""
    fit, (seconds, cpu) = epochs.fits[-1], epochs.round()
    last, model = fit.history[-1], fit.state.nbytes / 1e6
    rows = n_rows * PER_ROW * 8 / 1e6
    block = rows * min(parquet.ROWS, n_rows / n_parts) / n_rows
    touched = last.n_bytes / 8
    print(f"{n_workers} worker(s): seconds of the epochs {[round(one, 2) for one in epochs.seconds]}")
    print(
        f"  a round {seconds:.2f} s, {n_rows / seconds / 1e6:.2f} M rows/s; CPU: client and scheduler {cpu[0]:.2f} s, "
        f"workers {cpu[1:].round(2).tolist()} s, so at least {cpu.sum() / os.cpu_count():.2f} s on these cores; "
        f"without a task Dask takes {epochs.idle * seconds:.2f} s in as long"
    )
    print(f"  last round: training {last.seconds:.2f} s in all, merge {last.merge_seconds:.2f} s")
    print(
        f"  over the wire {n_bytes / 1e6:.1f} MB a round (at most {touched * 16 / 1e6:.1f}, for {touched / 1e6:.2f} M "
        "touched records of 8 bytes, and 8 for each)"
    )
    print(
        f"  model {model:.0f} MB, rows {rows:.0f} MB in blocks of {block:.0f} MB; grown by: client {memory[0]:.0f} MB "
        f"(at most {3 * model + 200:.0f}), workers {[round(one) for one in memory[1:]]} MB "
        f"(at most {rows / n_workers + 2 * model:.0f})",
        flush=True,
    )


def arithmetic(fit, n_rows):
    """Print what the measured constants give for many rows on many machines."""
    last = fit.history[-1]
    train = last.seconds / n_rows  # seconds a row and core
    merge = last.merge_seconds / (last.n_bytes / 8)  # seconds a touched record
    rows = ROWS / MACHINES
    touched = min(WIDTH, last.n_bytes / 8 / fit.schedule.counts.__len__() * (rows / (n_rows / len(fit.parts))) ** 0.5)
    shares = min(MACHINES, merges.MOST_SHARES)
    training, wire = rows * train / CORES, 2 / shares * MACHINES * touched * 8 / NETWORK
    merging = MACHINES * touched * merge / shares
    total = training + wire + merging
    print(
        f"{ROWS:.0e} rows on {MACHINES} machines of {CORES} cores, a part for each: training {training:.1f} s, "
        f"{touched / 1e6:.1f} M records each over a link of {NETWORK / 1e9:.2f} GB/s {wire:.1f} s, merge "
        f"{merging:.1f} s: {total:.0f} s an epoch, {ROWS / total / 1e6:.0f} M rows/s"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--tasks", action="store_true")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        sources = Sources(Path(folder), arguments.rows, arguments.parts)
        rounds = []
        for n_workers in arguments.workers:
            epochs, memory, n_bytes, tasks = measure(sources, n_workers, arguments)
            tell(n_workers, epochs, memory, n_bytes, arguments.rows, arguments.parts)
            for (name, action), (n, total) in sorted(tasks.items(), key=lambda item: -item[1][1]):
                print(f"    {name:18} {action:12} {n:3d} times, {total:.3f} s")
            rounds.append(epochs.round()[0])
            print(f"  {rounds[0] / rounds[-1]:.2f} times as fast as with {arguments.workers[0]} worker(s)")
        arithmetic(epochs.fits[-1], arguments.rows)


if __name__ == "__main__":
    main()
