"""Parquet files and Arrow tables."""

import contextlib
import copy
import os
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Self

import joblib
from numpy.typing import ArrayLike

from sklearn_vectorflow.io.columns import Columns, import_pyarrow
from sklearn_vectorflow.io.paths import found_files, is_pattern
from sklearn_vectorflow.io.source import Source
from sklearn_vectorflow.io.stamps import check_stamp, stamp
from sklearn_vectorflow.validation.arrays import check_column_names
from sklearn_vectorflow.validation.types import FilePath, FilePaths

ROWS = 65_536  # rows encoded at once
DECODED = 16_384  # rows decoded at once, which takes several times their memory
BUFFER = 1 << 16  # bytes of a local file read at once; elsewhere requests are slow, and all of a column is read ahead


class TableSource(Source):
    """Base class of sources of tables: the meaning of their columns."""

    def __init__(
        self,
        y: str | dict[str, str] | None,
        *,
        sample_weight: str | None = None,
        offset: str | None = None,
        columns: Sequence[str] | None = None,
        indices: str | None = None,
        values: str | None = None,
        n_features: int | None = None,
        encoder: Any = None,
        frame: Literal["arrow", "pandas"] = "arrow",
        cache: FilePath | None = None,
        buffer_bytes: int = 2**28,
        survey: bool = True,
        n_jobs: int = -1,
        classes: ArrayLike | None = None,
    ) -> None:
        super().__init__(cache=cache, buffer_bytes=buffer_bytes, survey=survey, n_jobs=n_jobs, classes=classes)
        self._arrow = import_pyarrow()
        self._columns = Columns(y, sample_weight, offset, columns, indices, values, n_features, encoder, frame)
        self.n_features = n_features

    @property
    def is_plain(self):
        """Whether the columns are used as numbers, without an encoder or lists."""
        return self._columns.encoder is None and self._columns.indices is None

    def encoded_by(self, encoder: Any) -> Self:
        """Return a source of the same tables with an encoder of their columns."""
        source = copy.copy(self)
        source._columns = copy.copy(self._columns)
        source._columns.encoder = encoder
        return source

    def release(self) -> None:
        """Give what Arrow has decoded into, and keeps for the next rows, back to the system."""
        self._arrow.default_memory_pool().release_unused()

    @contextlib.contextmanager
    def _naming(self, where):
        """Turn what Arrow raises for a damaged file into a ValueError that says where."""
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, ValueError, self._arrow.ArrowException) as error:
            raise ValueError(f"{where}: {error}") from error

    def _fingerprint_of_columns(self):
        return joblib.hash(vars(self._columns))


class ParquetSource(TableSource):
    """Rows of Parquet files.

    Threads decode and encode row groups ahead of training. Row groups of about 100,000 rows work best, as each thread
    holds one or two of them.

    Parameters
    ----------
    files : path-like or list of path-like
        Files, patterns (``"data/part-*.parquet"``) or a folder, which may have Hive partitions
        (``day=1/part.parquet``).
    y : str, dict of str, or None
        Column of targets. None if the rows are for prediction. A dict names the columns of times to an event, such as
        ``{"event": "has_left", "time": "months"}``, optionally with "entry", or with "lower" and "upper".
    sample_weight : str, default=None
        Column of weights.
    offset : str, default=None
        Column of offsets, which are added to the raw outputs; for rates, the logarithm of the exposure.
    columns : list of str, default=None
        Columns of features. None means all columns without another use.
    indices, values : str, default=None
        Columns of lists, in place of `columns`: the column numbers and values of the non-zeros of each row. Without
        `values`, all non-zeros are 1.
    n_features : int, default=None
        Number of columns of X. `indices` requires it.
    encoder : transformer, default=None
        Transformer of `columns` into X, which must be stateless or fitted, and thread-safe. None uses the columns as
        numbers.
    frame : {"arrow", "pandas"}, default="arrow"
        Input of the encoder: a pyarrow.Table or a pandas.DataFrame.
    filters : pyarrow.dataset.Expression or list of tuple, default=None
        Rows to read, in a form that pyarrow accepts, such as ``[("day", ">", 3)]``.
    cache, buffer_bytes, survey, n_jobs, classes
        See :class:`Source`.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    ValueError, TypeError
        If parameters or columns do not fit each other, or, while reading, if a value is missing or a file is damaged.
        The message names file and row.
    """

    def __init__(
        self, files: FilePaths, y: str | dict[str, str] | None, *, filters: Any = None, **options: Any
    ) -> None:
        super().__init__(y, **options)
        import pyarrow.dataset
        import pyarrow.parquet

        with self._naming(f"{files}"):
            self._dataset = pyarrow.dataset.dataset(_paths(files), format="parquet", partitioning="hive")
        self._stamps = {path: stamp(path) for path in self._dataset.files if os.path.exists(path)}
        if isinstance(filters, (list, tuple)):
            filters = pyarrow.parquet.filters_to_expression(filters)
        self._filters = filters
        with self._naming(f"{files}"):
            self._needed = self._columns.needed(self._dataset.schema.names)
        self._groups = []
        for file in self._dataset.get_fragments(filter=filters):
            with self._naming(file.path):
                _check_rows(file.metadata)
                self._groups += file.split_by_row_group(filters, schema=self._dataset.schema)
        if not self._groups:
            raise ValueError(f"There are no rows in {files!r}" + ("." if filters is None else f" where {filters}."))
        self.n_parts = len(self._groups)
        if filters is None:
            self.n_rows = sum(group.row_groups[0].num_rows for group in self._groups)

    def read(self, piece: Any) -> Iterable[Any]:
        """Return the rows of a row group."""
        group = self._groups[piece]
        name, n_rows = f"{group.path}, row group {group.row_groups[0].id}", 0
        with contextlib.closing(self._tables(group)) as tables:
            while True:
                where = f"{name}, rows from {n_rows}"
                with self._naming(where):
                    table = next(tables, None)
                self._check_unchanged(group.path)
                if table is None:
                    break
                n_rows += table.num_rows
                block = self._columns.block(table, where) if table.num_rows else None
                del table  # who takes the block needs perhaps not all of it, and for less long
                if block is not None:
                    yield block
                del block
        self.release()  # what a thread has decoded into, Arrow keeps for that thread, and only it can give it back
        expected = group.row_groups[0].num_rows
        if self._filters is None and n_rows != expected:
            raise ValueError(f"{name} is damaged: it has {n_rows} rows, the file's metadata say {expected}.")

    def _tables(self, group):
        """Iterate over the rows of a row group as tables."""
        if self._filters is None and self._is_as_stored(group.physical_schema):
            yield from self._decoded(group)
            return
        scanner = group.scanner(
            schema=self._dataset.schema,
            columns=self._needed,
            filter=self._filters,
            batch_size=ROWS,
            use_threads=False,
        )
        for batch in scanner.to_batches():
            yield self._arrow.Table.from_batches([batch])

    def _is_as_stored(self, stored):
        """Return whether a file has all columns that are needed, of the types that all files are read with."""
        schema = self._dataset.schema
        return all(name in stored.names and stored.field(name).type == schema.field(name).type for name in self._needed)

    def _decoded(self, group):
        """Iterate over the rows of a row group; a scanner would decode all of it at once."""
        import pyarrow.fs
        import pyarrow.parquet

        local = isinstance(group.filesystem, pyarrow.fs.LocalFileSystem)
        how = {"pre_buffer": False, "buffer_size": BUFFER} if local else {}
        with group.filesystem.open_input_file(group.path) as file:
            reader = pyarrow.parquet.ParquetFile(file, metadata=group.metadata, **how)
            some = {"row_groups": [group.row_groups[0].id], "columns": self._needed, "use_threads": False}
            held, n_rows = [], 0
            for batch in reader.iter_batches(DECODED, **some):
                held.append(batch)
                n_rows += batch.num_rows
                del batch
                if n_rows >= ROWS:
                    yield self._joined(held)
                    held, n_rows = [], 0
            if held:
                yield self._joined(held)

    def _joined(self, batches):
        """Return a table of batches, which are let go."""
        table = self._arrow.Table.from_batches(batches).select(self._needed)
        batches.clear()
        return table.combine_chunks()

    def _check_unchanged(self, path):
        if path in self._stamps:
            check_stamp(path, self._stamps[path])

    def __str__(self) -> str:
        others = len(self._dataset.files) - 1
        return f"ParquetSource of {self._dataset.files[0]}" + (f" and {others} more" if others else "")

    def fingerprint(self) -> str:
        """Return files, their sizes and times, filters and columns."""
        stats = [(path, os.stat(path)) for path in self._dataset.files]
        files = " ".join(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats)
        return f"{files} {self._filters} {self._fingerprint_of_columns()}"


class ArrowSource(TableSource):
    """Rows of a table in memory, or of a query, in Polars, DuckDB, pandas or pyarrow.

    Parameters
    ----------
    data : object
        Table with the method ``__arrow_c_stream__``. A ``pyarrow.RecordBatchReader`` can be read only once. A DuckDB
        relation runs its query again in each pass.
    y, sample_weight, offset, columns, indices, values, n_features, encoder, frame
        See :class:`ParquetSource`.
    cache, buffer_bytes, survey, n_jobs, classes
        See :class:`Source`.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    TypeError, ValueError
        If `data` is not a table, or the name of a column has a null character.
    """

    def __init__(self, data: Any, y: str | dict[str, str] | None, **options: Any) -> None:
        super().__init__(y, **options)
        if not hasattr(data, "__arrow_c_stream__"):
            raise TypeError(f"data must have __arrow_c_stream__, got {type(data).__name__}.")
        check_column_names(data, "data")
        self.data = data
        self.once = isinstance(data, self._arrow.RecordBatchReader)
        shape = getattr(data, "shape", None)
        if isinstance(shape, tuple) and len(shape) == 2 and not callable(shape):
            self.n_rows = shape[0]

    def pieces(self) -> Iterable[Any]:
        """Return tables of some rows, with the number of rows before them."""
        reader = self._arrow.RecordBatchReader.from_stream(self.data)
        needed, n_rows = self._columns.needed(reader.schema.names), 0
        while True:
            with self._naming(f"{type(self.data).__name__}, rows from {n_rows}"):
                batch = next(reader, None)
            if batch is None:
                return
            table = self._arrow.Table.from_batches([batch]).select(needed)
            for start in range(0, table.num_rows, ROWS):
                yield table.slice(start, ROWS), n_rows + start
            n_rows += table.num_rows

    def read(self, piece: Any) -> Iterable[Any]:
        """Return the rows of a table."""
        table, start = piece
        return (self._columns.block(table, f"{type(self.data).__name__}, rows from {start}"),)


def _check_rows(metadata):
    of_groups = sum(metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))
    if of_groups != metadata.num_rows:
        raise ValueError(f"the file is damaged: it has {metadata.num_rows} rows, and its row groups {of_groups}.")


def _paths(files):
    """Return what pyarrow takes: a file or a folder, or a list of files where there are patterns."""
    alone = isinstance(files, (str, os.PathLike))
    names = [files] if alone else list(files)
    if any(is_pattern(name) for name in names):
        return [os.fspath(path) for name in names for path in found_files(name)]
    return os.fspath(files) if alone else [os.fspath(name) for name in names]
