"""Metrics of rankings and of predicted times to an event.

Metrics of times agree with their counterparts in scikit-survival. They accept y in all forms that the estimator
accepts.
"""

from sklearn_vectorflow.metrics.brier import brier_score, integrated_brier_score
from sklearn_vectorflow.metrics.calibration import calibration_by_quantile
from sklearn_vectorflow.metrics.concordance import concordance_index, concordance_index_ipcw
from sklearn_vectorflow.metrics.dynamic_auc import cumulative_dynamic_auc
from sklearn_vectorflow.metrics.kaplan_meier import kaplan_meier
from sklearn_vectorflow.metrics.ranking import mean_ndcg

__all__ = [
    "brier_score",
    "calibration_by_quantile",
    "concordance_index",
    "concordance_index_ipcw",
    "cumulative_dynamic_auc",
    "integrated_brier_score",
    "kaplan_meier",
    "mean_ndcg",
]
