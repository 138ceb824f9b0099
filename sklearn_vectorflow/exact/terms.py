"""Penalties and bounds on the weights of the columns that occur."""

import numpy as np

from sklearn_vectorflow.penalties import bounds


class Terms:
    """L1, L2 and bounds, on weights as distances from their centres.

    Parameters
    ----------
    fields : dict
        Of `penalties.combine`.
    design : Design
    n_outputs : int
        Outputs that have weights.

    Attributes
    ----------
    l1, l2 : ndarray of shape (n, 1)
        Strengths; the intercept has none.
    penalised : slice
        The columns that a penalty may act on: all but the intercept.
    center : ndarray of shape (n, n_outputs) or None
    lower, upper : ndarray of shape (n, n_outputs) or None
        Least and largest distances from the centre.
    """

    def __init__(self, fields, design, n_outputs):
        self.l1, self.l2 = (self._strengths(fields, name, design) for name in ("l1", "l2"))
        self._kinked = bool(np.any(self.l1))
        self.penalised = slice(int(design.intercept), None)  # all but the intercept
        self.center = self.lower = self.upper = None
        if "center" in fields:
            self.center = design.gathered(np.asarray(fields["center"], dtype=np.float64))
        if fields.keys() & {"lower", "sign"}:
            lower, upper = bounds(fields)
            self.lower = self._bound(lower, -np.inf, design, n_outputs)
            self.upper = self._bound(upper, np.inf, design, n_outputs)
            if self.center is not None:
                self.lower, self.upper = self.lower - self.center, self.upper - self.center

    @staticmethod
    def _bound(bound, free, design, n_outputs):
        """Return a bound of every weight; the intercept has none."""
        values = design.gathered(bound) if len(bound) > 1 else np.tile(bound, (design.n, 1))
        values = np.tile(values, (1, n_outputs))
        if design.intercept:
            values[0] = free
        return values

    @staticmethod
    def _strengths(fields, name, design):
        strength, each = fields.get(name, 0.0), fields.get(f"{name}_each")
        if each is None:
            values = np.full((design.n, 1), float(strength))
        else:
            values = float(strength) * design.gathered(np.asarray(each, dtype=np.float64))[:, None]
        if design.intercept:
            values[0] = 0.0
        return values

    @property
    def smooth(self):
        """Whether weights meet neither a kink nor a bound."""
        return self.lower is None and not self._kinked

    def inside(self, weights):
        """Return the nearest weights within the bounds."""
        return weights if self.lower is None else np.clip(weights, self.lower, self.upper)

    def value(self, weights):
        """Return the penalty."""
        value = 0.5 * float(np.vdot(weights, self.l2 * weights))
        return value + float(np.sum(self.l1 * np.abs(weights))) if self._kinked else value

    def pseudo_gradient(self, weights, gradient):
        """Return the steepest slope of the objective: zero where neither side of a kink or bound goes down.

        Parameters
        ----------
        weights : ndarray of shape (n, n_outputs)
        gradient : ndarray of shape (n, n_outputs)
            Of all that is smooth.
        """
        if self.smooth:
            return gradient
        right = gradient + np.where(weights >= 0, self.l1, -self.l1)
        left = gradient + np.where(weights > 0, self.l1, -self.l1)
        slope = np.where(right < 0, right, np.where(left > 0, left, 0.0))
        if self.lower is not None:
            slope[(weights <= self.lower) & (slope > 0) | (weights >= self.upper) & (slope < 0)] = 0.0
        return slope

    def box(self, weights, slope):
        """Return bounds within which the objective is smooth around weights, on the side that a slope points to."""
        low, high = np.full(weights.shape, -np.inf), np.full(weights.shape, np.inf)
        kinked = np.broadcast_to(self.l1 > 0, weights.shape)
        low[kinked & ((weights > 0) | (weights == 0) & (slope <= 0))] = 0.0
        high[kinked & ((weights < 0) | (weights == 0) & (slope >= 0))] = 0.0
        if self.lower is not None:
            np.maximum(low, self.lower, out=low)
            np.minimum(high, self.upper, out=high)
        return low, high

    def duality_gap(self, weights, gradient):
        """Return how far the objective is above its dual, at most, for the weights; NaN if a weight has no L2 part.

        The slopes of the rows' losses are a point of the dual problem (Fenchel's, where the conjugate of a loss at its
        own slope is known), so what is left of the gap are the penalties: each weight against the one that would be
        best for it if the rows' slopes stayed. An intercept, which has no penalty, is left out.

        Parameters
        ----------
        weights : ndarray of shape (n, n_outputs)
        gradient : ndarray of shape (n, n_outputs)
            Of all that is smooth.
        """
        penalised = self.penalised
        l1, l2, weights = self.l1[penalised], self.l2[penalised], weights[penalised]
        if not np.all(l2 > 0):
            return np.nan
        if self.smooth:
            return 0.5 * float(np.sum(gradient[penalised] ** 2 / l2))
        by_rows = gradient[penalised] - l2 * weights
        best = np.sign(-by_rows) * np.maximum(np.abs(by_rows) - l1, 0.0) / l2
        if self.lower is not None:
            best = np.clip(best, self.lower[penalised], self.upper[penalised])
        gaps = (weights - best) * (by_rows + 0.5 * l2 * (weights + best)) + l1 * (np.abs(weights) - np.abs(best))
        return float(np.sum(np.maximum(gaps, 0.0)))

    def shrunk(self, weights, gradient, curvature):
        """Return the minimum of a model of the smooth part that has this gradient and diagonal."""
        moved = weights - gradient / curvature
        return self.inside(np.sign(moved) * np.maximum(np.abs(moved) - self.l1 / curvature, 0.0))
