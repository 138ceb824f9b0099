"""Where rows come from."""
from sklearn_vectorflow.io.matrix import Matrix

__all__ = ["Matrix"]
