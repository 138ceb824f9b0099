"""Text files cut into pieces of whole lines."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sklearn_vectorflow.io.paths import found_files
from sklearn_vectorflow.io.stamps import check_stamp, fingerprint, stamp
from sklearn_vectorflow.io.streams import FORMATS, OpenStream, PathStream

PIECE = 2**22  # bytes of text read at once
UNREAD = (".zst", ".lz4", ".zip", ".7z")  # compressed in other ways


@dataclass
class Text:
    """Whole lines of a file.

    Parameters
    ----------
    path : Path or str
        A str is the name of an open file.
    text : bytes
        Ends in a newline.
    start : int
        Bytes of the file's text before it.
    n_lines_before : int, default=None
        Lines before it; None if they have not been counted.
    """

    path: Path | str | None
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
    """Some text files; those whose names end in .gz, .bz2 or .xz are decompressed.

    Parameters
    ----------
    files : path-like, file object, or list of them
        Names may be patterns (``*.svm``) or folders; see `found_files`. What has a method ``read`` is an open file.

    Attributes
    ----------
    n_parts : int or None
        Number of pieces; None if they come in one order only.
    once : bool
        Whether there is an open file that can be read a single time.
    paths : list of Path or str
        Names of open files are strings.

    Raises
    ------
    FileNotFoundError
        If a file does not exist, or none matches a pattern.
    ValueError
        If a folder is empty; while reading, if a file has changed since, or is damaged.
    """

    def __init__(self, files):
        alone = isinstance(files, (str, os.PathLike)) or hasattr(files, "read") or not isinstance(files, Iterable)
        files = [files] if alone else list(files)
        if not files:
            raise ValueError("files must name at least one file, got an empty list.")
        found = [one for file in files for one in _found(file)]
        self.paths = [one.name if isinstance(one, OpenStream) else one for one in found]
        self.once = any(one.once for one in found if isinstance(one, OpenStream))
        self._streams, self._ranges, self.n_parts = None, None, None
        if any(isinstance(one, OpenStream) or one.suffix in FORMATS for one in found):
            self._streams = [one if isinstance(one, OpenStream) else PathStream(one) for one in found]
        else:
            self._stamps = {path: stamp(path) for path in found}
            self._ranges = [(path, start) for path in found for start in range(0, self._stamps[path][0], PIECE)]
            self.n_parts = len(self._ranges)

    def pieces(self):
        """Return what `text_of` takes, one after the other."""
        return self._streamed() if self._ranges is None else range(self.n_parts)

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

    def _streamed(self):
        for stream in self._streams:
            start = n_lines = 0
            for text in stream.pieces(PIECE):
                yield Text(stream.name, text, start, n_lines)
                start += len(text)
                n_lines += text.count(b"\n")

    def __str__(self):
        others = len(self.paths) - 1
        return f"{self.paths[0]}" + (f" and {others} more" if others else "")

    def fingerprint(self):
        """Return names, sizes and times of the files; see `OpenStream.fingerprint` for those that users have opened."""
        if self._ranges is None:
            return " ".join(stream.fingerprint() for stream in self._streams)
        return " ".join(fingerprint(path) for path in self.paths)


def _found(file):
    if hasattr(file, "read") and not isinstance(file, (str, os.PathLike)):
        return [OpenStream(file)]
    paths = found_files(file)
    for path in paths:
        if path.suffix in UNREAD:
            raise ValueError(
                f"files has {path}: open it with a library for {path.suffix} files, and pass the open file."
            )
    return paths


def _ended(text):
    return text if text.endswith(b"\n") else text + b"\n"


def _count_lines(path, n_bytes):
    n_lines = 0
    with path.open("rb") as file:
        while n_bytes > 0 and (text := file.read(min(PIECE, n_bytes))):
            n_lines += text.count(b"\n")
            n_bytes -= len(text)
    return n_lines
