"""Scores of sources."""

from numpy.typing import ArrayLike

from sklearn_vectorflow.estimators.raw_outputs import rows_to_score
from sklearn_vectorflow.targets.labels import comparing
from sklearn_vectorflow.validation.types import RowsLike, TargetLike


class SourceScoreMixin:
    """Lets `score` take a source, which brings targets and weights along."""

    def score(
        self,
        X: RowsLike,
        y: TargetLike = None,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
    ) -> float:
        """Return the accuracy of a classifier, or R2 or D2 of a regressor.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or source
            Rows.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), default=None
            Targets. None for a source.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows. None for a source.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`. None for a source, whose blocks may have offsets. For rates,
            pass the logarithm of the exposure.

        Returns
        -------
        score : float
            Mean accuracy, or coefficient of determination R2. For the Poisson, gamma and Tweedie losses it is D2, the
            share of the deviance explained, as in scikit-learn's ``PoissonRegressor``: one minus the deviance of the
            predictions divided by that of the mean of y. For several quantiles it is the share of the pinball loss
            explained, as in :func:`sklearn.metrics.d2_pinball_score`. Several targets or quantiles have the mean of
            their scores.
        """
        X, y, sample_weight = rows_to_score(self, X, y, sample_weight, offset)
        with comparing(y):
            return super().score(X, y, sample_weight)  # type: ignore[misc]
