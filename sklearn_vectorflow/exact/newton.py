"""Truncated Newton steps in a region of trust, with a line search.

The step of a quadratic model is found by conjugate gradients that end on the region's rim (Steihaug,
1983, doi:10.1137/0720042), or when a product gains little (Nash and Sofer, 1990,
doi:10.1016/0167-6377(90)90056-8); second derivatives among frequent columns precondition them. Where
L1 or bounds make corners, the model takes in the penalty (descent.py). If the rows come from a source,
weights at a kink or bound that the slope presses against stay instead (Bertsekas, 1982,
doi:10.1137/0320018), and those that would cross one end there (Andrew and Gao, 2007,
doi:10.1145/1273496.1273501).
"""

from dataclasses import dataclass

import numpy as np

from sklearn_vectorflow.exact.corners import Corners
from sklearn_vectorflow.exact.preconditioner import Preconditioner

MOST_HALVINGS = 30
SUFFICIENT = 1e-4  # of the decrease that the slope foretells
ROUNDING = 1e-14  # of the objective, which sums over many rows may be off by
MOST_PRODUCTS = 500  # in one step
MOST_STALLS = 2  # steps in a row that lower the objective by no more than rounding
FORCING = 0.1  # of the slope, at most, that a step may leave
PATIENCE = 0.5  # of the mean gain of products, less of which is not worth another
GAIN = 0.3  # of the share of the slope: what cycles over weights have to gain
FIRST = 2.0  # radius of trust, in lengths of the preconditioned slope
LEAST = 1e-12  # of a curvature without weights: about what rounding leaves of one
FEW = 0.5  # of all entries: so many or fewer are read apart


@dataclass
class Report:
    """What became of a minimisation.

    Attributes
    ----------
    n_iter : int
        Steps taken.
    optimality : float
        Norm of the projected gradient, relative to that without weights.
    converged : bool
    gap : float
        Between the objective and its dual; NaN if a weight has no L2 part. It holds for convex losses.
    stuck : bool
        Whether no step led on.
    """

    n_iter: int
    optimality: float
    converged: bool
    gap: float
    stuck: bool = False

    @property
    def advice(self):
        """What could be done about an end without convergence."""
        if self.stuck:
            return (
                "No step lowers the objective any more: its sums are at the end of double precision, or it has no "
                "minimum (separable classes without a penalty, for example: raise alpha)."
            )
        return "Increase exact_max_iter."


def norm_of(slope, diagonal):
    """Return the norm of a slope, each coordinate in the unit that its curvature gives it."""
    return float(np.sqrt(sum(np.sum(one**2 / np.where(own > 0, own, np.inf)) for one, own in zip(slope, diagonal))))


class Measure:
    """How far from the optimum a point is: the norm of its slope, relative to that without weights.

    A coordinate may have no curvature left, because all its rows are sure of themselves, but a slope. Then a small
    share of the curvature without weights is its unit.

    Parameters
    ----------
    reference : float
        The norm without weights.
    diagonal : tuple of ndarray
        Second derivatives without weights, by weights and by constants.
    """

    def __init__(self, reference, diagonal):
        self.reference, self.least = reference, tuple(LEAST * own for own in diagonal)

    def of(self, slope, diagonal):
        """Return the measure of a slope."""
        units = tuple(np.maximum(own, least) for own, least in zip(diagonal, self.least))
        return norm_of(slope, units) / self.reference


def filled(diagonal, slope, point):
    """Return second derivatives, for a coordinate without one that which lets a step go as far as to zero."""
    found = []
    for own, one, value in zip(diagonal, slope, (point.weights, point.constants)):
        if np.all(own > 0):
            found.append(own)
            continue
        other = np.ones_like(own)
        np.divide(np.abs(one), np.abs(value), out=other, where=(one != 0) & (value != 0))
        found.append(np.where(own > 0, own, other))
    return tuple(found)


def gap_of(objective, hessian, point, gradient, diagonal):
    """Return the duality gap at a point near the optimum.

    A point of the dual problem has slopes that sum to zero over the rows, since an intercept has no penalty. They do
    after the intercepts' own step of Newton's, whose gain and whose change of all other slopes count to second order.

    Parameters
    ----------
    objective : Objective
    hessian : Hessian
    point : Point
    gradient, diagonal : tuple of ndarray
        First and second derivatives of the smooth part, by weights and by constants.
    """
    by_weights, by_constants = gradient
    intercepts = slice(0, objective.terms.penalised.start)
    step = np.zeros(point.weights.shape), _newton(by_constants, diagonal[1])
    step[0][intercepts] = _newton(by_weights[intercepts], diagonal[0][intercepts])
    gain = 0.0
    if np.any(step[0]) or np.any(step[1]):
        product = hessian.times(*step)
        gain = 0.5 * sum(float(np.sum(one * own)) for one, own in zip(step, product))
        by_weights, by_constants = by_weights + product[0], by_constants + product[1]
        left = _newton(by_weights[intercepts], diagonal[0][intercepts]), _newton(by_constants, diagonal[1])
        gain -= float(np.sum(left[0] * by_weights[intercepts])) + float(np.sum(left[1] * by_constants))
    return objective.terms.duality_gap(point.weights, by_weights) + gain


def _newton(slope, curvature):
    """Return the step to the minimum of each coordinate alone."""
    return -slope / np.where(curvature > 0, curvature, np.inf)


def minimise(objective, point, measure, tol, max_iter, say):
    """Return the point of the least value, and a report.

    Parameters
    ----------
    objective : Objective
    point : Point
        Where to start.
    measure : Measure
        Of the projected gradient.
    tol : float
        Of that.
    max_iter : int
        Most steps.
    say : callable
        Told of every step.
    """
    stalls, region, corners, preconditioner = 0, Region(), Corners(objective), None
    for step in range(max_iter + 1):
        (gradient, by_constants), hessian, diagonal = objective.derivatives(point)
        slope = objective.terms.pseudo_gradient(point.weights, gradient), by_constants
        optimality = measure.of(slope, diagonal)
        say(step, point.value, optimality)
        if optimality <= tol or stalls > MOST_STALLS or step == max_iter:
            gap = gap_of(objective, hessian, point, (gradient, by_constants), diagonal)
            return point, Report(step, optimality, optimality <= tol, gap, stalls > MOST_STALLS)
        diagonal = filled(diagonal, slope, point)
        forcing = min(FORCING, optimality**0.5)
        moves = moving(objective.terms, point, slope[0])
        model = corners.model(hessian, point, (gradient, by_constants), diagonal, moves)
        if model is not None:
            moved = led(objective, point, (gradient, by_constants), *model.minimise(GAIN * forcing))
        else:
            model = Model(objective, hessian, slope, diagonal, moves, preconditioner)
            preconditioner = model.preconditioner
            patience = min(PATIENCE, optimality**0.5)
            moved = searched(objective, point, slope, *model.direction(forcing, None, patience, region), region, model)
        if moved is None:
            moved = shrunk(objective, point, gradient, by_constants, diagonal)
        if moved is None:
            gap = gap_of(objective, hessian, point, (gradient, by_constants), diagonal)
            return point, Report(step, optimality, False, gap, True)
        corners.note(point, moved)
        stalls = stalls + 1 if point.value - moved.value <= ROUNDING * abs(point.value) else 0
        point = moved


def moving(terms, point, slope):
    """Return which weights a slope does not press against a kink or bound."""
    moves = np.ones(point.weights.shape, dtype=bool)
    if not terms.smooth:
        low, high = terms.box(point.weights, slope)
        moves = ~((point.weights <= low) & (slope >= 0) | (point.weights >= high) & (slope <= 0))
    return moves


class Model:
    """The quadratic model around a point, for the weights that may move."""

    def __init__(self, objective, hessian, slope, diagonal, moves, preconditioner=None):
        self.hessian, self.slope = hessian, slope
        self.design, self.l2, self.some = objective.design, objective.terms.l2, None
        if not np.all(moves):
            some = moves.any(axis=1)
            if objective.design.share(some) <= FEW:
                self.some = some
                self.design, self.l2 = objective.design.restricted(some), self.l2[some]
                moves = moves[some]
                slope = slope[0][some], slope[1]
                diagonal = diagonal[0][some], diagonal[1]
        self.held = None if np.all(moves) else ~moves
        self.side = -np.where(moves, slope[0], 0.0), -slope[1]
        self.preconditioner = Preconditioner(hessian, self.design, self.l2, diagonal, moves, preconditioner)
        self.vectors, self.change = self.design.vectors(hessian.n_linear), None

    def along(self, weights, constants):
        """Return the product of second derivatives and a direction; see `Hessian.along`."""
        (product, of_constants), curvature, change = self.hessian.along(weights, constants, self.design, self.l2)
        if self.held is not None:
            product[self.held] = 0.0
        return (product, of_constants), curvature, change

    def _note_change(self, length, change):
        if change is not None:
            self.change = length * change if self.change is None else self.change + length * change

    def direction(self, forcing, side=None, patience=0.0, region=None):
        """Return about the minimum of the model, or the solution of equations of its second derivatives with a side.

        Parameters
        ----------
        forcing : float
            Share of the slope that may be left.
        side : tuple of ndarray, default=None
        patience : float, default=0.0
            Ends earlier: when a product gains less than this share of the mean gain of those before.
        region : Region, default=None
            Where the model is trusted; the direction ends on its rim.
        """
        if side is None:
            side = self.side
        elif self.some is not None:
            side = side[0][self.some], side[1]
        residual = tuple(one.copy() for one in side)
        direction = tuple(np.zeros_like(one) for one in residual)
        solved, norm = self.preconditioner.times(*residual)
        toward = tuple(one.copy() for one in solved)
        self.change = None
        enough, fallen = forcing**2 * norm, 0.0
        reach = Reach(norm, region)
        for k in range(MOST_PRODUCTS):
            if norm <= enough or norm <= 0.0:
                break
            product, curvature, change = self.along(*toward)
            bent = curvature <= 1e-16 * norm  # flat or downwards
            length, on_rim = reach.length(np.inf if bent else norm / curvature)
            if bent and not on_rim:
                length = 1.0 if k == 0 else 0.0
            if region is not None:
                self._note_change(length, change)
            before, norm = norm, self._advance(length, toward, product, direction, residual, solved)
            fall = length * (before - 0.5 * length * curvature)  # of the model
            fallen += fall
            self.fallen, self.reached, self.on_rim = fallen, np.sqrt(max(reach.reached, 0.0)), on_rim
            if on_rim or bent or (k + 1) * fall <= patience * fallen:
                break
            self.vectors.turn(norm / before, solved[0], toward[0])
            toward[1][...] = norm / before * toward[1] + solved[1]
            reach.turn(length, before, norm)
        return self._whole(direction)

    def _advance(self, length, toward, product, direction, residual, solved):
        """Go along a direction; return the norm of what is left."""
        by_diagonal = self.preconditioner.inverse
        norm = self.vectors.advance(length, toward[0], product[0], by_diagonal, direction[0], residual[0], solved[0])
        direction[1][...] += length * toward[1]
        residual[1][...] -= length * product[1]
        solved[1][...], more = self.preconditioner.complete(*residual, solved[0])
        return norm + more

    def _whole(self, direction):
        if self.some is None:
            return direction
        whole = np.zeros(self.slope[0].shape)
        whole[self.some] = direction[0]
        return whole, direction[1]


class Region:
    """Where quadratic models have turned out to be good: a distance in the norm of the preconditioner.

    As in Lin and Moré (1999), doi:10.1137/S1052623498345075.
    """

    def __init__(self):
        self.radius = None

    def adapt(self, model, length, actual):
        """Take in how much of what the model foretold came true, at which part of the step."""
        share = actual / model.fallen if model.fallen > 0 else 1.0
        if length < 1.0:
            self.radius = max(length, 0.1) * model.reached
        elif share < 0.25:
            self.radius = 0.5 * model.reached
        elif share > 0.75 and model.on_rim:
            self.radius *= 4.0


class Reach:
    """How far a direction has come in the norm of the preconditioner.

    Follows from conjugacy, without a product (Conn, Gould and Toint, 2000, doi:10.1137/1.9780898719857, 7.5.1).
    """

    def __init__(self, norm, region):
        if region is not None and region.radius is None:
            region.radius = FIRST * np.sqrt(norm)
        self.radius = np.inf if region is None else region.radius
        self.so_far, self.crossed, self.ahead = 0.0, 0.0, norm
        self.on_rim, self.reached = False, 0.0

    def length(self, wanted):
        """Return how far to go, and whether that is the rim."""
        if wanted < np.inf:
            reached = self.so_far + wanted * (2.0 * self.crossed + wanted * self.ahead)
            if reached < self.radius**2:
                self.reached = reached
                return wanted, False
        if self.radius == np.inf:
            return 0.0, False
        self.on_rim, self.reached = True, self.radius**2
        root = self.crossed**2 + self.ahead * (self.radius**2 - self.so_far)
        return (self.radius**2 - self.so_far) / (self.crossed + np.sqrt(root)), True

    def turn(self, length, before, norm):
        """Take in a new direction, for the lengths of the residual before and now."""
        self.so_far = self.reached
        self.crossed = norm / before * (self.crossed + length * self.ahead)
        self.ahead = norm + (norm / before) ** 2 * self.ahead


def _dot(one, other):
    return sum(float(np.vdot(a, b)) for a, b in zip(one, other))


def searched(objective, point, slope, direction, of_constants, region, model):
    """Return the first point along a direction, halved again and again, that is low enough; None if there is none."""
    terms = objective.terms
    low, high = (None, None) if terms.smooth else terms.box(point.weights, slope[0])
    change, length = None, 1.0
    allowance = ROUNDING * abs(point.value)
    for _ in range(MOST_HALVINGS):
        weights, constants = point.weights + length * direction, point.constants + length * of_constants
        inside = weights if low is None else np.clip(weights, low, high)
        if np.array_equal(inside, weights):
            if change is None:
                change = objective.change(direction, of_constants) if model.change is None else model.change
            moved = objective.moved(point, weights, constants, length, change)
        else:
            moved = objective.at(inside, constants)
        foretold = _dot(slope, (inside - point.weights, constants - point.constants))
        if moved.value <= point.value + SUFFICIENT * foretold + allowance and foretold < 0:
            region.adapt(model, length, point.value - moved.value)
            return moved
        length *= 0.5
    return None


def led(objective, point, gradient, step, of_constants, change):
    """Return the first point along the step of a model with corners that is low enough; None if there is none."""
    terms, length = objective.terms, 1.0
    allowance = ROUNDING * abs(point.value)
    bends = np.sum(terms.l1 * (np.abs(point.weights + step) - np.abs(point.weights)))
    foretold = _dot(gradient, (step, of_constants)) + bends
    if not foretold < 0:
        return None
    for _ in range(MOST_HALVINGS):
        weights, constants = point.weights + length * step, point.constants + length * of_constants
        moved = objective.moved(point, weights, constants, length, change)
        if moved.value <= point.value + SUFFICIENT * length * foretold + allowance:
            return moved
        length *= 0.5
    return None


def shrunk(objective, point, gradient, by_constants, diagonal):
    """Return a point of less value by a step that treats weights apart; None if there is none."""
    damping = 1.0
    for _ in range(MOST_HALVINGS):
        own, of_constants = (one * damping for one in diagonal)
        weights = objective.terms.shrunk(point.weights, gradient, own)
        moved = objective.at(weights, point.constants - by_constants / of_constants)
        if moved.value < point.value:
            return moved
        damping *= 4.0
    return None
