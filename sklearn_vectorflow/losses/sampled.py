r"""Losses of many thousands of outputs, of which each step computes only a few.

A step computes and updates the outputs of each row's own classes and some random ones, which all rows of the mini-batch
share. Its cost depends on their number, not on the number of outputs. Predictions are exact. Sampled outputs have the
arithmetic of the full loss (engine/losses/classification.pyx); engine/kernels/layers/candidates.h samples them.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from sklearn_vectorflow.engine.net.sampling import Sampler, alias_table
from sklearn_vectorflow.losses.classification import LogLoss, MultinomialLoss
from sklearn_vectorflow.validation.errors import warn
from sklearn_vectorflow.validation.scalars import check_choice, check_flag, check_integer, check_number
from sklearn_vectorflow.validation.types import Array, Floats

DISTRIBUTIONS = ("empirical", "flattened", "uniform")


class _Sampled:
    """What losses that draw outputs share."""

    sampled = True
    independent = False  # outputs are classified one by one
    full: str | None = None  # the name of the loss that draws none

    def __init__(
        self,
        n_negatives: int = 100,
        *,
        sampling: Literal["flattened", "empirical", "uniform"] = "flattened",
        power: float = 0.75,
        log_q_correction: bool = True,
    ) -> None:
        self.n_negatives = n_negatives
        self.sampling = sampling
        self.power = power
        self.log_q_correction = log_q_correction

    def check_parameters(self) -> None:
        """Raise TypeError or ValueError if a parameter is out of its range."""
        owner = type(self).__name__
        check_integer(f"{owner}: n_negatives", self.n_negatives, 1)
        check_choice(f"{owner}: sampling", self.sampling, DISTRIBUTIONS)
        check_number(owner, "power", self.power, 0, high_open=True)
        check_flag(f"{owner}: log_q_correction", self.log_q_correction)

    def n_outputs(self, n_classes: int) -> int:
        """Return one output for each class."""
        return n_classes

    def n_active(self, n_outputs: int) -> int | None:
        """Return about how many outputs of a row a step computes."""
        return min(n_outputs, self.n_negatives + 1)

    def warn_of_all(self, n_outputs: int) -> None:
        """Warn if a step computes all outputs, which the full loss does in less time."""
        if self.n_negatives >= n_outputs - 1:
            warn(
                f"{type(self).__name__}: n_negatives={self.n_negatives} includes all of the {n_outputs} outputs in "
                f"each step. loss={self.full!r} gives the same model in a fraction of the time. Otherwise set "
                "n_negatives far below the number of classes or labels.",
            )

    def probabilities(self, counts: ArrayLike) -> Floats:
        """Return the probability of each output in a draw.

        Parameters
        ----------
        counts : ndarray of shape (n_outputs,)
            Number of rows that have the output. One is added to each, so that every output can be drawn.

        Returns
        -------
        probabilities : ndarray of float64, shape (n_outputs,)
        """
        power = {"empirical": 1.0, "flattened": self.power, "uniform": 0.0}[self.sampling]
        weight = (np.asarray(counts) + 1.0) ** power
        return weight / weight.sum()

    def sampler(self, counts: Array) -> Any:
        """Return the sampler of the engine, which takes all outputs if `n_negatives` is that large.

        Parameters
        ----------
        counts : ndarray of shape (n_outputs,)
            Number of rows that have the output.
        """
        if self.n_negatives >= len(counts) - 1:
            return Sampler(len(counts), len(counts), None, None, self.independent)
        probability = self.probabilities(counts)
        correction = None
        if self.log_q_correction:
            correction = np.log(-np.expm1(self.n_negatives * np.log1p(-probability))).astype(np.float32)
        return Sampler(len(counts), self.n_negatives, alias_table(probability), correction, self.independent)


class SampledSoftmaxLoss(_Sampled, MultinomialLoss):
    r"""Softmax loss of many classes, sampled: over the class of the row and some random ones.

    .. math:: \log \Big(e^{f_y} + \sum_{c \in S, c \ne y} e^{f_c - \log Q_c}\Big) - f_y

    Each step draws `n_negatives` classes with replacement. They form the set S, which contains class c with probability
    :math:`Q_c`. With the correction by :math:`\log Q_c`, the sum is an unbiased estimate of that of the full softmax,
    and the gradient tends to the full gradient as `n_negatives` grows. Draws of the row's own class are ignored. If
    `n_negatives` is at least the number of other classes, the loss equals :class:`MultinomialLoss`.

    Domain: two or more classes. Link: softmax over all classes, :math:`P(c) = e^{f_c} / \sum_k e^{f_k}`. Dropped
    constants: none. The losses of validation rows are exact, those of training rows are over the sampled classes.

    Parameters
    ----------
    n_negatives : int, default=100
        Number of draws in each step, shared by the rows of the mini-batch.
    sampling : {"flattened", "empirical", "uniform"}, default="flattened"
        Distribution of the draws: the frequency of a class in the training rows raised to `power`, its frequency, or
        uniform. Each class counts one row more than it has.
    power : float, default=0.75
        Exponent, >= 0, of "flattened".
    log_q_correction : bool, default=True
        Whether to subtract :math:`\log Q_c`. Without it, the model underestimates frequent classes.

    References
    ----------
    Bengio and Senécal (2008), "Adaptive importance sampling to accelerate training of a neural probabilistic language
    model", doi:10.1109/TNN.2007.912312.

    Jean, Cho, Memisevic and Bengio (2015), "On using very large target vocabulary for neural machine translation",
    doi:10.3115/v1/P15-1001.

    Yi et al. (2019), "Sampling-bias-corrected neural modeling for large corpus item recommendations",
    doi:10.1145/3298689.3346996.

    Mikolov et al. (2013), "Distributed representations of words and phrases and their compositionality",
    doi:10.48550/arXiv.1310.4546 (the exponent 0.75).
    """

    full = "multinomial"


class SampledLogLoss(_Sampled, LogLoss):
    r"""Logistic loss of many labels, sampled: over the labels of the row and some random ones.

    .. math:: \sum_{c \in P} \log(1 + e^{-g_c}) + \sum_{c \in S \setminus P} \log(1 + e^{g_c}),
        \quad g_c = f_c - \log Q_c

    P is the set of labels of the row. Each step draws `n_negatives` labels with replacement. They form the set S, which
    contains label c with probability :math:`Q_c`. So only a share :math:`Q_c` of the rows without label c trains it.
    The correction by :math:`\log Q_c` compensates for this, as for controls in a case-control study, so that
    :math:`f_c` is the log odds among all rows. If `n_negatives` is at least the number of other labels, the loss is the
    logistic loss of all labels.

    Domain: labels (an indicator matrix, preferably CSR), or classes, one against the rest. Link: logit,
    :math:`P(c) = 1 / (1 + e^{-f_c})`. Dropped constants: none.

    Parameters
    ----------
    n_negatives, sampling, power, log_q_correction
        As for :class:`SampledSoftmaxLoss`. The frequency of a label is the number of rows that have it.

    References
    ----------
    King and Zeng (2001), "Logistic regression in rare events data", doi:10.1093/oxfordjournals.pan.a004868.

    Jean, Cho, Memisevic and Bengio (2015), "On using very large target vocabulary for neural machine translation",
    doi:10.3115/v1/P15-1001.

    Yi et al. (2019), "Sampling-bias-corrected neural modeling for large corpus item recommendations",
    doi:10.1145/3298689.3346996.
    """

    independent = True
    full = "one_vs_rest"
