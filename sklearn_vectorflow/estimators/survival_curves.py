"""What is predicted of times to an event: risks, curves as functions of time, quantiles."""

import numpy as np
from numpy.typing import ArrayLike

from sklearn_vectorflow.curves import Curve
from sklearn_vectorflow.threads import Crew, n_workers
from sklearn_vectorflow.validation.arrays import check_times
from sklearn_vectorflow.validation.scalars import check_number
from sklearn_vectorflow.validation.types import Array, MatrixLike


class CurvesMixin:
    """Predictions of an estimator that has raw outputs and a `loss_` that knows what they say."""

    def predict(self, X: MatrixLike, *, offset: ArrayLike | None = None) -> Array:
        """Return risk scores: the higher, the earlier the event.

        It is the log hazard, relative to the baseline where there is one ("cox"), or that of
        the first interval; for accelerated failure times minus the logarithm of the median
        time. With a linear head for every interval it is the logarithm of the cumulative
        hazard at the last breakpoint.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        risk : ndarray of shape (n_rows,)
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
    ) -> Array:
        """Return the probability of no event up to a time, as functions of it.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        return_array : bool, default=False
            Whether to return values in place of functions.
        times : array-like of shape (n_times,), default=None
            Times >= 0 of the values, increasing; None is `unique_times_`.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        survival : ndarray of shape (n_rows,) of Curve, or (n_rows, n_times) of float
            Curves are called with a time or an array of times. They are exact at all times:
            smooth for distributions that are, steps for "discrete" and "cox".
        """
        return self._curves("survival", X, return_array, times, offset)

    def predict_cumulative_hazard_function(
        self,
        X: MatrixLike,
        return_array: bool = False,
        *,
        times: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> Array:
        """Return the cumulative hazard, minus the logarithm of survival, as functions of time.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        return_array : bool, default=False
            Whether to return values in place of functions.
        times : array-like of shape (n_times,), default=None
            Times >= 0 of the values, increasing; None is `unique_times_`.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        hazard : ndarray of shape (n_rows,) of Curve, or (n_rows, n_times) of float
        """
        return self._curves("cumulative_hazard", X, return_array, times, offset)

    def predict_quantile(self, X: MatrixLike, q: float = 0.5, *, offset: ArrayLike | None = None) -> Array:
        """Return the time by which a share q of such rows has had the event.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        q : float, default=0.5
            The share, in (0, 1).
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        time : ndarray of shape (n_rows,)
            For "discrete" and "cox" infinite where the curve does not fall that low.
        """
        check_number("predict_quantile", "q", q, 0, 1, low_open=True, high_open=True)
        raw = self._raw(X, offset)
        return self.loss_.quantile(q, raw)

    def predict_median(self, X: MatrixLike, *, offset: ArrayLike | None = None) -> Array:
        """Return the median time, see :meth:`predict_quantile`.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        time : ndarray of shape (n_rows,)
        """
        return self.predict_quantile(X, 0.5, offset=offset)

    def predict_expectation(self, X: MatrixLike, *, offset: ArrayLike | None = None) -> Array:
        """Return the mean time.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        time : ndarray of shape (n_rows,)
            For "discrete" and "cox" the mean of the time up to the last step of the curves. Infinite
            for "loglogistic" with a shape of at most one.
        """
        raw = self._raw(X, offset)
        return self.loss_.expectation(raw)

    def _curves(self, name, X, return_array, times, offset):
        raw = self._raw(X, offset)
        times = self.unique_times_ if times is None else check_times(times)
        if return_array:
            return self._over_rows(lambda rows: getattr(self.loss_, name)(times, rows), raw, len(times))
        curves = np.empty(len(raw), dtype=object)
        for k, row in enumerate(raw):
            curves[k] = Curve(self.loss_, name, row, times)
        return curves

    def _over_rows(self, function, raw, width):
        """Apply a function to ranges of rows, in threads, and stack what it returns."""
        with Crew(n_workers(self.n_jobs, raw.shape[0] * width)) as crew:
            return np.concatenate(crew.map(function, np.array_split(raw, crew.n_workers)))
