"""Disks that are full, folders that are read-only, and files that change between passes.

A fit that cannot write its cache must say so and leave nothing; once there is room it must work.

    python tools/robustness/full_disks.py [--step 7]
"""

import argparse
import gc
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import children
import numpy as np
from cache_kills import fit, model

from sklearn_vectorflow.io import CSRSource, ParquetSource, SVMLightSource, VWSource

NOBODY = 65534


def fit_with_room(path, n_bytes):
    """Fit where files may have so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))
    try:
        return "right" if fit(2, path) else "other values"
    except OSError as error:
        return "OSError that names the cache" if str(path) in str(error) else f"unclear: {error!r}"


def limited_files(counts, step):
    """Let each file end after any number of bytes, with and without an old cache."""
    for before in (None, 1):
        for n_bytes in range(0, 1500, step):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "cache")
                if before is not None:
                    fit(before, path)
                names = sorted(os.listdir(path)) if path.exists() else ["lock"]
                outcome, result = children.run(fit_with_room, path, n_bytes)
                judge(counts, path, names, outcome, result)


def judge(counts, path, names, outcome, result):
    if outcome != "done" or result not in ("right", "OSError that names the cache"):
        counts.fail(f"{outcome}: {result}", str(path))
    elif result != "right" and sorted(os.listdir(path)) != names:
        counts.fail("leftovers", sorted(os.listdir(path)))
    elif not fit(2, path):
        counts.fail("a later fit predicts other values", str(path))
    else:
        counts.add(result)


def small_disk(counts):
    """Fill a disk of memory, if one may be mounted here."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
        if subprocess.run(command, capture_output=True).returncode:
            counts.add("disk that cannot be mounted here")
            return
        try:
            path = Path(folder, "cache")
            try:
                fit(2, path, 20_000)
                counts.fail("a fit on a full disk", folder)
            except OSError as error:
                counts.add("OSError of a full disk") if str(path) in str(error) else counts.fail("unclear", error)
            if os.listdir(path) != ["lock"]:
                counts.fail("leftovers on a full disk", os.listdir(path))
            counts.add("right") if fit(2, path) else counts.fail("other values", folder)
        finally:
            gc.collect()  # closes what the cache had open
            subprocess.run(["umount", "-l", folder], check=True)


def fit_as_nobody(seed, path):
    if os.getuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        return "right" if fit(seed, path) else "other values"
    except PermissionError as error:
        return "PermissionError that names the cache" if str(path) in str(error) else f"unclear: {error!r}"


def read_only_folders(counts):
    """Read, and try to replace, a cache in a folder that nobody may write to."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cache")
        fit(2, path)
        (path / "rows-00000000000000aa").mkdir()
        for place in (path, path.parent):
            place.chmod(0o555)
        expected = {
            (2, path): "right",
            (3, path): "PermissionError that names the cache",
            (2, path.with_name("new")): "PermissionError that names the cache",
        }
        for (seed, place), wanted in expected.items():
            outcome, result = children.run(fit_as_nobody, seed, place)
            counts.add(wanted) if result == wanted else counts.fail(f"{outcome}: {result}", (seed, place.name))
        for place in (path.parent, path):
            place.chmod(0o755)


def text_source(kind):
    return lambda path: kind(path, n_features=4, zero_based=True) if kind is SVMLightSource else kind(path, n_bits=2)


def svmlight(path, n_rows, column):
    path.write_text("".join(f"{k % 2} {column}:{1 + k % 3}\n" for k in range(n_rows)))


def vw(path, n_rows, column):
    path.write_text("".join(f"{k % 2} |n f{column}:{1 + k % 3}\n" for k in range(n_rows)))


def parquet(path, n_rows, column):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"y": np.arange(n_rows) % 2, f"f{column}": np.arange(n_rows) % 3})
    pq.write_table(table, path, row_group_size=50)


def triplet(path, n_rows, column):
    np.save(path, np.ones(n_rows, dtype=np.float32))


def triplet_source(path):
    n_rows = len(np.load(path, mmap_mode="r"))
    return CSRSource(path, np.zeros(n_rows, dtype=np.int32), np.arange(n_rows + 1), np.ones(n_rows), n_features=4)


def changing_files(counts):
    """Change files between two fits on a source, and in the middle of a pass."""
    pairs = [
        (svmlight, text_source(SVMLightSource)),
        (vw, text_source(VWSource)),
        (parquet, lambda path: ParquetSource(path, "y")),
        (triplet, triplet_source),
    ]
    for write, source_of in pairs:
        for n_rows, column in ((50, 2), (200, 2), (200, 1), (400, 2), (0, 1)):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "rows.npy" if write is triplet else "rows")
                outcome, result = children.run(fit_twice, write, source_of, path, n_rows, column)
                name = f"{write.__name__}, {n_rows} rows, column {column}"
                if outcome == "done" and result.startswith("ValueError"):
                    counts.add("ValueError that names the file" if str(path) in result else "ValueError")
                elif outcome == "done" and result == "right" and write is triplet and n_rows >= 200:
                    counts.add("right")
                else:
                    counts.fail(f"{name}: {outcome}: {result}", None)


def fit_twice(write, source_of, path, n_rows, column):
    write(path, 200, 2)
    source = source_of(path)
    model().fit(source)
    before = os.stat(path)
    write(path, n_rows, column)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
    try:
        model().fit(source)
    except ValueError as error:
        return f"ValueError: {error}"
    return "right"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--step", type=int, default=7, help="bytes between two limits of a file's size")
    arguments = parser.parse_args()
    passed = fit(1, None)
    for task, extra in (
        (limited_files, [arguments.step]),
        (small_disk, []),
        (read_only_folders, []),
        (changing_files, []),
    ):
        counts = children.Counts()
        task(counts, *extra)
        passed &= counts.report(task.__name__.replace("_", " "))
    sys.exit(not passed)


if __name__ == "__main__":
    main()
