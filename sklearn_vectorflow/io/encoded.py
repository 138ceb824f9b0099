"""Sources of frames, and of the rows that a transformer makes of frames while they are read."""

from collections.abc import Iterable
from typing import Any

import joblib

from sklearn_vectorflow.io.ahead import close_generator
from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.io.parquet import TableSource
from sklearn_vectorflow.io.source import Source, as_source, is_source
from sklearn_vectorflow.validation.errors import naming


def is_source_of_frames(X):
    """Return whether X is a source, not a frame: of frames that are streams, some can be iterated."""
    return isinstance(X, Source) or (not hasattr(X, "__arrow_c_stream__") and is_source(X))


def encoded(X, encoder, *, tables=True):
    """Return a source of the rows that an encoder makes of a source's frames.

    Parameters
    ----------
    X : source
        Of blocks (frame, y, sample_weight, offset), or of the columns of tables.
    encoder : transformer
        Fitted or stateless, and thread-safe.
    tables : bool, default=True
        Whether the encoder takes tables; else it is given their numbers as arrays.
    """
    source = as_source(X)
    if tables and isinstance(source, TableSource) and source.is_plain:
        return source.encoded_by(encoder)
    return _Encoded(source, encoder)


def frames_of(X, *, tables=True):
    """Return a source of the frames that `encoded` would give an encoder."""
    return encoded(X, _AsTheyAre(), tables=tables)


def check_again(source):
    """Raise if a source can be read once: whoever reads it beforehand uses it up.

    Raises
    ------
    ValueError
    """
    if source.once:
        raise ValueError(
            f"X can be read once, and fit would use it up: {source}. Pass a source that can be read again, such as "
            "sklearn_vectorflow.io.BatchSource(function)."
        )


def first_block(source):
    """Return the first block of a source.

    Raises
    ------
    ValueError
        If there is none, or the source can be read once.
    """
    check_again(source)
    blocks = iter(source)
    try:
        for block in blocks:
            return block
    finally:
        close_generator(blocks)
    raise ValueError(f"The source gave no rows: {source}.")


class _AsTheyAre:
    """Stands for an encoder where frames are wanted."""

    def transform(self, X):
        return X


class _Encoded(Source):
    """The rows that an encoder makes of a source's frames, which the source's threads read and encode.

    Parameters
    ----------
    source : Source
    encoder : transformer
    """

    def __init__(self, source, encoder):
        options = "cache", "buffer_bytes", "survey", "n_jobs", "classes"
        super().__init__(**{name: getattr(source, name) for name in options})
        self.source = source
        self.encoder = encoder
        self.n_rows, self.n_parts, self.once = source.n_rows, source.n_parts, source.once

    def pieces(self) -> Iterable[Any]:
        """Return the source's pieces."""
        return self.source.pieces()

    def read(self, piece: Any) -> Iterable[Any]:
        """Return the encoded rows of a piece."""
        for block in self.source.read(piece):
            frame = block.X.values if isinstance(block.X, Matrix) else block.X
            if (frame.shape[0] if hasattr(frame, "shape") else len(frame)) == 0:
                continue
            with naming(block.where):
                X = self.encoder.transform(frame)
            yield block._replace(X=X)

    def release(self) -> None:
        """Free memory that the next pass would reuse."""
        self.source.release()

    def __str__(self) -> str:
        return f"{self.source}"

    def fingerprint(self) -> str:
        """Return what the source says, and a hash of the encoder."""
        return f"{self.source.fingerprint()} {joblib.hash(self.encoder)}"
