"""A little of what the programs in tools/robustness do for as long as one likes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools" / "robustness"
RUNS = {
    "cache_kills.py": ["--cases", "1", "2", "--step", "13", "--random", "5"],
    "shared_cache.py": ["--processes", "3", "--fits", "5"],
    "full_disks.py": ["--step", "333"],
    "file_mutants.py": ["--mutants", "900"],
}

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.skipif(not TOOLS.exists(), reason="needs the programs of the repository"),
]


@pytest.mark.parametrize("name", RUNS)
def test_nothing_goes_wrong(name):
    pytest.importorskip("pyarrow.parquet")
    command = [sys.executable, "-W", "ignore", str(TOOLS / name), *RUNS[name]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WRONG" not in done.stdout and "right" in done.stdout
