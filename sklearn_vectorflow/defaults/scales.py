"""Typical sizes of weights and losses, read off the data: the units of default steps, penalties and tolerances."""

import math
from dataclasses import dataclass

import numpy as np

from sklearn_vectorflow.defaults.gradients import Gradients
from sklearn_vectorflow.io.matrix import median_length, row_lengths

PRIOR = 0.03  # of the dispersion over the square of the unit of weights: some weights are much larger than that
OF_A_ROW = 0.125  # of what a row tells about the weights along it, where nothing tells the dispersion
MOST_NOISE = 100.0
FEW_TELL, FEW_TELL_NETS = 16, 8  # rows; with fewer that tell something, weights are held to their unit
CLEAR_SIGNAL = 2.0  # standard deviations of raw outputs from which weights have their full size
SMALLEST_SHARE = 1 / 3
FEWEST_ROWS = 128  # that tell of the signal
FEWEST_TERMS = 64  # smaller sets train in steps of such a set; nets, and losses of groups, have its strength
FEWEST_COUNTED = 20  # rows; fewer have that strength, too: they do not tell a signal from noise
MOST_OUTPUTS = 1 << 12  # whose gradients are looked at; nor are they where the loss reads other nodes too
RANGE = 1e-30, 1e30  # of units that single precision can work with


@dataclass(frozen=True)
class Scales:
    """Units that follow the data; results then depend neither on the units of X nor on those of y.

    Parameters
    ----------
    weight : float
        Typical weight: typical raw outputs over the typical length of rows, less where the
        targets follow the rows weakly.
    loss : float
        Typical loss: its curvature in the raw outputs of a row, before training, times their square.
    prior : float
        Strength of L2 on the sum of the losses, where nothing else tells it: a weak prior for typical weights.
    batch_size : int
        Rows in a step; of an only step, at least as many as in the smallest set.
    length : float
        Typical length of rows.
    output : float
        Typical size of raw outputs.
    initial : float or None
        Mean loss, of some rows, before training: that of a constant model; None if it was not looked at.
    telling : float
        How many rows tell something: all, or of a rare class and all others about those of the class.
    noise : float
        Standard deviation of the gradients before training, over the curvature and a typical raw output: at
        most 1 of it is noise in regression, and nearly all of 2 in classification.
    """

    weight: float = 1.0
    loss: float = 1.0
    prior: float = 1.0
    batch_size: int = 1
    length: float = 1.0
    output: float = 1.0
    initial: float | None = None
    telling: float = math.inf
    noise: float = 1.0

    @property
    def intercept(self):
        """How many times an intercept's step is as large as that of a weight of the same gradient.

        Where rows are short, weights are larger than raw outputs are, which is all that an
        intercept has to reach.
        """
        return min(1.0, self.length)


def scales_of(kernel, sample, n_rows, n_counted, initial, n_outputs, output_scale, batch_size, is_linear):
    """Return the units of a model before training.

    Parameters
    ----------
    kernel : Kernel
        Of the loss.
    sample : Sample
        Rows that stand for all.
    n_rows : int
        Of all.
    n_counted : float
        Rows that a strength counts.
    initial : ndarray of shape () or (n_outputs,)
        Raw outputs of a model that has seen the targets alone.
    n_outputs : int
    output_scale : float
        Typical size of raw outputs.
    batch_size : int
    is_linear : bool
        Whether steps are shorter where the rows tell little, and weights held more strongly where rows are few.
    """
    length = median_length(row_lengths(sample.matrix.values), sample.weight)
    if n_outputs > MOST_OUTPUTS or kernel.reads:
        return Scales(output_scale / length, 1.0, OF_A_ROW * length**2, batch_size, length, output_scale)
    some = Gradients(kernel, sample, initial, n_outputs)
    with np.errstate(all="ignore"):  # a steep loss has none there, and units may be beyond what is clipped below
        curvature = some.curvature(output_scale)
        dispersion = some.dispersion(curvature)
        share = 1.0
        if some.starts is None and len(some.y) >= FEWEST_ROWS:
            share = _share(some.signal() / curvature / output_scale)
        typical = np.float64(share * output_scale / length)
        weight = typical if is_linear else np.float64(output_scale / length)
        telling = some.share_telling() * n_counted
        few = FEW_TELL if is_linear else FEW_TELL_NETS
        prior = max(PRIOR, 1.0 / (1.0 + telling / few)) * dispersion / typical**2
        noise = math.sqrt(dispersion / curvature) / output_scale
    coupled = some.starts is not None
    loss = curvature * output_scale**2 * n_outputs * (some.weight.sum() if coupled else len(some.y)) / some.n_terms
    if coupled:  # whose rows have no gradients of their own
        prior = OF_A_ROW * loss / output_scale**2 * some.n_terms / len(some.y) * length**2
    rows_in_step = batch_size if batch_size < n_rows else max(n_rows, FEWEST_TERMS)
    # single precision, so that the order of the rows does not show in the last bits
    units = np.float32(np.clip(np.nan_to_num([weight, loss, prior], nan=1.0), *RANGE)).tolist()
    noise = float(np.float32(noise)) if 0 < noise < MOST_NOISE else 1.0
    return Scales(*units, rows_in_step, length, output_scale, some.mean_loss(), telling, noise)


def counted(n_terms, weight, is_linear, coupled):
    """Return how many rows, or groups, a strength counts.

    Nets of a handful of rows that were held as strongly as linear models would stay constant.

    Parameters
    ----------
    n_terms : int
        Rows of positive weight, or groups.
    weight : ndarray or None
    is_linear, coupled : bool
    """
    if coupled or not is_linear:
        return max(n_terms, FEWEST_TERMS)
    copies = copies_of(n_terms, weight)
    return copies if copies >= FEWEST_COUNTED else FEWEST_TERMS


def copies_of(n_terms, weight):
    """Return how many rows there would be if each were repeated instead of weighted, where rows are few.

    Weights may be in another unit, and large: they make no more than `FEWEST_TERMS` rows of few.

    Parameters
    ----------
    n_terms : int
        Rows of positive weight.
    weight : ndarray or None
    """
    if weight is None or n_terms >= FEWEST_TERMS:
        return n_terms
    return min(FEWEST_TERMS, max(n_terms, float(weight.sum())))


def _share(signal):
    return min(1.0, max(SMALLEST_SHARE, signal / CLEAR_SIGNAL)) if not math.isnan(signal) else 1.0
