"""Losses: plain, picklable objects with a compiled function of a block of rows."""
from sklearn_vectorflow.losses.base import Loss
from sklearn_vectorflow.losses.classification import (
    ClassificationLoss,
    Hinge,
    LogLoss,
    ModifiedHuber,
    MultinomialLoss,
    OneVsRestLogLoss,
    SquaredHinge,
)
from sklearn_vectorflow.losses.regression import (
    AbsoluteError,
    GammaLoss,
    HuberLoss,
    PoissonLoss,
    QuantileLoss,
    RegressionLoss,
    SquaredError,
    TweedieLoss,
)

CLASSIFICATION_LOSSES = {
    "log_loss": LogLoss,
    "multinomial": MultinomialLoss,
    "one_vs_rest": OneVsRestLogLoss,
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
    "modified_huber": ModifiedHuber,
}

REGRESSION_LOSSES = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": HuberLoss,
    "quantile": QuantileLoss,
    "poisson": PoissonLoss,
    "gamma": GammaLoss,
    "tweedie": TweedieLoss,
}

__all__ = [
    "AbsoluteError",
    "ClassificationLoss",
    "GammaLoss",
    "Hinge",
    "HuberLoss",
    "LogLoss",
    "Loss",
    "ModifiedHuber",
    "MultinomialLoss",
    "OneVsRestLogLoss",
    "PoissonLoss",
    "QuantileLoss",
    "RegressionLoss",
    "SquaredError",
    "SquaredHinge",
    "TweedieLoss",
]
