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

    It learns scores that put the more relevant rows of a query first. Queries are given as
    LightGBM's and XGBoost's rankers have them: by `qid`, or by `group`. A step takes whole
    queries, and the loss is the mean over queries.

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
        A graph of layers, see :mod:`sklearn_vectorflow.layers`: its output node gives the scores.
        It takes the place of `hidden_layer_sizes`, `activation` and `dropout`.
    loss : str, RankingLoss or callable, default="lambdarank"
        "lambdarank", "pairwise_logistic", "warp", an object of
        :mod:`sklearn_vectorflow.losses`, or a function
        ``f(y, raw, sample_weight, starts) -> (loss, gradient)`` of a block of queries, where
        `starts` are the rows at which queries start and, last, the number of rows.
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
        Whether layers have intercepts. The last one shifts all scores alike.
    batch_size : int or "auto", default="auto"
        A step takes as many queries as have at most so many rows together, or one query.
        "auto" is one query (and all of a data set of at most 64 rows).
    max_iter : int, default=20
        Largest number of passes over the data (epochs).
    tol : float, default=5e-3
        Training stops when the loss has not fallen by more than this share of the typical loss
        (see the user guide) for `n_iter_no_change` epochs; None never stops before `max_iter`.
    early_stopping : bool or "auto", default="auto"
        Whether to watch the loss on validation queries in place of the training loss, and to
        keep the weights of the best epoch. "auto" does so for nets that are trained on at least 10,000 queries,
        and whose first layer has at least a tenth as many weights (or 1,000, and ten times as many), if `max_iter`
        is 8 or more and `tol` is not None.
    validation_fraction : float, default=0.1
        Share of the queries set aside for early stopping where no `X_val` is given.
    n_iter_no_change : int, default=2
        Epochs without progress before training stops.
    shuffle : bool, default=True
        Whether queries are shuffled anew for every epoch.
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
        How far :meth:`fit` goes. "sgd" stops after the epochs of stochastic steps; "exact" goes on from there by
        Newton steps over all rows, which losses of groups do not have yet: it raises ValueError. "auto" is "sgd".
    exact_tol : float, default=1e-8
        Where ``solver="exact"`` ends: the norm of the projected gradient relative to that of a model without
        weights, each coordinate in the unit that its curvature gives it.
    exact_max_iter : int, default=100
        Largest number of Newton steps of ``solver="exact"``.
    eval_at : int or tuple of int, default=()
        Ranks k up to which the NDCG of the validation queries is measured after each epoch, see `validation_ndcg_`.
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
    coef_ : ndarray of shape (n_features,)
        Weights of a linear model; a view. Sparse after :meth:`sparsify`.
    intercept_ : ndarray of shape (1,)
        Intercept of a linear model.
    network_ : Network
        The fitted net: layers, shapes and weights.
    coefs_, intercepts_ : list of ndarray
        Weights, shape (n_in, n_out), and intercepts, shape (n_out,), of every linear layer; views.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if X was a data frame with string columns.
    n_iter_ : int
        Epochs trained.
    loss_curve_ : list of float
        Mean training loss of each epoch, over queries, each before its own step, without penalty.
    best_loss_ : float
        The lowest of `loss_curve_`.
    validation_scores_ : list of float
        Negative mean loss on the validation queries after each epoch, if there were any.
    best_validation_score_ : float
        The highest of `validation_scores_`, if there are any.
    validation_ndcg_ : dict of int to list of float
        For each k of `eval_at`, the mean NDCG@k of the validation queries after each epoch, if there were any.

    References
    ----------
    Burges (2010), "From RankNet to LambdaRank to LambdaMART: an overview".

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
            Training rows. CSR of float32 or float64 is read in place, other formats are
            converted. A column that occurs twice in a row counts as the sum.
        y : array-like of shape (n_rows,)
            Relevance of every row to its query, >= 0.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, >= 0; usually the same for all rows of a query.
        qid : array-like of shape (n_rows,), default=None
            Query of every row. Rows of a query stand together.
        group : array-like of shape (n_queries,), default=None
            In place of qid: how many rows each query has, in order.
        offset : array-like of shape (n_rows,), default=None
            Known numbers that are added to the scores, in training and in predictions, such as those of another model.
        X_val, y_val, sample_weight_val, qid_val, group_val, offset_val : like those of training, default=None
            Validation queries for `early_stopping` and `validation_scores_`.

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
        """Train on one block of queries, once.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        y : array-like of shape (n_rows,)
            Relevance of every row to its query, >= 0.
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
        """Return scores: within a query, the higher come first.

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
            Relevances.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, >= 0; a query has the mean of its rows' weights.
        qid, group : array-like, default=None
            Queries, as in :meth:`fit`.
        k : int, default=None
            How many of the first rows of a query count; None is all.
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

    def _train(self, network, start, data, validation, task):
        vars(self).pop("validation_ndcg_", None)  # of another fit
        return super()._train(network, start, data, validation, task)

    def _note_validation(self, network, validation, crew):
        if not len(self._ranks):
            return
        if not hasattr(self, "validation_ndcg_"):
            self.validation_ndcg_ = {int(k): [] for k in self._ranks}
        score = validation.with_offset(raw_outputs(network, validation.matrix, crew))[:, 0]
        qid = np.repeat(np.arange(validation.n_terms), np.diff(validation.starts))
        for k, found in self.validation_ndcg_.items():
            found.append(mean_ndcg(validation.encoded[:, 0], score, qid, k=k, sample_weight=validation.weight))

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
