"""Standard errors, tests and likelihoods of a linear model at its optimum."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import linalg, special

from sklearn_vectorflow.exact.curvature import DiagonalCurvature
from sklearn_vectorflow.exact.newton import Model, moving, norm_of
from sklearn_vectorflow.exact.scores import ScoreProducts
from sklearn_vectorflow.validation.errors import brief, warn
from sklearn_vectorflow.validation.scalars import check_number
from sklearn_vectorflow.validation.types import Array

MOST_EXACT = 3_000  # weights whose information is inverted whole
SOLVED = 1e-8  # of a side, which conjugate gradients leave
UNSOLVED = 1e-3  # of a side, from which on an error is none
FAR = 0.05  # standard errors from the optimum, from which on they are doubtful
RANK = 1e-11  # of the largest eigenvalue: below it, directions that the rows say nothing of
COVARIANCES = ("model", "observed", "sandwich")


class Inference:
    """Standard errors, tests and likelihoods of a linear model. Create it with the estimator's method ``inference``.

    Parameters
    ----------
    problem : Problem
        The net and the rows.
    covariance : {"model", "observed", "sandwich"}
        Estimate of the covariance, see the method ``inference``.
    names : list of str
        Names of the columns of X.
    labels : list
        Labels of the raw outputs with weights.
    constant_names : list of str
        Names of the raw outputs that are the same for all rows.
    shift : ndarray of shape (n_outputs,)
        Difference between reported and raw intercepts and constants.

    Attributes
    ----------
    n_parameters : int
        Number of weights, intercepts and constants, without those that L1 or a bound holds and without redundant ones,
        such as one of two equal columns. With more than 3,000 weights, only the redundancy of the classes of a
        multinomial model is known.
    dispersion : float
        Estimate of the dispersion, a factor of the variance; 1 if the loss determines the variance. NaN unless there
        are more targets than parameters.
    log_likelihood : float
        Log-likelihood of the rows, for Cox's model the partial one. None if the loss is not a likelihood.
    aic, bic : float
        Akaike's and the Bayesian information criterion. None if the loss is not a likelihood.
    """

    def __init__(self, problem, covariance, names, labels, constant_names, shift):
        self._problem, self._objective = problem, problem.objective
        self.covariance, self._labels = covariance, labels
        self._names, self._constant_names, self._shift = names, constant_names, shift
        self._point = problem.start()
        gradient = self._objective.gradient(self._point)
        slope = self._objective.terms.pseudo_gradient(self._point.weights, gradient[0]), gradient[1]
        self._moves = moving(self._objective.terms, self._point, slope[0])
        self._moves &= ~self._at_corner()
        self._hessian = self._information(covariance)
        self._diagonal = self._hessian.diagonal()
        self._moves &= self._diagonal[0] > 0
        self._told = self._diagonal[1] > 0  # constants that rows say something of
        self._scores = _scores_of(self._point.slopes, self._objective.losses.weight)
        self.n_parameters, self._solved = self._counted(), None
        if self._moves.sum() + self._told.sum() <= MOST_EXACT:
            self._invert()
        self._estimate()
        self._whole = None if self._solved is None else self._covariance()
        self._warn_if_far(slope)

    def _counted(self):
        """Return the number of parameters, less those that a symmetric multinomial model has too many."""
        n = int(self._moves.sum() + self._told.sum())
        return n - int(self._moves.all(axis=1).sum()) if self._objective.losses.is_softmax else n

    def _estimate(self):
        """Set the dispersion and the likelihood."""
        losses = self._objective.losses
        raw, y, weight = self._point.raw, losses.y, losses.weight
        n_values = losses.total * y.shape[1]
        self.dispersion = float(losses.kernel.loss.dispersion(y, raw, weight, n_values - self.n_parameters))
        if np.isnan(self.dispersion) and self.covariance != "sandwich":
            warn(
                f"The dispersion cannot be estimated from {n_values:g} targets and {self.n_parameters} parameters, so "
                "errors are NaN. Use fewer columns, or covariance='sandwich'."
            )
        likelihood = losses.kernel.loss.log_likelihood(y, raw, weight, self.dispersion)
        self.log_likelihood = None if likelihood is None else float(likelihood)

    @property
    def aic(self) -> float | None:
        """Akaike's information criterion."""
        return None if self.log_likelihood is None else 2.0 * self.n_parameters - 2.0 * self.log_likelihood

    @property
    def bic(self) -> float | None:
        """Bayesian information criterion."""
        if self.log_likelihood is None:
            return None
        return np.log(self._objective.losses.total) * self.n_parameters - 2.0 * self.log_likelihood

    def _at_corner(self):
        """Which weights are where L1 or a bound holds them."""
        terms, weights = self._objective.terms, self._point.weights
        held = (weights == 0) & (terms.l1 > 0)
        return held if terms.lower is None else held | (weights <= terms.lower) | (weights >= terms.upper)

    def _information(self, covariance):
        hessian = self._objective.hessian(self._point)
        losses = self._objective.losses
        expected = losses.kernel.loss.expected_curvature(losses.y, self._point.raw) if covariance == "model" else None
        if expected is not None:
            hessian.curvature, hessian.structure = DiagonalCurvature(losses.weight[:, None] * expected), "diagonal"
        return hessian

    # ---- all weights at once --------------------------------------------------------

    def _positions(self):
        """Number the weights that move: output by output, then constants."""
        return np.append(np.flatnonzero(self._moves.T.ravel()), self._moves.size + np.flatnonzero(self._told))

    def _invert(self):
        """Invert the information of all weights that move, and count those that the rows tell apart."""
        l2 = self._objective.terms.l2
        full = self._information_by(self._hessian, l2)
        scale = 1.0 / np.sqrt(np.where(np.diag(full) > 0, np.diag(full), 1.0))
        values, vectors = linalg.eigh(full * scale * scale[:, None])
        fine = values > RANK * values[-1]
        inverse = (vectors[:, fine] / values[fine]) @ vectors[:, fine].T * scale * scale[:, None]
        if not np.all(fine):
            inverse = linalg.pinvh(full, rtol=RANK)  # of the shortest weights that predict the same
        self._solved = inverse
        if np.any(l2):
            full = (
                full - np.diag(self._flat(np.broadcast_to(l2, self._moves.shape), 0.0)) * self._objective.losses.total
            )
            values = linalg.eigvalsh(full * scale * scale[:, None])
            fine = values > RANK * values[-1]
        self.n_parameters = int(np.count_nonzero(fine))

    def _covariance(self):
        """Return the covariances of all weights that move."""
        if self.covariance != "sandwich":
            return self._solved * self.dispersion
        scores = ScoreProducts(self._hessian, self._scores)
        meat = self._information_by(scores, np.zeros_like(self._objective.terms.l2))
        return self._solved @ meat @ self._solved

    def _information_by(self, products, l2):
        """Return the sums over rows of products by all weights that move."""
        some = np.flatnonzero(self._moves.any(axis=1))
        if products.structure == "rows":
            full = products.matrix(some)
        else:
            full = products.block(self._objective.design, l2, some, list(range(self._hessian.n_linear)), True)
        kept = np.append(self._moves[some].T.ravel(), self._told)
        return full[np.ix_(kept, kept)] * self._objective.losses.total

    def _flat(self, weights, constants):
        """Return numbers of all weights that move, output by output, then those of constants."""
        own = weights.T.ravel()[self._moves.T.ravel()]
        return np.append(own, np.broadcast_to(constants, self._told.shape)[self._told])

    # ---- single weights -------------------------------------------------------------

    def _variances(self, wanted):
        """Return the variances of weights (column of the design, output), or (None, constant)."""
        if self._whole is None:
            return np.array([self._variance(*one) for one in wanted])
        at = {int(place): k for k, place in enumerate(self._positions())}
        size, n = self._moves.size, len(self._moves)
        flat = [size + output if column is None else output * n + column for column, output in wanted]
        variances = np.diag(self._whole)
        return np.array([variances[at[one]] if one in at else np.nan for one in flat])

    def _variance(self, column, output):
        side = np.zeros(self._moves.shape), np.zeros(self._told.shape)
        if not (self._told[output] if column is None else column >= 0 and self._moves[column, output]):
            return np.nan
        if column is None:
            side[1][output] = 1.0
        else:
            side[0][column, output] = 1.0
            if self._is_centred(column):
                side[0][column] -= 1.0 / self._moves.shape[1]
        solved = self._model().direction(SOLVED, side)
        if self._left(solved, side) > UNSOLVED:
            warn(
                f"There is no error of {self._name(column, output)!r}: it is a combination of other columns, or "
                "conjugate gradients did not converge. Leave columns out, or raise alpha."
            )
            return np.nan
        total = self._objective.losses.total
        if self.covariance == "sandwich":
            change = self._objective.change(*solved)
            return float(np.sum(np.sum(self._scores * change, axis=1) ** 2)) / total**2
        return self.dispersion / total * float(np.vdot(side[0], solved[0]) + side[1] @ solved[1])

    def _is_centred(self, column):
        """Whether only differences of a column's weights between classes count."""
        is_free = self._objective.losses.is_softmax and self._objective.terms.l2[column, 0] == 0
        return is_free and self._moves[column].all()

    def _left(self, solved, side):
        """Return the share of a side that a solution leaves."""
        product = self._hessian.times(*solved)
        left = np.where(self._moves, product[0] - side[0], 0.0), np.where(self._told, product[1] - side[1], 0.0)
        return norm_of(left, self._diagonal) / norm_of(side, self._diagonal)

    def _model(self):
        if not hasattr(self, "_solver"):
            slope = np.zeros(self._moves.shape), np.zeros(self._told.shape)
            self._solver = Model(self._objective, self._hessian, slope, self._diagonal, self._moves)
        return self._solver

    def _warn_if_far(self, slope):
        """Warn if a Newton step leads farther than a share of a standard error."""
        if self._whole is None:
            step = self._model().direction(0.1, (-np.where(self._moves, slope[0], 0.0), -slope[1]))
            decrement = -sum(float(np.vdot(a, b)) for a, b in zip(step, slope))
        else:
            side = self._flat(*slope)
            decrement = float(side @ self._solved @ side) * self._objective.losses.total
        with np.errstate(divide="ignore", invalid="ignore"):  # of rows that are met exactly
            distance = np.sqrt(np.maximum(decrement, 0.0) * self._objective.losses.total / self.dispersion)
        if distance > FAR:
            warn(
                f"The weights are {distance:.2g} standard errors from the optimum of these rows, so errors, intervals "
                "and likelihoods are unreliable. Fit with solver='exact', and pass the rows and weights of that fit."
            )

    # ---- tables ---------------------------------------------------------------------

    def std_errors(self, columns: Sequence[str | int] | None = None) -> Array:
        """Return standard errors.

        Parameters
        ----------
        columns : list of str or int, default=None
            Names or numbers of columns of X, "intercept", or names of constants such as "log_shape". None means all, if
            there are at most 3,000 weights.

        Returns
        -------
        errors : ndarray of shape (n_rows_of_summary,)
            Standard errors in the order of :meth:`summary`. NaN for weights that L1 or a bound holds, and for columns
            without non-zeros.
        """
        return _root(self._variances(self._wanted(columns)))

    def summary(self, columns: Sequence[str | int] | None = None, confidence: float = 0.95) -> Any:
        """Return a table of coefficients.

        Parameters
        ----------
        columns : list of str or int, default=None
            Names or numbers of columns of X, "intercept", or names of constants such as "log_shape". None means all, if
            there are at most 3,000 weights.
        confidence : float, default=0.95
            Confidence level of the intervals, in (0, 1).

        Returns
        -------
        table : DataFrame or structured array
            One row for each column and output, with the fields output, name, coef, std_err, z, p (two-sided, from the
            normal distribution), lower and upper. An array if pandas is not installed.
        """
        check_number("summary", "confidence", confidence, 0, 1, low_open=True, high_open=True)
        wanted = self._wanted(columns)
        coef, errors = np.array([self._value(*one) for one in wanted]), _root(self._variances(wanted))
        with np.errstate(divide="ignore", invalid="ignore"):  # of rows that are met exactly
            z = coef / errors
        reach = special.ndtri(0.5 + confidence / 2) * errors
        fields = {
            "output": [self._label(*one) for one in wanted],
            "name": [self._name(*one) for one in wanted],
            "coef": coef,
            "std_err": errors,
            "z": z,
            "p": 2.0 * special.ndtr(-np.abs(z)),
            "lower": coef - reach,
            "upper": coef + reach,
        }
        return table(fields)

    def _wanted(self, columns):
        """Return pairs of column of the design (None: constant) and output."""
        design, n_linear = self._objective.design, self._hessian.n_linear
        constants = [(None, k) for k in range(len(self._constant_names))]
        if columns is None:
            if self._whole is None:
                raise ValueError(
                    f"columns must be given where there are more than {MOST_EXACT} weights, here {self._moves.sum()}."
                )
            places = self._places(range(len(self._names)))
            chosen = [0, *places] if design.intercept else list(places)
            return [(place, output) for output in range(n_linear) for place in chosen] + constants
        found = []
        numbers = {name: k for k, name in enumerate(self._names)}
        for one in np.atleast_1d(np.asarray(columns, dtype=object)).tolist():
            if one == "intercept" and design.intercept:
                found += [(0, output) for output in range(n_linear)]
            elif one in self._constant_names:
                found.append((None, self._constant_names.index(one)))
            else:
                number = numbers.get(one, one)
                if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
                    raise ValueError(f"columns: there is no column {brief(one)}.")
                if not 0 <= number < len(self._names):
                    raise ValueError(f"columns must be in [0, {len(self._names)}), got {number}.")
                found += [(self._places([number])[0], output) for output in range(n_linear)]
        return found

    def _places(self, numbers):
        """Return where columns of X are in the design; columns that do not occur are behind all, by number."""
        design, numbers = self._objective.design, np.asarray(numbers, dtype=np.int64)
        if design.columns is None:
            return (numbers + design.intercept).tolist()
        place = np.full(len(self._names), -1, dtype=np.int64)
        place[design.columns] = np.arange(design.intercept, design.n)
        found = place[numbers]
        return np.where(found < 0, -1 - numbers, found).tolist()

    def _value(self, column, output):
        network = self._problem.network
        if column is None:
            n_linear = self._hessian.n_linear
            return self._point.constants[output] + self._shift[n_linear + output]
        if column < 0:
            return float(network.weights()[0][-1 - column, output])
        center = self._objective.terms.center
        value = self._point.weights[column, output] + (0.0 if center is None else center[column, output])
        is_intercept = self._objective.design.intercept and column == 0
        return value + (self._shift[output] if is_intercept else 0.0)

    def _name(self, column, output):
        design = self._objective.design
        if column is None:
            return self._constant_names[output]
        if column < 0:
            return self._names[-1 - column]
        if design.intercept and column == 0:
            return "intercept"
        number = column - design.intercept
        return self._names[number if design.columns is None else design.columns[number]]

    def _label(self, column, output):
        return "" if column is None else str(self._labels[output])


def _scores_of(slopes, weight):
    """Return gradients whose products, summed over rows, are those of rows repeated as often as weights say."""
    return slopes / np.sqrt(np.where(weight > 0, weight, 1.0))[:, None]


def _root(variances):
    """Return square roots, NaN where a matrix that is no optimum's made a variance negative."""
    return np.sqrt(np.where(variances >= 0, variances, np.nan))


def table(fields):
    """Return a data frame of arrays, and lists of objects; or a structured array where pandas is missing."""
    try:
        import pandas as pd
    except ImportError:
        types = [(name, object if isinstance(values, list) else values.dtype) for name, values in fields.items()]
        return np.array(list(zip(*fields.values())), dtype=types)
    return pd.DataFrame(fields)
