"""The exact optimum of linear models, and what follows from it: standard errors, likelihoods."""

from sklearn_vectorflow.exact.inference import Inference

__all__ = ["Inference"]
