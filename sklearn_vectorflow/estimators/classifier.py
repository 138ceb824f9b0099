"""Classification of sparse rows."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from sklearn_vectorflow.estimators.base import BaseVectorFlow
from sklearn_vectorflow.estimators.callbacks import with_callbacks
from sklearn_vectorflow.estimators.coefficients import LinearModelMixin
from sklearn_vectorflow.estimators.exact import InferenceMixin
from sklearn_vectorflow.estimators.new_classes import NewClassesMixin
from sklearn_vectorflow.estimators.node_features import NodeFeaturesMixin
from sklearn_vectorflow.estimators.parameters import loss_of
from sklearn_vectorflow.estimators.source_scores import SourceScoreMixin
from sklearn_vectorflow.estimators.top_classes import TopClassesMixin
from sklearn_vectorflow.layers import Node
from sklearn_vectorflow.losses import CLASSIFICATION_LOSSES, ClassificationLoss, LogLoss, Loss, MultinomialLoss
from sklearn_vectorflow.losses.functions import ClassificationFunction
from sklearn_vectorflow.optimizers import Optimizer
from sklearn_vectorflow.penalties import Penalty
from sklearn_vectorflow.targets.class_weight import ClassWeigher, check_class_weight
from sklearn_vectorflow.targets.collectors import ClassCollector
from sklearn_vectorflow.targets.labels import (
    class_array,
    class_totals,
    encode_known_labels,
    encode_labels,
    is_multilabel,
    label_counts,
    label_matrix,
)
from sklearn_vectorflow.validation.arrays import check_length
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.types import ActivationName, Array, RandomState, RowsLike, Solver, TargetLike

OF_CLASSES = 0.25  # power of the number of classes, by which steps of nets are larger


def _gives_probabilities(estimator):
    loss = CLASSIFICATION_LOSSES.get(estimator.loss, None) if isinstance(estimator.loss, str) else estimator.loss
    if not hasattr(loss, "predict_proba"):
        known = sorted(name for name, kind in CLASSIFICATION_LOSSES.items() if hasattr(kind, "predict_proba"))
        raise AttributeError(f"loss={brief(estimator.loss)} has no probabilities, as these have: {', '.join(known)}.")
    return True


class VectorFlowClassifier(
    SourceScoreMixin,
    InferenceMixin,
    LinearModelMixin,
    NewClassesMixin,
    NodeFeaturesMixin,
    TopClassesMixin,
    ClassifierMixin,
    BaseVectorFlow,
):
    """Linear and shallow-net classifier for extremely sparse rows.

    It is trained by lock-free asynchronous stochastic gradient descent (Hogwild) on
    shared weights. The cost of a step depends on the
    non-zeros of its rows, not on the number of columns.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=()
        Units of each hidden layer; () is a linear model.
    activation : {"relu", "tanh", "selu", "logistic", "identity"}, default="relu"
        Activation of the hidden layers.
    dropout : float, default=0.0
        Probability, in [0, 1), with which a hidden unit is left out of a step.
    input_dropout : float, default=0.0
        Probability, in [0, 1), with which a non-zero of X is left out of a step.
    network : Node or list of Node, default=None
        A graph of layers, see :mod:`sklearn_vectorflow.layers`: its output node or nodes,
        whose outputs side by side are the raw outputs. It takes the place of
        `hidden_layer_sizes`, `activation` and `dropout`.
    loss : str, Loss or callable, default="log_loss"
        "log_loss" (with several classes: "multinomial"), "multinomial", "one_vs_rest", "hinge",
        "squared_hinge", "modified_huber"; for many thousands of classes or labels "sampled_softmax" and
        "sampled_log_loss", whose steps compute few of them; an object of
        :mod:`sklearn_vectorflow.losses`, or a function
        ``f(y, raw, sample_weight) -> (loss, gradient)`` of a block of rows.
    optimizer : {"auto", "adagrad", "adam", "ftrl", "sgd"} or Optimizer, default="auto"
        Update rule, see :mod:`sklearn_vectorflow.optimizers`. "auto" is FTRL for linear models without
        averaging, else AdaGrad.
    learning_rate : float, default=None
        The optimizer's rate, > 0; None is the optimizer's own.
    alpha : float, default=None
        Strength, >= 0, of the penalty on the mean loss. Intercepts are never penalised. None follows
        from the data (see the user guide): by cross-validation on a sample for linear models, layer by layer for
        nets. It is 0 where more rows may follow (`partial_fit`).
    l1_ratio : float, default=0.0
        Share of L1 in the penalty, in [0, 1]; the rest is L2.
    penalty : Penalty or list of Penalty, default=None
        In place of alpha and l1_ratio, see :mod:`sklearn_vectorflow.penalties`.
    fit_intercept : bool, default=True
        Whether layers have intercepts.
    batch_size : int or "auto", default="auto"
        Rows in a step. "auto" is one row (and all rows of a data set of at most 64).
    max_iter : int, default=20
        Largest number of passes over the data (epochs).
    tol : float, default=5e-3
        Training stops when the loss has not fallen by more than this share of the typical loss
        (see the user guide) for `n_iter_no_change` epochs; None never stops before `max_iter`.
    early_stopping : bool or "auto", default="auto"
        Whether to watch the loss on validation rows in place of the training loss, and to
        keep the weights of the best epoch. "auto" does so for nets that are trained on at least 10,000 rows,
        and whose first layer has at least a tenth as many weights (or 1,000, and ten times as many), if `max_iter`
        is 8 or more and `tol` is not None.
    validation_fraction : float, default=0.1
        Share of the rows set aside for early stopping where no `X_val` is given.
    n_iter_no_change : int, default=2
        Epochs without progress before training stops.
    shuffle : bool, default=True
        Whether rows are shuffled anew for every epoch.
    average : bool or int, default=False
        Whether predictions use the running mean of the weights (Polyak averaging); an
        int leaves out so many rows at first; True leaves out the first epoch, and the first half of all steps.
    class_weight : dict, "balanced" or None, default=None
        Factors on the weights of classes' rows; "balanced" is inverse to their frequency, in which rows
        count by `sample_weight`.
    warm_start : bool, default=False
        Whether `fit` continues from the existing weights and the existing state of the optimizer.
    n_jobs : int, default=None
        Threads that train on shared weights without locks, and predict. None is 1 unless in
        a :obj:`joblib.parallel_config` context, -1 all cores. Small data stay on one
        thread.
    deterministic : bool, default=False
        Whether training gives the same weights, bit for bit, for any `n_jobs`, on one kind of processor and one
        version of the package. Each weight then has one thread that writes to it, and threads wait for each other
        every few dozen rows, which takes longer. It needs a `random_state`.
    random_state : int, RandomState instance or None, default=None
        Seeds weights, shuffling and dropout. With one thread an int gives the same bits
        every time.
    verbose : int, default=0
        Prints a line for every epoch if not 0.
    solver : {"auto", "sgd", "exact"}, default="auto"
        How far :meth:`fit` goes. "sgd" stops after the epochs of stochastic steps. "exact" takes at most three
        of them, on one thread, and goes on by Newton steps over all rows, on `n_jobs` threads, to the optimum
        of the penalised mean loss; it needs a linear model and a loss with a continuous gradient. The same
        `random_state` gives the same bits for any `n_jobs`. "auto" is "exact" for few
        columns of unlike scales or means, where that is quick, else "sgd" (:doc:`/user_guide/defaults`).
    exact_tol : float, default=1e-8
        Where ``solver="exact"`` ends: the norm of the projected gradient relative to that of a model without
        weights, each coordinate in the unit that its curvature gives it.
    exact_max_iter : int, default=100
        Largest number of Newton steps of ``solver="exact"``.
    half_life : float, default=None
        Number of rows, > 0, after which a row counts half in the step sizes of `partial_fit`, so that these stay large
        enough to follow data that drift. What decays are the sums of squared gradients (AdaGrad, FTRL), the number of
        steps (FTRL's penalty, SGD's schedules) and the number of rows in a running mean. The moments of Adam decay by
        themselves. Before a block, all of them are multiplied by ``2 ** (-n / half_life)``, with n the rows of positive
        weight since the last time, but only if n is at least an eighth of `half_life`: each time takes a few passes
        over the weights, which stay as they are, and a copy of them. With None nothing decays, nor does it in `fit`.
    grow : bool, default=False
        Whether `partial_fit` takes more columns than before, to the right of the others, and classes or labels that
        come up later (see the user guide). Each time, the weights are copied.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes; for multilabel targets the column numbers of y.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights of a linear model; a view. Sparse after :meth:`sparsify`.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts of a linear model.
    network_ : Network
        The fitted net: layers, shapes and weights.
    coefs_, intercepts_ : list of ndarray
        Weights, shape (n_in, n_out), and intercepts, shape (n_out,), of every linear layer; views.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if X was a data frame with string columns.
    n_iter_ : int
        Epochs trained, and steps of ``solver="exact"``.
    loss_curve_ : list of float
        Mean training loss of each epoch, each row before its own step, without penalty.
    best_loss_ : float
        The lowest of `loss_curve_`.
    validation_scores_ : list of float
        Negative mean loss on the validation rows after each epoch, if there were any.
    best_validation_score_ : float
        The highest of `validation_scores_`, if there are any.
    optimality_ : float
        With ``solver="exact"``, the relative norm of the projected gradient in the end, see `exact_tol`.
    n_passes_ : int
        With ``solver="exact"``, how often all rows were read, epochs among them.

    References
    ----------
    Niu, Recht, Ré and Wright (2011), "HOGWILD!: A lock-free approach to parallelizing
    stochastic gradient descent", arXiv:1106.5730.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import HashingVectorizer
    >>> from sklearn_vectorflow import VectorFlowClassifier
    >>> texts = ["a good film", "a bad film", "good fun", "bad taste"] * 25
    >>> X = HashingVectorizer(n_features=2**20).fit_transform(texts)
    >>> model = VectorFlowClassifier(random_state=0).fit(X, [1, 0, 1, 0] * 25)
    >>> model.predict(X[:4])
    array([1, 0, 1, 0])
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (),
        activation: ActivationName = "relu",
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        network: Node | Sequence[Node] | None = None,
        loss: str | Loss | Callable[..., Any] = "log_loss",
        optimizer: str | Optimizer = "auto",
        learning_rate: float | None = None,
        alpha: float | None = None,
        l1_ratio: float = 0.0,
        penalty: Penalty | Sequence[Penalty] | None = None,
        fit_intercept: bool = True,
        batch_size: int | Literal["auto"] = "auto",
        max_iter: int = 20,
        tol: float | None = 5e-3,
        early_stopping: bool | Literal["auto"] = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 2,
        shuffle: bool = True,
        average: bool | int = False,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        warm_start: bool = False,
        n_jobs: int | None = None,
        deterministic: bool = False,
        random_state: RandomState = None,
        verbose: int = 0,
        solver: Solver = "auto",
        exact_tol: float = 1e-8,
        exact_max_iter: int = 100,
        half_life: float | None = None,
        grow: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.penalty = penalty
        self.fit_intercept = fit_intercept
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.shuffle = shuffle
        self.average = average
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.deterministic = deterministic
        self.random_state = random_state
        self.verbose = verbose
        self.solver = solver
        self.exact_tol = exact_tol
        self.exact_max_iter = exact_max_iter
        self.half_life = half_life
        self.grow = grow

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        with contextlib.suppress(TypeError, ValueError):  # of a loss that fit refuses
            tags.classifier_tags.multi_label = self._loss_for_labels.multilabel
        return tags

    @with_callbacks
    def fit(
        self,
        X: RowsLike,
        y: TargetLike = None,
        sample_weight: ArrayLike | None = None,
        *,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        X_val: RowsLike = None,
        y_val: TargetLike = None,
        sample_weight_val: ArrayLike | None = None,
        offset_val: ArrayLike | None = None,
    ) -> Self:
        """Fit to training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or source
            Training rows. A source of blocks (:mod:`sklearn_vectorflow.io`) brings targets and weights
            along, and may be larger than memory. CSR of float32 or float64 is read in place, other formats are
            converted. A column that occurs twice in a row counts as the sum.
        y : array-like of shape (n_rows,), or (n_rows, n_labels) of 0 and 1, dense or CSR
            Targets; None for a source.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, >= 0.
        coef_init : {array-like, sparse matrix} of shape (n_outputs, n_features), default=None
            Weights that training of a linear model starts from, in place of zeros; (n_features,) if there is one
            output.
        intercept_init : array-like of shape (n_outputs,), default=None
            Intercepts that it starts from, in place of the best constant.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Known numbers that are added to the raw outputs, in training and in predictions: one for each row, or one
            for each of its raw outputs. The multinomial loss needs one for each class.
        X_val, y_val, sample_weight_val, offset_val : like X, y, sample_weight and offset, default=None
            Validation rows for `early_stopping` and `validation_scores_`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If a parameter or the data are of the wrong kind, or if training diverges. The
            estimator stays as it was.
        """
        rows, initial = (X, y, sample_weight, X_val, y_val, sample_weight_val), (coef_init, intercept_init)
        return self._fit(*rows, offsets=(offset, offset_val), initial=initial)

    def partial_fit(
        self,
        X: RowsLike,
        y: TargetLike = None,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
    ) -> Self:
        """Train on one block of rows, once.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        y : array-like of shape (n_rows,), or (n_rows, n_labels) of 0 and 1
            Targets.
        classes : array-like of shape (n_classes,), default=None
            All classes there will be; needed in the first call unless y are labels.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, >= 0.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        self : object
            The estimator.
        """
        if classes is None and y is None:
            classes = getattr(X, "classes", None)  # a source may know
        self._check_expected(y, classes)
        return self._partial_fit(X, y, sample_weight, classes=classes, offset=offset)

    def decision_function(self, X: RowsLike, *, offset: ArrayLike | None = None) -> Array:
        """Return raw outputs.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        raw : ndarray of shape (n_rows,) or (n_rows, n_classes)
            For two classes, positive where the second is the likelier.
        """
        raw = self._raw(X, offset)
        if len(self.classes_) == 2 and raw.shape[1] == 2 and not self.multilabel_:
            return raw[:, 1] - raw[:, 0]
        return raw[:, 0] if raw.shape[1] == 1 else raw

    def predict(self, X: RowsLike, *, offset: ArrayLike | None = None) -> Array:
        """Return the likeliest class, or labels, of every row.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        y : ndarray of shape (n_rows,) or (n_rows, n_labels), or csr_array
            Classes; for multilabel targets, indicators, as CSR from losses that sample outputs.
        """
        parts = self._map_raw(X, self._decide, offset)
        return sparse.vstack(parts, format="csr") if sparse.issparse(parts[0]) else np.concatenate(parts)

    def _decide(self, raw):
        """Return the classes, or labels, of rows for their raw outputs."""
        if self.multilabel_:
            positive = raw > 0
            return sparse.csr_array(positive, dtype=int) if self._loss.sampled else positive.astype(int)
        if raw.shape[1] == 1:
            return self.classes_[(raw[:, 0] > 0).astype(int)]
        return self.classes_[raw.argmax(axis=1)]

    @available_if(_gives_probabilities)
    def predict_proba(self, X: RowsLike, *, offset: ArrayLike | None = None) -> Array:
        """Return probabilities, for losses that have them.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        probability : ndarray of shape (n_rows, n_classes)
            In the order of `classes_`.
        """
        return self._predict_rows(X, self._probabilities, offset)

    def _probabilities(self, raw):
        """Return the probabilities of classes, or labels, for raw outputs."""
        return self._loss.inverse_link(raw) if self.multilabel_ else self._loss.predict_proba(raw)

    @available_if(_gives_probabilities)
    def predict_log_proba(self, X: RowsLike, *, offset: ArrayLike | None = None) -> Array:
        """Return the logarithms of :meth:`predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X, offset=offset))

    # ---- targets ------------------------------------------------------------------

    @property
    def _loss(self):
        loss = loss_of(self.loss, CLASSIFICATION_LOSSES, ClassificationLoss, ClassificationFunction)
        plain = type(loss) is LogLoss and not self.multilabel_
        return MultinomialLoss() if plain and len(self.classes_) > 2 else loss

    def _adjusted(self, scales, is_linear):
        """Let nets of many classes take larger steps: units have to tell them all apart, and rows of a class are few.

        Not so where no held-out rows end training before such steps overfit.
        """
        if is_linear or not self._stops_early or not isinstance(self._loss, MultinomialLoss):
            return scales
        return replace(scales, weight=scales.weight * self._n_outputs() ** OF_CLASSES)

    def _n_outputs(self):
        return len(self.classes_) if self.multilabel_ else self._loss.n_outputs(len(self.classes_))

    def _check_parameters(self):
        super()._check_parameters()
        loss_of(self.loss, CLASSIFICATION_LOSSES, ClassificationLoss, ClassificationFunction)
        check_class_weight(self.class_weight)

    def _check_restored(self):
        super()._check_restored()
        if hasattr(self, "network_"):
            classes, fewest = self.classes_, max(1 if self.multilabel_ else 2, self.network_.n_outputs)
            if not isinstance(classes, np.ndarray) or classes.ndim != 1 or len(classes) < fewest:
                raise ValueError(f"there must be at least {fewest} classes_, got {brief(classes)}.")

    def _check_expected(self, y, classes):
        """Raise unless `partial_fit` knows all classes at first, and the same ones later."""
        first = not hasattr(self, "network_")
        if first and classes is None and not is_multilabel(y):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if (
            not first
            and not self.grow
            and classes is not None
            and not np.array_equal(np.unique(classes), self.classes_)
        ):
            raise ValueError(
                f"classes must be as on the first call to partial_fit, {brief(self.classes_)}, got {brief(classes)}."
            )

    def _encode(self, y, n_rows, *, reset):
        multilabel = is_multilabel(y)
        if not reset and multilabel != self.multilabel_:
            raise ValueError("y must be labels (an indicator matrix) exactly if it was so before.")
        if multilabel:
            return self._encode_multilabel(y, n_rows, reset)
        y = class_array(y)
        check_length("y", len(y), n_rows)
        if not reset:
            return encode_known_labels(y, self.classes_)[:, None]
        self.multilabel_ = False
        self.classes_, codes = encode_labels(y, getattr(self, "_expected", None))
        if len(self.classes_) < 2:
            raise ValueError(f"y must have at least two classes, got one class: {brief(self.classes_.tolist()[0])}.")
        return codes[:, None]

    def _encode_multilabel(self, y, n_rows, reset):
        if not self._loss_for_labels.multilabel:
            raise ValueError(f"loss {brief(self.loss)} takes one class a row, got an indicator matrix of labels.")
        labels = label_matrix(y, self._loss_for_labels.sampled)
        check_length("y", labels.shape[0], n_rows)
        if reset:
            self.multilabel_ = True
            self.classes_ = np.arange(labels.shape[1])
        elif labels.shape[1] != len(self.classes_):
            raise ValueError(f"y must have {len(self.classes_)} labels as before, got {labels.shape[1]}.")
        return labels

    @property
    def _loss_for_labels(self):
        return loss_of(self.loss, CLASSIFICATION_LOSSES, ClassificationLoss, ClassificationFunction)

    @property
    def _coupled(self):
        return self._loss_for_labels.coupled

    def _collector(self, classes, reset):
        return ClassCollector(self, classes) if reset else super()._collector(classes, reset)

    def _weigher(self, encoded, weight):
        if self.class_weight is None:
            return super()._weigher(encoded, weight)
        if self.multilabel_:
            raise ValueError("class_weight is not defined for labels (an indicator matrix); use sample_weight.")
        return ClassWeigher(self.class_weight, self.classes_, encoded, weight)

    def _labels_of_outputs(self, n):
        return [self.classes_[-1]] if n == 1 else self.classes_.tolist()

    def _strata(self, data):
        return None if self.multilabel_ or self._loss.sampled else data.encoded[:, 0]

    def _sampler(self, data):
        if not self._loss.sampled:
            return None
        self._loss.warn_of_all(self._n_outputs())
        return self._loss.sampler(label_counts(data.encoded, self._n_outputs()))

    def _initial_raw(self, data):
        if self.multilabel_:
            weight = np.ones(data.matrix.shape[0]) if data.weight is None else data.weight
            prior = (data.encoded.T @ weight) / weight.sum()
        else:
            counts = class_totals(data.encoded[:, 0], data.weight, len(self.classes_))
            prior = counts / counts.sum()
        return self._loss.initial_raw(prior[1:] if self._n_outputs() == 1 and not self.multilabel_ else prior)
