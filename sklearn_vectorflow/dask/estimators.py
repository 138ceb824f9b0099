"""Estimators on Dask."""

import functools
import inspect
from typing import Any, Self

from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow.cluster.fit import PartsFit
from sklearn_vectorflow.cluster.parts import joined, joined_groups, values_of
from sklearn_vectorflow.dask.executor import Cluster, stepping_aside
from sklearn_vectorflow.dask.inputs import Encoded, is_spread, note_failed, parts_of
from sklearn_vectorflow.dask.prediction import predicted, raw_of_part
from sklearn_vectorflow.estimators.callbacks import with_callbacks
from sklearn_vectorflow.estimators.classifier import VectorFlowClassifier
from sklearn_vectorflow.estimators.ranker import VectorFlowRanker, _queries
from sklearn_vectorflow.estimators.regressor import VectorFlowRegressor
from sklearn_vectorflow.estimators.survival import VectorFlowSurvivalEstimator, _check_source
from sklearn_vectorflow.io.source import Source
from sklearn_vectorflow.network.forward import RawOutputs
from sklearn_vectorflow.validation.types import FilePath

OF_DASK = {"client", "_encoder"}  # attributes that a local estimator has not
PREDICTING = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "predict_raw",
    "predict_top_k",
    "predict_quantile",
    "predict_median",
    "predict_expectation",
    "predict_survival_function",
    "predict_cumulative_hazard_function",
    "decision_function",
    "transform",
)


def _with_keyword(function, local, keyword):
    """Return a function with the signature of a local one and one keyword more, as scikit-learn reads it."""
    own = inspect.signature(local)
    parameters = dict(own.parameters)
    parameters[keyword] = inspect.Parameter(keyword, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Any)
    if "y" in parameters:  # rows that are spread may bring their own
        parameters["y"] = parameters["y"].replace(default=None)
    function.__signature__ = own.replace(parameters=list(parameters.values()))
    return function


def _init_with_client(local):
    @functools.wraps(local.__init__)
    def __init__(self, *args, client=None, **kwargs):
        local.__init__(self, *args, **kwargs)
        self.client = client

    return _with_keyword(__init__, local.__init__, "client")


def _fit_with_encoder(local):
    @functools.wraps(SpreadRowsMixin.fit)
    def fit(self, *args, **kwargs):
        return SpreadRowsMixin.fit(self, *args, **kwargs)

    return _with_keyword(fit, local.fit, "encoder")


def _on_spread_rows(kind, local, name):
    member = inspect.getattr_static(local, name)
    function = getattr(member, "fn", member)

    @functools.wraps(function)
    def method(self, X, *args, **kwargs):
        if is_spread(X) and not isinstance(X, Source):
            check_is_fitted(self, "network_")
            return predicted(self.to_local(), name, X, self._encoder_of(X), args, kwargs)
        return getattr(super(kind, self), name)(X, *args, **kwargs)

    if function is member:
        return method
    return available_if(lambda self: callable(getattr(super(kind, self), name)))(method)  # whose error says why not


class DaskMixin:
    """What the estimators on Dask share: training over parts, and predictions for them.

    A class that names its local estimator, as `_local`, gets the parameters of that one and `client`, and methods that
    take rows that are spread.
    """

    _local: type
    _sizes = False  # whether the fourth entry of a part of a list says how many rows each of its queries has

    def __init_subclass__(cls, **options: Any) -> None:
        if "_local" in vars(cls):
            cls.__init__ = _init_with_client(cls._local)  # type: ignore[method-assign]
            for name in PREDICTING:
                if name in dir(cls._local):
                    setattr(cls, name, _on_spread_rows(cls, cls._local, name))
        super().__init_subclass__(**options)

    def to_local(self) -> Any:
        """Return a local estimator with the same parameters, fitted if this one is. It does not need Dask.

        Returns
        -------
        model : estimator
            The local estimator.
        """
        model = self._as_local()
        if hasattr(self, "network_"):
            model.network_ = self.network_.copy()
        return model

    def save(self, path: FilePath, **options: Any) -> None:
        """Save the local estimator of :meth:`to_local`, see its method ``save``."""
        self.to_local().save(path, **options)

    def _as_local(self) -> Any:
        """Return a local estimator with the same attributes."""
        model: Any = object.__new__(self._local)
        vars(model).update({name: value for name, value in vars(self).items() if name not in OF_DASK})
        return model

    def _encoder_of(self, X):
        """Return what makes rows of data frames; other rows are what they are."""
        return None if hasattr(X, "chunks") else getattr(self, "_encoder", None)

    def _fit_here(
        self, X, y, sample_weight, X_val, y_val, sample_weight_val, groups, groups_val, offsets, initial, task
    ):
        if not is_spread(X.X):
            if X.encoder is not None:
                raise ValueError("encoder needs rows that are spread, such as a dask data frame; encode X before.")
            rows = X.X, y, sample_weight, X_val, y_val, sample_weight_val, groups, groups_val
            return super()._fit_here(*rows, offsets, initial, task)
        if any(one is not None for one in initial):
            raise ValueError("coef_init and intercept_init must be None for rows that are spread; use warm_start.")
        self._check_parameters()
        if X_val is None and any(one is not None for one in (y_val, sample_weight_val, groups_val, offsets[1])):
            raise ValueError("y_val, sample_weight_val and offset_val need X_val.")
        if X_val is None and self.early_stopping and self.early_stopping != "auto":
            raise ValueError("early_stopping on rows that are spread needs X_val.")
        with stepping_aside():
            held_out = X_val, y_val, sample_weight_val, groups_val, offsets[1]
            self._fit_parts(X, (y, sample_weight, groups, offsets[0]), held_out, task)

    def _fit_parts(self, X, beside, held_out, task):
        draft = self._as_local()
        with Cluster(self.client) as cluster:
            self._fit_on(cluster, draft, X, beside, held_out, task)
        for name in vars(self).keys() - vars(draft).keys() - OF_DASK:  # of another fit
            del vars(self)[name]
        vars(self).update(vars(draft))
        self._encoder = X.encoder

    @staticmethod
    def _fit_on(cluster, draft, X, beside, held_out, task):
        def validation(fit):
            if held_out[0] is None:
                return None
            if not is_spread(held_out[0]):
                return draft._validation(fit.sample_here, *held_out)
            given[" of X_val"] = parts_of(
                cluster, Encoded(held_out[0], X.encoder, X.sizes), *held_out[1:], suffix="_val"
            )
            return given[" of X_val"]

        given = {"": parts_of(cluster, X, *beside)}
        try:
            PartsFit(draft, given[""], cluster, validation).run(task)
        except Exception as error:
            note_failed(error, given)
            raise

    def _raw_of_all(self, X, y, sample_weight, groups=None, offset=None):
        """Return raw outputs, targets, weights and groups of rows that are spread, here."""
        with Cluster(self.client) as cluster:
            parts = parts_of(cluster, Encoded(X, self._encoder_of(X), self._sizes), y, sample_weight, groups, offset)
            holder = cluster.constant(self.to_local())
            found = [cluster.submit(raw_of_part, holder, k, *values_of(part)) for k, part in enumerate(parts)]
            found = [block for blocks in cluster.result(found) for block in blocks]
        if not found:
            raise ValueError("There are no rows: all parts are empty.")
        raw, targets, weights, groups = zip(*found)
        return RawOutputs(joined(raw), None, None), joined(targets), joined(weights), joined_groups(groups)

    def __sklearn_clone__(self):
        bare = object.__new__(type(self))
        vars(bare).update(vars(self), client=None)
        new = BaseEstimator.__sklearn_clone__(bare)
        new.client = self.client
        return new

    def __getstate__(self):
        return {**super().__getstate__(), "client": None}


class SpreadRowsMixin(DaskMixin):
    """`fit` and `score` of those whose rows need not be of queries."""

    def __init_subclass__(cls, **options: Any) -> None:
        if "_local" in vars(cls):
            cls.fit = _fit_with_encoder(cls._local)  # type: ignore[method-assign]
        super().__init_subclass__(**options)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, encoder: Any = None, **options: Any) -> Self:
        """Fit to rows that are distributed over a cluster.

        Parameters
        ----------
        X : dask array, dask data frame, list or source; or what the local estimator takes
            Rows. Blocks of a dask array are ``csr_matrix``, ``csr_array`` or dense, of known or unknown length. A list
            has delayed values or futures of ``(X, y)``, ``(X, y, weight)``, ``(X, y, weight, group)`` or ``(X, y,
            weight, group, offset)``. Workers read the parts of a source themselves, so only paths are sent.
        y, sample_weight : dask array, series or array, default=None
            Targets and weights, with the same partitions as X. None for a list or a source, whose parts include them.
        encoder : transformer, default=None
            Transformer that encodes the parts of a data frame on the workers. It must be stateless or fitted, such as
            :class:`~sklearn_vectorflow.preprocessing.HashingEncoder`.
        **options : object
            Other parameters of ``fit`` of the local estimator, in memory or distributed: `offset`, validation rows
            `X_val`, `y_val`, `sample_weight_val` and `offset_val` and, for losses of groups of rows, `groups` and
            `groups_val`. A part must contain whole groups. Pass the logarithm of an exposure as an offset.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If a parameter or the data are invalid, or if training diverges. Errors in a part name the part.
        """
        self._check_rows(X)
        for name in ("exposure", "exposure_val"):
            if options.get(name) is not None:
                raise ValueError(f"{name} must be None on Dask: give its logarithm as an offset.")
        return super().fit(Encoded(X, encoder), y, sample_weight, **options)  # type: ignore[misc]

    def _check_rows(self, X):
        """Raise if X is of a kind that the local estimator refuses."""

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, *, offset: Any = None) -> float:
        """Return the score of rows in memory or distributed, see the local estimator."""
        if is_spread(X) and not isinstance(X, Source):
            X, y, sample_weight, _ = self._raw_of_all(X, y, sample_weight, offset=offset)
            offset = None
        return super().score(X, y, sample_weight, offset=offset)  # type: ignore[misc]


_PARAMETERS = """
    It has the parameters of :class:`~sklearn_vectorflow.{local}` and `client`.

    Parameters
    ----------
    client : distributed.Client, default=None
        Client that runs the tasks. None means the current client.
    **params
        All parameters of :class:`~sklearn_vectorflow.{local}`. With ``n_jobs=None`` a task trains on one thread, and a
        worker with several threads trains several parts at once. The result then depends on the parts and on
        `random_state`, but not on the workers.

    See Also
    --------
    sklearn_vectorflow.{local} : The estimator for one process.
"""


class DaskVectorFlowClassifier(SpreadRowsMixin, VectorFlowClassifier):
    __doc__ = "Linear and shallow-net classifier for extremely sparse rows, on Dask.\n" + _PARAMETERS.format(
        local="VectorFlowClassifier"
    )
    _local = VectorFlowClassifier


class DaskVectorFlowRegressor(SpreadRowsMixin, VectorFlowRegressor):
    __doc__ = "Linear and shallow-net regressor for extremely sparse rows, on Dask.\n" + _PARAMETERS.format(
        local="VectorFlowRegressor"
    )
    _local = VectorFlowRegressor


class DaskVectorFlowRanker(DaskMixin, VectorFlowRanker):
    __doc__ = "Linear and shallow-net ranker for extremely sparse rows, on Dask.\n" + _PARAMETERS.format(
        local="VectorFlowRanker"
    )
    _local = VectorFlowRanker
    _sizes = True

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        qid: Any = None,
        group: Any = None,
        offset: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        qid_val: Any = None,
        group_val: Any = None,
        offset_val: Any = None,
        encoder: Any = None,
    ) -> Self:
        """Fit to rows that are distributed over a cluster.

        Parameters
        ----------
        X : dask array, dask data frame, list or source; or what the local estimator takes
            Rows. Blocks of a dask array are ``csr_matrix``, ``csr_array`` or dense, of known or unknown length. A list
            has delayed values or futures of ``(X, y)``, ``(X, y, weight)``, ``(X, y, weight, group)`` or ``(X, y,
            weight, group, offset)``.
        y, sample_weight : dask array, series or array, default=None
            Targets and weights, with the same partitions as X. None for a list or a source, whose parts include them.
        qid : dask array or array, default=None
            Query of each row, with the same partitions as X. A part must contain whole queries.
        group : array-like, default=None
            Sizes of the queries, for rows in memory. Parts of a list include the sizes of their queries.
        offset : dask array or array, default=None
            Added to the raw outputs, with the same partitions as X. None for a list or a source, whose parts include
            it.
        X_val, y_val, sample_weight_val, qid_val, group_val, offset_val : as for training, default=None
            Validation queries, in memory or distributed.
        encoder : transformer, default=None
            Transformer that encodes the parts of a data frame on the workers. It must be stateless or fitted, such as
            :class:`~sklearn_vectorflow.preprocessing.HashingEncoder`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If a parameter or the data are invalid, or if training diverges. Errors in a part name the part.
        """
        if not is_spread(X):
            qid = _queries(y, qid, group)
        elif group is not None:
            raise ValueError(
                "group must be None where rows are spread: give qid, or a list of parts with their groups."
            )
        if group_val is not None:
            if is_spread(X_val):
                raise ValueError("group_val must be None where validation rows are spread: give qid_val.")
            qid_val = _queries(y_val, qid_val, group_val, "_val")
        X = Encoded(X, encoder, self._sizes)
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, qid, qid_val, (offset, offset_val))

    def score(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        qid: Any = None,
        group: Any = None,
        k: int | None = None,
        offset: Any = None,
    ) -> float:
        """Return the mean NDCG of queries in memory or distributed, see the local estimator."""
        if is_spread(X):
            X, y, sample_weight, qid = self._raw_of_all(X, y, sample_weight, qid, offset)
            offset = None
        return super().score(X, y, sample_weight, qid=qid, group=group, k=k, offset=offset)


class DaskVectorFlowSurvivalEstimator(SpreadRowsMixin, VectorFlowSurvivalEstimator):
    __doc__ = (
        "Linear and shallow-net models of times to an event, for extremely sparse rows, on Dask.\n"
        + _PARAMETERS.format(local="VectorFlowSurvivalEstimator")
    )
    _local = VectorFlowSurvivalEstimator

    def _check_rows(self, X):
        if isinstance(X, Source) or not is_spread(X):
            _check_source(self, X)
