"""Caches of the rows of a source, in memory or in a folder."""

import warnings

from scipy import sparse

from sklearn_vectorflow.io import folder
from sklearn_vectorflow.io.blocks import Block, csr, join, join_targets
from sklearn_vectorflow.io.cache_writer import write
from sklearn_vectorflow.io.csr import CSRSource
from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.io.source import Source, source_name
from sklearn_vectorflow.io.source import as_source as plain_source
from sklearn_vectorflow.io.turns import turn
from sklearn_vectorflow.validation.types import FilePath, RowsLike


def as_source(X):
    """Return what is to be read for a source: itself, or its cache, which is written first where there is none."""
    source = plain_source(X)
    if source.cache is None:
        return source
    if source.cache == "memory":
        if source.kept is None:
            with source.checked() as blocks:
                source.kept = Kept(source, list(blocks))
        return source.kept
    if not (isinstance(source.kept, _Cached) and source.kept.is_current()):
        source.kept = _Cached(source)
    return source.kept


def write_cache(source: RowsLike, path: FilePath) -> None:
    """Read a source once and write its rows to a folder, for :meth:`CSRSource.open`.

    Parameters
    ----------
    source : source of blocks
        Rows to write.
    path : path-like
        The folder. An existing cache in it stays readable until the new one is complete. Processes that write to the
        same folder wait for each other.

    Raises
    ------
    ValueError
        If the path exists and is not a cache, or if blocks differ in type.
    OSError
        If the folder cannot be written.
    """
    source, path = plain_source(source), folder.resolved(path)
    folder.check_free(path)
    with turn(path) as alone, source.checked() as blocks:
        write(path, source.fingerprint(), blocks, alone)


class _Cached(Source):
    """The rows of a source in a folder, written anew when they are stale or damaged.

    Parameters
    ----------
    source : Source
    """

    def __init__(self, source):
        options = {name: getattr(source, name) for name in ("buffer_bytes", "survey", "n_jobs", "classes")}
        super().__init__(**options)
        self.source = source
        self.path = folder.resolved(source.cache)
        self._options = options
        self._fingerprint = source.fingerprint()
        self._use(self._opened() or self._written())
        folder.tidy(self.path, self.rows.opened.header.folder)

    def _use(self, cache):
        self.rows = CSRSource(cache, **self._options)
        self.n_rows, self.n_features, self.n_parts = (
            getattr(self.rows, name) for name in ("n_rows", "n_features", "n_parts")
        )

    def is_current(self):
        """Return whether the folder still has what is open here, of the source as it is now."""
        try:
            header = folder.read_header(folder.resolved(self.source.cache))
        except ValueError:
            return False
        now = header.folder, header.fingerprint
        return now == (self.rows.opened.header.folder, self.source.fingerprint())

    def _opened(self):
        """Open the cache that is there; None if it has to be written."""
        folder.check_free(self.path)
        try:
            return folder.open_cache(self.path, self._fingerprint)
        except (folder.NoCache, folder.BrokenCache):
            return None

    def _written(self, damaged=None):
        """Write the cache, unless another process does so first; return it."""
        with turn(self.path) as alone:
            try:
                cache = folder.open_cache(self.path, self._fingerprint)
                if damaged is None or cache.header.folder != self.rows.opened.header.folder:
                    return cache
                broken = damaged
            except (folder.NoCache, folder.BrokenCache) as error:
                broken = error
            if isinstance(broken, folder.BrokenCache):
                warnings.warn(f"{broken} It is written again.", UserWarning, stacklevel=7)
            with self.source.checked() as blocks:
                write(self.path, self._fingerprint, blocks, alone)
            return folder.open_cache(self.path, self._fingerprint)

    def checked(self, order=None, held=None):
        """Return a context manager whose value iterates over checked blocks, see `Source.checked`."""
        return _Renewing(self, list(range(self.n_parts) if order is None else order), held)

    def release(self):
        """Free memory that the next pass would reuse."""
        self.rows.release()

    def renew(self, error):
        """Write the cache anew after damage; its parts stay the same.

        Raises
        ------
        ValueError
            If the source's rows are others by now.
        """
        before = self.rows.opened.header
        try:
            cache = self._written(error)
        except ValueError as failure:
            raise ValueError(f"{error} It could not be written again: {failure}") from failure
        if (cache.header.rows, cache.header.nonzeros) != (before.rows, before.nonzeros):
            raise ValueError(f"{error} It was written again with other rows: call fit again.") from error
        self._use(cache)


class _Renewing:
    """The blocks of a cache, which is written anew where a part of it turns out to be damaged."""

    def __init__(self, cached, parts, held):
        self._cached = cached
        self._parts = parts
        self._held = held
        self._reading = None
        self._closed = False

    def __enter__(self):
        return self._blocks()

    def __exit__(self, *error):
        self._closed = True
        if self._reading is not None:
            self._reading.__exit__(*error)

    def _blocks(self):
        n_done = 0  # a part is one block
        while not self._closed:
            self._reading = self._cached.rows.checked(self._parts[n_done:], self._held)
            try:
                with self._reading as blocks:
                    for block in blocks:
                        n_done += 1
                        yield block
                return
            except folder.BrokenCache as error:
                if not self._closed:
                    self._cached.renew(error)


class Kept(Source):
    """All blocks of a source in memory of our own."""

    def __init__(self, source, blocks):
        super().__init__(buffer_bytes=source.buffer_bytes, n_jobs=1, classes=source.classes)
        self.buffer_bytes = float("inf")  # they are in memory anyway
        self.why_no_targets = source.why_no_targets
        self._stands_for = source_name(source)
        X = join([block.matrix for block in blocks])
        y, weight, offset = (
            join_targets([getattr(block, name) for block in blocks]) for name in ("y", "weight", "offset")
        )
        if len(blocks) == 1:  # joined, they are copies
            X = _copy_of(X)
        self.block = Block(X, y, weight, "the rows in memory", offset=offset)
        self.n_rows, self.n_features = self.block.X.shape
        self.n_parts = 1

    def read(self, piece):
        """Return all rows."""
        return (self.block,)


def _copy_of(matrix):
    X = matrix.values
    if sparse.issparse(X):
        copy = Matrix(csr((X.data.copy(), X.indices.copy(), X.indptr.copy()), X.shape))
    else:
        copy = Matrix(X.copy())
    copy.current = True
    if matrix.header is not X:
        copy.header = matrix.header
    return copy
