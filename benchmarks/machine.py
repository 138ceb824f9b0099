"""The machine at hand, for the head of a table."""
import platform
from pathlib import Path

import joblib


def processor():
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def describe():
    """Return processor, cores and Python in a line."""
    return f"{processor()}, {joblib.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def one_and_all():
    """Return the numbers of threads that are compared unless others are asked for."""
    return sorted({1, joblib.cpu_count()})
