"""Text that is read from its beginning: compressed files, and files that users have opened."""

import contextlib
import gzip
import importlib
import threading
import zlib

from sklearn_vectorflow.io.stamps import check_stamp, fingerprint, stamp
from sklearn_vectorflow.validation.errors import brief

FORMATS = {".gz": ("gzip", "gzip"), ".bz2": ("bzip2", "bz2"), ".xz": ("xz", "lzma")}  # names and modules
DAMAGE: tuple = (EOFError, zlib.error, gzip.BadGzipFile)
with contextlib.suppress(ImportError):  # Python may have been built without it
    from lzma import LZMAError

    DAMAGE += (LZMAError,)


class PathStream:
    """A file that is decompressed as its name says.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path):
        self.name = path
        self._stamp = stamp(path)
        self._format, self._module = FORMATS.get(path.suffix, (None, None))

    def pieces(self, size):
        """Yield the text as bytes, in pieces of whole lines of about so many bytes.

        Raises
        ------
        ValueError
            If the file has changed, or is damaged.
        """
        opened = open if self._module is None else importlib.import_module(self._module).open
        with opened(self.name, "rb") as file:
            yield from whole_lines(lambda n_lines: self._some_of(file, size, n_lines))

    def _some_of(self, file, size, n_lines):
        try:
            text = file.read(size)
        except (*DAMAGE, OSError) as error:
            if getattr(error, "errno", None) is not None:
                raise  # the system's error, not the format's
            raise ValueError(f"{self.name} is a damaged {self._format} file, after line {n_lines}: {error}") from error
        check_stamp(self.name, self._stamp, file)
        return text

    def fingerprint(self):
        """Return name, size and time of the file."""
        return fingerprint(self.name)


class OpenStream:
    """A file that a user has opened, read from where it was then.

    Parameters
    ----------
    file : object
        Has a method `read`, which returns bytes or str. It is left open.

    Attributes
    ----------
    once : bool
        Whether it can be read a single time, since it cannot be sought.

    Raises
    ------
    ValueError
        If it is closed.
    """

    def __init__(self, file):
        if getattr(file, "closed", False):
            raise ValueError(f"files has {file!r}, which is closed.")
        name = getattr(file, "name", None)
        self.name = name if isinstance(name, str) and name else f"<{type(file).__name__}>"
        self._file = file
        self._start = _position(file)
        self.once = self._start is None
        self._turn = threading.Lock()

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "_turn"}

    def __setstate__(self, state):
        vars(self).update(state)
        self._turn = threading.Lock()

    def pieces(self, size):
        """Yield the text as bytes, see `PathStream.pieces`. Passes may take turns: each has a place of its own."""
        at = self._start

        def some(n_lines):
            nonlocal at
            with self._turn:
                text, at = self._some_of(at, size, n_lines)
            return text

        return whole_lines(some)

    def _some_of(self, at, size, n_lines):
        try:
            if not self.once and self._file.tell() != at:
                self._file.seek(at)
            text = self._file.read(size)
            if isinstance(text, str):
                text = text.encode()
            elif not isinstance(text, (bytes, bytearray, memoryview)):
                raise TypeError(f"read of {self._file!r} must return bytes or str, got {brief(text)}.")
            return bytes(text), None if self.once else self._file.tell()
        except DAMAGE as error:
            raise ValueError(f"{self.name} is damaged, after line {n_lines}: {error}") from error
        except Exception as error:
            error.add_note(f"This happened while reading {self.name}, after line {n_lines}.")
            raise

    def fingerprint(self):
        """Return the name, the place, and of a file on disk size and time, of one in memory a checksum."""
        known = None
        if hasattr(self._file, "getvalue"):
            value = self._file.getvalue()
            known = zlib.crc32(value.encode() if isinstance(value, str) else value)
        with contextlib.suppress(AttributeError, OSError):
            known = stamp(self._file.fileno())
        return f"{self.name} {self._start} {known}"


def whole_lines(read):
    """Yield pieces of whole lines of what a function returns, which is called with the number of lines before."""
    n_lines, parts = 0, []
    while text := read(n_lines):
        cut = text.rfind(b"\n") + 1
        if not cut:
            parts.append(text)  # a long line
            continue
        whole = b"".join([*parts, text[:cut]])
        yield whole
        n_lines += whole.count(b"\n")
        parts = [text[cut:]]
    if rest := b"".join(parts):
        yield rest + b"\n"


def _position(file):
    """Return where an open file is, or None if it cannot come back there."""
    with contextlib.suppress(AttributeError, OSError):
        if file.seekable():
            return file.tell()
    return None
