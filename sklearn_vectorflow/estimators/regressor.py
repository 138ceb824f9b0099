"""Regression on sparse rows."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import RegressorMixin
from sklearn.utils.validation import _num_samples, check_array, column_or_1d

from sklearn_vectorflow.estimators.base import BaseVectorFlow
from sklearn_vectorflow.estimators.callbacks import with_callbacks
from sklearn_vectorflow.estimators.coefficients import LinearModelMixin
from sklearn_vectorflow.estimators.deviance_scores import DevianceScoreMixin
from sklearn_vectorflow.estimators.exact import InferenceMixin
from sklearn_vectorflow.estimators.node_features import NodeFeaturesMixin
from sklearn_vectorflow.estimators.parameters import loss_of
from sklearn_vectorflow.estimators.source_scores import SourceScoreMixin
from sklearn_vectorflow.io.source import is_source
from sklearn_vectorflow.layers import Node
from sklearn_vectorflow.losses import REGRESSION_LOSSES, Loss, RegressionLoss
from sklearn_vectorflow.losses.functions import RegressionFunction
from sklearn_vectorflow.network.forward import raw_outputs
from sklearn_vectorflow.optimizers import Optimizer
from sklearn_vectorflow.penalties import Penalty
from sklearn_vectorflow.targets.units import TargetUnits, units_of
from sklearn_vectorflow.threads import Crew
from sklearn_vectorflow.training.data import Data
from sklearn_vectorflow.validation.arrays import check_length, check_offset, log_exposure
from sklearn_vectorflow.validation.errors import brief, naming
from sklearn_vectorflow.validation.scalars import check_flag, check_integer
from sklearn_vectorflow.validation.types import ActivationName, Array, RandomState, RowsLike, Solver, TargetLike


class VectorFlowRegressor(
    SourceScoreMixin,
    InferenceMixin,
    LinearModelMixin,
    NodeFeaturesMixin,
    DevianceScoreMixin,
    RegressorMixin,
    BaseVectorFlow,
):
    """Linear and shallow-net regressor for extremely sparse rows.

    Several threads train the same weights by stochastic gradient descent without locks (Hogwild). The cost of a step
    depends on the non-zeros of its rows, not on the number of columns.

    The parameters by purpose:

    - Model: `hidden_layer_sizes`, `activation`, `dropout`, `input_dropout`, `network`, `fit_intercept`.
    - Objective: `loss`, `alpha`, `l1_ratio`, `penalty`.
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
    loss : str, Loss or callable, default="squared_error"
        Loss function: "squared_error", "absolute_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive",
        "quantile", "poisson", "gamma", "tweedie", "mixture_density", an object of :mod:`sklearn_vectorflow.losses`, or
        a function ``f(y, raw, sample_weight) -> (loss, gradient)`` of a block of rows.
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
        `n_jobs`.

        "auto" is "exact" for squared error where that is quick: if the number of non-zeros times that of targets is at
        most 2**20 with up to 512 columns, and at most 2**16 with more. `alpha` must be > 0 or None, and no parameter
        may ask for steps of another kind (`optimizer`, `learning_rate`, `penalty`, L1, `batch_size`, `average`,
        `input_dropout`, validation rows, `warm_start`, ``tol=None``, `max_iter` below 8).

        With convex losses, "auto" is also "exact" for a few columns of different scales or means (see the user guide).
        Otherwise it is "sgd".
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
        Whether `partial_fit` accepts new columns, to the right of the others (see the user guide). Each time the model
        grows, its weights are copied.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Weights of a linear model, in the units of y. Sparse after :meth:`sparsify`.
    intercept_ : ndarray of shape (1,) or (n_targets,)
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
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sklearn_vectorflow import VectorFlowRegressor
    >>> X = sparse.random_array((1000, 50), density=0.1, rng=0, format="csr")
    >>> y = X @ np.arange(50) / 10
    >>> VectorFlowRegressor(random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    _has_dispersion = True

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (),
        activation: ActivationName = "relu",
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        network: Node | Sequence[Node] | None = None,
        loss: str | Loss | Callable[..., Any] = "squared_error",
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
        tags.target_tags.multi_output = True
        with contextlib.suppress(TypeError, ValueError):  # of a loss that fit refuses
            tags.target_tags.positive_only = self._loss.y_low >= 0
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
        groups: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        X_val: RowsLike = None,
        y_val: TargetLike = None,
        sample_weight_val: ArrayLike | None = None,
        groups_val: ArrayLike | None = None,
        offset_val: ArrayLike | None = None,
        exposure_val: ArrayLike | None = None,
    ) -> Self:
        """Fit to training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or source
            Training rows. A source of :mod:`sklearn_vectorflow.io` yields blocks of rows with targets and weights, and
            may be larger than memory. `fit` reads CSR of float32 or float64 in place and converts other formats. If a
            column occurs twice in a row, its values are added.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Targets. None for a source.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, >= 0.
        coef_init : {array-like, sparse matrix} of shape (n_outputs, n_features), default=None
            Initial weights of a linear model, in place of zeros. For one output, shape (n_features,) is accepted, too.
        intercept_init : array-like of shape (n_outputs,), default=None
            Initial intercepts of a linear model, in place of the best constant.
        groups : array-like of shape (n_rows,), default=None
            Group of each row, for losses of groups of rows. The rows of a group must be contiguous. None for a source.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Known numbers to add to the raw outputs, one for each row or one for each raw output of each row.
            Predictions need them, too. None for a source, whose blocks may have offsets.
        exposure : array-like of shape (n_rows,), default=None
            Time, area or number of units, > 0, that the target of each row refers to, for losses with a logarithmic
            link. Its logarithm is added to the offset. Predictions need it, too.
        X_val, y_val, sample_weight_val, groups_val, offset_val, exposure_val : as for training, default=None
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
        offsets = (
            self._with_exposure(X, offset, exposure),
            self._with_exposure(X_val, offset_val, exposure_val, "_val"),
        )
        rows = X, y, sample_weight, X_val, y_val, sample_weight_val, groups, groups_val
        return self._fit(*rows, offsets, (coef_init, intercept_init))

    def partial_fit(
        self,
        X: RowsLike,
        y: TargetLike = None,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> Self:
        """Make one pass over a block of rows, continuing from the current weights.

        While the first 1,024 rows of a stream come, training starts again each time that their number has doubled, with
        all rows so far. Default learning rates then suit the data.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or source
            Rows. Training makes one pass over the blocks of a source.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Targets.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, >= 0.
        groups : array-like of shape (n_rows,), default=None
            Group of each row, as in :meth:`fit`.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.
        exposure : array-like of shape (n_rows,), default=None
            As in :meth:`fit`.

        Returns
        -------
        self : object
            The estimator.
        """
        return self._partial_fit(X, y, sample_weight, groups, offset=self._with_exposure(X, offset, exposure))

    def predict_raw(self, X: RowsLike, *, offset: ArrayLike | None = None, exposure: ArrayLike | None = None) -> Array:
        """Return raw outputs, before the inverse link of the loss.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or source
            Rows.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.
        exposure : array-like of shape (n_rows,), default=None
            As in :meth:`fit`.

        Returns
        -------
        raw : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        """
        raw = self._in_units_of_y(self._raw(X, self._with_exposure(X, offset, exposure)))
        return raw[:, 0] if raw.shape[1] == 1 else raw

    def predict(self, X: RowsLike, *, offset: ArrayLike | None = None, exposure: ArrayLike | None = None) -> Array:
        """Return predictions in the units of y.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or source
            Rows.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.
        exposure : array-like of shape (n_rows,), default=None
            As in :meth:`fit`.

        Returns
        -------
        y : ndarray of shape (n_rows,) or (n_rows, n_targets)
            Means, medians or quantiles, depending on the loss. For several quantiles, shape (n_rows, n_quantiles).
        """
        offset = self._with_exposure(X, offset, exposure)
        prediction = self._predict_rows(X, lambda raw: self._loss.inverse_link(self._in_units_of_y(raw)), offset)
        return prediction[:, 0] if prediction.ndim == 2 and prediction.shape[1] == 1 else prediction

    # ---- targets ------------------------------------------------------------------

    _target_units: TargetUnits | None = None
    # those who split rows by groups pass them to fit, too, which most losses have no use for
    __metadata_request__fit = {"groups": False}
    __metadata_request__partial_fit = {"groups": False}

    @property
    def _loss(self):
        return loss_of(self.loss, REGRESSION_LOSSES, RegressionLoss, RegressionFunction)

    def _n_outputs(self):
        return self._loss.n_outputs(self._n_targets)

    def _check_parameters(self):
        super()._check_parameters()
        _ = self._loss  # raises unless the loss makes sense

    def _encode(self, y, n_rows, *, reset):
        with naming("y"):
            y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y", order="C")
        single = y.ndim == 1 or (y.shape[1] == 1 and (reset or self._single_target))
        if single:
            y = column_or_1d(y, warn=True)[:, None]
        check_length("y", len(y), n_rows)
        if reset:
            self._single_target, self._n_targets, self._target_units = single, y.shape[1], None
        elif y.shape[1] != self._n_targets:
            raise ValueError(f"y must have {self._n_targets} target(s) as before, got {y.shape[1]}.")
        if np.abs(y).max() > np.finfo(np.float32).max:
            raise ValueError(f"y has values too large for float32, up to {np.abs(y).max():g}.")
        self._loss.check_y(y)
        units = self._target_units
        return np.ascontiguousarray(y if units is None else units.stated(y))

    def _choose_units(self, data):
        if isinstance(data, Data) and not self._continues:
            loss = self._loss
            shifts, scales = self.fit_intercept and loss.shifts_with_y, loss.scales_with_y and not self._is_exact
            self._target_units = units = units_of(
                self._beside_offset(data), data.weight, shifts, scales, not loss.smooth
            )
            if units is not None:
                data.encoded = units.stated(data.encoded)
                data.offset = None if data.offset is None else self._in_units_of_net(data.offset)

    def _beside_offset(self, data):
        """Return what offsets leave of targets, if they are in the units of those."""
        offset = data.offset
        if offset is None or not self._loss.shifts_with_y:
            return data.encoded
        if offset.shape[1] != data.encoded.shape[1]:  # a target has several raw outputs
            offset = offset.mean(axis=1, keepdims=True)
        return data.encoded - offset

    def _in_units_of_net(self, offset):
        return offset if self._target_units is None else offset / self._target_units.scale

    def _with_exposure(self, X, offset, exposure, of=""):
        """Return the offset with the logarithm of the exposure."""
        name = f"exposure{of}"
        if exposure is None:
            return offset
        if not self._loss.balances:
            raise ValueError(f"{name} needs a loss with a logarithmic link, such as 'poisson', got {self.loss!r}.")
        if X is None:
            raise ValueError(f"{name} needs X{of}.")
        if is_source(X):
            raise ValueError(f"{name} must be None for a source, whose blocks include offsets.")
        n_rows = _num_samples(X)
        logs = log_exposure(exposure, n_rows, name)
        offset = check_offset(offset, n_rows, f"offset{of}")
        if offset is None:
            return logs
        return offset + (logs if offset.ndim == 1 else logs[:, None])

    @property
    def _scales_targets(self):
        return self._target_units is not None and np.any(self._target_units.scale != 1.0)

    def _finish(self, data):
        once = self.fit_intercept and not (self.warm_start or self._is_exact)
        are_all = isinstance(data, Data) and (data.of_all is None or data.of_all.n_rows == data.matrix.shape[0])
        if once and are_all and self._loss.balances and self.network_.is_linear:
            self._balance(data)

    def _balance(self, data):
        """Shift the intercepts of a model of logarithms so that its predictions for training rows total those of y."""
        with Crew(self._n_workers(data, self.network_)) as crew:
            raw = data.with_offset(raw_outputs(self.network_, data.matrix, crew))
        weight = np.ones(len(raw)) if data.weight is None else data.weight
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            shift = np.log(weight @ data.encoded / (weight @ np.exp(raw)))
        if np.all(np.isfinite(shift)):
            self.network_.intercepts()[0][:] += shift.astype(np.float32)

    def _scale_and_shift(self):
        units = self._target_units
        return (1.0, 0.0) if units is None else (units.scale, units.shift)

    def _check_restored(self):
        super()._check_restored()
        if not isinstance(self._target_units, TargetUnits | None):
            raise ValueError(f"the units of y are {brief(self._target_units)}.")
        if hasattr(self, "network_"):
            check_integer("_n_targets", self._n_targets, 1)
            check_flag("_single_target", self._single_target)

    def _in_units_of_y(self, raw):
        return raw if self._target_units is None else self._target_units.restored(raw)

    def _reported(self, raw):
        return self._in_units_of_y(raw)[0]

    @property
    def coef_(self) -> Any:
        """Weights of a linear model, shape (n_outputs, n_features); a view if they were learnt in the units of y."""
        coef = super().coef_
        if self._target_units is None:
            return coef
        scale = self._target_units.scale if coef.ndim == 1 else self._target_units.scale[:, None]
        return coef.multiply(scale).tocsr() if sparse.issparse(coef) else (coef * scale).astype(coef.dtype)

    @property
    def intercept_(self) -> Array:
        """Intercepts of a linear model, shape (n_outputs,); float64 if y is far from zero."""
        return self._in_units_of_y(super().intercept_)

    def _output_scale(self, data):
        return self._loss.output_scale(self._beside_offset(data), data.weight)

    def _initial_raw(self, data):
        return self._loss.initial_raw(self._beside_offset(data), data.weight)

    def _initial_beside_offset(self, data, initial):
        n_targets, n_outputs = data.encoded.shape[1], self._n_outputs()
        if self._loss.shifts_with_y and (n_targets == n_outputs or not self.fit_intercept):
            return initial
        if self._loss.shifts_with_y and n_targets == 1:  # each raw output has an offset of its own
            left = data.encoded - data.offset
            return np.array([self._loss.initial_raw(left[:, [k]], data.weight)[k] for k in range(n_outputs)])
        return super()._initial_beside_offset(data, initial)
