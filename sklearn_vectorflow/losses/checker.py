"""A function that checks a loss and reports what is wrong, and where."""

import pickle
import threading
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from sklearn_vectorflow.losses import Loss, blocks, doors
from sklearn_vectorflow.losses.survival import SurvivalLoss
from sklearn_vectorflow.targets.times import parse
from sklearn_vectorflow.validation.types import TimesLike

STEP = 1e-6
OUTPUTS = (0.0, 1.0, -1.0, 30.0, -30.0)  # where many losses have kinks, and where many overflow


def check_loss(
    loss: Loss,
    y: TimesLike = None,
    *,
    n_outputs: int | None = None,
    starts: ArrayLike | None = None,
    nodes: Mapping[str, int] | None = None,
    random_state: int = 0,
) -> None:
    """Check a loss and report what failed, and where.

    The checks are:

    - The gradient agrees with finite differences from both sides; at a kink it lies between the two slopes. Raw outputs
      are random, equal to the targets, equal to the targets plus or minus a parameter, 0, 1, -1, 30 and -30.
    - Large raw outputs give no NaN, and a raw output of NaN gives a loss that is not finite.
    - The loss of a block is the sum of those of its rows (of its groups for coupled losses).
    - A loss that declares itself convex is convex.
    - Weights multiply loss and gradient.
    - The function does not change its arguments.
    - The loss can be cloned and pickled.
    - A compiled loss runs without the GIL.
    - Targets outside the domain are refused.
    - ``initial_raw`` has no larger loss than zero.

    Parameters
    ----------
    loss : Loss
        An instance of a subclass of :class:`Loss`.
    y : array-like of shape (n_rows,) or (n_rows, n_targets), default=None
        Targets in the domain of the loss, classes as 0, 1, 2, .... For survival losses, times in a form that `fit`
        accepts, or encoded times. None generates targets, one class, number, relevance or time per row.
    n_outputs : int, default=None
        Number of raw outputs. None takes that of the loss.
    starts : array-like of shape (n_groups + 1,), default=None
        For coupled losses: the first row of each group and, at the end, n_rows. None makes groups of 5 rows.
    nodes : dict of str to int, default=None
        For losses that read nodes: widths of nodes by name. Other nodes have three outputs. A node whose gradient is
        zero everywhere counts as read-only.
    random_state : int, default=0
        Seed of the generated raw outputs, weights and targets.

    Raises
    ------
    AssertionError
        If a check fails. The message lists all failed checks.

    Examples
    --------
    >>> from sklearn_vectorflow.losses import QuantileLoss, check_loss
    >>> check_loss(QuantileLoss(0.9))
    """
    case = _Case(loss, y, n_outputs, starts, nodes or {}, np.random.default_rng(random_state))
    failures = []
    for check in CHECKS:
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                check(case)
        except Exception as error:
            told = error if isinstance(error, _Failure) else f"{type(error).__name__}: {error}"
            failures.append(f"{check.__name__.removeprefix('_').replace('_', ' ')}: {told}")
    if failures:
        message = f"{blocks.name_of(loss)} failed {len(failures)} of {len(CHECKS)} checks:\n- " + "\n- ".join(failures)
        print(message)
        raise AssertionError(message)


class _Failure(Exception):
    """What a check found."""


class _Case:
    """A loss with targets, raw outputs and weights to try it on.

    The outputs of nodes that the loss reads stand in `raw` behind the raw outputs, and their
    gradients behind its gradient.
    """

    def __init__(self, loss, y, n_outputs, starts, nodes, rng):
        if isinstance(loss, SurvivalLoss):
            loss, y = _timed(loss, y, rng)
        self.loss = loss
        self.y = blocks.columns(_targets(loss, rng) if y is None else y)
        self.n_rows = len(self.y)
        self.n_outputs = n_outputs or _n_outputs(loss, self.y)
        self.widths = [nodes.get(name, 3) for name in blocks.reads_of(loss)]
        self.raw = rng.normal(size=(self.n_rows, self.n_outputs + sum(self.widths)))
        self.weight = rng.uniform(0.5, 2.0, self.n_rows)
        if loss.coupled and starts is None:
            starts = np.append(np.arange(0, self.n_rows, 5), self.n_rows)
        self.starts = blocks.checked_starts(loss, starts, self.n_rows)

    def __call__(self, raw=None, weight=None, rows=slice(None), starts=None, loss=None):
        loss = self.loss if loss is None else loss
        y, (raw, *nodes) = self.y[rows], self.split((self.raw if raw is None else raw)[rows])
        weight = np.ones(len(raw)) if weight is None else weight[rows]
        starts = self.starts if starts is None else starts
        kernel = doors.kernel_of(loss)
        if kernel.takes_gil:
            total, gradient, of_nodes = kernel.evaluate(y, raw, weight, starts, nodes)
            return total, np.hstack([gradient, *of_nodes])
        gradient = np.full(raw.shape, 1e99)  # what is not written is seen
        of_nodes = [np.zeros_like(outputs) for outputs in nodes]
        total = kernel.block(y, raw, weight, starts, gradient, list(zip(nodes, of_nodes))).evaluate()
        return total, np.hstack([gradient, *of_nodes])

    def split(self, wide):
        """The raw outputs, and those of each node."""
        edges = np.cumsum([self.n_outputs, *self.widths])[:-1]
        return [np.ascontiguousarray(part) for part in np.split(wide, edges, axis=1)]

    def with_raw(self, raw):
        """Wide outputs of which these are the raw ones."""
        return np.hstack([np.broadcast_to(raw, (self.n_rows, self.n_outputs)), self.raw[:, self.n_outputs :]])

    def differentiable(self):
        """Columns of `raw` to compare slopes of: not those of nodes that are read only."""
        columns = np.split(np.arange(self.raw.shape[1]), np.cumsum([self.n_outputs, *self.widths])[:-1])
        used = [np.any(part) for part in self.split(self(weight=self.weight)[1])]
        return [column for k, part in enumerate(columns) if k == 0 or used[k] for column in part]

    def column(self, column):
        """What messages call a column of `raw`."""
        if column < self.n_outputs:
            return f"output {column}"
        edges = np.cumsum([self.n_outputs, *self.widths])
        node = int(np.searchsorted(edges, column, side="right")) - 1
        return f"output {column - edges[node]} of node {self.loss.reads[node]!r}"

    def blocks(self):
        """Ranges of rows that are independent of each other, with where groups start."""
        if self.starts is None:
            return [(slice(k, k + 1), None) for k in range(self.n_rows)]
        return [(slice(a, b), np.array([0, b - a], dtype=np.int64)) for a, b in zip(self.starts[:-1], self.starts[1:])]

    def at(self, row):
        return f"row {row} (y={blocks.flat(self.y)[row]})"


def _targets(loss, rng):
    if hasattr(loss, "predict_proba") or not hasattr(loss, "check_y"):
        return np.arange(20) % 2
    if loss.coupled:
        return rng.integers(0, 4, size=20)
    if np.isfinite(loss.y_low):
        return loss.y_low + rng.gamma(1.0, size=20)
    return rng.normal(size=20)


def _timed(loss, y, rng):
    """A survival loss as an estimator would prepare it, with encoded targets."""
    if y is None:
        y = {"event": np.arange(20) % 3 > 0, "time": rng.exponential(2.0, size=20) + 0.01}
    if isinstance(y, np.ndarray) and y.dtype.names is None:
        return loss, y
    times = parse(y, causes=loss.takes_causes)
    loss.check_times(times)
    loss = loss.prepared(times)
    return loss, loss.encode(times)


def _n_outputs(loss, y):
    if not callable(getattr(loss, "n_outputs", None)):
        return getattr(loss, "n_outputs", 1)
    return loss.n_outputs(len(np.unique(y)) if hasattr(loss, "multilabel") else y.shape[1])


def _close(left, right, tolerance=1e-9):
    return np.allclose(left, right, rtol=tolerance, atol=tolerance, equal_nan=True)


def _gradient_is_the_slope(case):
    _compare_slopes(case, case.raw, "a random raw output")


def _gradient_is_between_the_slopes_at_kinks_and_far_out(case):
    if case.loss.jumps:
        return
    for output in OUTPUTS:
        _compare_slopes(case, np.full_like(case.raw, output), f"raw={output:g}")
    if case.y.shape[1] == case.n_outputs:
        offsets = [0.0, *(float(p) for p in np.ravel(case.loss.kernel_parameters()))]
        for offset in dict.fromkeys([*offsets, *(-o for o in offsets)]):
            _compare_slopes(case, case.with_raw(case.y + offset), f"raw = y {offset:+g}")


def _compare_slopes(case, raw, place):
    """Compare the gradient with the slopes to both sides of every output, one block at a time."""
    columns = case.differentiable()
    for rows, starts in case.blocks():
        here, gradient = case(raw, case.weight, rows, starts)
        if not (np.isfinite(here) and np.all(np.isfinite(gradient))):
            continue
        for row in range(rows.start, rows.stop):
            for output in columns:
                slopes = [_slope(case, raw, row, output, step, rows, starts, here) for step in (-STEP, STEP)]
                got = gradient[row - rows.start, output]
                slack = 1e-4 * max(1.0, abs(got)) + 1e-9 * abs(here) / STEP
                if not min(slopes) - slack <= got <= max(slopes) + slack:
                    raise _Failure(
                        f"at {case.at(row)}, {place}, {case.column(output)}: the gradient is {got:.6g}, finite "
                        f"differences give {slopes[0]:.6g} (left) and {slopes[1]:.6g} (right)"
                    )


def _slope(case, raw, row, output, step, rows, starts, here):
    moved = raw.copy()
    moved[row, output] += step * max(1.0, abs(raw[row, output]))
    return (case(moved, case.weight, rows, starts)[0] - here) / (moved[row, output] - raw[row, output])


def _large_outputs_give_no_NaN(case):
    for size in (30.0, -30.0, 1000.0, -1000.0):
        total, gradient = case(np.full_like(case.raw, size))
        if np.isnan(total) or np.isnan(gradient).any():
            raise _Failure(f"NaN at raw={size:g}")


def _NaN_shows_in_the_loss(case):
    for row in range(case.n_rows):
        raw = case.raw.copy()
        raw[row] = np.nan
        if np.isfinite(case(raw)[0]):
            raise _Failure(f"a raw output of NaN at {case.at(row)} gave a finite loss, so training would not stop")


def _block_is_the_sum_of_its_parts(case):
    if not getattr(case.loss, "separates", True):
        return
    total, gradient = case(weight=case.weight)
    parts = [case(weight=case.weight, rows=rows, starts=starts) for rows, starts in case.blocks()]
    if not _close(total, sum(part for part, _ in parts)):
        raise _Failure(f"the block's loss is {total:.9g}, its parts' sum is {sum(part for part, _ in parts):.9g}")
    if not _close(gradient, np.concatenate([part for _, part in parts])):
        raise _Failure("the block's gradient differs from that of its parts alone")


def _chords_lie_above_if_it_is_convex(case):
    """The gradient of a convex function grows along every line."""
    for size in (1.0, 10.0) if getattr(case.loss, "convex", False) else ():
        one, other = size * case.raw, size * case.raw[::-1] + 0.5
        (below, gradient), (above, steeper) = case(one), case(other)
        rise, slack = np.sum((steeper - gradient) * (other - one)), 1e-9 * (abs(below) + abs(above))
        if not rise >= -slack or not case(0.5 * (one + other))[0] <= 0.5 * (below + above) + slack:
            raise _Failure(f"the loss says that it is convex, but it is not between raw outputs of about {size:g}")


def _weights_multiply(case):
    total, gradient = case()
    heavy, steep = case(weight=np.full(case.n_rows, 3.0))
    separates = getattr(case.loss, "separates", True)  # else the logarithm of a sum of weights may be in the loss
    if not (_close(heavy, 3.0 * total) or not separates) or not _close(steep, 3.0 * gradient):
        raise _Failure(
            f"weights of 3 make a loss of {heavy:.6g} out of {total:.6g}: are loss and gradient of every row "
            "multiplied by its weight?"
        )
    for k, (rows, starts) in enumerate(case.blocks() if separates else ()):
        factor = 1.0 + k
        alone, steep = case(weight=np.full(case.n_rows, factor), rows=rows, starts=starts)
        if not (_close(alone, factor * case(rows=rows, starts=starts)[0]) and _close(steep, factor * gradient[rows])):
            raise _Failure(f"at {case.at(rows.start)}: a weight of {factor:g} does not multiply loss and gradient")


def _same_again_and_arrays_left_alone(case):
    given = [case.y.copy(), case.raw.copy(), case.weight.copy()]
    first, second = case(weight=case.weight), case(weight=case.weight)
    if not all(np.array_equal(a, b) for a, b in zip(given, (case.y, case.raw, case.weight))):
        raise _Failure("y, raw or the weights were changed")
    if first[0] != second[0] or not np.array_equal(first[1], second[1]):
        raise _Failure("two calls with the same rows differ")


def _clone_is_the_same(case):
    twin = clone(case.loss)
    before = case.loss.get_params()
    if repr(before) != repr(twin.get_params()) or case()[0] != case(loss=twin)[0]:
        raise _Failure(f"the parameters are {before}, the clone's are {twin.get_params()}")


def _pickle_is_the_same(case):
    try:
        stored = pickle.dumps(case.loss)
    except Exception as error:
        raise _Failure(f"define the loss, and functions it holds, at the top of a module ({error})") from error
    if case()[0] != case(loss=pickle.loads(stored))[0]:
        raise _Failure("what is unpickled gives another loss")


def _parameters_are_checked(case):
    case.loss.check_parameters()
    parameters = np.asarray(case.loss.kernel_parameters(), dtype=np.float64)
    if parameters.ndim != 1 or not np.all(np.isfinite(parameters)):
        raise _Failure(f"kernel_parameters must be finite, of shape (n_parameters,), got {parameters!r}")


def _runs_without_the_GIL(case):
    kernel = doors.kernel_of(case.loss)
    if kernel.takes_gil:
        return
    raw, *nodes = case.split(case.raw)
    nodes = [(outputs, np.zeros_like(outputs)) for outputs in nodes]
    block = kernel.block(case.y, raw, case.weight, case.starts, np.empty_like(raw), nodes)
    thread = threading.Thread(target=block.wait_and_evaluate, daemon=True)
    thread.start()
    ended = block.ends_beside_the_gil(2.0)
    thread.join()
    if not ended:
        raise _Failure("it waited for the GIL, so threads would wait for each other")


def _domain_is_kept(case):
    if not hasattr(case.loss, "check_y"):
        return
    case.loss.check_y(case.y)
    low = getattr(case.loss, "y_low", -np.inf)
    if not np.isfinite(low):
        return
    outside = case.y.copy()
    outside[-1] = low - 1.0
    try:
        case.loss.check_y(outside)
    except ValueError:
        return
    raise _Failure(f"y={low - 1:g} is below y_low={low:g} and was not refused")


def _start_is_no_worse_than_zero(case):
    if not hasattr(case.loss, "output_scale"):
        return
    start = np.asarray(case.loss.initial_raw(case.y, case.weight), dtype=np.float64)
    if start.shape != (case.n_outputs,) or not np.all(np.isfinite(start)):
        raise _Failure(f"initial_raw must return {case.n_outputs} finite number(s), got {start!r}")
    at_start, at_zero = (case(case.with_raw(v), case.weight)[0] for v in (start, 0.0))
    if not at_start <= at_zero + 1e-6 * abs(at_zero):
        raise _Failure(f"the loss is {at_start:.6g} at initial_raw and {at_zero:.6g} at zero")


def _link_keeps_rows(case):
    predicted = np.asarray(case.loss.inverse_link(case.raw[:, : case.n_outputs]))
    if predicted.shape[:1] != (case.n_rows,) or not np.all(np.isfinite(predicted)):
        raise _Failure(
            f"inverse_link must return finite predictions of {case.n_rows} rows, got shape {predicted.shape}"
        )


CHECKS = (
    _parameters_are_checked,
    _gradient_is_the_slope,
    _gradient_is_between_the_slopes_at_kinks_and_far_out,
    _large_outputs_give_no_NaN,
    _NaN_shows_in_the_loss,
    _block_is_the_sum_of_its_parts,
    _chords_lie_above_if_it_is_convex,
    _weights_multiply,
    _same_again_and_arrays_left_alone,
    _clone_is_the_same,
    _pickle_is_the_same,
    _runs_without_the_GIL,
    _domain_is_kept,
    _start_is_no_worse_than_zero,
    _link_keeps_rows,
)
