"""Typical sizes of weights and losses, read off the data: the units of default steps, penalties and tolerances."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sklearn_vectorflow.io.matrix import median_length, row_lengths

PRIOR = 0.125  # of a row's information on the weights, which the prior has
CLEAR_SIGNAL = 2.0  # standard deviations of raw outputs from which weights have their full size
SMALLEST_SHARE = 1 / 3
FEWEST_ROWS = 128  # that tell of the signal
FEWEST_TERMS = 64  # smaller sets have the strength of such a set
MOST_DIRECTIONS = 8  # outputs whose curvatures are taken one by one
MOST_CELLS = 1 << 18  # of gradients
MOST_OUTPUTS = 1 << 12  # whose gradients are looked at; nor are they where the loss reads other nodes too
N_PROBES = 8
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
        Strength of L2 on the sum of the losses: a weak prior for typical weights.
    batch_size : int
        Rows in a step; of an only step, at least as many as in the smallest set.
    length : float
        Typical length of rows.
    output : float
        Typical size of raw outputs.
    initial : float or None
        Mean loss, of some rows, before training: that of a constant model; None if it was not looked at.
    noise : float
        Standard deviation of the gradients before training, over the curvature and a typical raw output: at
        most 1 of it is noise in regression, and nearly all of 2 in classification.
    """

    weight: float = 1.0
    loss: float = 1.0
    prior: float = PRIOR
    batch_size: int = 1
    length: float = 1.0
    output: float = 1.0
    initial: float | None = None
    noise: float = 1.0

    @property
    def intercept(self):
        """How many times an intercept's step is as large as that of a weight of the same gradient.

        Where rows are short, weights are larger than raw outputs are, which is all that an
        intercept has to reach.
        """
        return min(1.0, self.length)


def scales_of(kernel, data, initial, n_outputs, output_scale, batch_size, is_linear):
    """Return the units of a model before training.

    Parameters
    ----------
    kernel : Kernel
        Of the loss.
    data : Data or StreamedData
    initial : ndarray of shape () or (n_outputs,)
        Raw outputs of a model that has seen the targets alone.
    n_outputs : int
    output_scale : float
        Typical size of raw outputs.
    batch_size : int
    is_linear : bool
        Whether the signal of the rows counts too.
    """
    sample = data.matrix.sample()
    lengths = row_lengths(sample)
    length = median_length(lengths, None if data.weight is None else data.weight[:: data.matrix.sample_step])
    if n_outputs > MOST_OUTPUTS or kernel.reads:
        return Scales(output_scale / length, 1.0, PRIOR * length**2, batch_size, length, output_scale)
    some = _Some(kernel, data, initial, n_outputs)
    with np.errstate(over="ignore", invalid="ignore"):  # a steep loss has none there
        curvature = some.curvature(output_scale)
    prior = PRIOR * curvature * length**2
    share = 1.0
    if some.starts is None and len(some.y) >= FEWEST_ROWS:
        share = _share(some.signal(sample, lengths) / curvature / output_scale)
    loss = curvature * output_scale**2 * n_outputs * len(some.y) / some.n_terms
    n_rows = data.matrix.shape[0]
    rows_in_step = batch_size if batch_size < n_rows else max(n_rows, FEWEST_TERMS)
    # single precision, so that the order of the rows does not show in the last bits
    found = np.array([(share if is_linear else 1.0) * output_scale / length, loss, prior / share**2])
    units = np.float32(np.clip(found, *RANGE)).tolist()
    noise = float(np.float32(some.deviation() / (curvature * output_scale)))
    return Scales(*units, rows_in_step, length, output_scale, some.mean_loss(), noise if 0 < noise < 100 else 1.0)


def _share(signal):
    return min(1.0, max(SMALLEST_SHARE, signal / CLEAR_SIGNAL)) if not math.isnan(signal) else 1.0


class _Some:
    """Gradients of a few rows, or groups, around the raw outputs that training starts from."""

    def __init__(self, kernel, data, initial, n_outputs):
        self.kernel = kernel
        if data.starts is None:
            step = data.matrix.sample_step
            rows, self.starts = slice(None, step * max(8, MOST_CELLS // n_outputs), step), None
        else:
            last = max(1, int(np.searchsorted(data.starts, MOST_CELLS // n_outputs, side="right")) - 1)
            rows, self.starts = slice(0, int(data.starts[last])), data.starts[: last + 1]
        encoded = data.encoded[rows]
        self.y = np.ascontiguousarray(encoded if isinstance(encoded, np.ndarray) else encoded.toarray(), dtype=float)
        self.weight = np.ones(len(self.y)) if data.weight is None else data.weight[rows]
        self.raw = np.tile(np.broadcast_to(initial, n_outputs).astype(float), (len(self.y), 1))
        self.n_terms = len(self.y) if self.starts is None else len(self.starts) - 1

    def mean_loss(self):
        """Return the mean loss before training; None without weights."""
        terms = self.weight.sum() if self.starts is None else self.n_terms
        return float(self.kernel.evaluate(self.y, self.raw, self.weight, self.starts)[0] / terms) if terms > 0 else None

    def gradient(self, raw):
        """Return the gradient of every row's loss, times its weight."""
        return np.asarray(self.kernel.evaluate(self.y, raw, self.weight, self.starts)[1], dtype=float)

    def deviation(self):
        """Return the root of the mean square of the gradients by an output."""
        total = self.weight.sum() * self.raw.shape[1]
        squares = np.divide(
            self.gradient(self.raw) ** 2,
            self.weight[:, None],
            out=np.zeros_like(self.raw),
            where=self.weight[:, None] > 0,
        )
        return math.sqrt(np.sum(squares) / total) if total > 0 else 0.0

    def curvature(self, distance):
        """Return the mean second derivative by an output, over a distance to both sides; 1 if it isn't positive.

        The mean over many outputs takes one direction, of random signs.
        """
        n_outputs = self.raw.shape[1]
        directions = np.eye(n_outputs) if n_outputs <= MOST_DIRECTIONS else [_signs(self.raw.shape, 0)]
        change = 0.0
        for direction in directions:
            step = distance * direction
            change += np.sum((self.gradient(self.raw + step) - self.gradient(self.raw - step)) * direction)
        total = self.weight.sum() * n_outputs
        curvature = change / (2 * distance * total) if total > 0 else 0.0
        return float(curvature) if np.isfinite(curvature) and curvature > 0 else 1.0

    def signal(self, sample, lengths):
        """Return the standard deviation that raw outputs of linear models seem to have, times the curvature.

        Were the weights drawn at random, gradients of rows would agree as far as the rows
        do, so the agreement of all pairs of rows tells the variance of the weights. It is divided by
        the share of the gradients' variance that it leaves.

        References
        ----------
        Haseman and Elston (1972), doi:10.1007/BF01066731; by moments and random probes, Wu and
        Sankararaman (2018), doi:10.1093/bioinformatics/bty253.
        """
        root, lengths = np.sqrt(self.weight)[:, None], lengths[: len(self.weight), None]
        scales = np.divide(root, lengths, out=np.zeros_like(root), where=lengths > 0)
        rows = _scaled_rows(sample, scales[:, 0])
        gradient = self.gradient(self.raw) / np.where(root > 0, root, 1.0)
        mean = root / max(np.linalg.norm(root), 1e-300)

        def centered(values):
            return values - mean @ (mean.T @ values)

        own = (scales * lengths) ** 2
        gradient = centered(gradient)
        agreeing = np.sum((rows.T @ gradient) ** 2) - np.sum(own * gradient**2)
        probes = _signs((len(root), N_PROBES), 1)
        pairs = np.sum(centered(rows @ (rows.T @ centered(probes))) ** 2) / N_PROBES - np.sum(own**2)
        explained = max(agreeing, 0.0) / pairs if pairs > 0 else math.nan
        total = np.sum(gradient**2) / np.sum(self.weight)
        if not explained < total:
            return math.inf
        return math.sqrt(explained / gradient.shape[1] / (1.0 - explained / total))


def _signs(shape, seed):
    return np.random.default_rng(seed).choice([-1.0, 1.0], size=shape)


def _scaled_rows(sample, scales):
    """Return the first rows times a number each, with the columns alone that occur in the sample."""
    indptr = sample.indptr[: len(scales) + 1]
    columns, indices = np.unique(sample.indices[: indptr[-1]], return_inverse=True)
    values = sample.data[: indptr[-1]] * np.repeat(scales, np.diff(indptr))
    return sparse.csr_array((values, indices, indptr), shape=(len(scales), len(columns)))
