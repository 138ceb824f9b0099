"""Where rows come from."""
from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.io.source import BatchSource, Source

__all__ = ["BatchSource", "Matrix", "Source"]
