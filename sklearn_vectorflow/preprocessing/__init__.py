"""Transformers that turn columns into sparse rows."""

from sklearn_vectorflow.preprocessing.crossing import FeatureCrosser
from sklearn_vectorflow.preprocessing.encoding import (
    Categorical,
    HashingEncoder,
    Numeric,
    Text,
    Tokens,
    expected_collisions,
)

__all__ = ["Categorical", "FeatureCrosser", "HashingEncoder", "Numeric", "Text", "Tokens", "expected_collisions"]
