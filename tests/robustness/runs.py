"""Short runs of tools/robustness, each in a process of its own: a crash or a hang is a test that fails."""

import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).parents[2] / "tools" / "robustness"


def counts_of(script, *arguments):
    """Run a script; return what it counted. It ends itself, with the stacks of its threads, if it hangs."""
    command = [sys.executable, str(TOOLS / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{script} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-8000:]}"
    return {name: int(count) for name, count in (line.rsplit(": ", 1) for line in done.stdout.splitlines())}
