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
    check_classes,
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
        raise AttributeError(
            f"loss={brief(estimator.loss)} has no probabilities. Losses with them: {', '.join(known)}."
        )
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

    Several threads train the same weights by stochastic gradient descent without locks (Hogwild). The cost of a step
    depends on the non-zeros of its rows, not on the number of columns.

    The parameters by purpose:

    - Model: `hidden_layer_sizes`, `activation`, `dropout`, `input_dropout`, `network`, `fit_intercept`.
    - Objective: `loss`, `class_weight`, `alpha`, `l1_ratio`, `penalty`.
    - Optimization: `optimizer`, `learning_rate`, `batch_size`, `shuffle`, `average`, `solver`, `exact_tol`,
      `exact_max_iter`.
    - Stopping: `max_iter`, `tol`, `early_stopping`, `validation_fraction`, `n_iter_no_change`.
    - Training in several calls: `warm_start`, `half_life`, `grow`.
    - Execution: `n_jobs`, `deterministic`, `random_state`, `verbose`.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=()
        Number of units in each hidden layer. An int stands for one layer, () for a linear model.
    activation : {"relu", "tanh", "selu", "logistic", "identity"}, default="relu"
        Activation function of the hidden layers.
    dropout : float, default=0.0
        Probability, in [0, 1), of dropping a hidden unit in a training step.
    input_dropout : float, default=0.0
        Probability, in [0, 1), of dropping a non-zero of X in a training step.
    network : Node or list of Node, default=None
        Graph of layers, see :mod:`sklearn_vectorflow.layers`: its output node, or several output nodes, whose outputs
        are concatenated into the raw outputs. It replaces `hidden_layer_sizes`, `activation` and `dropout`.
    loss : str, Loss or callable, default="log_loss"
        Loss function, one of

        - "log_loss": binary cross-entropy, of each label for multilabel y; for more than two classes the same as
          "multinomial";
        - "multinomial": softmax cross-entropy;
        - "one_vs_rest": one binary cross-entropy for each class;
        - "hinge", "squared_hinge", "modified_huber": margin losses, one for each class if there are more than two;
        - "sampled_softmax", "sampled_log_loss": for thousands of classes or labels; each step computes only some of the
          outputs;

        or an object of :mod:`sklearn_vectorflow.losses`, or a function ``f(y, raw, sample_weight) -> (loss, gradient)``
        of a block of rows.
    optimizer : {"auto", "adagrad", "adam", "ftrl", "sgd"} or Optimizer, default="auto"
        Update rule, see :mod:`sklearn_vectorflow.optimizers`. "auto" is FTRL for linear models without averaging and
        AdaGrad otherwise.
    learning_rate : float, default=None
        Learning rate, > 0. It overrides that of the optimizer. None keeps the optimizer's own, which AdaGrad and FTRL
        derive from the data by default.
    alpha : float, default=None
        Strength, >= 0, of the penalty on the mean loss. Intercepts are not penalised. None derives it from the data
        (see the user guide): by cross-validation on a sample for linear models, by a rule for each layer of nets. It is
        0 in `partial_fit` and for sources that can be read only once.
    l1_ratio : float, default=0.0
        Share of L1 in the penalty, in [0, 1]. The rest is L2.
    penalty : Penalty or list of Penalty, default=None
        Penalties of :mod:`sklearn_vectorflow.penalties`, in place of `alpha` and `l1_ratio`.
    fit_intercept : bool, default=True
        Whether layers have intercepts.
    batch_size : int or "auto", default="auto"
        Number of rows in a mini-batch. "auto" is 1, or all rows if `fit` gets at most 64.
    max_iter : int, default=20
        Maximum number of epochs (passes over the training rows).
    tol : float, default=5e-3
        Training stops when the loss has not fallen by more than `tol` times the typical loss (see the user guide) for
        `n_iter_no_change` epochs. None trains for `max_iter` epochs.
    early_stopping : bool or "auto", default="auto"
        Whether the loss of validation rows ends training instead of the training loss. Of `X_val`, or of 10,000
        held-out rows or more, the weights of the best epoch are kept. With fewer held-out rows, a new model then trains
        on all rows for the best number of epochs. "auto" stops early if the model is a net, `max_iter` is at least 8,
        `tol` is not None, and the first layer has many weights: a tenth of the number of rows if there are at least
        10,000 rows, ten times that number if there are at least 1,000. It also does so for small nets of 40 to 2,048
        rows, in default steps. Sources also need `X_val`.
    validation_fraction : float, default=0.1
        Fraction of the rows, in (0, 1), that early stopping holds out if `fit` gets no `X_val`.
    n_iter_no_change : int, default=2
        Number of epochs without improvement after which training stops.
    shuffle : bool, default=True
        Whether to shuffle the rows before each epoch.
    average : bool or int, default=False
        Whether to predict with the running mean of the weights (Polyak-Ruppert averaging). True starts the mean after
        the first epoch, and starts it again when the number of steps has doubled. An int starts it after that many
        rows. Not available with FTRL.
    class_weight : dict, "balanced" or None, default=None
        Factor on the weights of the rows of each class. "balanced" makes it inversely proportional to the class's
        frequency, in which rows count by `sample_weight`. In `partial_fit` it is the frequency in the rows of the call.
    warm_start : bool, default=False
        Whether `fit` continues from the existing weights and the state of the optimizer.
    n_jobs : int, default=None
        Number of threads for training, which share the weights without locks, and for predictions. None means 1 unless
        in a :obj:`joblib.parallel_config` context, -1 means all cores. Small data use one thread.
    deterministic : bool, default=False
        Whether training gives the same weights, bit for bit, for any `n_jobs`, on the same kind of processor and
        version of the package. It assigns each weight to one thread, and threads wait for each other after each small
        block of rows, which takes longer. It needs a `random_state`.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the validation split, shuffling and dropout. With one thread, an int gives the same
        bits every time.
    verbose : int, default=0
        If not 0, each epoch prints a line.
    solver : {"auto", "sgd", "exact"}, default="auto"
        "sgd" trains by stochastic steps alone. "exact" starts with at most two epochs of them on one thread. It then
        takes Newton steps over all rows, on `n_jobs` threads, to the minimum of the penalised mean loss. It needs a
        linear model and a loss with a continuous gradient. The same `random_state` gives the same bits for any
        `n_jobs`. "auto" is "exact" for a few columns of different scales or means if that is quick (see the user
        guide), and otherwise "sgd".
    exact_tol : float, default=1e-8
        Tolerance of ``solver="exact"``. It stops when the norm of the projected gradient, relative to that of a model
        without weights, is at most this. The norm scales each coordinate by its curvature.
    exact_max_iter : int, default=100
        Maximum number of Newton steps of ``solver="exact"``.
    half_life : float, default=None
        Number of rows, > 0, after which the influence of a row on the step sizes of `partial_fit` has halved. Steps
        then stay large enough to follow data that drift. Weights do not decay. What decays are the sums of squared
        gradients (AdaGrad, FTRL) and the counts of steps in FTRL's penalty, SGD's schedules and running means. Adam's
        moments decay by themselves. A decay multiplies these by ``2 ** (-n / half_life)``, where n is the number of
        rows of positive weight since the last decay. It takes place before a block, once n is at least an eighth of
        `half_life`, and costs a few passes over the weights and a temporary copy of them. With None, and in `fit`,
        nothing decays.
    grow : bool, default=False
        Whether `partial_fit` accepts new columns, to the right of the others, and classes or labels that it has not
        seen before (see the user guide). Each time the model grows, its weights are copied.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; for multilabel targets the column numbers of y.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights of a linear model, as a view. Sparse after :meth:`sparsify`.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts of a linear model.
    network_ : Network
        Fitted net: layers, shapes and weights.
    coefs_, intercepts_ : list of ndarray
        Weights, of shape (n_in, n_out), and intercepts, of shape (n_out,), of each linear layer, as views.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X was a data frame with string column names.
    n_iter_ : int
        Number of epochs, plus Newton steps with ``solver="exact"``. If early stopping holds out rows, this and the two
        lists below are of the models without these rows.
    loss_curve_ : list of float
        Mean training loss of each epoch, without the penalty. The loss of a row is computed before the row's own step.
    best_loss_ : float
        Minimum of `loss_curve_`.
    validation_scores_ : list of float
        Negative mean loss on the validation rows after each epoch, if there are validation rows.
    best_validation_score_ : float
        Maximum of `validation_scores_`.
    optimality_ : float
        Relative norm of the projected gradient at the end of ``solver="exact"``, see `exact_tol`.
    duality_gap_ : float
        Upper bound of the distance of the objective from its minimum after ``solver="exact"``: the difference between
        the objective and the dual objective. NaN if a weight has no L2 penalty, or if the loss is not known to be
        convex.
    n_passes_ : int
        Number of passes over all rows of ``solver="exact"``, including epochs.

    References
    ----------
    Niu, Recht, Ré and Wright (2011), "HOGWILD!: A lock-free approach to parallelizing stochastic gradient descent",
    doi:10.48550/arXiv.1106.5730.

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
            Training rows. A source of :mod:`sklearn_vectorflow.io` yields blocks of rows with targets and weights, and
            may be larger than memory. `fit` reads CSR of float32 or float64 in place and converts other formats. If a
            column occurs twice in a row, its values are added.
        y : array-like of shape (n_rows,), or (n_rows, n_labels) of 0 and 1, dense or CSR
            Classes, or indicators of labels. None for a source.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, >= 0.
        coef_init : {array-like, sparse matrix} of shape (n_outputs, n_features), default=None
            Initial weights of a linear model, in place of zeros. For one output, shape (n_features,) is accepted, too.
        intercept_init : array-like of shape (n_outputs,), default=None
            Initial intercepts of a linear model, in place of the best constant.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Known numbers to add to the raw outputs, one for each row or one for each raw output of each row.
            Predictions need them, too. The multinomial loss needs one for each class.
        X_val, y_val, sample_weight_val, offset_val : as for training, default=None
            Validation rows for `early_stopping` and `validation_scores_`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If a parameter or the data are invalid, or if training diverges. The estimator then stays unchanged.
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
        """Make one pass over a block of rows, continuing from the current weights.

        While the first 1,024 rows of a stream come, training starts again each time that their number has doubled, with
        all rows so far. Default learning rates then suit the data.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or source
            Rows. Training makes one pass over the blocks of a source.
        y : array-like of shape (n_rows,), or (n_rows, n_labels) of 0 and 1, dense or CSR
            Classes, or indicators of labels. None for a source.
        classes : array-like of shape (n_classes,), default=None
            All classes that may occur. The first call needs them, except for multilabel y or a source that knows them.
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
        """Return raw outputs, such as log odds.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or source
            Rows.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        raw : ndarray of shape (n_rows,) or (n_rows, n_classes)
            For two classes, positive where the second class is the more likely one.
        """
        raw = self._raw(X, offset)
        if len(self.classes_) == 2 and raw.shape[1] == 2 and not self.multilabel_:
            return raw[:, 1] - raw[:, 0]
        return raw[:, 0] if raw.shape[1] == 1 else raw

    def predict(self, X: RowsLike, *, offset: ArrayLike | None = None) -> Array:
        """Return the most likely class, or the labels, of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or source
            Rows.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        y : ndarray of shape (n_rows,) or (n_rows, n_labels), or csr_array
            Classes. For multilabel targets indicators of labels, in CSR format for sampled losses.
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
        """Return the probabilities of the classes, for losses that define them.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or source
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

    def _check_targets(self, y, n_rows):
        if is_multilabel(y):
            label_matrix(y)
        else:
            check_classes(class_array(y))

    def _encode(self, y, n_rows, *, reset):
        multilabel = is_multilabel(y)
        if not reset and multilabel != self.multilabel_:
            raise ValueError("y must be an indicator matrix of labels if and only if it was one in the first call.")
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
            raise ValueError(f"loss {brief(self.loss)} takes one class per row, got an indicator matrix of labels.")
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
