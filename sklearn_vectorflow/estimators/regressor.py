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
    loss : str, Loss or callable, default="squared_error"
        "squared_error", "absolute_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive", "quantile",
        "poisson", "gamma", "tweedie", "mixture_density", an object of :mod:`sklearn_vectorflow.losses`, or a function
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
        `random_state` gives the same bits for any `n_jobs`. "auto" is "exact" for squared error where that is
        quick (at most 2**20 non-zeros times targets with up to 512 columns, 2**16 with more), `alpha` > 0 or None,
        and nothing asks for steps of another kind: an optimizer, a rate, L1, batches, averages, dropout,
        validation, a warm start, ``tol=None``, fewer than 8 epochs. It also is for few columns of unlike scales
        or means (:doc:`/user_guide/defaults`), with Poisson, gamma and Tweedie losses too. Else it is "sgd".
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
        Whether `partial_fit` takes more columns than before, to the right of the others (see the user guide). Each
        time, the weights are copied.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Weights of a linear model; a view. Sparse after :meth:`sparsify`.
    intercept_ : ndarray of shape (1,) or (n_targets,)
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
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sklearn_vectorflow import VectorFlowRegressor
    >>> X = sparse.random_array((1000, 50), density=0.1, rng=0, format="csr")
    >>> y = X @ np.arange(50) / 10
    >>> VectorFlowRegressor(random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

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
            Training rows. A source of blocks (:mod:`sklearn_vectorflow.io`) brings targets and weights
            along, and may be larger than memory. CSR of float32 or float64 is read in place, other formats are
            converted. A column that occurs twice in a row counts as the sum.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Targets; None for a source.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, >= 0.
        coef_init : {array-like, sparse matrix} of shape (n_outputs, n_features), default=None
            Weights that training of a linear model starts from, in place of zeros; (n_features,) if there is one
            output.
        intercept_init : array-like of shape (n_outputs,), default=None
            Intercepts that it starts from, in place of the best constant.
        groups : array-like of shape (n_rows,), default=None
            Group of every row, for losses that see rows of a group together. Rows of a
            group stand together. Sources have none.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Known numbers that are added to the raw outputs, in training and in predictions: one for
            each row or one for each of its raw outputs. They have no weight of their own. Blocks of a source may
            bring their own.
        exposure : array-like of shape (n_rows,), default=None
            Time, area or number of units, > 0, that the target of each row is for, where the loss has a logarithmic
            link. Its logarithm is added to the offset.
        X_val, y_val, sample_weight_val, groups_val, offset_val, exposure_val : like those of training, default=None
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
        """Train on one block of rows, once.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Targets.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, >= 0.
        groups : array-like of shape (n_rows,), default=None
            Group of every row, as in :meth:`fit`.
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
        """Return raw outputs, before the loss turns them into predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
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
        """Return predictions on the scale of y.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.
        exposure : array-like of shape (n_rows,), default=None
            As in :meth:`fit`.

        Returns
        -------
        y : ndarray of shape (n_rows,) or (n_rows, n_targets)
            Means, medians or quantiles, as the loss says; (n_rows, n_quantiles) for several quantiles.
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
            raise ValueError(f"{name} must be None beside a source: its blocks bring offsets.")
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
