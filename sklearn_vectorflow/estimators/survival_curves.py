"""Predictions of times to an event: risks, curves and quantiles."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if

from sklearn_vectorflow.curves import Curve, values_of
from sklearn_vectorflow.losses import DISTRIBUTIONS
from sklearn_vectorflow.threads import Crew, n_workers
from sklearn_vectorflow.validation.arrays import check_after, check_times
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.scalars import check_number
from sklearn_vectorflow.validation.types import Array, MatrixLike


def _has_causes(estimator):
    """Raise, so that `available_if` says why not, unless the distribution tells causes apart."""
    loss = getattr(estimator, "loss_", estimator.distribution)
    if not hasattr(DISTRIBUTIONS.get(loss) if isinstance(loss, str) else loss, "cumulative_incidence"):
        raise AttributeError(f"distribution={brief(estimator.distribution)} does not distinguish causes of events.")
    return True


class CurvesMixin:
    """Predictions of an estimator that has raw outputs and a `loss_` that knows what they say."""

    def predict(self, X: MatrixLike, *, offset: ArrayLike | None = None) -> Array:
        """Return risk scores. Rows with higher scores have earlier events.

        The score depends on the distribution:

        - "exponential": the log hazard;
        - "cox": the log hazard relative to the baseline;
        - "weibull", "lognormal", "loglogistic": minus the logarithm of the median time;
        - "piecewise_exponential", "discrete", "competing_risks": the log hazard (for "discrete" its logit) in the first
          interval or, with ``shape="linear"``, the logarithm of the cumulative hazard at the last breakpoint.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        risk : ndarray of shape (n_rows,), or (n_rows, n_causes) if there are several causes
        """
        raw = self._raw(X, offset)
        return self.loss_.risk(raw)

    def predict_survival_function(
        self,
        X: MatrixLike,
        return_array: bool = False,
        *,
        times: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        conditional_after: ArrayLike | None = None,
    ) -> Array:
        """Return the survival function of each row, the probability of no event up to a time.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        return_array : bool, default=False
            Whether to return values at `times` instead of functions.
        times : array-like of shape (n_times,), default=None
            Times >= 0, increasing, for which to return values. None means `unique_times_`.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.
        conditional_after : float or array-like of shape (n_rows,), default=None
            Time up to which a row is known to have had no event. `times` and the arguments of the curves then start to
            count there: the probability is that of T > conditional_after + t given T > conditional_after.

        Returns
        -------
        survival : ndarray of shape (n_rows,) of Curve, or (n_rows, n_times) of float
            A curve is a function of a time or of an array of times, and is exact at all times. "discrete" and "cox"
            give step functions, other distributions continuous curves.
        """
        return self._curves("survival", X, return_array, times, offset, conditional_after)

    def predict_cumulative_hazard_function(
        self,
        X: MatrixLike,
        return_array: bool = False,
        *,
        times: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        conditional_after: ArrayLike | None = None,
    ) -> Array:
        """Return the cumulative hazard function of each row, minus the logarithm of its survival function.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        return_array : bool, default=False
            Whether to return values at `times` instead of functions.
        times : array-like of shape (n_times,), default=None
            Times >= 0, increasing, for which to return values. None means `unique_times_`.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.
        conditional_after : float or array-like of shape (n_rows,), default=None
            Time up to which a row is known to have had no event. `times` then start to count there.

        Returns
        -------
        hazard : ndarray of shape (n_rows,) of Curve, or (n_rows, n_times) of float
        """
        return self._curves("cumulative_hazard", X, return_array, times, offset, conditional_after)

    @available_if(_has_causes)
    def predict_cumulative_incidence(
        self,
        X: MatrixLike,
        return_array: bool = False,
        *,
        times: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        conditional_after: ArrayLike | None = None,
    ) -> Array:
        """Return the cumulative incidence of each cause, the probability of an event of this cause up to a time.

        Other causes may end a row first, so it is not the probability in their absence. The incidences of all causes
        and the survival function add up to one.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        return_array : bool, default=False
            Whether to return values at `times` instead of functions.
        times : array-like of shape (n_times,), default=None
            Times >= 0, increasing, for which to return values. None means `unique_times_`.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.
        conditional_after : float or array-like of shape (n_rows,), default=None
            Time up to which a row is known to have had no event. `times` then start to count there.

        Returns
        -------
        incidence : ndarray of shape (n_rows, n_causes) of Curve, or (n_rows, n_causes, n_times) of float
        """
        return self._curves(
            "cumulative_incidence", X, return_array, times, offset, conditional_after, self.loss_.n_causes
        )

    def predict_quantile(
        self,
        X: MatrixLike,
        q: float = 0.5,
        *,
        offset: ArrayLike | None = None,
        conditional_after: ArrayLike | None = None,
    ) -> Array:
        """Return the q-quantile of the event time of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        q : float, default=0.5
            Probability of an event up to the returned time, in (0, 1).
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.
        conditional_after : float or array-like of shape (n_rows,), default=None
            Time up to which a row is known to have had no event. The quantile is then that of the remaining time.

        Returns
        -------
        time : ndarray of shape (n_rows,)
            Infinite for "discrete" and "cox" if the survival function does not fall to 1 - q.
        """
        check_number("predict_quantile", "q", q, 0, 1, low_open=True, high_open=True)
        raw = self._raw(X, offset)
        after = check_after(conditional_after, len(raw))
        return self.loss_.quantile(q, raw) if after is None else self.loss_.quantile(q, raw, after)

    def predict_median(
        self, X: MatrixLike, *, offset: ArrayLike | None = None, conditional_after: ArrayLike | None = None
    ) -> Array:
        """Return the median event time of each row, see :meth:`predict_quantile`.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.
        conditional_after : float or array-like of shape (n_rows,), default=None
            Time up to which a row is known to have had no event. The median is then that of the remaining time.

        Returns
        -------
        time : ndarray of shape (n_rows,)
        """
        return self.predict_quantile(X, 0.5, offset=offset, conditional_after=conditional_after)

    def predict_expectation(self, X: MatrixLike, *, offset: ArrayLike | None = None) -> Array:
        """Return the mean event time of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        time : ndarray of shape (n_rows,)
            For "discrete" and "cox" the restricted mean, up to the last step of the curves. Infinite for "loglogistic"
            with a shape of at most 1.
        """
        raw = self._raw(X, offset)
        return self.loss_.expectation(raw)

    def _curves(self, name, X, return_array, times, offset, after, n_causes=None):
        raw = self._raw(X, offset)
        times = self.unique_times_ if times is None else check_times(times)
        after = check_after(after, len(raw))
        if return_array:
            return self._over_rows(
                lambda rows, after: values_of(self.loss_, name, times, rows, after), raw, after, len(times)
            )
        causes = (None,) if n_causes is None else range(1, n_causes + 1)
        curves = np.empty((len(raw), len(causes)), dtype=object)
        for k, row in enumerate(raw):
            for j, cause in enumerate(causes):
                curves[k, j] = Curve(self.loss_, name, row, times, cause, None if after is None else float(after[k]))
        return curves[:, 0] if n_causes is None else curves

    def _over_rows(self, function, raw, after, width):
        """Apply a function to ranges of rows, in threads, and stack what it returns."""
        with Crew(n_workers(self.n_jobs, raw.shape[0] * width)) as crew:
            spans = np.array_split(np.arange(len(raw)), crew.n_workers)
            of_span = [slice(span[0], span[-1] + 1) if len(span) else slice(0, 0) for span in spans]
            return np.concatenate(
                crew.map(lambda some: function(raw[some], None if after is None else after[some]), of_span)
            )
