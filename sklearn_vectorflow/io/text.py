"""Text files cut into pieces of whole lines."""

import gzip
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

PIECE = 2**22  # bytes of text read at once


@dataclass
class Text:
    """Whole lines of a file.

    Parameters
    ----------
    path : Path
    text : bytes
        Ends in a newline.
    start : int
        Bytes of the file's text before it.
    n_lines_before : int, default=None
        Lines before it; None if they have not been counted.
    """

    path: Path | None
    text: bytes
    start: int
    n_lines_before: int | None = None

    @property
    def where(self):
        """What messages call the lines, as long as none is at fault."""
        return f"{self.path}, from byte {self.start}"

    def place(self, line):
        """Return what messages call one of the lines, which count from 0."""
        before = self.n_lines_before
        if before is None:
            before = _count_lines(self.path, self.start)
        return f"{self.path}, line {before + line + 1}"


class TextFiles:
    """Some text files; those whose names end in .gz are decompressed.

    Parameters
    ----------
    files : path-like or list of path-like

    Attributes
    ----------
    n_parts : int or None
        Number of pieces; None if they come in one order only.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    ValueError
        If one is a folder; while reading, if a file has changed since, or is no gzip file but has the name of one.
    """

    def __init__(self, files):
        files = [files] if isinstance(files, (str, os.PathLike)) else list(files)
        if not files:
            raise ValueError("files must name at least one file, got an empty list.")
        self.paths = [Path(file) for file in files]
        for path in self.paths:
            if path.is_dir():
                raise ValueError(f"files must be files, got the folder {path}.")
        self._stamps = {path: stamp(path) for path in self.paths}
        self.compressed = any(path.suffix == ".gz" for path in self.paths)
        self._ranges = [(path, start) for path in self.paths for start in range(0, self._stamps[path][0], PIECE)]
        self.n_parts = None if self.compressed else len(self._ranges)

    def pieces(self):
        """Return what `text_of` takes, one after the other."""
        return self._decompressed() if self.compressed else range(self.n_parts)

    def text_of(self, piece):
        """Return the lines of a piece: those that begin in it."""
        if isinstance(piece, Text):
            return piece
        path, start = self._ranges[piece]
        with path.open("rb") as file:
            if start:
                file.seek(start - 1)
                start += len(file.readline()) - 1  # the line that reaches into the piece belongs to the one before
            end = self._ranges[piece][1] + PIECE
            text = file.read(end - start) if end > start else b""
            if text and not text.endswith(b"\n"):
                text += file.readline()
            check_stamp(path, self._stamps[path], file)
        return Text(path, _ended(text), start)

    def _decompressed(self):
        for path in self.paths:
            start = n_lines = 0
            with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
                while text := self._some_of(file, path, n_lines):
                    yield Text(path, _ended(text), start, n_lines)
                    start += len(text)
                    n_lines += text.count(b"\n")

    def _some_of(self, file, path, n_lines):
        try:
            text = file.read(PIECE)
            if text and not text.endswith(b"\n"):
                text += file.readline()
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path} is a damaged gzip file, after line {n_lines}: {error}") from error
        check_stamp(path, self._stamps[path], file)
        return text

    def __str__(self):
        others = len(self.paths) - 1
        return f"{self.paths[0]}" + (f" and {others} more" if others else "")

    def fingerprint(self):
        """Return names, sizes and times of the files."""
        stats = [path.stat() for path in self.paths]
        return " ".join(f"{path.absolute()} {stat.st_size} {stat.st_mtime_ns}" for path, stat in zip(self.paths, stats))


def stamp(path):
    """Return what changes with a file: its size and time."""
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns


def check_stamp(path, before, file=None):
    """Raise if a file has changed since its stamp was taken.

    Parameters
    ----------
    path : path-like
    before : tuple
    file : file object, default=None
        The file, if it is open.

    Raises
    ------
    ValueError
    """
    if stamp(path if file is None else file.fileno()) != before:
        raise ValueError(f"{path} has changed since the source was made: make it anew.")


def _ended(text):
    return text if text.endswith(b"\n") else text + b"\n"


def _count_lines(path, n_bytes):
    n_lines = 0
    with path.open("rb") as file:
        while n_bytes > 0 and (text := file.read(min(PIECE, n_bytes))):
            n_lines += text.count(b"\n")
            n_bytes -= len(text)
    return n_lines
