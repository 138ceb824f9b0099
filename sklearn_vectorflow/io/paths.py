"""Files that names, patterns and folders stand for."""

import glob
import os
from pathlib import Path

HIDDEN = (".", "_")  # names that begin so are no data, as for Parquet


def found_files(name):
    """Return the files that a name, a pattern or a folder stands for, sorted by name.

    Parameters
    ----------
    name : path-like
        A pattern has ``*``, ``?`` or ``[...]``; a name that exists is none. The files of a folder are those in it and
        in its folders, but for names that begin with "." or "_".

    Returns
    -------
    paths : list of Path

    Raises
    ------
    FileNotFoundError
        If a pattern matches nothing.
    ValueError
        If there are no files in a folder, or a name is empty.
    """
    if not isinstance(name, (str, os.PathLike)):
        raise TypeError(f"files must be paths or objects with a method read, got {name!r}.")
    if name == "":  # which Path takes for the current folder
        raise ValueError("files has an empty path.")
    if not is_pattern(name):
        found = _files_of(Path(name))
        if not found:
            raise ValueError(f"files has the folder {name}, which has no files.")
        return found
    matches = sorted(glob.glob(os.fspath(name), recursive=True))
    found = list(dict.fromkeys(path for match in matches for path in _files_of(Path(match))))  # "**" finds some twice
    if not found:
        raise FileNotFoundError(f"files={os.fspath(name)!r} matches no file.")
    return found


def is_pattern(name):
    """Return whether a name has wildcards and is no file's."""
    return glob.has_magic(os.fspath(name)) and not os.path.lexists(name)


def _files_of(path):
    """Return the files of a folder, or the path itself."""
    if not path.is_dir():
        return [path]
    found = []
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(HIDDEN)]
        found += [Path(folder, name) for name in names if not name.startswith(HIDDEN)]
    return sorted(file for file in found if file.is_file())
