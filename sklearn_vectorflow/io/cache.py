"""Rows of a source kept for later passes, in memory or in a folder."""

import warnings
from pathlib import Path

from sklearn_vectorflow.io import folder
from sklearn_vectorflow.io.blocks import Block, join, join_targets
from sklearn_vectorflow.io.csr import CSRSource
from sklearn_vectorflow.io.source import Source
from sklearn_vectorflow.io.source import as_source as plain_source


def as_source(X):
    """Return what is to be read for a source: itself, or its cache, which is written first where there is none."""
    source = plain_source(X)
    if source.cache is None:
        return source
    if source.cache == "memory":
        if source.kept is None:
            with source.checked() as blocks:
                source.kept = _Kept(source, list(blocks))
        return source.kept
    options = {name: getattr(source, name) for name in ("buffer_bytes", "survey", "n_jobs", "classes")}
    path = Path(source.cache)
    if not _fresh(path, source.fingerprint()):
        write_cache(source, path)
    return CSRSource.open(path, **options)


def write_cache(source, path):
    """Read a source once and write its rows to a folder, which :meth:`CSRSource.open` opens.

    Parameters
    ----------
    source : source of blocks
    path : path-like
        The folder gets this name when it is complete.

    Raises
    ------
    ValueError
        If something that is no cache is in the way, or blocks differ in type.
    """
    source = plain_source(source)
    with folder.writing(path, source.fingerprint()) as writer, source.checked() as blocks:
        for block in blocks:
            writer.add(block)


def _fresh(path, fingerprint):
    if not path.exists():
        return False
    try:
        folder.check(path, fingerprint)
    except ValueError as error:
        if not (path / folder.HEADER).exists():
            raise
        warnings.warn(f"{error} It is written anew.", UserWarning, stacklevel=6)
        return False
    return True


class _Kept(Source):
    """All blocks of a source in memory."""

    def __init__(self, source, blocks):
        super().__init__(buffer_bytes=source.buffer_bytes, n_jobs=1, classes=source.classes)
        self.buffer_bytes = float("inf")  # they are in memory anyway
        parts = [block.matrix for block in blocks], [block.y for block in blocks], [block.weight for block in blocks]
        if not blocks:
            raise ValueError("The source gave no rows.")
        self.block = Block(join(parts[0]), join_targets(parts[1]), join_targets(parts[2]), "the rows in memory")
        self.n_rows, self.n_features = self.block.X.shape
        self.n_parts = 1

    def read(self, piece):
        """Return all rows."""
        return (self.block,)
