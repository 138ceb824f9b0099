"""Times to an event on sparse rows."""

import copy
from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow.curves import Curve
from sklearn_vectorflow.estimators.base import BaseVectorFlow
from sklearn_vectorflow.estimators.callbacks import with_callbacks
from sklearn_vectorflow.estimators.coefficients import LinearModelMixin
from sklearn_vectorflow.estimators.exact import InferenceMixin
from sklearn_vectorflow.estimators.parameters import resolve
from sklearn_vectorflow.estimators.raw_outputs import rows_to_score
from sklearn_vectorflow.estimators.survival_curves import CurvesMixin
from sklearn_vectorflow.io.source import is_source, source_name
from sklearn_vectorflow.layers import Node
from sklearn_vectorflow.losses import DISTRIBUTIONS, SurvivalLoss
from sklearn_vectorflow.metrics import concordance_index
from sklearn_vectorflow.network.forward import raw_outputs
from sklearn_vectorflow.optimizers import Optimizer
from sklearn_vectorflow.penalties import Penalty
from sklearn_vectorflow.targets.collectors import TimesCollector
from sklearn_vectorflow.targets.times import parse
from sklearn_vectorflow.threads import Crew
from sklearn_vectorflow.validation.arrays import check_times
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.scalars import check_choice
from sklearn_vectorflow.validation.types import ActivationName, Array, RandomState, RowsLike, Shape, Solver, TimesLike

WHOLE, BLOCK = 1_024, 256  # rows up to which a block is all rows, and rows of a block else
MANY_TIMES = 1_000  # of which curves are drawn unless times are given
SEEN = 100_000  # rows whose times they are taken from


def _check_source(estimator, X):
    """Raise if a source stands where a likelihood compares rows with each other."""
    if is_source(X) and not estimator._distribution().separates:
        raise TypeError(
            f"X must be an array, a sparse matrix or a data frame for distribution={brief(estimator.distribution)}, "
            f"whose likelihood compares rows with each other, got the source {source_name(X)}."
        )


def _some_times(time):
    """Return distinct times in order, the first and the last among them; of many rows' some."""
    some = time[:: max(1, len(time) // SEEN)]
    distinct = np.unique(some if len(some) == len(time) else np.append(some, (time.min(), time.max())))
    few = np.linspace(0, len(distinct) - 1, min(len(distinct), MANY_TIMES)).round().astype(np.intp)
    return distinct[few]


def _separates(estimator):
    """Raise, so that `available_if` says why not, unless the rows of a block have losses of their own."""
    loss = estimator.distribution
    kind = DISTRIBUTIONS.get(loss, SurvivalLoss) if isinstance(loss, str) else loss
    if not getattr(kind, "separates", True):
        raise AttributeError(
            f"The likelihood of distribution={brief(loss)} compares rows with each other, so training needs all rows "
            "at once: use fit."
        )
    return True


class VectorFlowSurvivalEstimator(CurvesMixin, InferenceMixin, LinearModelMixin, BaseVectorFlow):
    """Linear and shallow-net models of times to an event, for extremely sparse rows.

    Times may be right-censored and, for parametric distributions, left- or interval-censored. Rows may enter late (left
    truncation). Several threads maximise the log-likelihood of the same weights by stochastic gradient ascent without
    locks (Hogwild). The cost of a step depends on the non-zeros of its rows, not on the number of columns.

    The parameters by purpose:

    - Model: `distribution`, `breakpoints`, `shape`, `hidden_layer_sizes`, `activation`, `dropout`, `input_dropout`,
      `network`, `fit_intercept`.
    - Objective: `alpha`, `l1_ratio`, `penalty`.
    - Optimization: `optimizer`, `learning_rate`, `batch_size`, `shuffle`, `average`, `solver`, `exact_tol`,
      `exact_max_iter`.
    - Stopping: `max_iter`, `tol`, `early_stopping`, `validation_fraction`, `n_iter_no_change`.
    - Training in several calls: `warm_start`, `half_life`, `grow`.
    - Execution: `n_jobs`, `deterministic`, `random_state`, `verbose`.

    Parameters
    ----------
    distribution : str or SurvivalLoss, default="exponential"
        Distribution of the times given the raw outputs, one of

        - "exponential": constant hazard;
        - "weibull", "lognormal", "loglogistic": accelerated failure time models;
        - "piecewise_exponential": a baseline hazard that is constant between breakpoints;
        - "discrete": a logistic hazard for each interval between breakpoints;
        - "cox": Cox's partial likelihood, with Breslow's estimate of the baseline after training;
        - "competing_risks": a hazard for each cause, constant between breakpoints;

        or an object of :mod:`sklearn_vectorflow.losses` with its own breakpoints and shape, such as
        ``CoxPH(ties="breslow")``.
    breakpoints : int or array-like of float, default=None
        For "piecewise_exponential", "discrete" and "competing_risks": the ends of the intervals, as increasing times in
        the unit of y, or the number of intervals, which are then cut at quantiles of the event times. None means 10
        intervals.
    shape : {"constant", "linear"}, default="constant"
        Whether the shape of a distribution (for "piecewise_exponential", "discrete" and "competing_risks" the baseline
        of each interval) is one learned number or depends linearly on the features.
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
        are concatenated into the raw outputs that depend on the row. It replaces `hidden_layer_sizes`, `activation` and
        `dropout`.
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
        Number of rows in a mini-batch. "auto" is 1, or all rows if `fit` gets at most 64. Cox's likelihood compares the
        rows of a mini-batch with each other. For it, "auto" is all rows if there are at most 1,024, and 256 otherwise.
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
        `n_jobs`. "auto" is "sgd".
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
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Weights of a linear model, as a view. Sparse after :meth:`sparsify`. A positive weight makes the event earlier;
        for "weibull", "lognormal" and "loglogistic", which are linear in the logarithm of time, it makes the event
        later.
    intercept_ : ndarray of shape (1,) or (n_outputs,)
        Intercepts of a linear model, for times in the unit of y. "piecewise_exponential" and "discrete" have one for
        each interval, "competing_risks" one for each interval of each cause, cause by cause.
    shape_ : float
        Shape of "weibull" and "loglogistic", or standard deviation of log time of "lognormal", if ``shape="constant"``.
    cum_baseline_hazard_, baseline_survival_ : Curve
        For "cox", Breslow's estimates for a row whose raw output is zero, as functions of time.
    loss_ : SurvivalLoss
        Distribution with what it has learned from the times: their unit, breakpoints and baseline.
    unique_times_ : ndarray of shape (n_times,)
        Distinct times in the first call of `fit` or `partial_fit`, at most 1,000 of them.
    network_ : Network
        Fitted net: layers, shapes and weights.
    coefs_, intercepts_ : list of ndarray
        Weights, of shape (n_in, n_out), and intercepts, of shape (n_out,), of each linear layer, as views. Outputs that
        are one number for all rows come last, with n_in = 0. The unit of time is internal.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X was a data frame with string column names.
    n_iter_ : int
        Number of epochs, plus Newton steps with ``solver="exact"``. If early stopping holds out rows, this and the two
        lists below are of the models without these rows.
    loss_curve_ : list of float
        Mean negative log-likelihood of the training rows in each epoch, without the penalty, for times in the unit of
        y. The loss of a row is computed before the row's own step.
    best_loss_ : float
        Minimum of `loss_curve_`.
    validation_scores_ : list of float
        Mean log-likelihood of the validation rows after each epoch, if there are validation rows.
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

    Kalbfleisch and Prentice (2002), "The statistical analysis of failure time data", doi:10.1002/9781118032985.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sklearn_vectorflow import VectorFlowSurvivalEstimator
    >>> rng = np.random.default_rng(0)
    >>> X = sparse.random_array((1000, 50), density=0.1, rng=0, format="csr")
    >>> time = rng.exponential(np.exp(-X @ np.linspace(-2, 2, 50)))
    >>> y = {"event": time < 2.0, "time": np.minimum(time, 2.0)}
    >>> model = VectorFlowSurvivalEstimator("weibull", random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.6
    True
    >>> model.predict_survival_function(X[:3], times=[0.5, 1.0], return_array=True).shape
    (3, 2)
    """

    def __init__(
        self,
        distribution: str | SurvivalLoss = "exponential",
        breakpoints: int | ArrayLike | None = None,
        shape: Shape = "constant",
        hidden_layer_sizes: int | Sequence[int] = (),
        activation: ActivationName = "relu",
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        network: Node | Sequence[Node] | None = None,
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
        self.distribution = distribution
        self.breakpoints = breakpoints
        self.shape = shape
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.network = network
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

    @with_callbacks
    def fit(
        self,
        X: RowsLike,
        y: TimesLike = None,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        X_val: RowsLike = None,
        y_val: TimesLike = None,
        sample_weight_val: ArrayLike | None = None,
        offset_val: ArrayLike | None = None,
    ) -> Self:
        """Fit to training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or source
            Training rows. A source of :mod:`sklearn_vectorflow.io` yields blocks of rows with times and weights, and
            may be larger than memory; "cox", which compares rows, does not accept it. `fit` reads CSR of float32 or
            float64 in place and converts other formats. If a column occurs twice in a row, its values are added.
        y : structured array, tuple, data frame or dict
            Times of the rows, > 0, as one of

            - a structured array of a bool event and a float time, under any names (as in scikit-survival);
            - a tuple (event, time);
            - a data frame or dict with "event" and "time", or with the bounds "lower" and "upper" of the event time,
              and optionally "entry", the time from which on a row was observed. An event at a known time has lower ==
              upper, a left-censored row lower = 0, a right-censored row upper = inf.

            For "competing_risks" an event is 0 (censored) or the number of a cause, 1, 2, ... Pass None for a source,
            whose blocks have structured arrays or dicts.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, >= 0.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Known numbers to add to the raw outputs. Predictions need them, too. One number for each row is added to the
            log hazard ("cox", "exponential", "piecewise_exponential", "competing_risks"), to the logit of the hazard
            ("discrete") or to the log time (other distributions).
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
        _check_source(self, X)
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, offsets=(offset, offset_val))

    @available_if(_separates)
    def partial_fit(
        self,
        X: RowsLike,
        y: TimesLike = None,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
    ) -> Self:
        """Make one pass over a block of rows, continuing from the current weights.

        While the first 1,024 rows of a stream come, training starts again each time that their number has doubled, with
        all rows so far. Default learning rates then suit the data.

        It is not available for Cox's likelihood, which compares rows. The first block determines breakpoints that are
        not given.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or source
            Rows. Training makes one pass over the blocks of a source.
        y : structured array, tuple, data frame or dict
            Times, see :meth:`fit`.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, >= 0.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        self : object
            The estimator.
        """
        return self._partial_fit(X, y, sample_weight, offset=offset)

    def score(
        self,
        X: RowsLike,
        y: TimesLike = None,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
    ) -> float:
        """Return Harrell's concordance index of :meth:`predict`.

        For "competing_risks" it is the mean over the causes that have events. Events of other causes count as
        censored.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or source
            Rows.
        y : structured array, tuple, data frame or dict
            Times, see :meth:`fit`.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, >= 0.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        concordance : float
            See :func:`sklearn_vectorflow.metrics.concordance_index`.
        """
        X, y, sample_weight = rows_to_score(self, X, y, sample_weight, offset)
        risk = self.predict(X)
        if risk.ndim == 1:
            return concordance_index(y, risk, sample_weight)
        times = parse(y, len(risk), causes=True)
        self.loss_.check_times(times)
        of_causes = [
            concordance_index((times.cause == cause, times.time), risk[:, int(cause) - 1], sample_weight)
            for cause in np.unique(times.cause[times.event])
        ]
        return float(np.mean(of_causes))

    # ---- weights -------------------------------------------------------------------

    @property
    def intercept_(self) -> Array:
        """Intercepts of a linear model, for times in the unit of y."""
        self._check_linear("intercept_")
        return self.loss_.intercept(self._raw_of_nothing())

    @property
    def shape_(self) -> float:
        """Shape of the distribution, if it is one number."""
        check_is_fitted(self, "network_")
        if not hasattr(self.loss_, "log_shape") or self.loss_.n_constant == 0:
            raise AttributeError("shape_ exists for families with a shape, if shape='constant'.")
        return float(np.exp(self.network_.intercepts()[-1][0]))

    def _baseline(self, name):
        if not hasattr(self.loss_, "baseline_hazard_"):
            raise AttributeError(f"There is no baseline but for 'cox', got distribution={brief(self.distribution)}.")
        return Curve(self.loss_, name, np.zeros(1), self.unique_times_)

    @property
    def cum_baseline_hazard_(self) -> Curve:
        """Breslow's estimate of the cumulative baseline hazard of "cox", as a step function of time."""
        check_is_fitted(self, "network_")
        return self._baseline("cumulative_hazard")

    @property
    def baseline_survival_(self) -> Curve:
        """Baseline survival function of "cox", as a step function of time."""
        check_is_fitted(self, "network_")
        return self._baseline("survival")

    def _names_of_constants(self):
        if hasattr(self.loss_, "log_shape"):
            return ["log_shape"] * self.loss_.n_constant
        intervals = [f"interval {k + 1}" for k in range(self.loss_.n_constant)]
        if not self.loss_.takes_causes:
            return intervals
        size = self.loss_.n_intervals
        return [f"cause {k // size + 1}, {intervals[k % size]}" for k in range(len(intervals))]

    def _labels_of_outputs(self, n):
        if self.loss_.takes_causes and n == self.loss_.n_causes:
            return list(range(1, n + 1))
        return super()._labels_of_outputs(n)

    def _reported(self, raw):
        intercepts, out = self.loss_.intercept(raw), raw[0].copy()
        out[0 if self.loss_.free_intercept else self.loss_.n_outputs - len(intercepts) :][: len(intercepts)] = (
            intercepts
        )
        return out

    def _raw_of_nothing(self):
        """Return the raw outputs of a row without features, of a linear model."""
        return np.concatenate(self.network_.intercepts()).astype(np.float64)[None, :]

    @property
    def _flat_coef(self):
        return self.loss_.n_outputs - self.loss_.n_constant == 1

    # ---- targets ------------------------------------------------------------------

    @property
    def _loss(self):
        return self.loss_ if hasattr(self, "loss_") else self._distribution()

    def _distribution(self):
        """Return the loss that the parameters name."""
        loss = self.distribution
        if isinstance(loss, str):
            check_choice("distribution", loss, DISTRIBUTIONS)
            kind = DISTRIBUTIONS[loss]
            own = kind().get_params()
            for name, given in (("breakpoints", self.breakpoints is not None), ("shape", self.shape != "constant")):
                if given and name not in own:
                    raise ValueError(f"distribution={loss!r} has no {name}, got {name}={brief(getattr(self, name))}.")
            loss = kind(**{name: getattr(self, name) for name in ("breakpoints", "shape") if name in own})
        return resolve("distribution", loss, DISTRIBUTIONS, SurvivalLoss)

    def _check_rows(self, X):
        _check_source(self, X)

    def _check_restored(self):
        super()._check_restored()
        if hasattr(self, "network_"):
            if not isinstance(self.loss_, SurvivalLoss):
                raise ValueError("loss_ is no SurvivalLoss.")
            check_times(self.unique_times_)

    def _check_parameters(self):
        super()._check_parameters()
        if not self._distribution().separates and self.batch_size == 1:
            raise ValueError(
                "batch_size must be at least 2 for Cox's likelihood, which compares the rows of a step, got 1."
            )

    def _n_outputs(self):
        return self.loss_.n_outputs

    def _n_constant(self):
        return self.loss_.n_constant

    def _auto_batch_size(self, n_rows, more):
        if self.loss_.separates:
            return super()._auto_batch_size(n_rows, more)
        return n_rows if n_rows <= WHOLE else BLOCK

    def _n_passes(self, n_rows):
        return 1  # in full batches shapes and scores together would overshoot for many steps

    def _check_targets(self, y, n_rows):
        loss = self._distribution()
        loss.check_times(parse(y, n_rows, all_censored=True, causes=loss.takes_causes))

    def _encode(self, y, n_rows, *, reset):
        loss = self._distribution() if reset else self.loss_
        times = parse(y, n_rows, all_censored=not reset, causes=loss.takes_causes)
        loss.check_times(times)
        if reset:
            loss = loss.prepared(times)
            self._learn_times(loss, times)
        return loss.encode(times)

    def _learn_times(self, loss, times):
        """Take over a loss and the times that it was prepared for."""
        self.loss_ = loss
        self.unique_times_ = _some_times(times.time[times.time > 0])

    def _collector(self, classes, reset):
        return TimesCollector(self, self._distribution() if reset else self.loss_, reset)

    def _begun(self, data):
        self.loss_ = loss = self.loss_.for_blocks()
        data.encoded = loss.widened(data.encoded)
        return super()._begun(data)

    def _strata(self, data):
        kinds = data.encoded[:, 0]
        return kinds if np.unique(kinds, return_counts=True)[1].min() > 1 else None

    def _initial_raw(self, data):
        return self.loss_.initial_raw(data.encoded, data.weight)

    def _finish(self, data):
        if self.loss_.separates:
            return
        with Crew(self._n_workers(data, self.network_)) as crew:
            raw = data.with_offset(raw_outputs(self.network_, data.matrix, crew))
        loss = copy.copy(self.loss_)  # goes on from an earlier fit's, which is in use until this one is over
        loss.finish(data.encoded, raw, data.weight)
        self.loss_ = loss
