"""From a net that stochastic steps have brought near the optimum to the optimum."""

import numpy as np

from sklearn_vectorflow.exact.design import Design
from sklearn_vectorflow.exact.losses import Losses
from sklearn_vectorflow.exact.newton import minimise, norm_of
from sklearn_vectorflow.exact.objective import Objective
from sklearn_vectorflow.exact.terms import Terms

FLAT = 1e-10  # of the objective's size, below which no gradient is told from rounding


class Problem:
    """The objective of a linear net on rows.

    Parameters
    ----------
    network : Network
    data : Data
    kernel : Kernel
    fields : dict
        Of the penalties, as `penalties.combine` gives them.
    crew : Crew
    """

    def __init__(self, network, data, kernel, fields, crew):
        self.network, self.fields = network, fields
        linear, *constants = network.graph.weighted
        self.n_linear = linear.n_weights
        intercept = network.has_bias(linear)
        self.design = Design.of(data.matrix, self.n_linear, intercept, crew)
        n_rows = data.matrix.shape[0]
        weight = np.ones(n_rows) if data.weight is None else np.ascontiguousarray(data.weight, dtype=np.float64)
        y = data.dense_targets(0, n_rows)
        losses = Losses(kernel, y, weight, network.scales.output, self.design.parts, crew)
        terms = Terms(fields, self.design, self.n_linear)
        moves_intercept = not intercept or getattr(kernel.loss, "free_intercept", True)
        self.objective = Objective(self.design, losses, terms, moves_intercept)

    def start(self):
        """Return the point where the net is."""
        design, terms = self.design, self.objective.terms
        weights = design.gathered(self.network.weights()[0]).astype(np.float64)
        intercepts = self.network.intercepts()
        if design.intercept:
            weights[0] = intercepts[0] if self.objective.moves_intercept else 0.0
        if terms.center is not None:
            weights -= terms.center
        constants = np.concatenate([np.empty(0), *intercepts[1:]]).astype(np.float64)
        return self.objective.at(terms.inside(weights), constants)

    def without_weights(self, point, initial):
        """Return the point with no weights (or what bounds leave of them) and the intercepts of a constant model, or those of another point."""
        weights, constants = np.zeros_like(point.weights), point.constants
        if self.objective.terms.center is not None:
            weights -= self.objective.terms.center
        if self.design.intercept:
            weights[0] = point.weights[0]
        if initial is not None:
            initial = np.broadcast_to(initial, self.network.n_outputs)
            if self.design.intercept:
                weights[0] = initial[: self.n_linear]
            constants = initial[self.n_linear :]
        return self.objective.at(self.objective.terms.inside(weights), constants)

    def reference(self, point, initial):
        """Return the norm of the projected gradient without weights."""
        bare = self.without_weights(point, initial)
        gradient, by_constants = self.objective.gradient(bare)
        slope = self.objective.terms.pseudo_gradient(bare.weights, gradient), by_constants
        norm = norm_of(slope, self.objective.hessian(bare).diagonal())
        return max(norm, FLAT * np.sqrt(abs(bare.value)), np.finfo(float).tiny ** 0.5) if np.isfinite(norm) else 1.0

    def put(self, point):
        """Write a point's parameters into the net."""
        design, terms, network = self.design, self.objective.terms, self.network
        weights, absent = point.weights, 0.0
        if terms.center is not None:
            weights, absent = weights + terms.center, self.fields["center"]
        if "lower" in self.fields:
            absent = np.maximum(absent, self.fields["lower"])
        values = design.scattered(weights, network.n_features, absent)
        intercept = weights[0] if design.intercept else np.zeros(self.n_linear)
        network.start_anew([values], [intercept, *([point.constants] if len(point.constants) else [])])


def converge(problem, initial, tol, max_iter, say):
    """Take a problem's net to the optimum; return a report.

    Parameters
    ----------
    problem : Problem
    initial : ndarray of shape () or (n_outputs,), or None
        Raw outputs of the best constant model, if they are known.
    tol, max_iter, say
        See `newton.minimise`.
    """
    point = problem.start()
    reference = problem.reference(point, initial)
    point, report = minimise(problem.objective, point, reference, tol, max_iter, say)
    problem.put(point)
    return report
