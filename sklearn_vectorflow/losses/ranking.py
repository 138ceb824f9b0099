r"""Losses of the order of rows within groups, compiled in engine/losses/ranking.pyx.

Notation: rows :math:`i` and :math:`j` of a group with targets :math:`y_i > y_j` form a pair, :math:`f` is the raw
output. A pair has the weight :math:`\sqrt{w_i w_j}` unless a loss says otherwise. A weight that all rows of a group
share multiplies the loss of the group. The mean is over groups.
"""

import numpy as np

from sklearn_vectorflow.engine.losses.ranking import KERNELS
from sklearn_vectorflow.losses.base import Loss
from sklearn_vectorflow.validation.scalars import check_integer, check_number
from sklearn_vectorflow.validation.types import Array

NO_TRUNCATION = 2.0**53  # more ranks than there are


class RankingLoss(Loss):
    """Base class of losses of the order of rows within groups.

    Attributes
    ----------
    y_high : float
        Upper bound of the targets.
    """

    coupled = True
    y_high = np.inf

    def check_y(self, y: Array) -> None:
        """Raise ValueError if a target is outside the domain of the loss."""
        outside = (y < 0) | (y > self.y_high)
        if np.any(outside):
            raise ValueError(
                f"y must be relevances in [0, {self.y_high:g}] for loss {type(self).__name__}, got {y[outside][0]:g}."
            )


class PairwiseLogistic(RankingLoss):
    r"""Logistic loss of pairs of rows (RankNet). With one relevant row per group it equals BPR.

    .. math:: \frac{1}{|P|} \sum_{(i, j) \in P} \log(1 + e^{-(f_i - f_j)})

    P is the set of pairs of the group: row i has a larger target than row j. With sample weights, pairs have the
    weights :math:`w_i w_j` in the mean, which is multiplied by the mean weight of the group. So weights within a group
    act like repeated rows.

    Domain: y >= 0; only the order within a group matters. Link: none, raw outputs are scores. Dropped constants: none.
    The loss of a group without pairs is zero.

    References
    ----------
    Burges et al. (2005), "Learning to rank using gradient descent", doi:10.1145/1102351.1102363.

    Rendle et al. (2009), "BPR: Bayesian personalized ranking from implicit feedback", doi:10.48550/arXiv.1205.2618.
    """

    kernel = KERNELS["pairwise_logistic"]


class LambdaRank(RankingLoss):
    r"""Logistic loss of pairs of rows, weighted by the change of the NDCG if the two rows swap their ranks.

    .. math::
        \sum_{(i, j) \in P} \Delta_{ij} \log(1 + e^{-(f_i - f_j)}), \quad
        \Delta_{ij} = \frac{2^{y_i} - 2^{y_j}}{\max \text{DCG}}
        \left(\left|\frac{1}{\log_2(1 + r_i)} - \frac{1}{\log_2(1 + r_j)}\right| + \frac{\sigma}{n}\right)

    P is the set of pairs of the group: row i has a larger target than row j. :math:`r` are the current ranks of the raw
    outputs, which the gradient treats as constants. Ranks are noisy during training. The smoothing :math:`\sigma / n`,
    for n rows in the group, therefore gives weight to pairs with neighbouring ranks, too. The published loss has no
    smoothing.

    Domain: 0 <= y <= 31. Link: none, raw outputs are scores. Dropped constants: none.

    Parameters
    ----------
    truncation : int, default=None
        Use only pairs with at least one row at this rank or above it; >= 1. None uses all pairs, which takes longer for
        groups of many hundred rows.
    smoothing : float, default=3.0
        Smoothing :math:`\sigma` >= 0.

    References
    ----------
    Burges (2010), "From RankNet to LambdaRank to LambdaMART: an overview", Microsoft Research Technical Report
    MSR-TR-2010-82.
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
    r"""Weighted approximate-rank pairwise loss: hinges of pairs, weighted by the rank of the relevant row.

    .. math::
        \frac{1}{|R|} \sum_{i \in R} \frac{L(|V_i|)}{|V_i|} \sum_{j \in V_i} (1 - f_i + f_j), \quad
        L(k) = \sum_{m = 1}^{k} \frac{1}{m}

    :math:`V_i` is the set of rows with a smaller target than row i and a raw output above :math:`f_i - 1`. :math:`R` is
    the set of rows with more than the smallest target of the group. The published method estimates :math:`|V_i|` by
    sampling; here groups are in memory, and the rows are counted.

    Domain: y >= 0. Link: none, raw outputs are scores. Dropped constants: none.

    References
    ----------
    Weston, Bengio and Usunier (2011), "WSABIE: scaling up to large vocabulary image annotation",
    doi:10.5591/978-1-57735-516-8/IJCAI11-460.
    """

    kernel = KERNELS["warp"]
    jumps = True
