"""Losses: plain, picklable objects that compute the loss and gradient of a block of rows."""

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
from sklearn_vectorflow.losses.competing import CompetingRisks
from sklearn_vectorflow.losses.cox import CoxPH
from sklearn_vectorflow.losses.density import MixtureDensity
from sklearn_vectorflow.losses.intervals import DiscreteTime, PiecewiseExponential
from sklearn_vectorflow.losses.ranking import LambdaRank, PairwiseLogistic, RankingLoss, WARPLoss
from sklearn_vectorflow.losses.regression import (
    AbsoluteError,
    EpsilonInsensitive,
    GammaLoss,
    HuberLoss,
    PoissonLoss,
    QuantileLoss,
    RegressionLoss,
    SquaredEpsilonInsensitive,
    SquaredError,
    TweedieLoss,
)
from sklearn_vectorflow.losses.sampled import SampledLogLoss, SampledSoftmaxLoss
from sklearn_vectorflow.losses.survival import (
    ExponentialSurvival,
    LogLogisticAFT,
    LogNormalAFT,
    SurvivalLoss,
    WeibullAFT,
)

CLASSIFICATION_LOSSES = {
    "log_loss": LogLoss,
    "multinomial": MultinomialLoss,
    "one_vs_rest": OneVsRestLogLoss,
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
    "modified_huber": ModifiedHuber,
    "sampled_softmax": SampledSoftmaxLoss,
    "sampled_log_loss": SampledLogLoss,
}

REGRESSION_LOSSES = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": HuberLoss,
    "epsilon_insensitive": EpsilonInsensitive,
    "squared_epsilon_insensitive": SquaredEpsilonInsensitive,
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

DISTRIBUTIONS = {
    "exponential": ExponentialSurvival,
    "weibull": WeibullAFT,
    "lognormal": LogNormalAFT,
    "loglogistic": LogLogisticAFT,
    "piecewise_exponential": PiecewiseExponential,
    "discrete": DiscreteTime,
    "cox": CoxPH,
    "competing_risks": CompetingRisks,
}

__all__ = [
    "AbsoluteError",
    "ClassificationLoss",
    "CompetingRisks",
    "CoxPH",
    "DiscreteTime",
    "EpsilonInsensitive",
    "ExponentialSurvival",
    "GammaLoss",
    "Hinge",
    "HuberLoss",
    "LambdaRank",
    "LogLogisticAFT",
    "LogLoss",
    "LogNormalAFT",
    "Loss",
    "MixtureDensity",
    "ModifiedHuber",
    "MultinomialLoss",
    "OneVsRestLogLoss",
    "PairwiseLogistic",
    "PiecewiseExponential",
    "PoissonLoss",
    "QuantileLoss",
    "RankingLoss",
    "RegressionLoss",
    "SampledLogLoss",
    "SampledSoftmaxLoss",
    "SquaredEpsilonInsensitive",
    "SquaredError",
    "SquaredHinge",
    "SurvivalLoss",
    "TweedieLoss",
    "WARPLoss",
    "WeibullAFT",
    "check_loss",
]
