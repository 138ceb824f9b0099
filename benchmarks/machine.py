"""The machine at hand and its packages, for the head of a table."""

import platform
from importlib import metadata
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


def versions(packages):
    """Return packages that are imported by these names, with their versions, in a line."""
    distributions, found = metadata.packages_distributions(), set()
    for package in packages:
        found.update(f"{name} {metadata.version(name)}" for name in distributions.get(package, []))
    return ", ".join(sorted(found, key=str.lower))
