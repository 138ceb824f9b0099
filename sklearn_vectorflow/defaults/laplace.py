"""How likely the targets of a few rows are, by the strength of the penalty: losses other than squared errors."""

import math

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from sklearn_vectorflow.defaults.evidence import mean_strength, spread_of

MOST_ROWS = 64  # more rows are better told by cross-validation: the approximation underrates strong signals
DOUBT = 1.5  # standard deviation of the strength's logarithm: raw outputs have a typical size
STRENGTHS = np.arange(10.0, -11.0, -1.0) * math.log(2.0)  # logarithms, less that of the guess
MOST_STEPS, MOST_HALVINGS = 30, 20
ENOUGH = 1e-6  # change of the objective, relative, at which it is at its minimum
FLATTEST = 1e-8  # second derivatives, over the largest one


def laplace_prior(rows, evaluate, copies, guess, fit_intercept):
    """Return the strength of L2 on the sum of losses that normal weights are likely to come from.

    The likelihood of the targets, given a strength, is an integral over weights. Around the best weights it is taken
    to be normal (Laplace's approximation). Where a signal is strong, it may be far from that, so a strength with which
    left-out rows are predicted worse than by a constant model counts as that model.

    Parameters
    ----------
    rows : csr_matrix of shape (n_rows, n_features)
    evaluate : callable
        Function of what is added to the raw outputs of a constant model, an ndarray of shape (n_rows,). It returns
        the sum of losses, and their first and second derivatives.
    copies : ndarray of shape (n_rows,)
        How many rows each row stands for.
    guess : float
    fit_intercept : bool

    References
    ----------
    Rasmussen and Williams (2006), "Gaussian processes for machine learning", section 3.4.
    """
    products = (rows @ rows.T).toarray().astype(float)
    with np.errstate(all="ignore"):  # a step may lead to numbers that are not finite, and is shortened then
        try:
            constant = Model(evaluate, np.zeros_like(products), fit_intercept)
            of_constant, limit = constant.log_likelihood(), constant.left_out(copies)
        except (LinAlgError, FloatingPointError):
            return guess
        root = np.sqrt(constant.second)[:, None]
        spread, _ = spread_of(root * products * root.T, root if fit_intercept else None)
        found, model = np.full(len(STRENGTHS), -math.inf), constant
        worse = np.zeros(len(STRENGTHS), bool)
        for k, strength in enumerate(STRENGTHS):  # from the strongest on, each from the weights of the one before
            try:
                model = Model(evaluate, products / (guess * math.exp(strength)), fit_intercept, model)
                found[k] = model.log_likelihood()
                worse[k] = model.left_out(copies) >= limit
            except (LinAlgError, FloatingPointError):
                break
        return mean_strength(guess, DOUBT, STRENGTHS, found, of_constant, spread, worse)


class Model:
    """Raw outputs of rows that are normal before the targets are seen, and an intercept that may be any.

    Parameters
    ----------
    evaluate : callable
        See `laplace_prior`.
    covariance : ndarray of shape (n_rows, n_rows)
        Of the raw outputs, less the intercept.
    fit_intercept : bool
    before : Model, default=None
        Whose weights are the first ones.
    """

    def __init__(self, evaluate, covariance, fit_intercept, before=None):
        self.evaluate, self.covariance, self.fit_intercept = evaluate, covariance, fit_intercept
        self.of_rows = np.zeros(len(covariance)) if before is None else before.of_rows
        self.intercept = 0.0 if before is None else before.intercept
        self._move(self.of_rows, self.intercept)
        if not math.isfinite(self.objective):
            raise FloatingPointError

    def log_likelihood(self):
        """Return the logarithm of the likelihood of the targets, less one of all strengths."""
        for _ in range(MOST_STEPS):
            before = self.objective
            self._step()
            if not before - self.objective > ENOUGH * (1.0 + abs(self.objective)):
                break
        factor, of_intercept = self._factor()
        determinant = 2.0 * np.log(np.diag(factor[0])).sum()
        if self.fit_intercept:
            determinant += math.log(max(of_intercept.sum(), 1e-300))
        found = -self.objective - 0.5 * determinant
        if not math.isfinite(found):
            raise FloatingPointError
        return found

    def left_out(self, copies):
        """Return the sum of losses of rows, each with the weights that are best for the others.

        These weights are a step of Newton's away, which takes one row out.

        Parameters
        ----------
        copies : ndarray of shape (n_rows,)
        """
        root = np.sqrt(self.second)
        inverse = cho_solve(self._factor()[0], np.eye(len(root)))
        leverage = 1.0 - np.diag(inverse)
        if self.fit_intercept:
            of_intercept = inverse @ root
            leverage = leverage + of_intercept**2 / (root @ of_intercept)
        of_copy = np.minimum(leverage / np.maximum(copies, 1.0), 1.0 - 1e-6)
        return self.evaluate(self.scores + of_copy * self.gradient / (self.second * (1.0 - of_copy)))[0]

    def _move(self, of_rows, intercept):
        """Go to weights, of the rows and of the intercept; evaluate the objective there."""
        self.of_rows, self.intercept = of_rows, intercept
        scores = self.covariance @ of_rows
        self.scores = scores + intercept
        total, self.gradient, second = self.evaluate(self.scores)
        self.second = np.maximum(second, FLATTEST * max(second.max(), 1e-300))
        self.objective = total + 0.5 * of_rows @ scores

    def _factor(self):
        """Return the factor of what turns first derivatives into weights of rows, and what an intercept gets."""
        root = np.sqrt(self.second)
        curved = root[:, None] * self.covariance * root
        if not np.all(np.isfinite(curved)):
            raise FloatingPointError
        factor = cho_factor(np.eye(len(root)) + curved, lower=True)
        return factor, root * cho_solve(factor, root)

    def _step(self):
        """Take a step of Newton's, shortened until the objective does not rise."""
        factor, of_intercept = self._factor()
        root = np.sqrt(self.second)
        side = root * self.scores - self.gradient / root
        if not np.all(np.isfinite(side)):
            raise FloatingPointError
        target = root * cho_solve(factor, side)
        intercept = target.sum() / of_intercept.sum() if self.fit_intercept else 0.0
        here, objective = (self.of_rows, self.intercept), self.objective
        change = target - intercept * of_intercept - here[0], intercept - here[1]
        share = 1.0
        for _ in range(MOST_HALVINGS):
            self._move(here[0] + share * change[0], here[1] + share * change[1])
            if self.objective <= objective:
                return
            share *= 0.5
        self._move(*here)
