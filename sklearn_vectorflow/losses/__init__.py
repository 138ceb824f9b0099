"""Losses: plain, picklable objects with a compiled function of a block of rows."""
from sklearn_vectorflow.losses.base import Loss
from sklearn_vectorflow.losses.checker import check_loss
from sklearn_vectorflow.losses.classification import (
    ClassificationLoss,
    Hinge,
    LogLoss,
    ModifiedHuber,
    MultinomialLoss,
    OneVsRestLogLoss,
    SquaredHinge,
)
from sklearn_vectorflow.losses.density import MixtureDensity
from sklearn_vectorflow.losses.ranking import LambdaRank, PairwiseLogistic, RankingLoss, WARPLoss
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
    "mixture_density": MixtureDensity,
}

RANKING_LOSSES = {
    "lambdarank": LambdaRank,
    "pairwise_logistic": PairwiseLogistic,
    "warp": WARPLoss,
}

__all__ = [
    "AbsoluteError",
    "ClassificationLoss",
    "GammaLoss",
    "Hinge",
    "HuberLoss",
    "LambdaRank",
    "LogLoss",
    "Loss",
    "MixtureDensity",
    "ModifiedHuber",
    "MultinomialLoss",
    "OneVsRestLogLoss",
    "PairwiseLogistic",
    "PoissonLoss",
    "QuantileLoss",
    "RankingLoss",
    "RegressionLoss",
    "SquaredError",
    "SquaredHinge",
    "TweedieLoss",
    "WARPLoss",
    "check_loss",
]
