"""The strength of the penalty of a few rows: the one that they are likely to come from, or that of a constant model."""

import math

import numpy as np

from sklearn_vectorflow.defaults.scales import RANGE

MOST_ROWS = 256  # whose products, of all pairs, cost little
CONSTANT = 1 / 3  # chance, before the rows are seen, that they tell nothing
DOUBT = 2.5  # standard deviation of the strength's logarithm around that of the guess, if they tell something
STRENGTHS = np.arange(-10.0, 10.05, 0.1) * math.log(2.0)  # logarithms, less that of the guess


def likely_prior(rows, residuals, weight, guess, fit_intercept):
    """Return the strength of L2 on the sum of squared errors that weights and noise are likely to come from.

    Weights are taken to be normal, which makes the targets normal, too; the likelihood of the targets (without the
    intercept) tells the strength. It tells more than cross-validation does where rows are few.

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
    products = root * (rows[used] @ rows[used].T).toarray() * root.T
    spread, directions = spread_of(products, root if fit_intercept else None)
    n_free = weight.sum() - int(fit_intercept)  # copies of rows do not differ, and tell the noise
    energy = (directions.T @ _centered(root * residuals[used], root if fit_intercept else None)) ** 2
    variances = 1.0 + spread[:, None] / (guess * np.exp(STRENGTHS))  # over that of the noise, by strength
    noise = np.sum(energy[:, None, :] / variances[:, :, None], axis=0)
    if not np.all(noise > 0):
        return guess
    spreads = energy.shape[1] * np.log(variances).sum(axis=0)
    log_likelihood = -0.5 * (spreads + n_free * np.log(noise).sum(axis=1))
    of_constant = -0.5 * n_free * np.log(energy.sum(axis=0)).sum()
    likely = mean_strength(guess, DOUBT, STRENGTHS, log_likelihood, of_constant, spread)
    return float(np.float32(np.clip(likely, *RANGE)))


def spread_of(products, root):
    """Return the variances of rows along the directions in which they differ, and these directions.

    Parameters
    ----------
    products : ndarray of shape (n_rows, n_rows)
        Of pairs of rows, each times the root of its weight.
    root : ndarray of shape (n_rows, 1) or None
        Roots of the weights, if an intercept takes what all rows share.
    """
    spread, directions = np.linalg.eigh(_centered(_centered(products, root).T, root))
    n_differ = len(spread) - (root is not None)
    return np.maximum(spread[-n_differ:], 0.0), directions[:, -n_differ:]


def _centered(values, root):
    if root is None:
        return values
    mean = root / np.linalg.norm(root)
    return values - mean @ (mean.T @ values)


def mean_strength(guess, doubt, strengths, log_likelihood, of_constant, spread, is_worse=False):
    """Return the strength that shrinks a model as much as those that are likely do in the mean.

    One of them is a constant model. A mode would be at an end where rows tell little.

    Parameters
    ----------
    guess : float
    doubt : float
        Standard deviation of the strength's logarithm around that of the guess, before the rows are seen.
    strengths : ndarray of shape (n_strengths,)
        Logarithms of strengths over the guess.
    log_likelihood : ndarray of shape (n_strengths,)
        Of what the rows tell, by strength.
    of_constant : float
        The same of a constant model.
    spread : ndarray of shape (n_directions,)
        A strength leaves a share of ``spread / (spread + strength)`` of the weights along a direction.
    is_worse : bool or ndarray of shape (n_strengths,), default=False
        Strengths in whose place a constant model is taken, which predicts rows that are left out better.
    """
    before = np.exp(-0.5 * (strengths / doubt) ** 2)
    before *= (1.0 - CONSTANT) / before.sum()
    most = max(log_likelihood.max(), of_constant)
    chance = before * np.exp(log_likelihood - most)
    total = chance.sum() + CONSTANT * math.exp(of_constant - most)

    def left(strength):
        return np.sum(spread / (spread + strength))

    chance = np.where(is_worse, 0.0, chance)
    target = chance @ [left(guess * math.exp(strength)) for strength in strengths] / total
    strongest = math.log(guess) + 2.0 * strengths.max()  # as good as a constant model
    low, high = math.log(guess) + strengths.min(), strongest
    if target > 0:
        high = min(strongest, math.log(spread.sum()) - math.log(target))
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if left(math.exp(middle)) > target else (low, middle)
    return math.exp(low)
