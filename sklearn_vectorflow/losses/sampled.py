r"""Losses of many thousands of outputs, of which a step computes a few.

A step computes each row's own outputs and some drawn at random, shared by the rows of the step,
and only those are updated: it costs what their number costs, whatever the number of outputs.
Predictions are exact. The arithmetic on the outputs that were drawn is that of the full loss
(engine/losses/classification.pyx); engine/kernels/layers/candidates.h draws.
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
        """Return how many outputs of a row a step computes, about."""
        return min(n_outputs, self.n_negatives + 1)

    def warn_of_all(self, n_outputs: int) -> None:
        """Warn if a step computes all outputs: a loss that draws none does the same in less time."""
        if self.n_negatives >= n_outputs - 1:
            warn(
                f"{type(self).__name__}: n_negatives={self.n_negatives} takes in all of the {n_outputs} outputs at "
                f"every step. loss={self.full!r} gives the same model in a fraction of the time; or set n_negatives "
                "far below the number of classes or labels.",
            )

    def probabilities(self, counts: ArrayLike) -> Floats:
        """Return the probability of each output in a draw.

        Parameters
        ----------
        counts : ndarray of shape (n_outputs,)
            Rows that own the output. Each is raised by one, so that no output is out of reach.

        Returns
        -------
        probabilities : ndarray of float64, shape (n_outputs,)
        """
        power = {"empirical": 1.0, "flattened": self.power, "uniform": 0.0}[self.sampling]
        weight = (np.asarray(counts) + 1.0) ** power
        return weight / weight.sum()

    def sampler(self, counts: Array) -> Any:
        """Return what the engine draws outputs from; of all outputs, if no fewer are asked for.

        Parameters
        ----------
        counts : ndarray of shape (n_outputs,)
            Rows that own the output.
        """
        if self.n_negatives >= len(counts) - 1:
            return Sampler(len(counts), len(counts), None, None, self.independent)
        probability = self.probabilities(counts)
        correction = None
        if self.log_q_correction:
            correction = np.log(-np.expm1(self.n_negatives * np.log1p(-probability))).astype(np.float32)
        return Sampler(len(counts), self.n_negatives, alias_table(probability), correction, self.independent)


class SampledSoftmaxLoss(_Sampled, MultinomialLoss):
    r"""Softmax loss of many classes, over a row's class and some drawn at random.

    .. math:: \log \Big(e^{f_y} + \sum_{c \in S, c \ne y} e^{f_c - \log Q_c}\Big) - f_y

    The step's draws, with replacement, give the set S of different classes, each of which is
    in it with the probability :math:`Q_c`. With this correction the sum estimates that of
    the full softmax without bias, and the gradient tends to its gradient as draws increase. A draw
    of the row's own class is left out. With `n_negatives` of at least all other classes it is
    :class:`MultinomialLoss` itself.

    Parameters
    ----------
    n_negatives : int, default=100
        Draws for each step, shared by its rows.
    sampling : {"flattened", "empirical", "uniform"}, default="flattened"
        What classes are drawn by: their frequency in the training rows to a power, their
        frequency, or all alike. Frequencies count one row more than there is.
    power : float, default=0.75
        The power of "flattened", >= 0.
    log_q_correction : bool, default=True
        Whether :math:`\log Q_c` is taken off; without it frequent classes are held down, and
        scores rank classes by more than their probability.

    Notes
    -----
    Domain: two or more classes. Link: :math:`P(c) = e^{f_c} / \sum_k e^{f_k}`, over all
    classes. Losses of validation rows are exact; training losses are those of the
    candidates.

    References
    ----------
    Bengio and Senécal (2008), "Adaptive importance sampling to accelerate training of a neural
    probabilistic language model", doi:10.1109/TNN.2007.912312. Jean, Cho, Memisevic and Bengio
    (2015), arXiv:1412.2007. Yi et al. (2019), doi:10.1145/3298689.3346996. The power 0.75:
    Mikolov et al. (2013), arXiv:1310.4546.
    """

    full = "multinomial"


class SampledLogLoss(_Sampled, LogLoss):
    r"""Logistic loss of many labels, over a row's labels and some drawn at random.

    .. math:: \sum_{c \in P} \log(1 + e^{-g_c}) + \sum_{c \in S \setminus P} \log(1 + e^{g_c}),
        \quad g_c = f_c - \log Q_c

    P are the labels of the row. The step's draws, with replacement, give the set S of
    different labels, each of which is in it with the probability :math:`Q_c`: rows without
    the label c count as if there were :math:`Q_c` times as many. The correction makes up for that, as
    for controls in a case-control study, so that :math:`f_c` are the log odds among all rows.
    With `n_negatives` of at least all other labels it is the logistic loss of all labels.

    Parameters
    ----------
    n_negatives, sampling, power, log_q_correction
        As for :class:`SampledSoftmaxLoss`, by the number of rows that have a label.

    Notes
    -----
    Domain: labels (an indicator matrix, best as CSR), or classes, each against the rest. Link:
    :math:`P(c) = 1 / (1 + e^{-f_c})`.

    References
    ----------
    King and Zeng (2001), "Logistic regression in rare events data",
    doi:10.1093/oxfordjournals.pan.a004868. Jean, Cho, Memisevic and Bengio (2015),
    arXiv:1412.2007. Yi et al. (2019), doi:10.1145/3298689.3346996.
    """

    independent = True
    full = "one_vs_rest"
