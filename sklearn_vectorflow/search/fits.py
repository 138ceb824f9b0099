"""Fits that go on from round to round."""

import copy
import numbers
import time
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit, check_cv
from sklearn.utils import _safe_indexing, assert_all_finite, check_random_state
from sklearn.utils.multiclass import type_of_target

from sklearn_vectorflow.validation.errors import warn

RESTORED = ("warm_start", "random_state")  # parameters that are others while fits go on


@dataclass
class Rows:
    """Rows with targets and weights, None where there are none, and offsets, groups or queries by their names."""

    X: Any
    y: Any
    weight: Any
    more: dict[str, Any] = field(default_factory=dict)

    def of(self, some):
        """Return some of them."""
        X, y, weight = (None if one is None else _safe_indexing(one, some) for one in (self.X, self.y, self.weight))
        return Rows(X, y, weight, {name: _safe_indexing(values, some) for name, values in self.more.items()})

    def fit(self, model):
        """Fit a model to them."""
        return model.fit(self.X, **({} if self.y is None else {"y": self.y}), **self._beside())

    def score(self, model, scorer):
        """Return the score of a model on them, which is told what its ``score`` takes."""
        beside = self._beside()
        if beside.get("groups") is not None and "groups" not in signature(model.score).parameters:
            del beside["groups"]
        return float(scorer(model, self.X, self.y, **beside))

    def _beside(self):
        return self.more | ({} if self.weight is None else {"sample_weight": self.weight})


@dataclass
class Fit:
    """One candidate on one split: a model, what it is trained and scored on, and how it went."""

    model: Any
    n_epochs: int = 0
    score: float = np.nan
    seconds: float = 0.0
    error: str = ""


def splits_of(rows, cv, validation_fraction, estimator, random_state):
    """Return pairs of rows to train on and rows to score on; groups and queries are kept whole."""
    groups = rows.more.get("qid", rows.more.get("groups"))
    if cv is not None:
        by_number = groups is not None and isinstance(cv, numbers.Integral)
        splitter = GroupKFold(cv) if by_number else check_cv(cv, rows.y, classifier=is_classifier(estimator))
    else:
        alike = groups is None and is_classifier(estimator) and _can_be_divided_alike(rows.y, validation_fraction)
        kind = StratifiedShuffleSplit if alike else ShuffleSplit if groups is None else GroupShuffleSplit
        splitter = kind(1, test_size=validation_fraction, random_state=random_state)
    return [(rows.of(train), rows.of(test)) for train, test in splitter.split(rows.X, rows.y, groups)]


def _can_be_divided_alike(y, fraction):
    """Return whether classes have rows enough for a share of each to be taken."""
    if getattr(getattr(y, "dtype", None), "kind", None) == "f":  # types of polars have no kind
        assert_all_finite(y, input_name="y")
    if type_of_target(y, input_name="y") not in ("binary", "multiclass"):
        return False
    counts = np.unique(y, return_counts=True)[1]
    return counts.min() > 1 and min(fraction, 1.0 - fraction) * counts.sum() >= len(counts)


def candidate(estimator, parameters, seed=None):
    """Return a model that can go on: where fits would draw the same numbers each time, it goes on to draw others.

    One that has no `random_state` draws from a seed, if there is one.
    """
    model = clone(estimator).set_params(**clone_values(parameters))
    here = model.get_params(deep=False)
    random_state = here.get("random_state", seed)
    random_state = seed if random_state is None else random_state
    if "random_state" in here and random_state is not None:
        model.set_params(random_state=check_random_state(copy.deepcopy(random_state)))
    return model.set_params(**_open_ended(here), warm_start=True)


def finished(model, estimator, n_epochs):
    """Set the parameters of a candidate that is done to those with which one fit takes its steps; return it."""
    before = {name: value for name, value in estimator.get_params(deep=False).items() if name in RESTORED}
    return model.set_params(max_iter=n_epochs, **clone_values(before))


def clone_values(parameters):
    """Return copies of parameters, of which fits may change none."""
    return {name: clone(value, safe=False) for name, value in parameters.items()}


def _open_ended(parameters):
    """Parameters with which the number of epochs alone ends a fit."""
    return {name: value for name, value in (("tol", None), ("early_stopping", False)) if name in parameters}


def go_on(fit, train, test, scorer, n_epochs, error_score):
    """Train a candidate until it has had so many epochs, and score it; return it.

    One that fails has the score that it had before, and is as it was.
    """
    begun = time.perf_counter()
    try:
        train.fit(fit.model.set_params(max_iter=n_epochs - fit.n_epochs))
        fit.score = test.score(fit.model, scorer)
        fit.n_epochs = n_epochs
    except ValueError as error:  # as of a fit that diverged
        if error_score == "raise":
            raise
        fit.error = f"{error}"
    fit.seconds += time.perf_counter() - begun
    return fit


def warn_of_failures(fits):
    """Say which fits of a round failed.

    Raises
    ------
    ValueError
        If all have, in their first round.
    """
    errors = [fit.error for fit in fits if fit.error]
    if len(errors) == len(fits) and not any(fit.n_epochs for fit in fits):
        raise ValueError(f"All fits failed: {errors[0]}")
    for error in errors:
        warn(f"A fit failed, so the search drops its candidate: {error}", FitFailedWarning)


def warn_of_scores(candidates):
    """Say how many candidates, given as the fits of each, have scores that are NaN or infinite."""
    unclear = sum(any(fit.n_epochs and not np.isfinite(fit.score) for fit in fits) for fits in candidates)
    if unclear:
        warn(
            f"scoring: {unclear} of {len(candidates)} candidates have scores that are NaN or infinite. NaN ranks last."
        )
