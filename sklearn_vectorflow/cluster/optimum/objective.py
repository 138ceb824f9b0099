"""The objective of rows that are spread: what it and its derivatives add up over rows, tasks add up over parts."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_vectorflow.cluster.optimum import tasks
from sklearn_vectorflow.cluster.optimum.sums import total
from sklearn_vectorflow.cluster.parts import values_of


class SpreadRows:
    """What is known here of rows that are elsewhere, in the place of a `RowStore`.

    Parameters
    ----------
    n_rows : int
    counts : ndarray of int64
        How many entries each column has that occurs.
    """

    by_frequency = False
    restrictable = False  # some columns alone would be read as slowly as all

    def __init__(self, n_rows, counts):
        self.n_rows, self.n_columns, self.n_nonzero = n_rows, len(counts), int(counts.sum())
        self._counts = counts

    def counts(self):
        """Return how many entries each column has."""
        return self._counts


@dataclass(frozen=True)
class SpreadLosses:
    """What is known here of losses of rows that are elsewhere.

    Parameters
    ----------
    total : float
        Sum of the weights of all rows.
    is_softmax : bool
    """

    total: float
    is_softmax: bool


@dataclass(frozen=True, eq=False)
class SpreadPoint:
    """Parameters, and what the objective is there; numbers by row stay where the rows are.

    Parameters
    ----------
    weights, constants, value
        See `exact.objective.Point`.
    slope, diagonal : tuple of ndarray
        First and second derivatives of the mean loss by weights and by constants.
    parameters : object
        Stands for the weights and constants that tasks get.
    evaluations : list
        Each stands for the Evaluation of a part.
    """

    weights: Any
    constants: Any
    value: float
    slope: Any
    diagonal: Any
    parameters: Any
    evaluations: Any


class Passes:
    """Runs tasks over all parts.

    Parameters
    ----------
    executor : object
        See `fit.Here`.
    setting : Setting
    parts : list
        As `fit.PartsFit` takes them.
    read : list of int
        How often all rows were read so far; counted on here.
    """

    def __init__(self, executor, setting, parts, read):
        self.executor, self.n, self.read = executor, setting.n, read
        self.setting = executor.constant(setting)
        numbered = enumerate(parts)
        self.blocks = [executor.submit(tasks.readied, self.setting, k, *values_of(part)) for k, part in numbered]

    def evaluations(self, parameters):
        """Return what stands for the evaluation of every part, and the totals."""
        run = self.executor.submit
        found = [run(tasks.evaluated, self.setting, blocks, parameters) for blocks in self.blocks]
        return found, self._total(self.n, [run(tasks.sums_of, one) for one in found])

    def totals(self, n_lines, function, point, *arguments):
        """Return the totals of what a task gives for every part at a point."""
        run = self.executor.submit
        of_parts = zip(self.blocks, point.evaluations)
        sums = [run(function, self.setting, blocks, point.parameters, one, *arguments) for blocks, one in of_parts]
        return self._total(n_lines, sums)

    def _total(self, n_lines, sums):
        self.read[0] += 1
        return total(self.executor, n_lines, sums)


class SpreadObjective:
    """Mean loss of rows that are spread, and penalties; see `exact.objective.Objective`.

    Parameters
    ----------
    passes : Passes
    design : Design
        Of SpreadRows: it makes no products.
    losses : SpreadLosses
    terms : Terms
    structure : str
        How the loss couples outputs.
    """

    def __init__(self, passes, design, losses, terms, structure):
        self.passes, self.design, self.losses, self.terms = passes, design, losses, terms
        self.structure = structure

    def at(self, weights, constants):
        """Return a point."""
        absolute = weights if self.terms.center is None else weights + self.terms.center
        parameters = self.passes.executor.constant((absolute, constants))
        evaluations, sums = self.passes.evaluations(parameters)
        n_linear, n_constant = weights.shape[1], len(constants)
        lines, rest = sums.lines / self.losses.total, sums.rest / self.losses.total
        value = rest[0] + self.terms.value(weights)
        slope = lines[:, :n_linear], rest[1 : 1 + n_constant]
        diagonal = lines[:, n_linear:], rest[1 + n_constant :]
        value = value if np.isfinite(value) else np.inf
        return SpreadPoint(weights, constants, value, slope, diagonal, parameters, evaluations)

    def change(self, direction, of_constants):
        """Return nothing: raw outputs are where the rows are."""

    def moved(self, point, weights, constants, length, change):
        """Return the point with these parameters."""
        return self.at(weights, constants)

    def gradient(self, point):
        """Return the gradient of the smooth part by weights and by constants."""
        return point.slope[0] + self.terms.l2 * point.weights, point.slope[1]

    def derivatives(self, point):
        """Return the gradient, the second derivatives, and their diagonal, at a point."""
        hessian = self.hessian(point)
        return self.gradient(point), hessian, hessian.diagonal()

    def hessian(self, point):
        """Return the second derivatives at a point."""
        return SpreadHessian(self, point)


class SpreadHessian:
    """Second derivatives of the smooth part; see `exact.objective.Hessian`."""

    def __init__(self, objective, point):
        self.objective, self.point, self.structure = objective, point, objective.structure
        self.passes, self.total, self.terms = objective.passes, objective.losses.total, objective.terms
        self.n_linear, self.n_constant = point.weights.shape[1], len(point.constants)

    def diagonal(self):
        """Return the second derivatives by every weight and every constant."""
        return self.point.diagonal[0] + self.terms.l2, self.point.diagonal[1]

    def times(self, weights, constants, design=None, l2=None):
        """Return the product with a direction; the design is that of all columns."""
        direction = self.passes.executor.constant((weights, constants))
        sums = self.passes.totals(len(weights), tasks.product, self.point, direction)
        return sums.lines / self.total + self.terms.l2 * weights, sums.rest / self.total

    def along(self, weights, constants, design=None, l2=None):
        """Return the product with a direction, and the direction's with that; raw outputs are where the rows are."""
        product = self.times(weights, constants)
        return product, float(np.vdot(weights, product[0]) + constants @ product[1]), None

    def block(self, design, l2, columns, outputs, with_constants, share=1.0):
        """Return the matrix of second derivatives by some columns' weights of some outputs, and by constants."""
        size = len(columns) * len(outputs)
        n_lines = size + with_constants * self.n_constant
        arguments = columns, outputs, bool(with_constants), share
        found = self.passes.totals(n_lines, tasks.second_derivatives, self.point, *arguments).lines / self.total
        found[np.arange(size), np.arange(size)] += np.tile(l2[columns, 0], len(outputs))
        return found
