"""What gradients tell before training: the curvature of the loss, its noise, and how clear the signal of rows is."""

import math

import numpy as np
from scipy import sparse

from sklearn_vectorflow.io.matrix import row_lengths

MOST_DIRECTIONS = 8  # outputs whose curvatures are taken one by one
MOST_CELLS = 1 << 18  # of gradients
N_PROBES = 8


class Gradients:
    """Gradients of some rows, or groups, around the raw outputs that training starts from.

    Parameters
    ----------
    kernel : Kernel
        Of the loss.
    sample : Sample
    initial : ndarray of shape () or (n_outputs,)
    n_outputs : int
    """

    def __init__(self, kernel, sample, initial, n_outputs):
        most = max(8, MOST_CELLS // n_outputs)
        if sample.matrix.shape[0] > most:
            stride = -(-sample.matrix.shape[0] // most)
            sample = sample.part(np.arange(0, sample.n_terms, stride))
        self.kernel, self.starts, self.values = kernel, sample.starts, sample.matrix.values
        self.y = sample.dense_targets(0, self.values.shape[0])
        self.weight = np.ones(len(self.y)) if sample.weight is None else sample.weight
        self.raw = sample.with_offset(np.tile(np.broadcast_to(initial, n_outputs).astype(float), (len(self.y), 1)))
        self.n_terms = sample.n_terms
        self.columns = sample.columns
        self.total_loss, self.at_start = self.evaluate(self.raw)

    def mean_loss(self):
        """Return the mean loss before training; None without weights."""
        terms = self.weight.sum() if self.starts is None else self.n_terms
        return float(self.total_loss / terms) if terms > 0 else None

    def evaluate(self, raw):
        """Return the sum of weighted losses, and the gradient of every row's loss, times its weight."""
        weight = self.weight
        if self.starts is not None and np.any(weight):  # whose losses may not be in proportion to weights
            weight = weight * (len(weight) / weight.sum())
        total, gradient, *_ = self.kernel.evaluate(self.y, raw, weight, self.starts)
        return total, np.asarray(gradient, dtype=float)

    def curvature(self, distance):
        """Return the mean second derivative by an output, over a distance to both sides; 1 if it isn't positive.

        Rows go to either side by what is in them, as if at random: a loss that sees rows together may not feel it when
        all go to the same side. So do outputs where there are many, truly at random.
        """
        n_outputs = self.raw.shape[1]
        sides = np.where(self.values @ np.sin(1e4 * (self.columns + 1.0)) < 0.0, -1.0, 1.0)[:, None]
        directions = np.eye(n_outputs) if n_outputs <= MOST_DIRECTIONS else [_signs(self.raw.shape, 0)]
        change = 0.0
        for direction in directions:
            direction = sides * direction
            step = distance * direction
            change += np.sum((self.evaluate(self.raw + step)[1] - self.evaluate(self.raw - step)[1]) * direction)
        total = self.weight.sum() * n_outputs
        curvature = change / (2 * distance * total) if total > 0 else 0.0
        return float(curvature) if np.isfinite(curvature) and curvature > 0 else 1.0

    def dispersion(self, curvature):
        """Return the variance of the gradients over the curvature: 1 where the loss is the likelihood of y."""
        total = self.weight.sum() * self.raw.shape[1]
        root = np.sqrt(np.where(self.weight > 0, self.weight, 1.0))[:, None]
        variance = np.sum((self.at_start / root) ** 2) / total if total > 0 else 0.0
        found = variance / curvature
        return float(found) if np.isfinite(found) and found > 0 else 1.0

    def share_telling(self):
        """Return which share of the rows tells something: of a rare class and all others, about that of the class.

        It is the square of the gradients' mean length, over their mean square.
        """
        total, weight = self.weight.sum(), np.where(self.weight > 0, self.weight, 1.0)
        size = np.linalg.norm(self.at_start / weight[:, None], axis=1)
        largest = size.max(initial=0.0)
        if not (largest > 0 and total > 0 and np.isfinite(largest)):
            return 1.0
        size = size / largest
        return float((self.weight @ size) ** 2 / (self.weight @ size**2) / total)

    def signal(self):
        """Return the standard deviation that raw outputs of linear models seem to have, times the curvature.

        Were the weights drawn at random, gradients of rows would agree as far as the rows
        do, so the agreement of all pairs of rows tells the variance of the weights. It is divided by
        the share of the gradients' variance that it leaves.

        References
        ----------
        Haseman and Elston (1972), doi:10.1007/BF01066731; by moments and random probes, Wu and
        Sankararaman (2018), doi:10.1093/bioinformatics/bty253.
        """
        root, lengths = np.sqrt(self.weight)[:, None], row_lengths(self.values)[:, None]
        scales = np.divide(root, lengths, out=np.zeros_like(root), where=lengths > 0)
        rows = sparse.diags_array(scales[:, 0]) @ self.values
        gradient = self.at_start / np.where(root > 0, root, 1.0)
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
