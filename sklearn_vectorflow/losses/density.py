r"""Losses of predicted distributions, compiled in engine/losses/density.pyx."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, ndtr, softmax

from sklearn_vectorflow.engine.losses.density import KERNELS
from sklearn_vectorflow.losses.regression import RegressionLoss, spread, weighted_quantiles
from sklearn_vectorflow.validation.scalars import check_integer
from sklearn_vectorflow.validation.types import Array

LARGEST = 10.0  # of the logarithm of a width, and of its inverse; as in the compiled function


class MixtureDensity(RegressionLoss):
    r"""Negative log-likelihood of a mixture of normal distributions. Predictions are its mean.

    .. math::
        -\log \sum_k \pi_k \, \phi\left(\frac{y - \mu_k}{\sigma_k}\right) / \sigma_k, \quad
        \pi = \text{softmax}(f_1 \ldots f_K), \; \mu_k = f_{K + k}, \; \sigma_k = e^{f_{2K + k}}

    Domain: real y in one column. Link: the mean is :math:`\sum_k \pi_k \mu_k`. Dropped constants: none.
    :math:`\sigma_k` is limited to :math:`[e^{-10}, e^{10}]`. Default learning rates suit a y with a standard deviation
    of about 1: scale y, for example with :class:`sklearn.compose.TransformedTargetRegressor`.

    Parameters
    ----------
    n_components : int, default=3
        Number K >= 1 of normal distributions.

    References
    ----------
    Bishop (1994), "Mixture density networks", Aston University technical report NCRG/94/004.
    """

    kernel = KERNELS["mixture_density"]
    is_likelihood = True

    def __init__(self, n_components: int = 3) -> None:
        self.n_components = n_components

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError unless n_components is an integer >= 1."""
        check_integer("MixtureDensity: n_components", self.n_components, 1)

    def n_outputs(self, n_targets: int) -> int:
        """Return three outputs for each component."""
        return 3 * self.n_components

    def offset_outputs(self, n_outputs: int) -> slice | None:
        """Return the means of the components."""
        return slice(self.n_components, 2 * self.n_components)

    def check_y(self, y: Array) -> None:
        """Raise ValueError unless y has one column."""
        if y.shape[1] != 1:
            raise ValueError(f"y must have one column for loss MixtureDensity, got {y.shape[1]}.")

    def check_block(self, y: Array, raw: Array) -> None:
        """Raise ValueError unless there is one target, and three outputs for each component."""
        self.check_y(y)
        if raw.shape != (len(y), 3 * self.n_components):
            raise ValueError(f"raw must have shape {(len(y), 3 * self.n_components)}, got {raw.shape}.")

    def initial_raw(self, y: Array, sample_weight: Array | None) -> Array:
        """Return components of equal weight at evenly spaced quantiles of y, each as wide as all of y."""
        size = self.n_components
        means = [weighted_quantiles(y, sample_weight, (k + 0.5) / size)[0] for k in range(size)]
        width = spread(y[:, :1], sample_weight)
        return np.concatenate([np.zeros(size), means, np.full(size, np.log(width))])

    def components(self, raw: ArrayLike) -> tuple[Array, Array, Array]:
        """Return the weights, means and standard deviations of the components.

        Parameters
        ----------
        raw : ndarray of shape (n_rows, 3 * n_components)
            Raw outputs from ``predict_raw`` of :class:`~sklearn_vectorflow.VectorFlowRegressor`.

        Returns
        -------
        shares, means, widths : ndarray of shape (n_rows, n_components)
            Weights, which add up to 1, means and standard deviations.
        """
        logits, means, log_widths = np.split(np.asarray(raw), 3, axis=1)
        return softmax(logits, axis=1), means, np.exp(np.clip(log_widths, -LARGEST, LARGEST))

    def inverse_link(self, raw: Array) -> Array:
        """Return the mean."""
        shares, means, _ = self.components(raw)
        return np.sum(shares * means, axis=1, keepdims=True)

    def log_density(self, y: ArrayLike, raw: Array) -> Array:
        """Return the log density of y, of shape (n_rows,), given raw outputs."""
        shares, means, widths = self.components(raw)
        z = (np.asarray(y)[:, None] - means) / widths
        return logsumexp(-0.5 * z**2 - np.log(widths * np.sqrt(2 * np.pi)), axis=1, b=shares)

    def cdf(self, y: ArrayLike, raw: Array) -> Array:
        """Return the probability of a value of at most y, of shape (n_rows,), given raw outputs."""
        shares, means, widths = self.components(raw)
        return np.sum(shares * ndtr((np.asarray(y)[:, None] - means) / widths), axis=1)
