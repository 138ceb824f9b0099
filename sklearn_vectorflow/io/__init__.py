"""Sources of rows: files, tables, functions and arrays."""

from sklearn_vectorflow.io.cache import write_cache
from sklearn_vectorflow.io.csr import CSRSource
from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.io.parquet import ArrowSource, ParquetSource
from sklearn_vectorflow.io.source import BatchSource, Source
from sklearn_vectorflow.io.svmlight import SVMLightSource, load_svmlight
from sklearn_vectorflow.io.vw import VWSource

__all__ = [
    "ArrowSource",
    "BatchSource",
    "CSRSource",
    "Matrix",
    "ParquetSource",
    "SVMLightSource",
    "Source",
    "VWSource",
    "load_svmlight",
    "write_cache",
]
