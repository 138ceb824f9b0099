"""Linear models and shallow nets for extremely sparse rows, as scikit-learn estimators."""
from sklearn_vectorflow.classifier import VectorFlowClassifier
from sklearn_vectorflow.regressor import VectorFlowRegressor
from sklearn_vectorflow.survival import VectorFlowSurvivalEstimator

__version__ = "0.1.0"

__all__ = ["VectorFlowClassifier", "VectorFlowRegressor", "VectorFlowSurvivalEstimator"]
