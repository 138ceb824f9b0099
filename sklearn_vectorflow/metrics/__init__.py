"""Measures of what scikit-learn does not measure."""
from sklearn_vectorflow.metrics.ranking import mean_ndcg

__all__ = ["mean_ndcg"]
