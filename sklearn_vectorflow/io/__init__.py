"""Where rows come from."""
from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.io.source import BatchSource, Source
from sklearn_vectorflow.io.svmlight import SVMLightSource, load_svmlight

__all__ = ["BatchSource", "Matrix", "SVMLightSource", "Source", "load_svmlight"]
