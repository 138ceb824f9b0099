"""Ranking of sparse rows within queries."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d

from sklearn_vectorflow.estimators.base import BaseVectorFlow
from sklearn_vectorflow.estimators.callbacks import with_callbacks
from sklearn_vectorflow.estimators.coefficients import LinearModelMixin
from sklearn_vectorflow.estimators.node_features import NodeFeaturesMixin
from sklearn_vectorflow.estimators.parameters import loss_of
from sklearn_vectorflow.layers import Node
from sklearn_vectorflow.losses import RANKING_LOSSES, Loss, RankingLoss
from sklearn_vectorflow.losses.functions import RankingFunction
from sklearn_vectorflow.metrics.ranking import mean_ndcg
from sklearn_vectorflow.network.forward import raw_outputs
from sklearn_vectorflow.optimizers import Optimizer
from sklearn_vectorflow.penalties import Penalty
from sklearn_vectorflow.validation.arrays import check_length
from sklearn_vectorflow.validation.errors import brief, naming
from sklearn_vectorflow.validation.scalars import check_integer
from sklearn_vectorflow.validation.types import ActivationName, Array, MatrixLike, RandomState, Solver

OF_QUERY = 0.03  # of what a query tells about the weights along its rows, which the prior has
OF_LOSS = 8.0  # times the typical loss of a likelihood


class VectorFlowRanker(LinearModelMixin, NodeFeaturesMixin, BaseVectorFlow):
    """Linear and shallow-net ranker for extremely sparse rows.

    The model learns scores that put the more relevant rows of a query first. :meth:`fit` takes queries as the rankers
    of LightGBM and XGBoost do, as `qid` or `group`. Each mini-batch consists of whole queries, and the loss is the mean
    over queries. The cost of a step depends on the non-zeros of its rows, not on the number of columns.

    The parameters by purpose:

    - Model: `hidden_layer_sizes`, `activation`, `dropout`, `input_dropout`, `network`, `fit_intercept`.
    - Objective: `loss`, `alpha`, `l1_ratio`, `penalty`.
    - Optimization: `optimizer`, `learning_rate`, `batch_size`, `shuffle`, `average`, `solver`, `exact_tol`,
      `exact_max_iter`.
    - Stopping: `max_iter`, `tol`, `early_stopping`, `validation_fraction`, `n_iter_no_change`, `eval_at`.
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
        Graph of layers, see :mod:`sklearn_vectorflow.layers`: its output node, which returns the scores. It replaces
        `hidden_layer_sizes`, `activation` and `dropout`.
    loss : str, RankingLoss or callable, default="lambdarank"
        Loss function: "lambdarank", "pairwise_logistic", "warp", an object of :mod:`sklearn_vectorflow.losses`, or a
        function ``f(y, raw, sample_weight, starts) -> (loss, gradient)`` of a block of queries. `starts` holds the
        first row of each query and, at the end, the number of rows.
    optimizer : {"auto", "adagrad", "adam", "ftrl", "sgd"} or Optimizer, default="auto"
        Update rule, see :mod:`sklearn_vectorflow.optimizers`. "auto" is FTRL for linear models without averaging and
        AdaGrad otherwise.
    learning_rate : float, default=None
        Learning rate, > 0. It overrides that of the optimizer. None keeps the optimizer's own, which AdaGrad and FTRL
        derive from the data by default.
    alpha : float, default=None
        Strength, >= 0, of the penalty on the mean loss. Intercepts are not penalised. None derives it from the data
        (see the user guide), for nets layer by layer. It is 0 in `partial_fit`.
    l1_ratio : float, default=0.0
        Share of L1 in the penalty, in [0, 1]. The rest is L2.
    penalty : Penalty or list of Penalty, default=None
        Penalties of :mod:`sklearn_vectorflow.penalties`, in place of `alpha` and `l1_ratio`.
    fit_intercept : bool, default=True
        Whether layers have intercepts. That of the last layer shifts all scores alike.
    batch_size : int or "auto", default="auto"
        Maximum number of rows in a mini-batch, which consists of whole queries and of at least one. "auto" is one
        query, or all queries if `fit` gets at most 64 rows.
    max_iter : int, default=20
        Maximum number of epochs (passes over the training rows).
    tol : float, default=5e-3
        Training stops when the loss has not fallen by more than `tol` times the typical loss (see the user guide) for
        `n_iter_no_change` epochs. None trains for `max_iter` epochs.
    early_stopping : bool or "auto", default="auto"
        Whether the loss of validation queries ends training instead of the training loss. Of `X_val`, or of 10,000
        held-out queries or more, the weights of the best epoch are kept. With fewer held-out queries, a new model then
        trains on all of them for the best number of epochs. "auto" stops early if the model is a net, `max_iter` is at
        least 8, `tol` is not None, and the first layer has many weights: a tenth of the number of queries if there are
        at least 10,000, ten times that number if there are at least 1,000.
    validation_fraction : float, default=0.1
        Fraction of the queries, in (0, 1), that early stopping holds out if `fit` gets no `X_val`.
    n_iter_no_change : int, default=2
        Number of epochs without improvement after which training stops.
    shuffle : bool, default=True
        Whether to shuffle the queries before each epoch.
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
        "sgd" trains by stochastic steps; "auto" is the same. "exact" raises ValueError, as Newton steps are not
        available for losses of groups.
    exact_tol : float, default=1e-8
        Tolerance of ``solver="exact"``. It stops when the norm of the projected gradient, relative to that of a model
        without weights, is at most this. The norm scales each coordinate by its curvature.
    exact_max_iter : int, default=100
        Maximum number of Newton steps of ``solver="exact"``.
    eval_at : int or tuple of int, default=()
        Ranks k at which to compute the NDCG of the validation queries after each epoch, see `validation_ndcg_`.
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
    coef_ : ndarray of shape (n_features,)
        Weights of a linear model, as a view. Sparse after :meth:`sparsify`.
    intercept_ : ndarray of shape (1,)
        Intercept of a linear model.
    network_ : Network
        Fitted net: layers, shapes and weights.
    coefs_, intercepts_ : list of ndarray
        Weights, of shape (n_in, n_out), and intercepts, of shape (n_out,), of each linear layer, as views.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X was a data frame with string column names.
    n_iter_ : int
        Number of epochs. If early stopping holds out queries, this and the lists below are of the models without these
        queries.
    loss_curve_ : list of float
        Mean training loss of each epoch over queries, without the penalty. The loss of a query is computed before its
        own step.
    best_loss_ : float
        Minimum of `loss_curve_`.
    validation_scores_ : list of float
        Negative mean loss on the validation queries after each epoch, if there are validation queries.
    best_validation_score_ : float
        Maximum of `validation_scores_`.
    validation_ndcg_ : dict of int to list of float
        Mean NDCG@k of the validation queries after each epoch, for each k of `eval_at`, if there are validation
        queries.

    References
    ----------
    Burges (2010), "From RankNet to LambdaRank to LambdaMART: an overview", Microsoft Research Technical Report
    MSR-TR-2010-82.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sklearn_vectorflow import VectorFlowRanker
    >>> X = sparse.random_array((1000, 50), density=0.1, rng=0, format="csr")
    >>> y = np.digitize(X @ np.arange(50), [100, 150, 200])
    >>> qid = np.repeat(np.arange(100), 10)
    >>> VectorFlowRanker(random_state=0).fit(X, y, qid=qid).score(X, y, qid=qid) > 0.9
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (),
        activation: ActivationName = "relu",
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        network: Node | Sequence[Node] | None = None,
        loss: str | Loss | Callable[..., Any] = "lambdarank",
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
        eval_at: int | Sequence[int] = (),
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
        self.eval_at = eval_at
        self.half_life = half_life
        self.grow = grow

    @with_callbacks
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        qid: ArrayLike | None = None,
        group: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        X_val: MatrixLike = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        qid_val: ArrayLike | None = None,
        group_val: ArrayLike | None = None,
        offset_val: ArrayLike | None = None,
    ) -> Self:
        """Fit to training queries.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Training rows. `fit` reads CSR of float32 or float64 in place and converts other formats. If a column occurs
            twice in a row, its values are added.
        y : array-like of shape (n_rows,)
            Relevance of each row to its query, >= 0.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, >= 0, usually equal within a query.
        qid : array-like of shape (n_rows,), default=None
            Query of each row. The rows of a query must be contiguous.
        group : array-like of shape (n_queries,), default=None
            Number of rows of each query, in order, in place of `qid`.
        offset : array-like of shape (n_rows,), default=None
            Known numbers to add to the scores, such as the scores of another model. Predictions need them, too.
        X_val, y_val, sample_weight_val, qid_val, group_val, offset_val : as for training, default=None
            Validation queries for `early_stopping` and `validation_scores_`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If a parameter or the data are invalid, or if training diverges. The estimator then stays unchanged.
        """
        qid = _queries(y, qid, group)
        if group_val is not None:
            if X_val is None:
                raise ValueError("group_val needs X_val.")
            qid_val = _queries(y_val, qid_val, group_val, "_val")
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, qid, qid_val, (offset, offset_val))

    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        qid: ArrayLike | None = None,
        group: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> Self:
        """Make one pass over a block of queries, continuing from the current weights.

        While the first 1,024 rows of a stream come, training starts again each time that their number has doubled, with
        all rows so far. Default learning rates then suit the data.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        y : array-like of shape (n_rows,)
            Relevance of each row to its query, >= 0.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, >= 0.
        qid, group : array-like, default=None
            Queries, as in :meth:`fit`.
        offset : array-like of shape (n_rows,), default=None
            Added to the scores, as in :meth:`fit`.

        Returns
        -------
        self : object
            The estimator.
        """
        return self._partial_fit(X, y, sample_weight, _queries(y, qid, group), offset=offset)

    def predict(self, X: MatrixLike, *, offset: ArrayLike | None = None) -> Array:
        """Return scores. Within a query, rows with higher scores come first.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        offset : array-like of shape (n_rows,), default=None
            Added to the scores, as in :meth:`fit`.

        Returns
        -------
        score : ndarray of shape (n_rows,)
        """
        return self._raw(X, offset)[:, 0]

    def score(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        qid: ArrayLike | None = None,
        group: ArrayLike | None = None,
        k: int | None = None,
        offset: ArrayLike | None = None,
    ) -> float:
        """Return the mean NDCG of the queries.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        y : array-like of shape (n_rows,)
            Relevance of each row to its query, >= 0.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, >= 0. The weight of a query is the mean of those of its rows.
        qid, group : array-like, default=None
            Queries, as in :meth:`fit`.
        k : int, default=None
            Number of top-ranked rows of each query to count. None counts all.
        offset : array-like of shape (n_rows,), default=None
            Added to the scores, as in :meth:`fit`.

        Returns
        -------
        ndcg : float
            See :func:`sklearn_vectorflow.metrics.mean_ndcg`.
        """
        check_is_fitted(self, "network_")
        score = self.predict(X, offset=offset)
        return mean_ndcg(y, score, _queries(y, qid, group), k=k, sample_weight=sample_weight)

    # ---- targets ------------------------------------------------------------------

    _single_target = True
    _groups_name = "qid"

    @property
    def _loss(self):
        return loss_of(self.loss, RANKING_LOSSES, RankingLoss, RankingFunction)

    def _n_outputs(self):
        return 1

    def _check_parameters(self):
        super()._check_parameters()
        _ = self._loss  # raises unless the loss makes sense
        for k in self._ranks:
            check_integer("eval_at", k, 1)

    @property
    def _ranks(self):
        """The numbers of `eval_at`."""
        several = isinstance(self.eval_at, (list, tuple)) or isinstance(self.eval_at, np.ndarray) and self.eval_at.ndim
        return self.eval_at if several else (self.eval_at,)

    def _forget_validation(self):
        super()._forget_validation()
        vars(self).pop("validation_ndcg_", None)

    def _note_validation(self, pairs, crew):
        if not len(self._ranks):
            return
        if not hasattr(self, "validation_ndcg_"):
            self.validation_ndcg_ = {int(k): [] for k in self._ranks}
        scores = [self._ndcg_of(network, validation, crew) for network, validation in pairs]
        for k, found in self.validation_ndcg_.items():
            found.append(float(np.mean([score[k] for score in scores])))

    def _ndcg_of(self, network, validation, crew):
        """Return the mean NDCG of validation queries at each rank."""
        score = validation.with_offset(raw_outputs(network, validation.matrix, crew))[:, 0]
        qid = np.repeat(np.arange(validation.n_terms), np.diff(validation.starts))
        y, weight = validation.encoded[:, 0], validation.weight
        return {k: mean_ndcg(y, score, qid, k=k, sample_weight=weight) for k in self.validation_ndcg_}

    def _encode(self, y, n_rows, *, reset):
        with naming("y"):
            y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
        y = column_or_1d(y, warn=True)
        check_length("y", len(y), n_rows)
        self._loss.check_y(y)
        return np.ascontiguousarray(y)[:, None]

    def _adjusted(self, scales, is_linear):
        """Hold weights closer and stop sooner: losses of pairs stand for a measure of ranks, and overfit it first."""
        return replace(scales, prior=OF_QUERY * scales.loss * scales.length**2, loss=OF_LOSS * scales.loss)

    def _initial_raw(self, data):
        return np.zeros(1)


def _queries(y, qid, group, of=""):
    """Return the query of every row, from either of the ways to tell it."""
    if (qid is None) == (group is None):
        given = "both" if group is not None else "neither"
        raise ValueError(
            f"Ranking needs qid{of}, the query of every row, or group{of}, the sizes of the queries; got {given}."
        )
    if group is None:
        return qid
    sizes = _sizes(group)
    n_rows = 0 if y is None else len(y)
    if sizes.sum() != n_rows:
        raise ValueError(
            f"group{of} must be the sizes of the queries, which add up to the {n_rows} rows of y{of}, got a sum of "
            f"{sizes.sum()}: {brief(group)}."
        )
    return np.repeat(np.arange(len(sizes)), sizes)


def _sizes(group):
    """Return the sizes of queries as integers."""
    try:
        sizes = np.asarray(group)
    except ValueError:  # lists of lists
        sizes = np.array("")
    fit = sizes.ndim == 1 and sizes.dtype.kind in "iuf" and np.all((sizes >= 0) & (sizes < 2**62))
    if not fit or np.any(sizes != np.trunc(sizes)):
        raise ValueError(f"group must be a list of integers >= 0, the sizes of the queries, got {brief(group)}.")
    return sizes.astype(np.int64)
