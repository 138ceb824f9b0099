"""Scores of models of counts, rates, amounts and several quantiles: the share of the deviance or loss explained."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import d2_pinball_score, mean_tweedie_deviance

from sklearn_vectorflow.validation.types import RowsLike, TargetLike


class DevianceScoreMixin:
    """Lets `score` return D2 where the loss is half a deviance but for terms of y, or of several quantiles; else R2."""

    def score(self, X: RowsLike, y: TargetLike, sample_weight: ArrayLike | None = None) -> float:
        """Return D2 for losses with a deviance and for several quantiles, otherwise R2.

        Parameters
        ----------
        X, y, sample_weight
            Rows, targets and weights.

        Returns
        -------
        score : float
        """
        loss = self._loss
        if getattr(loss, "is_joint", False):
            pairs = zip(loss.quantile, self.predict(X).reshape(-1, loss.n_outputs(1)).T)
            return float(np.mean([d2_pinball_score(y, own, sample_weight=sample_weight, alpha=q) for q, own in pairs]))
        power = getattr(loss, "deviance_power", None)
        if power is None:
            return super().score(X, y, sample_weight)  # type: ignore[misc]
        prediction = np.maximum(self.predict(X), np.finfo(np.float32).tiny)  # zeros have no deviance
        y = np.asarray(y, dtype=np.float64)
        y, prediction = (one.reshape(len(one), -1) for one in (y, prediction))
        return float(np.mean([_d2(*pair, sample_weight, power) for pair in zip(y.T, prediction.T, strict=True)]))


def _d2(y, prediction, weight, power):
    """Return the share of the deviance from the mean that predictions explain, as R2 has it where there is none."""
    deviance = mean_tweedie_deviance(y, prediction, sample_weight=weight, power=power)
    if np.ptp(y) == 0.0:
        return float(deviance == 0.0)
    constant = np.full(len(y), np.average(y, weights=weight))
    return 1.0 - deviance / mean_tweedie_deviance(y, constant, sample_weight=weight, power=power)
