"""Columns of data frames, hashed into rows of a sparse matrix."""
from sklearn_vectorflow.io.encoding.encoder import HashingEncoder
from sklearn_vectorflow.io.encoding.kinds import Categorical, Numeric, Text, Tokens

__all__ = ["Categorical", "HashingEncoder", "Numeric", "Text", "Tokens"]
