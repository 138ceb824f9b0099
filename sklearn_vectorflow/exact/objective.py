"""The mean loss of all rows plus penalties, as a function of all parameters of a linear model."""

import numpy as np

from sklearn_vectorflow.exact.curvature import curvature_of, structure_of


class Point:
    """Parameters, and what the objective is there.

    Attributes
    ----------
    weights : ndarray of shape (n, n_linear)
        By column of the design and output; as distances from the centres of penalties.
    constants : ndarray of shape (n_constant,)
        Outputs that are the same for all rows.
    raw : ndarray of shape (n_rows, n_outputs)
    value : float
    slopes : ndarray of shape (n_rows, n_outputs)
        Gradient of the sum of losses by raw outputs.
    """

    def __init__(self, weights, constants, raw, value, slopes):
        self.weights, self.constants, self.raw, self.value, self.slopes = weights, constants, raw, value, slopes


class Objective:
    """Mean loss and penalties.

    Parameters
    ----------
    design : Design
    losses : Losses
    terms : Terms
    offset : ndarray of shape (n_rows, n_outputs), default=None
        Added to raw outputs.
    structure : str, default=None
        How the loss couples outputs; None if the first second derivatives are to tell, see `structure_of`.
    """

    def __init__(self, design, losses, terms, offset=None, structure=None):
        self.design, self.losses, self.terms, self.offset = design, losses, terms, offset
        self.structure = structure
        self.of_centers = None if terms.center is None else design.forward(terms.center)

    # ---- values ---------------------------------------------------------------------

    def raw(self, weights, constants):
        """Return raw outputs of all rows."""
        raw = self.design.forward(weights)
        if self.of_centers is not None:
            raw += self.of_centers
        raw = self.with_constants(raw, constants)
        return raw if self.offset is None else raw + self.offset

    @staticmethod
    def with_constants(raw, constants):
        """Return raw outputs with those beside them that are the same for all rows."""
        if len(constants) == 0:
            return raw
        out = np.empty((len(raw), raw.shape[1] + len(constants)))
        out[:, : raw.shape[1]], out[:, raw.shape[1] :] = raw, constants
        return out

    def at(self, weights, constants, raw=None):
        """Return a point."""
        raw = self.raw(weights, constants) if raw is None else raw
        total, slopes = self.losses.value_and_gradient(raw)
        value = total / self.losses.total + self.terms.value(weights)
        return Point(weights, constants, raw, value if np.isfinite(value) else np.inf, slopes)

    def change(self, direction, of_constants):
        """Return the change of all raw outputs along a direction of weights and constants."""
        return self.with_constants(self.design.forward(direction), of_constants)

    def moved(self, point, weights, constants, length, change):
        """Return the point with these parameters, to which a share of a direction led whose change is known."""
        return self.at(weights, constants, point.raw + length * change)

    def gradient(self, point):
        """Return the gradient of the smooth part by weights and by constants."""
        n_linear = point.weights.shape[1]
        by_weights = self.design.backward(np.ascontiguousarray(point.slopes[:, :n_linear])) / self.losses.total
        by_weights += self.terms.l2 * point.weights
        by_constants = point.slopes[:, n_linear:].sum(axis=0) / self.losses.total
        return by_weights, by_constants

    def derivatives(self, point):
        """Return the gradient, the second derivatives, and their diagonal, at a point."""
        hessian, n_linear, total = self.hessian(point), point.weights.shape[1], self.losses.total
        slopes, curvature = point.slopes, hessian.by_rows()
        by_linear = (np.ascontiguousarray(one[:, :n_linear]) for one in (slopes, curvature))
        gradient, diagonal = (one / total for one in self.design.backward_pair(*by_linear))
        gradient += self.terms.l2 * point.weights
        diagonal += self.terms.l2
        by_constants, of_constants = (one[:, n_linear:].sum(axis=0) / total for one in (slopes, curvature))
        return (gradient, by_constants), hessian, (diagonal, of_constants)

    def hessian(self, point):
        """Return the second derivatives at a point."""
        if self.structure is None:
            self.structure = structure_of(self.losses, point.raw)
        curvature = curvature_of(self.losses, point.raw, self.structure, point.slopes)
        return Hessian(self, curvature, point.weights.shape[1], len(point.constants))


class Hessian:
    """Second derivatives of the smooth part, as what they make of directions.

    Parameters
    ----------
    objective : Objective
    curvature : DiagonalCurvature, FullCurvature, SoftmaxCurvature or CoupledCurvature
        Second derivatives by raw outputs.
    n_linear, n_constant : int
        Outputs that have weights, and those that are the same for all rows.
    """

    def __init__(self, objective, curvature, n_linear, n_constant):
        self.objective, self.design, self.terms = objective, objective.design, objective.terms
        self.losses, self.structure, self.curvature = objective.losses, objective.structure, curvature
        self.n_linear, self.n_constant = n_linear, n_constant

    def by_rows(self):
        """Return the second derivatives by raw outputs, those that are negative as zero."""
        return np.maximum(self.curvature.diagonal(), 0.0)

    def diagonal(self):
        """Return the second derivatives by every weight and every constant."""
        diagonal = self.by_rows()
        by_rows = np.ascontiguousarray(diagonal[:, : self.n_linear])
        by_weights = self.design.backward(by_rows, squares=True) / self.losses.total + self.terms.l2
        return by_weights, diagonal[:, self.n_linear :].sum(axis=0) / self.losses.total

    def times(self, weights, constants, design=None, l2=None):
        """Return the product with a direction; see `along`."""
        return self.along(weights, constants, design, l2)[0]

    def along(self, weights, constants, design=None, l2=None):
        """Return the product with a direction, the direction's with that, and how raw outputs change along it.

        Parameters
        ----------
        weights, constants : ndarray
        design, l2 : Design and ndarray, default=None
            Of some columns alone, which the weights are then for.
        """
        design, l2 = design or self.design, self.terms.l2 if l2 is None else l2
        of_constants = constants
        if self.structure == "diagonal" and self.n_linear == 1 and self.n_constant == 0:
            product, change = design.curved(weights, self.curvature.values[:, 0])
        else:
            change = Objective.with_constants(design.forward(weights), constants)
            curved = self.curvature.times(change.copy())
            of_constants = curved[:, self.n_linear :].sum(axis=0) / self.losses.total
            product = design.backward(np.ascontiguousarray(curved[:, : self.n_linear]))
        total = design.vectors(self.n_linear).finish_product(product, self.losses.total, l2, weights)
        return (product, of_constants), total + float(of_constants @ constants), change

    def matrix(self, columns):
        """Return the matrix of second derivatives by some columns' weights from products, for a loss of one output."""
        found = np.empty((len(columns), len(columns)))
        for k, column in enumerate(columns):
            unit = np.zeros((self.design.n, self.n_linear))
            unit[column] = 1.0
            found[:, k] = self.times(unit, np.empty(0))[0][columns, 0]
        return 0.5 * (found + found.T)

    def block(self, design, l2, columns, outputs, with_constants, share=1.0):
        """Return the matrix of second derivatives by some columns' weights of some outputs, and by constants.

        Weights come output by output. A share of the rows tells about.
        """
        width = len(columns)
        size = width * len(outputs)
        found = np.zeros((size + with_constants * self.n_constant,) * 2)
        for i, one in enumerate(outputs):
            for j, other in enumerate(outputs[: i + 1]):
                weight = self.curvature.between(one, other)
                if weight is not None:
                    part = design.gram(weight, columns, share)
                    found[i * width : (i + 1) * width, j * width : (j + 1) * width] = part
                    found[j * width : (j + 1) * width, i * width : (i + 1) * width] = part.T
        if with_constants and self.n_constant:
            self._fill_constants(found, design, columns, outputs)
        found /= self.losses.total
        found[np.arange(size), np.arange(size)] += np.tile(l2[columns, 0], len(outputs))
        return found

    def _fill_constants(self, found, design, columns, outputs):
        size, absent = len(columns) * len(outputs), np.zeros(self.losses.weight.shape)
        for k in range(self.n_constant):
            constant = self.n_linear + k
            weights = [self.curvature.between(one, constant) for one in outputs]
            crossed = design.backward(np.column_stack([absent if one is None else one for one in weights]))
            found[size + k, :size] = found[:size, size + k] = crossed[columns].T.ravel()
            for m in range(k + 1):
                weight = self.curvature.between(constant, self.n_linear + m)
                found[size + k, size + m] = found[size + m, size + k] = 0.0 if weight is None else weight.sum()
