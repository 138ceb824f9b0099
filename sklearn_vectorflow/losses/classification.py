r"""Losses of classes, compiled in engine/losses/classification.pyx.

Notation: :math:`f` is the raw output (the decision function), :math:`t = \pm 1` the class. Binary losses handle more
than two classes one against the rest, and labels independently.
"""

import numpy as np
from scipy.special import expit, softmax

from sklearn_vectorflow.engine.losses.classification import KERNELS
from sklearn_vectorflow.losses.base import Loss
from sklearn_vectorflow.validation.types import Array


class ClassificationLoss(Loss):
    """Base class of losses of classes or labels.

    Attributes
    ----------
    multilabel : bool
        Whether rows may have several labels.
    """

    multilabel = True

    def n_outputs(self, n_classes: int) -> int:
        """Return the number of raw outputs for a number of classes."""
        return 1 if n_classes == 2 else n_classes

    def check_block(self, y: Array, raw: Array) -> None:
        """Raise ValueError unless y has a class for each row, or an indicator for each output."""
        if y.ndim != 2 or raw.ndim != 2 or y.shape[1] not in (1, raw.shape[1]):
            raise ValueError(f"y must have one column or the shape of raw, {raw.shape}, got {y.shape}.")

    def initial_raw(self, prior: Array) -> Array:
        """Return the raw outputs of the best constant model.

        Parameters
        ----------
        prior : ndarray of shape (n_outputs,)
            Weighted frequency of the class of each output.

        Returns
        -------
        raw : ndarray of shape (n_outputs,)
        """
        return np.zeros_like(prior)


class LogLoss(ClassificationLoss):
    r"""Logistic loss (binary cross-entropy) of two classes, or of each of several labels.

    .. math:: \log(1 + e^{-t f})

    Domain: two classes, or any number of labels. Link: logit, :math:`P(t = 1) = 1 / (1 + e^{-f})`. Dropped constants:
    none. For more than two classes :class:`~sklearn_vectorflow.VectorFlowClassifier` replaces it by
    :class:`MultinomialLoss`.
    """

    convex = True
    kernel = KERNELS["log_loss"]
    is_likelihood = True

    def inverse_link(self, raw: Array) -> Array:
        """Return the probability of the class of each output."""
        return expit(raw)

    def second_derivatives(self, y: Array, raw: Array) -> Array:
        """Return the variances of the labels."""
        odds = np.exp(-np.abs(raw))  # of the less probable class
        return odds / (1.0 + odds) ** 2

    def predict_proba(self, raw: Array) -> Array:
        """Return the probabilities of the classes, of shape (n_rows, n_classes)."""
        positive = self.inverse_link(raw)
        if raw.shape[1] == 1:
            return np.concatenate([1.0 - positive, positive], axis=1)
        total = positive.sum(axis=1, keepdims=True)
        uniform = np.full_like(positive, 1.0 / raw.shape[1])
        return np.divide(positive, total, out=uniform, where=total > 0)

    def initial_raw(self, prior: Array) -> Array:
        """Return the log odds of the frequencies."""
        bounded = np.clip(prior, 1e-6, 1.0 - 1e-6)
        return np.log(bounded / (1.0 - bounded))


class OneVsRestLogLoss(LogLoss):
    r"""Sum of the logistic losses of each class against the rest.

    .. math:: \sum_c \log(1 + e^{-t_c f_c}), \quad t_c = 1 \text{ if } y = c \text{ else } -1

    Domain: any number of classes or labels. Link: logit of each class; ``predict_proba`` scales the probabilities of
    several classes to a sum of 1. Dropped constants: none.
    """


class MultinomialLoss(ClassificationLoss):
    r"""Multinomial logistic loss (softmax cross-entropy).

    .. math:: \log \sum_c e^{f_c} - f_y

    Domain: two or more classes. Link: softmax, :math:`P(c) = e^{f_c} / \sum_k e^{f_k}`. Dropped constants: none. The
    sum is computed after subtracting the largest :math:`f_c`, so it does not overflow.
    """

    convex = True
    kernel = KERNELS["multinomial"]
    is_likelihood = True
    multilabel = False

    def offset_outputs(self, n_outputs: int) -> slice | None:
        """Return None, as a number that is added to all outputs changes nothing."""
        return None

    def n_outputs(self, n_classes: int) -> int:
        """Return one output for each class."""
        return n_classes

    def check_block(self, y: Array, raw: Array) -> None:
        """Raise ValueError unless y holds the number of an output in each row."""
        if y.ndim != 2 or raw.ndim != 2 or y.shape[1] != 1:
            raise ValueError(f"y must have one column, the class, got shape {y.shape}.")
        if not np.all((y >= 0) & (y < raw.shape[1])):
            raise ValueError(f"y must be in 0 ... {raw.shape[1] - 1}, the numbers of the outputs.")

    def inverse_link(self, raw: Array) -> Array:
        """Return the probability of each class."""
        return softmax(raw, axis=1)

    def predict_proba(self, raw: Array) -> Array:
        """Return the probabilities of the classes, of shape (n_rows, n_classes)."""
        return softmax(raw, axis=1)

    def initial_raw(self, prior: Array) -> Array:
        """Return the centred logarithms of the frequencies."""
        logs = np.log(np.maximum(prior, 1e-6))
        return logs - logs.mean()


class Hinge(ClassificationLoss):
    r"""Hinge loss, as in linear support vector machines.

    .. math:: \max(0, 1 - t f)

    Domain: classes or labels. Link: none, so there are no probabilities. Dropped constants: none. The gradient at the
    kink :math:`t f = 1` is zero.
    """

    convex = True
    kernel = KERNELS["hinge"]
    smooth = False

    def initial_raw(self, prior: Array) -> Array:
        """Return the sign of the more frequent class."""
        return np.sign(2.0 * np.asarray(prior) - 1.0)


class SquaredHinge(ClassificationLoss):
    r"""Squared hinge loss.

    .. math:: \max(0, 1 - t f)^2

    Domain: classes or labels. Link: none, so there are no probabilities. Dropped constants: none.
    """

    convex = True
    kernel = KERNELS["squared_hinge"]

    def initial_raw(self, prior: Array) -> Array:
        """Return the mean of t."""
        return 2.0 * np.asarray(prior) - 1.0


class ModifiedHuber(ClassificationLoss):
    r"""Modified Huber loss: a squared hinge that is linear for outliers.

    .. math:: \max(0, 1 - t f)^2 \text{ if } t f \ge -1, \text{ else } -4 t f

    Domain: classes or labels. Link: :math:`P(t = 1) = (\min(1, \max(-1, f)) + 1) / 2`; ``predict_proba`` scales the
    probabilities of several classes to a sum of 1. Dropped constants: none.

    References
    ----------
    Zhang (2004), "Statistical behavior and consistency of classification methods based on convex risk minimization",
    doi:10.1214/aos/1079120130.
    """

    convex = True
    kernel = KERNELS["modified_huber"]

    def inverse_link(self, raw: Array) -> Array:
        """Return the probability of the class of each output."""
        return (np.clip(raw, -1.0, 1.0) + 1.0) / 2.0

    predict_proba = LogLoss.predict_proba
    initial_raw = SquaredHinge.initial_raw
