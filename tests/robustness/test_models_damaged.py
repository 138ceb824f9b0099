"""A damaged file of a model is refused, a forged one harmless; the program is mutated_models.py."""

import re
import subprocess
import sys
from pathlib import Path

N_CASES = 300


def test_changed_files_are_refused_or_harmless():
    program = [sys.executable, str(Path(__file__).parent / "mutated_models.py"), "0", str(N_CASES)]
    ended = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, (ended.stdout[-300:], ended.stderr[-3000:])
    assert "fault" not in ended.stdout
    counts = {name: int(n) for name, n in re.findall(r"'([^']+)': (\d+)", ended.stdout)}
    assert counts["damaged, refused"] > N_CASES / 5
    assert counts["forged, refused"] > N_CASES / 8
    assert counts["forged, used"] > N_CASES / 20
    assert counts["reshaped, refused"] > N_CASES / 8
    assert counts["retyped, refused"] > N_CASES / 20
