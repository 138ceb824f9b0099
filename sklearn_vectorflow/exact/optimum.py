"""From a net that stochastic steps have brought near the optimum to the optimum."""

from dataclasses import dataclass

import numpy as np

from sklearn_vectorflow.exact.design import Design
from sklearn_vectorflow.exact.losses import Losses
from sklearn_vectorflow.exact.newton import ROUNDING, Measure, minimise, norm_of
from sklearn_vectorflow.exact.objective import Objective
from sklearn_vectorflow.exact.streamed import StreamedStore, targets_of
from sklearn_vectorflow.exact.terms import Terms
from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.penalties import bounds

FLAT = ROUNDING**0.5  # of the root of the objective's size: a smaller slope lowers it by no more than rounding


@dataclass(frozen=True)
class Layout:
    """Which parameters a linear net has.

    Parameters
    ----------
    n_linear : int
        Outputs that have weights.
    intercept : bool
        Whether those have intercepts of their own.
    passed_on : bool
        Whether the constants hold the intercepts.
    """

    n_linear: int
    intercept: bool
    passed_on: bool

    @classmethod
    def of(cls, network, loss):
        """Return that of a net and its loss."""
        linear = network.graph.weighted[0]
        passed_on = not loss.free_intercept
        return cls(linear.n_weights, network.has_bias(linear) and not passed_on, passed_on)


class Problem:
    """The objective of a linear net on rows.

    Parameters
    ----------
    network : Network
    fields : dict
        Of the penalties, as `penalties.combine` gives them.
    layout : Layout
    objective : Objective
    """

    def __init__(self, network, fields, layout, objective):
        self.network, self.fields, self.objective = network, fields, objective
        self.design, self.n_linear, self.passed_on = objective.design, layout.n_linear, layout.passed_on

    @classmethod
    def of_rows(cls, network, data, kernel, fields, crew):
        """Return the problem of rows that this process reads.

        Parameters
        ----------
        network : Network
        data : Data or StreamedData
        kernel : Kernel
        fields : dict
        crew : Crew
        """
        layout = Layout.of(network, kernel.loss)
        design, y, weight, offset = _rows_of(data, layout.n_linear, layout.intercept, crew)
        losses = Losses(kernel, y, weight, network.scales.output, design.parts, crew)
        return cls(network, fields, layout, Objective(design, losses, Terms(fields, design, layout.n_linear), offset))

    def start(self):
        """Return the point where the net is."""
        design, terms = self.design, self.objective.terms
        weights = design.gathered(self.network.weights()[0]).astype(np.float64)
        if terms.center is not None:
            weights -= terms.center
        return self._at(weights, np.concatenate(self.network.intercepts()).astype(np.float64))

    def _at(self, weights, constant):
        """Return a point with intercepts and constants from the raw outputs of a row without features."""
        weights, constants = self.objective.terms.inside(weights), constant[self.n_linear :]
        if self.design.intercept:
            weights[0] = constant[: self.n_linear]
        if self.passed_on:
            own = constant[: self.n_linear, None]  # each output has as many constants
            constants = (constants.reshape(self.n_linear, -1) + own).ravel()
        return self.objective.at(weights, constants)

    def without_weights(self, initial):
        """Return the point of a constant model, or what bounds leave of it.

        Its raw outputs are those of the net for a row without features if they are not given.
        """
        terms, n_outputs = self.objective.terms, self.network.n_outputs
        weights = np.zeros((self.design.n, self.n_linear))
        if terms.center is not None:
            weights -= terms.center
        initial = np.concatenate(self.network.intercepts()) if initial is None else initial
        return self._at(weights, np.broadcast_to(initial, n_outputs).astype(np.float64))

    def measure(self, bare):
        """Return the measure of projected gradients, in units of that of the point without weights."""
        (gradient, by_constants), _, diagonal = self.objective.derivatives(bare)
        slope = self.objective.terms.pseudo_gradient(bare.weights, gradient), by_constants
        norm = norm_of(slope, diagonal)
        size = max(abs(bare.value), self.network.scales.loss)
        norm = max(norm, FLAT * np.sqrt(size), np.finfo(float).tiny ** 0.5) if np.isfinite(norm) else 1.0
        return Measure(norm, diagonal)

    def put(self, point, goes_on=False):
        """Write a point's parameters into the net.

        If training may go on, the net keeps the state of its optimizer, in which steps are as short as after all rows.
        """
        design, terms, network = self.design, self.objective.terms, self.network
        weights, absent = self._centred(point.weights), 0.0
        if terms.center is not None:
            weights, absent = weights + terms.center, self.fields["center"]
        absent = np.clip(absent, *bounds(self.fields))
        values = design.scattered(weights, network.n_features, absent)
        intercept = weights[0] if design.intercept else np.zeros(self.n_linear)
        ends = np.cumsum([place.n_weights for place in network.graph.weighted[1:]], dtype=int)
        constants = np.split(point.constants, ends)[: len(ends)]
        found = [values, *([0.0] * len(ends))], [intercept, *constants]
        if not goes_on:
            network.start_anew(*found)
            return
        network.set_weights(*found)
        network.slow_down(*self._curvatures(point))

    def _curvatures(self, point):
        """Return the sums over rows of the second derivatives by the weights and intercepts of the linear layer."""
        design = self.design
        diagonal = design.n_rows * self.objective.hessian(point).diagonal()[0]
        intercept = diagonal[0] if design.intercept else np.zeros(self.n_linear)
        return design.scattered(diagonal, self.network.n_features), intercept

    def _centred(self, weights):
        """Return weights of a multinomial model centred over the classes where no penalty chooses among them."""
        terms = self.objective.terms
        if not self.objective.losses.is_softmax:
            return weights
        free = (terms.l1 == 0) & (terms.l2 == 0)
        if terms.lower is not None:
            unbounded = np.isneginf(terms.lower) & np.isposinf(terms.upper)
            free = free & np.all(unbounded, axis=1, keepdims=True)
        return np.where(free, weights - weights.mean(axis=1, keepdims=True), weights)


def _rows_of(data, width, intercept, crew):
    """Return the design of training rows, their targets, weights and offsets."""
    if not isinstance(data.matrix, Matrix):
        y, weight, offset = targets_of(data)
        n_passes = 2  # for the targets, and for the columns
        return Design(StreamedStore(data, len(y), crew), intercept, passes=[n_passes]), y, weight, offset
    n_rows = data.matrix.shape[0]
    weight = np.ones(n_rows) if data.weight is None else np.ascontiguousarray(data.weight, dtype=np.float64)
    return Design.of(data.matrix, width, intercept, crew), data.dense_targets(0, n_rows), weight, data.offset


def converge(problem, initial, tol, max_iter, say, goes_on=False):
    """Take a problem's net to the optimum; return a report.

    Parameters
    ----------
    problem : Problem
    initial : ndarray of shape () or (n_outputs,), or None
        Raw outputs of the best constant model, if they are known.
    tol, max_iter, say
        See `newton.minimise`.
    goes_on : bool, default=False
        Whether the net keeps the state of its optimizer.
    """
    point, bare = problem.start(), problem.without_weights(initial)
    measure = problem.measure(bare)
    if not point.value <= bare.value:  # stochastic steps diverged
        point = bare
    point, report = minimise(problem.objective, point, measure, tol, max_iter, say)
    problem.put(point, goes_on)
    return report
