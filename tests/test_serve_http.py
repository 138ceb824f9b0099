"""The example of a server answers."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "serve_http.py"

pytestmark = pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are not beside the tests")


def test_processes_answer_and_report():
    options = ["--processes", "2", "--clients", "2", "--requests", "20", "--bits", "16"]
    ended = subprocess.run([sys.executable, EXAMPLE, *options], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    cat, dog = map(float, re.search(r"P\(cat\): ([\d.]+) ([\d.]+)", ended.stdout).groups())
    assert cat > 0.5 > dog
    assert re.search(r"\d+ requests a second; median [\d.]+ ms, p99 [\d.]+ ms", ended.stdout)
    sizes = re.findall(r"\d+ MB private, \d+ MB shared", ended.stdout)
    assert len(sizes) == 2 or ended.stdout.count("memory unknown") == 2
