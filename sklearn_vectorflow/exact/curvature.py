"""Second derivatives of losses by raw outputs, from differences of their gradients."""

import numpy as np

from sklearn_vectorflow.engine.exact import sweeps

STEP = 6e-6  # of typical raw outputs: the cube root of double precision
SOME = 256  # rows that tell how outputs depend on each other


def structure_of(losses, raw):
    """Return how a loss couples outputs: "diagonal" (not at all), "softmax", "full", or "rows" (rows, too)."""
    if losses.couples_rows:
        return "rows"
    if losses.is_softmax:
        return "softmax"
    if raw.shape[1] == 1:
        return "diagonal"
    rows = np.unique(np.linspace(0, len(raw) - 1, SOME).astype(int))  # of all: the first ones may be alike
    found = _full(losses.unweighted(rows), raw[rows])
    diagonal = np.einsum("ijj->ij", found)
    diagonal[...] = 0.0
    return "full" if np.any(found) else "diagonal"


def curvature_of(losses, raw, structure, gradient):
    """Return the second derivatives of the sum of losses at raw outputs, where its gradient is known."""
    if structure == "rows":
        return CoupledCurvature(losses, raw, gradient)
    if structure == "softmax":
        return SoftmaxCurvature(losses, raw)
    if structure == "diagonal":
        return DiagonalCurvature(_diagonal(losses, raw))
    return FullCurvature(_full(losses, raw))


def _steps(losses, raw):
    return STEP * (np.abs(raw) + losses.scale)


def _difference(losses, raw, step):
    """Return the change of the gradient along a step to both sides, over the step's length."""
    up, down = raw + step, raw - step
    return losses.gradient(up) - losses.gradient(down)


def _diagonal(losses, raw):
    found = losses.second_derivatives(raw)
    if found is not None:
        return found
    step = _steps(losses, raw)
    found = _difference(losses, raw, step)
    found /= 2.0 * step
    return found


def _full(losses, raw):
    steps = _steps(losses, raw)
    found = np.empty((*raw.shape, raw.shape[1]))
    for output in range(raw.shape[1]):
        step = np.zeros_like(raw)
        step[:, output] = steps[:, output]
        found[:, :, output] = _difference(losses, raw, step) / (2.0 * steps[:, output, None])
    return 0.5 * (found + found.transpose(0, 2, 1))


class DiagonalCurvature:
    """Of outputs with losses of their own."""

    def __init__(self, values):
        self.values = values

    def diagonal(self):
        """Return the second derivative by every output, shape (n_rows, n_outputs)."""
        return self.values

    def times(self, change):
        """Return the change of the gradient for a small change of raw outputs; the argument may be overwritten."""
        change *= self.values
        return change

    def between(self, one, other):
        """Return the second derivatives by two outputs; None if they are zero."""
        return np.ascontiguousarray(self.values[:, one]) if one == other else None

    def by_mode(self):
        """Return the engine's name of it, its numbers and rows' weights."""
        return "diagonal", self.values, self.values[:, 0].copy()


class FullCurvature:
    """Of outputs that a loss reads together: a matrix a row."""

    def __init__(self, values):
        self.values = np.ascontiguousarray(values)

    def diagonal(self):
        """Return the second derivative by every output, shape (n_rows, n_outputs)."""
        return np.einsum("ijj->ij", self.values).copy()

    def times(self, change):
        """Return the change of the gradient for a small change of raw outputs; the argument may be overwritten."""
        change = np.ascontiguousarray(change)
        sweeps.block_product(self.values, change, 0, len(change))
        return change

    def between(self, one, other):
        """Return the second derivatives by two outputs."""
        return np.ascontiguousarray(self.values[:, one, other])

    def by_mode(self):
        """Return the engine's name of it, its numbers and rows' weights."""
        return "full", self.values, self.values[:, 0, 0].copy()


class SoftmaxCurvature:
    """Of the multinomial loss, by its probabilities."""

    def __init__(self, losses, raw):
        self.probability = np.exp(raw - raw.max(axis=1, keepdims=True))
        self.probability /= self.probability.sum(axis=1, keepdims=True)
        self.weight, self._others = losses.weight, None

    @property
    def others(self):
        """One less each probability: for the largest of a row the sum of the others, as the difference is rounding."""
        if self._others is None:
            most = self.probability.argmax(axis=1)[:, None]
            rest = self.probability.copy()
            np.put_along_axis(rest, most, 0.0, axis=1)
            self._others = 1.0 - self.probability
            np.put_along_axis(self._others, most, rest.sum(axis=1, keepdims=True), axis=1)
        return self._others

    def diagonal(self):
        """Return the second derivative by every output, shape (n_rows, n_outputs)."""
        return self.weight[:, None] * self.probability * self.others

    def times(self, change):
        """Return the change of the gradient for a small change of raw outputs; the argument may be overwritten."""
        sweeps.softmax_product(self.probability, self.weight, change, 0, len(change))
        return change

    def between(self, one, other):
        """Return the second derivatives by two outputs."""
        by_other = self.others[:, one] if one == other else -self.probability[:, other]
        return self.weight * self.probability[:, one] * by_other

    def by_mode(self):
        """Return the engine's name of it, its numbers and rows' weights."""
        return "softmax", self.probability, self.weight


class CoupledCurvature:
    """Of a loss that sees all rows together: differences of its gradient along each change."""

    def __init__(self, losses, raw, gradient):
        self.losses, self.raw = losses, raw
        self._diagonal = losses.bound(gradient)

    def diagonal(self):
        """Return bounds of the second derivatives, shape (n_rows, n_outputs)."""
        return self._diagonal

    def times(self, change):
        """Return the change of the gradient for a small change of raw outputs."""
        size = np.abs(change).max(initial=0.0)
        if size == 0.0:
            return change
        step = STEP * self.losses.scale / size
        return _difference(self.losses, self.raw, step * change) / (2.0 * step)

    def between(self, one, other):
        """Return the bounds where the two are one output."""
        return np.ascontiguousarray(self._diagonal[:, one]) if one == other else None

    def by_mode(self):
        """Return the engine's name of the bounds, their numbers and rows' weights."""
        return "diagonal", self._diagonal, self._diagonal[:, 0].copy()
