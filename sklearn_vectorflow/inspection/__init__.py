"""Displays of fitted models, like those of scikit-learn. They need matplotlib."""

from sklearn_vectorflow.inspection.loss_curve import LossCurveDisplay
from sklearn_vectorflow.inspection.survival import SurvivalCurvesDisplay
from sklearn_vectorflow.inspection.top_features import TopFeaturesDisplay

__all__ = ["LossCurveDisplay", "SurvivalCurvesDisplay", "TopFeaturesDisplay"]
