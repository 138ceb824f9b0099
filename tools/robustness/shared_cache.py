"""Several processes that read and replace one cache, with the same data and with others.

Each fit must be right, whatever the others do.

    python tools/robustness/shared_cache.py [--processes 4] [--fits 60]
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import children
from cache_kills import fit


def fits(path, seeds):
    """Fit again and again; return how often that was right, wrong or an error."""
    counts = children.Counts()
    for seed in seeds:
        try:
            if fit(seed, path, 5_000):
                counts.add("right")
            else:
                counts.fail("other values", seed)
        except Exception as error:
            counts.fail(f"{type(error).__name__}", str(error))
    return counts


def together(path, n_processes, seeds_of):
    """Run processes at once; return all counts."""
    counts = children.Counts()
    for outcome, result in map(children.finish, [children.start(fits, path, seeds_of(k)) for k in range(n_processes)]):
        if outcome == "done":
            counts.merge(result)
        else:
            counts.fail(outcome, result)
    left = set(os.listdir(path)) - {"header.json", "lock"}
    fit(0, path)
    if len(os.listdir(path)) != 3:
        counts.fail("leftovers", left)
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--fits", type=int, default=60, help="of each process")
    arguments = parser.parse_args()
    n, passed = arguments.fits, fit(1, None)
    with tempfile.TemporaryDirectory() as folder:
        for title, seeds_of in (
            ("the same data", lambda k: [0] * n),
            ("data that change for all at once", lambda k: [step // 3 for step in range(n)]),
            ("data of each process", lambda k: [k] * n),
        ):
            counts = together(Path(folder, "cache"), arguments.processes, seeds_of)
            passed &= counts.report(f"{arguments.processes} processes, {title}")
    sys.exit(not passed)


if __name__ == "__main__":
    main()
