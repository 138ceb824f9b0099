"""Runs a program of seeds in child processes, so that a crash costs one seed and is counted."""

import collections
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHUNK = 2_000  # seeds of a child


def run(program, first, last):
    """Run all seeds; print and return the counts.

    Parameters
    ----------
    program : str
        File in tests/robustness, which takes two seeds, prints "at SEED" before each, and at last its counts.
    first, last : int
    """
    counts, faults, crashes = collections.Counter(), [], []
    while first < last:
        stop = min(first + CHUNK, last)
        ended = _child(program, first, stop)
        reached = re.findall(r"^at (\d+)$", ended.stdout, re.M)
        found = re.findall(r"^fault .*$", ended.stdout, re.M)
        faults += found
        print("\n".join(found), end="\n" if found else "", flush=True)
        counts.update({name: int(n) for name, n in re.findall(r"'([^']+)': (\d+)", _last_counts(ended.stdout))})
        if ended.returncode < 0 or ended.returncode > 1:
            stop = int(reached[-1]) + 1 if reached else stop
            crashes.append((stop - 1, ended.returncode, ended.stderr[-500:]))
            print(f"crash at seed {stop - 1}: exit {ended.returncode}", flush=True)
        first = stop
        print(f"{first} done, {len(faults)} faults, {len(crashes)} crashes", flush=True)
    for crash in crashes[:20]:
        print(*crash)
    print("counts", dict(sorted(counts.items())))
    print(f"faults {len(faults)}, crashes {len(crashes)}")
    return len(faults) + len(crashes)


def _child(program, first, stop):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), *sys.path, str(ROOT)]),
    }
    command = [sys.executable, str(ROOT / "tests" / "robustness" / program), str(first), str(stop)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def _last_counts(text):
    lines = [line for line in text.splitlines() if line.startswith("counts ")]
    return lines[-1] if lines else ""


def main(program):
    """Run the seeds of the command line: their number, and the first (default 0)."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    sys.exit(min(1, run(program, first, first + n)))
