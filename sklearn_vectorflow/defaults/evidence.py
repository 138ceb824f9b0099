"""The strength of the penalty of a few rows with squared error: the one that the rows are likely to come from."""

import math

import numpy as np

MOST_ROWS = 256  # whose products, of all pairs, cost little
DOUBT = 2.5  # standard deviation of the strength's logarithm around that of the guess
STRENGTHS = np.arange(-10.0, 10.05, 0.1) * math.log(2.0)  # logarithms, less that of the guess


def likely_prior(rows, residuals, weight, guess, fit_intercept):
    """Return the strength of L2 on the sum of the losses that weights and noise are likely to come from.

    Weights are taken to be normal, which makes the targets normal, too; their likelihood (without the intercept)
    is multiplied by that of the strength around the guess. The mean of the strength's logarithm is taken: where rows
    tell little, a mode is at an end. It tells more than cross-validation does where rows are few.

    Parameters
    ----------
    rows : csr_matrix of shape (n_rows, n_features)
    residuals : ndarray of shape (n_rows, n_outputs)
        Targets less those of a constant model.
    weight : ndarray of shape (n_rows,)
        How many rows each row stands for.
    guess : float
    fit_intercept : bool

    References
    ----------
    Patterson and Thompson (1971), doi:10.1093/biomet/58.3.545.
    """
    used = weight > 0
    root = np.sqrt(weight[used])[:, None]
    mean = root / np.linalg.norm(root) if fit_intercept else np.zeros_like(root)

    def centered(values):
        return values - mean @ (mean.T @ values)

    products = root * (rows[used] @ rows[used].T).toarray() * root.T
    spread, directions = np.linalg.eigh(centered(centered(products).T))
    n_differ = len(spread) - int(fit_intercept)
    n_free = weight.sum() - int(fit_intercept)  # copies of rows do not differ, and tell the noise
    spread = np.maximum(spread[-n_differ:], 0.0)
    energy = (directions.T @ centered(root * residuals[used]))[-n_differ:] ** 2
    variances = 1.0 + spread[:, None] / (guess * np.exp(STRENGTHS))  # over that of the noise, by strength
    noise = np.sum(energy[:, None, :] / variances[:, :, None], axis=0)
    if not np.all(noise > 0):
        return guess
    log_likelihood = -0.5 * energy.shape[1] * np.log(variances).sum(axis=0) - 0.5 * n_free * np.log(noise).sum(axis=1)
    chance = np.exp(log_likelihood - log_likelihood.max() - 0.5 * (STRENGTHS / DOUBT) ** 2)
    return float(np.float32(guess * math.exp(np.average(STRENGTHS, weights=chance))))
