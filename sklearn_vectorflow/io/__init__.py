"""Where rows come from."""
from sklearn_vectorflow.io.encoding import Categorical, HashingEncoder, Numeric, Text, Tokens
from sklearn_vectorflow.io.matrix import Matrix

__all__ = ["Categorical", "HashingEncoder", "Matrix", "Numeric", "Text", "Tokens"]
