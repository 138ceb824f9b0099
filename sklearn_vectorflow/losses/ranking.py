r"""Losses of groups of rows to be ranked, compiled in engine/losses/ranking.pyx.

Notation: rows :math:`i` and :math:`j` of a group with targets :math:`y_i > y_j` are a pair,
:math:`f` is the raw output, and a pair weighs :math:`\sqrt{w_i w_j}` unless a loss says otherwise.
A weight that all rows of a group share multiplies the group's loss. The mean is over groups.
"""

import numpy as np

from sklearn_vectorflow.engine.losses.ranking import KERNELS
from sklearn_vectorflow.losses.base import Loss
from sklearn_vectorflow.validation.scalars import check_integer, check_number
from sklearn_vectorflow.validation.types import Array

NO_TRUNCATION = 2.0**53  # more ranks than there are


class RankingLoss(Loss):
    """A loss of the order of rows within groups.

    Attributes
    ----------
    y_high : float
        Largest target allowed.
    """

    coupled = True
    y_high = np.inf

    def check_y(self, y: Array) -> None:
        """Raise ValueError if a target is outside the loss's domain."""
        outside = (y < 0) | (y > self.y_high)
        if np.any(outside):
            raise ValueError(
                f"y must be relevances in [0, {self.y_high:g}] for loss {type(self).__name__}, got {y[outside][0]:g}."
            )


class PairwiseLogistic(RankingLoss):
    r"""Logistic loss of pairs (RankNet; with a single relevant row a group, also BPR).

    .. math:: \frac{1}{|P|} \sum_{(i, j) \in P} \log(1 + e^{-(f_i - f_j)})

    With weights this is the mean over pairs with weights :math:`w_i w_j`, times the mean weight
    of the group: within a group, weights are what repeating its rows would be.
    Domain: y >= 0; only their order within a group counts. Link: none, raw outputs are
    scores. No constants are dropped; groups without pairs cost nothing. (Burges et al.,
    2005, doi:10.1145/1102351.1102363; Rendle et al., 2009, arXiv:1205.2618)
    """

    kernel = KERNELS["pairwise_logistic"]


class LambdaRank(RankingLoss):
    r"""Logistic loss of pairs, weighted by what exchanging the two rows changes in the NDCG.

    .. math::
        \sum_{(i, j) \in P} \Delta_{ij} \log(1 + e^{-(f_i - f_j)}), \quad
        \Delta_{ij} = \frac{2^{y_i} - 2^{y_j}}{\max \text{DCG}}
        \left(\left|\frac{1}{\log_2(1 + r_i)} - \frac{1}{\log_2(1 + r_j)}\right| + \frac{\sigma}{n}\right)

    with the ranks :math:`r` that the raw outputs give at the moment; the gradient takes them
    as fixed. Ranks of a model in training are noise in part, so the smoothing :math:`\sigma`, over the n
    rows of the group, lets pairs count that they put side by side. It is 0 in the published loss, and
    truncation 30 (the user guide compares them). Domain: 0 <= y <= 31. Link: none, raw outputs are
    scores. No constants are dropped. (Burges, 2010, "From RankNet to LambdaRank to LambdaMART")

    Parameters
    ----------
    truncation : int, default=None
        Only pairs count of which a row is at this rank or above it. Must be at least 1. None takes all
        pairs, which is better at every depth, and costs more for groups of many hundred rows.
    smoothing : float, default=3.0
        The number :math:`\sigma` >= 0.
    """

    kernel = KERNELS["lambdarank"]
    jumps = True
    y_high = 31.0

    def __init__(self, truncation: int | None = None, smoothing: float = 3.0) -> None:
        self.truncation = truncation
        self.smoothing = smoothing

    def check_parameters(self) -> None:
        """Raise unless truncation is an integer of at least one, or None, and smoothing a number of at least zero."""
        if self.truncation is not None:
            check_integer("LambdaRank: truncation", self.truncation, 1)
        check_number("LambdaRank", "smoothing", self.smoothing, 0, high_open=True)

    def kernel_parameters(self) -> Array:
        """Return truncation and smoothing."""
        return np.array(
            [NO_TRUNCATION if self.truncation is None else self.truncation, self.smoothing], dtype=np.float64
        )


class WARPLoss(RankingLoss):
    r"""Weighted approximate-rank pairwise loss: hinges of pairs, heavy where many rows are above.

    .. math::
        \frac{1}{|R|} \sum_{i \in R} \frac{L(|V_i|)}{|V_i|} \sum_{j \in V_i} (1 - f_i + f_j), \quad
        L(k) = \sum_{m = 1}^{k} \frac{1}{m}

    with the rows :math:`V_i` of smaller target whose raw outputs come within the margin 1 of row
    i or above it, and :math:`R` the rows that are not of the lowest target. The published method
    estimates :math:`|V_i|` by drawing rows; here they are counted, as groups are in memory.
    Domain: y >= 0. Link: none, raw outputs are scores. No constants are dropped. (Weston,
    Bengio and Usunier, 2011, doi:10.5591/978-1-57735-516-8/IJCAI11-460)
    """

    kernel = KERNELS["warp"]
    jumps = True
