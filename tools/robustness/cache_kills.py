"""Kill processes that write or replace a cache, at every call to the system and at random moments.

After each kill a fit that uses the cache must work, predict the right values and leave nothing behind.

    python tools/robustness/cache_kills.py [--random 1000]
"""

import argparse
import builtins
import io
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import children
import numpy as np

from sklearn_vectorflow import VectorFlowRegressor
from sklearn_vectorflow.io import BatchSource, write_cache

CALLS = (
    "mkdir",
    "open",
    "close",
    "replace",
    "rename",
    "unlink",
    "rmdir",
    "fsync",
    "listdir",
    "scandir",
    "stat",
    "fstat",
)
N_ROWS = 40


class Rows(BatchSource):
    """Rows of a seed, which are the data's version."""

    def __init__(self, seed, cache, n_rows=N_ROWS):
        self.seed = seed
        rng = np.random.default_rng(seed)
        self.X = rng.normal(size=(n_rows, 5)).astype(np.float32)
        self.y = self.X @ rng.normal(size=5)
        half = n_rows // 2
        super().__init__(
            lambda: [(self.X[:half], self.y[:half]), (self.X[half:], self.y[half:])], cache=cache, buffer_bytes=500
        )

    def fingerprint(self):
        """Return seed and size."""
        return f"{self.seed} {len(self.y)}"


def model():
    return VectorFlowRegressor(max_iter=1, tol=None, random_state=0, shuffle=False, n_jobs=1)


def fit(seed, path, n_rows=N_ROWS):
    """Fit on the cache; return whether predictions are those of the rows."""
    source = Rows(seed, path, n_rows)
    fitted = model().fit(source)
    # of the cache too: from the rows that are read there
    return np.array_equal(fitted.predict(source), model().fit(Rows(seed, None, n_rows)).predict(source.X))


class Countdown:
    """Ends the process at a call of os or of a file that it opened for writing."""

    def __init__(self, left):
        self.left = left

    def install(self):
        for name in CALLS:
            setattr(os, name, self.counted(getattr(os, name)))
        plain = io.open
        io.open = builtins.open = lambda *args, **options: self.opened(plain, *args, **options)

    def counted(self, function):
        def call(*args, **options):
            self.tick()
            return function(*args, **options)

        return call

    def opened(self, plain, path, mode="r", *args, **options):
        self.tick()
        file = plain(path, mode, *args, **options)
        return File(file, self) if "w" in mode else file

    def tick(self, before_end=None):
        self.left -= 1
        if self.left == 0:
            if before_end is not None:
                before_end()
            os._exit(children.KILLED)


class File:
    """A file whose calls count; a write may be torn."""

    def __init__(self, file, countdown):
        self.file = file
        self.countdown = countdown

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def write(self, content):
        def tear():
            self.file.write(content[: len(content) // 2])
            self.file.flush()

        self.countdown.tick(tear)
        return self.file.write(content)

    def flush(self):
        self.countdown.tick()
        self.file.flush()

    def close(self):
        self.countdown.tick()
        self.file.close()


def until_killed(left, task, path):
    Countdown(left).install()
    task(path)


def rows_of(path):
    return next(path.glob("rows-*"))


def damage(path):
    file = rows_of(path) / "data.npy"
    content = bytearray(file.read_bytes())
    content[200:260] = bytes(60)
    file.write_bytes(content)


def none(path):
    """No cache yet."""


def old(path):
    write_cache(Rows(1, None), path)


def damaged(path):
    write_cache(Rows(2, None), path)
    damage(path)


def truncated(path):
    write_cache(Rows(2, None), path)
    os.truncate(rows_of(path) / "indices.npy", 150)


def with_leftovers(path):
    write_cache(Rows(2, None), path)
    shutil.copytree(rows_of(path), path / "rows-00000000000000aa")
    shutil.copytree(rows_of(path), path / "rows-00000000000000bb")
    (path / "header.00000000000000aa.new").touch()


def behind_a_link(path):
    elsewhere = path.with_name("elsewhere")
    old(elsewhere)
    path.symlink_to(elsewhere)


def use(path):
    fit(2, path)


def write(path):
    write_cache(Rows(2, None), path)


CASES = [
    (none, use),
    (old, use),
    (damaged, use),
    (truncated, use),
    (with_leftovers, use),
    (behind_a_link, use),
    (none, write),
    (old, write),
]


def check(folder, path):
    """Use what a kill left; return what is wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            right = fit(2, path)
    except Exception as error:
        return f"later fit: {type(error).__name__}", error
    if not right:
        return "later fit predicts other values", None
    names = sorted(os.listdir(path))
    if len(names) != 3 or names[:2] != ["header.json", "lock"]:
        return "leftovers", names
    if set(os.listdir(folder)) - {"cache", "elsewhere"}:
        return "leftovers beside the cache", os.listdir(folder)
    return None, None


def at_every_call(counts, prepare, task, step=1):
    """Kill a task at each of its calls, or at some of them."""
    for left in range(1, 100_000, step):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "cache")
            prepare(path)
            outcome, result = children.run(until_killed, left, task, path)
            if outcome not in ("killed", "done"):
                counts.fail(f"{outcome} before the kill", (prepare.__name__, task.__name__, left, result))
                return
            wrong, why = check(folder, path)
            place = f"{prepare.__name__}, {task.__name__}, call {left}: {why}"
            if wrong:
                counts.fail(wrong, place)
            else:
                counts.add("right after a kill" if outcome == "killed" else "right after all calls")
            if outcome == "done":
                return


def forever(path):
    for seed in range(3, 10**9):
        fit(seed, path, 20_000)


def at_random(counts, n, draw):
    """Kill a process that replaces a cache again and again."""
    for _ in range(n):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "cache")
            child = children.start(forever, path)
            time.sleep(draw.uniform(0.0, 0.15))
            os.kill(child[0], signal.SIGKILL)
            children.finish(child)
            wrong, why = check(folder, path)
            if wrong:
                counts.fail(wrong, why)
            else:
                counts.add("right after a kill")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--random", type=int, default=1000, metavar="N", help="kills at random moments")
    parser.add_argument("--cases", type=int, nargs="*", default=range(len(CASES)), help="which cases, by number")
    parser.add_argument("--step", type=int, default=1, help="kill at every so many calls only")
    arguments = parser.parse_args()
    passed = fit(1, None)  # what is set up once need not be in each child
    for prepare, task in (CASES[k] for k in arguments.cases):
        counts = children.Counts()
        at_every_call(counts, prepare, task, arguments.step)
        passed &= counts.report(f"kills at every call, {prepare.__name__.replace('_', ' ')}, {task.__name__}")
    counts = children.Counts()
    at_random(counts, arguments.random, random.Random(0))
    passed &= counts.report("kills at random moments")
    sys.exit(not passed)


if __name__ == "__main__":
    main()
