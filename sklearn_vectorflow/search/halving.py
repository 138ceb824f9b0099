"""Successive halving that continues the training of the candidates that it keeps."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter, signature
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.metrics import check_scoring
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, indexable

from sklearn_vectorflow.io.source import is_source, source_name
from sklearn_vectorflow.search.fits import (
    Fit,
    Rows,
    candidate,
    finished,
    splits_of,
    warn_of_failures,
    warn_of_scores,
)
from sklearn_vectorflow.search.rounds import candidates_of, check_n_candidates, ranks_of, rounds_of
from sklearn_vectorflow.search.side_by_side import trained_by
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.scalars import check_flag, check_integer, check_number
from sklearn_vectorflow.validation.types import Array, RandomState, RowsLike, TargetLike


def _best_has(name):
    def check(search):
        getattr(search.best_estimator_ if hasattr(search, "best_estimator_") else search.estimator, name)
        return True

    return check


class VectorFlowSearchCV(MetaEstimatorMixin, BaseEstimator):
    """Search over parameters by successive halving, in which training continues from round to round.

    The first round trains all candidates for a few epochs. The best of them, a share of 1 / `factor`, continue from
    their weights and the state of the optimizer until they have had `factor` times as many epochs, and so on.
    scikit-learn's ``HalvingGridSearchCV`` with the resource ``max_iter`` clones the candidates, and repeats all epochs
    in each round.

    Parameters
    ----------
    estimator : estimator
        Estimator with the parameters `max_iter`, a number of epochs, and `warm_start`, like those of this package.
    param_distributions : dict or list of dict
        Names of parameters, and lists of values or distributions with a method ``rvs``.
    n_candidates : int or "all", default="all"
        Number of candidates to draw. "all" takes the whole grid.
    factor : int, default=3
        The best 1 / `factor` of the candidates continue, for `factor` times as many epochs. >= 2.
    min_epochs : int, default=1
        Number of epochs after the first round.
    max_epochs : int, default=None
        Number of epochs after the last round. None means `max_iter` of the estimator.
    cv : int, splitter, iterable or None, default=None
        Cross-validation splits, as in ``GridSearchCV``. None holds out one random part of the rows.
    validation_fraction : float, default=0.1
        Share of the rows in the held-out part if `cv` is None.
    scoring : str, callable or None, default=None
        A single score, as in ``GridSearchCV``. None means the method ``score`` of the estimator.
    refit : bool, default=True
        Whether to train the best candidate on all rows at the end. Otherwise, or if `fit` gets `X_val`,
        `best_estimator_` is the model of the search, on the first split.
    n_jobs : int, default=None
        Number of fits to run at the same time, through joblib. If X is a source, these are threads that train on the
        same rows; if there are several, each fit uses one thread.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws of candidates and of held-out rows.
    verbose : int, default=0
        If not 0, each round prints a line.
    error_score : "raise" or float NaN, default=NaN
        What to do if a fit raises a ValueError, for instance because training diverges: raise it, or warn and drop the
        candidate.

    Attributes
    ----------
    best_estimator_ : estimator
        The best model.
    best_params_ : dict
        Parameters of the best candidate.
    best_score_ : float
        Mean score of the best candidate over the splits, after the last round.
    best_index_ : int
        Index of the best candidate in `cv_results_`.
    cv_results_ : dict of ndarray
        One entry per candidate: ``params``, ``param_*``, ``n_epochs`` (epochs trained), the scores after these epochs
        (``split*_test_score``, ``mean_test_score``, ``std_test_score``), ``rank_test_score`` and ``fit_time``. The time
        is in seconds over all rounds and splits. It includes scoring and, if X is a source, waiting for the other fits.
        Candidates with more epochs rank first.
    rounds_ : list of (int, int)
        For each round, the number of candidates, and the number of epochs that they had at its end.
    n_splits_ : int
        Number of splits.
    refit_time_ : float
        Seconds of the last fit, if `refit` trained one.
    scorer_ : callable
        The scorer.
    classes_ : ndarray of shape (n_classes,)
        Class labels, for classifiers.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray
        Names of the features, if X had names.

    Notes
    -----
    The search sets ``tol=None`` and ``early_stopping=False``, so candidates train for the given number of epochs. If
    `random_state` of the estimator is a number, it seeds a RandomState that continues from round to round. So on one
    thread, a candidate takes the same steps as one fit with this RandomState and as many epochs. The models of all
    candidates of the first round are in memory.

    If X is a source, one pass over it trains all candidates of a round. A source that fits in its buffer is read once
    in total. All candidates train at the same time, so there are twice as many models in memory. If the estimator has
    no `random_state`, the search draws one, so that all candidates see the rows in the same order.

    References
    ----------
    Jamieson and Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter optimization", PMLR 51,
    240-248.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn_vectorflow import VectorFlowClassifier
    >>> from sklearn_vectorflow.search import VectorFlowSearchCV
    >>> X, y = make_classification(2000, random_state=0)
    >>> grid = {"alpha": [1e-4, 1e-3, 1e-2], "learning_rate": [0.1, 0.3, 1.0]}
    >>> classifier = VectorFlowClassifier(random_state=0)
    >>> search = VectorFlowSearchCV(classifier, grid, max_epochs=9, random_state=0).fit(X, y)
    >>> search.rounds_
    [(9, 1), (3, 3), (1, 9)]
    >>> search.score(X, y) > 0.8
    True
    """

    def __init__(
        self,
        estimator: Any,
        param_distributions: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        n_candidates: int | Literal["all"] = "all",
        factor: int = 3,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        cv: int | Iterable[Any] | Any = None,
        validation_fraction: float = 0.1,
        scoring: str | Callable[..., float] | None = None,
        refit: bool = True,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
        error_score: float | Literal["raise"] = np.nan,
    ) -> None:
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_candidates = n_candidates
        self.factor = factor
        self.min_epochs = min_epochs
        self.max_epochs = max_epochs
        self.cv = cv
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.refit = refit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.error_score = error_score

    def __sklearn_tags__(self):
        tags, own = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type = own.estimator_type
        tags.classifier_tags, tags.regressor_tags = own.classifier_tags, own.regressor_tags
        tags.target_tags, tags.input_tags = own.target_tags, own.input_tags
        return tags

    def fit(
        self,
        X: RowsLike,
        y: TargetLike = None,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        qid: ArrayLike | None = None,
        X_val: RowsLike = None,
        y_val: TargetLike = None,
        sample_weight_val: ArrayLike | None = None,
        offset_val: ArrayLike | None = None,
        groups_val: ArrayLike | None = None,
        qid_val: ArrayLike | None = None,
    ) -> Self:
        """Search, and train the best candidate.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or source
            Training rows, in a form that the estimator accepts. A source must be readable more than once, and needs
            `X_val`.
        y : array-like of shape (n_rows,) or (n_rows, n_outputs)
            Targets. None for a source.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, in training and in scores.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs in training and scores, if the estimator accepts it. For rates, pass the logarithm
            of the exposure. None for a source, whose blocks may have offsets.
        groups, qid : array-like of shape (n_rows,), default=None
            Groups or queries of the rows, if the estimator accepts them. Splits never divide them: if `cv` is a number,
            the folds are those of ``GroupKFold``.
        X_val, y_val, sample_weight_val, offset_val, groups_val, qid_val : as for training, default=None
            Rows for scores, in place of the splits of `cv`.

        Returns
        -------
        self : object
            The fitted search.

        Raises
        ------
        TypeError, ValueError
            If a parameter is invalid, a source can be read only once, or all fits fail.
        """
        before = vars(self).copy()
        try:
            more = {"offset": offset, "groups": groups, "qid": qid}
            more_val = {"offset": offset_val, "groups": groups_val, "qid": qid_val}
            self._search(self._rows(X, y, sample_weight, more), self._rows(X_val, y_val, sample_weight_val, more_val))
        except BaseException:  # what was found before stays
            self.__dict__ = before
            raise
        return self

    def _rows(self, X, y, sample_weight, more):
        """Return rows with what is given beside them.

        Raises
        ------
        ValueError
            If the estimator or `scoring` does not take it, or a source stands where the estimator takes none.
        """
        if X is not None and is_source(X) and signature(self.estimator.fit).parameters["y"].default is Parameter.empty:
            raise ValueError(
                f"X must be an array, a sparse matrix or a data frame, got the source {source_name(X)}: fit of "
                f"{brief(self.estimator)} does not accept sources."
            )
        given = {name: values for name, values in more.items() if values is not None}
        for name in given:
            if not has_fit_parameter(self.estimator, name):
                raise ValueError(f"{name} was given, but fit of {brief(self.estimator)} does not accept it.")
            if isinstance(self.scoring, str) and name != "groups":
                raise ValueError(
                    f"{name} was given, but scoring={self.scoring!r} does not accept it: use scoring=None, or a "
                    f"function (estimator, X, y, *, {name}, sample_weight)."
                )
            if X is not None and is_source(X):
                raise ValueError(f"{name} must be None for a source, whose blocks include it.")
        return Rows(X, y, sample_weight, given)

    def _search(self, all_rows, held_out):
        max_epochs = self._check_parameters()
        self.scorer_ = check_scoring(self.estimator, self.scoring)
        random_state = check_random_state(self.random_state)
        candidates = candidates_of(self.param_distributions, self.n_candidates, random_state)
        rows, splits = self._splits(all_rows, held_out, random_state)
        self.n_splits_ = len(splits)
        self.rounds_ = rounds_of(len(candidates), self.factor, self.min_epochs, max_epochs)
        with trained_by(self.n_jobs, splits) as (train, splits):
            seed = random_state.randint(2**31 - 1) if is_source(all_rows.X) else None
            fits = self._halve(candidates, splits, train, seed)
        self._keep_results(candidates, fits)
        self._keep_best(fits, rows)

    def _check_parameters(self):
        """Check the parameters; return how many epochs the best candidates have."""
        known = self.estimator.get_params(deep=False)
        absent = [name for name in ("max_iter", "warm_start") if name not in known]
        if absent:
            raise ValueError(
                f"estimator must have the parameters max_iter and warm_start, to continue training: "
                f"{brief(self.estimator)} lacks {' and '.join(absent)}."
            )
        check_n_candidates(self.n_candidates)
        check_integer("factor", self.factor, 2)
        check_integer("min_epochs", self.min_epochs, 1)
        max_epochs = known["max_iter"] if self.max_epochs is None else self.max_epochs
        check_integer("max_epochs", max_epochs, 1)
        check_number(
            type(self).__name__, "validation_fraction", self.validation_fraction, 0, 1, low_open=True, high_open=True
        )
        check_flag("refit", self.refit)
        if not (self.error_score == "raise" or isinstance(self.error_score, float) and np.isnan(self.error_score)):
            raise ValueError(f"error_score must be 'raise' or NaN, got {brief(self.error_score)}.")
        return max_epochs

    def _splits(self, rows, held_out, random_state):
        """Return all rows, None if others are given to score on, and pairs of those to train on and to score on."""
        if held_out.X is not None:
            return None, [(rows, held_out)]
        if held_out.y is not None or held_out.weight is not None:
            raise ValueError("y_val and sample_weight_val need X_val.")
        for name in held_out.more:
            raise ValueError(f"{name}_val needs X_val.")
        if is_source(rows.X):
            raise ValueError("A source X needs X_val, as it cannot be split.")
        if rows.y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        X, y, weight, *more = indexable(rows.X, rows.y, rows.weight, *rows.more.values())
        rows = Rows(X, y, weight, dict(zip(rows.more, more)))
        return rows, splits_of(rows, self.cv, self.validation_fraction, self.estimator, random_state)

    def _halve(self, candidates, splits, train, seed):
        """Train candidates in rounds; return the fits of each, one for each split."""
        fits = [[Fit(candidate(self.estimator, parameters, seed)) for _ in splits] for parameters in candidates]
        going = list(range(len(fits)))
        for n, n_epochs in self.rounds_:
            going = sorted(sorted(going, key=lambda place: _order(fits[place]))[:n])
            done = train(
                (fit, *split, self.scorer_, n_epochs, self.error_score)
                for place in going
                for fit, split in zip(fits[place], splits)
            )
            warn_of_failures(done)
            for position, place in enumerate(going):
                fits[place] = done[position * len(splits) : (position + 1) * len(splits)]
            going = [place for place in going if not any(fit.error for fit in fits[place])]
            self._say(n, n_epochs, fits, going)
            if not going:
                break
        return fits

    def _say(self, n, n_epochs, fits, going):
        if self.verbose:
            best = max((_mean_score(fits[place]) for place in going), default=np.nan)
            print(f"[{type(self).__name__}] {n} candidate(s), {n_epochs} epoch(s), best score {best:.5g}")

    def _keep_results(self, candidates, fits):
        warn_of_scores(fits)
        scores = np.array([[fit.score for fit in of_splits] for of_splits in fits])
        n_epochs = np.array([min(fit.n_epochs for fit in of_splits) for of_splits in fits])
        names = sorted({name for parameters in candidates for name in parameters})
        results = {
            "params": candidates,
            "n_epochs": n_epochs,
            "fit_time": np.array([sum(fit.seconds for fit in of_splits) for of_splits in fits]),
            **{f"split{k}_test_score": scores[:, k] for k in range(scores.shape[1])},
            "mean_test_score": scores.mean(axis=1),
            "std_test_score": scores.std(axis=1),
            "rank_test_score": ranks_of(scores.mean(axis=1), n_epochs),
        }
        for name in names:
            values = np.ma.masked_all(len(candidates), dtype=object)
            for place, parameters in enumerate(candidates):
                if name in parameters:
                    values[place] = parameters[name]
            results[f"param_{name}"] = values
        self.cv_results_ = results
        self.best_index_ = int(results["rank_test_score"].argmin())
        self.best_params_ = candidates[self.best_index_]
        self.best_score_ = float(results["mean_test_score"][self.best_index_])

    def _keep_best(self, fits, rows):
        """Keep the best model, trained on all rows if they are given and it should be."""
        n_epochs, model = int(self.cv_results_["n_epochs"][self.best_index_]), fits[self.best_index_][0].model
        vars(self).pop("refit_time_", None)
        if rows is not None and self.refit:
            begun = time.perf_counter()
            model = rows.fit(candidate(self.estimator, self.best_params_).set_params(max_iter=n_epochs))
            self.refit_time_ = time.perf_counter() - begun
        self.best_estimator_ = finished(model, self.estimator, n_epochs)

    # ---- the best model ----------------------------------------------------------------

    @property
    def classes_(self) -> Array:
        """Classes of the best model."""
        return self.best_estimator_.classes_

    @property
    def n_features_in_(self) -> int:
        """Number of features seen during fit."""
        return self.best_estimator_.n_features_in_

    @property
    def feature_names_in_(self) -> Array:
        """Names of features seen during fit."""
        return self.best_estimator_.feature_names_in_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "best_estimator_")

    def score(
        self, X: RowsLike, y: TargetLike = None, sample_weight: ArrayLike | None = None, **params: ArrayLike
    ) -> float:
        """Return the score of the best model. `params` may be `offset`, `groups` or `qid`, as in :meth:`fit`."""
        check_is_fitted(self)
        return self._rows(X, y, sample_weight, params).score(self.best_estimator_, self.scorer_)

    @available_if(_best_has("predict"))
    def predict(self, X: RowsLike) -> Array:
        """Call ``predict`` of the best model."""
        return self._best.predict(X)

    @available_if(_best_has("predict_proba"))
    def predict_proba(self, X: RowsLike) -> Array:
        """Call ``predict_proba`` of the best model."""
        return self._best.predict_proba(X)

    @available_if(_best_has("predict_log_proba"))
    def predict_log_proba(self, X: RowsLike) -> Array:
        """Call ``predict_log_proba`` of the best model."""
        return self._best.predict_log_proba(X)

    @available_if(_best_has("decision_function"))
    def decision_function(self, X: RowsLike) -> Array:
        """Call ``decision_function`` of the best model."""
        return self._best.decision_function(X)

    @available_if(_best_has("transform"))
    def transform(self, X: RowsLike) -> Array:
        """Call ``transform`` of the best model."""
        return self._best.transform(X)

    @property
    def _best(self):
        check_is_fitted(self)
        return self.best_estimator_


def _mean_score(fits):
    return float(np.mean([fit.score for fit in fits]))


def _order(fits):
    """What candidates are sorted by before a round: the best first, NaN last. At first there is no score yet."""
    if not fits[0].n_epochs:
        return 0.0
    score = _mean_score(fits)
    return np.inf if np.isnan(score) else -score
