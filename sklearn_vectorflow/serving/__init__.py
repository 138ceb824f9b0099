"""Predictions of single rows and small batches, by estimators and by whole pipelines."""

from sklearn_vectorflow.serving.pipeline import PipelinePredictor, make_predictor
from sklearn_vectorflow.serving.predictor import Predictor

__all__ = ["PipelinePredictor", "Predictor", "make_predictor"]
