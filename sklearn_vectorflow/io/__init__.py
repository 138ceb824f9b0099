"""Where rows come from."""
from sklearn_vectorflow.io.cache import write_cache
from sklearn_vectorflow.io.csr import CSRSource
from sklearn_vectorflow.io.encoding import Categorical, HashingEncoder, Numeric, Text, Tokens
from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.io.parquet import ArrowSource, ParquetSource
from sklearn_vectorflow.io.source import BatchSource, Source
from sklearn_vectorflow.io.svmlight import SVMLightSource, load_svmlight
from sklearn_vectorflow.io.vw import VWSource

__all__ = [
    "ArrowSource", "BatchSource", "CSRSource", "Categorical", "HashingEncoder", "Matrix", "Numeric", "ParquetSource",
    "SVMLightSource", "Source", "Text", "Tokens", "VWSource", "load_svmlight", "write_cache",
]
