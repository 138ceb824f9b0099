"""Text files cut into pieces of whole lines."""

import gzip
import os
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

    path: Path
    text: bytes
    start: int
    n_lines_before: int = None

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
    """

    def __init__(self, files):
        files = [files] if isinstance(files, (str, os.PathLike)) else list(files)
        if not files:
            raise ValueError("files must name at least one file, got an empty list.")
        self.paths = [Path(file) for file in files]
        self.sizes = [path.stat().st_size for path in self.paths]
        self.compressed = any(path.suffix == ".gz" for path in self.paths)
        self._ranges = [(path, start) for path, size in zip(self.paths, self.sizes) for start in range(0, size, PIECE)]
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
        return Text(path, _ended(text), start)

    def _decompressed(self):
        for path in self.paths:
            start = n_lines = 0
            with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
                while text := file.read(PIECE):
                    if not text.endswith(b"\n"):
                        text += file.readline()
                    yield Text(path, _ended(text), start, n_lines)
                    start += len(text)
                    n_lines += text.count(b"\n")

    def fingerprint(self):
        """Return names, sizes and times of the files."""
        stats = [path.stat() for path in self.paths]
        return " ".join(f"{path.absolute()} {stat.st_size} {stat.st_mtime_ns}" for path, stat in zip(self.paths, stats))


def _ended(text):
    return text if text.endswith(b"\n") else text + b"\n"


def _count_lines(path, n_bytes):
    n_lines = 0
    with path.open("rb") as file:
        while n_bytes > 0 and (text := file.read(min(PIECE, n_bytes))):
            n_lines += text.count(b"\n")
            n_bytes -= len(text)
    return n_lines
