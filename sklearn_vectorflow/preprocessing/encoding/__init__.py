"""Columns of data frames, hashed into rows of a sparse matrix."""

from sklearn_vectorflow.preprocessing.encoding.encoder import HashingEncoder
from sklearn_vectorflow.preprocessing.encoding.kinds import Categorical, Numeric, Text, Tokens
from sklearn_vectorflow.preprocessing.encoding.names import expected_collisions

__all__ = ["Categorical", "HashingEncoder", "Numeric", "Text", "Tokens", "expected_collisions"]
