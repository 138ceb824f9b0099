"""What all tasks of a fit share: the estimator with all decided that follows from the data, and a first state."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_vectorflow.cluster.samples import OF_MERGES, sampled
from sklearn_vectorflow.cluster.survey import all_classes
from sklearn_vectorflow.network.network import Network
from sklearn_vectorflow.network.portable import put, take
from sklearn_vectorflow.targets.class_weight import ClassWeigher
from sklearn_vectorflow.threads import ALONE
from sklearn_vectorflow.training.data import Data
from sklearn_vectorflow.validation.arrays import check_sample_weight


@dataclass(frozen=True, eq=False)
class Template:
    """What tasks train with.

    Parameters
    ----------
    estimator : estimator
        Without a net; nothing of it is left open.
    network : Network
        Without weights.
    scale : float or None
        What weights of rows are multiplied by, for a mean of one; None without weights.
    of_all : Totals
        Of all rows.
    """

    estimator: Any
    network: Any
    scale: float | None
    of_all: Any

    @property
    def n_records(self):
        """Records of all layers."""
        return sum(place.n_in for place in self.network.graph.weighted)

    def with_state(self, state, to_predict=True):
        """Return a net in a state, to predict with or to be trained alone."""
        network = Network(self.network.graph, self.network.fit_intercept, state.scales)
        network.keep_state = self.network.keep_state
        put(network, state, to_predict)
        return network

    def seeded(self, seed):
        """Return the estimator with a seed."""
        estimator = self.estimator._draft()
        estimator.random_state = seed
        return estimator

    def data(self, estimator, rows, to_train=True):
        """Return rows as training takes them, or as validation does, where classes have no weights."""
        n_rows = len(rows)
        encoded = estimator._encode(rows.y, n_rows, reset=False)
        weight = check_sample_weight(rows.weight, n_rows, some=False)
        if to_train and (weight is not None or getattr(estimator, "class_weight", None) is not None):
            weight = estimator._weigher(encoded, weight)(encoded, weight, some=False) * self.scale
        starts = estimator._starts(rows.groups, n_rows, estimator._groups_name)
        data = Data(rows.matrix, encoded, weight, starts, estimator._offset(rows.offset, n_rows))
        data.scale, data.of_all = 1.0, self.of_all
        return data


@dataclass
class Totals:
    """Of all rows: how many there are, and how many non-zeros and terms of the mean loss."""

    n_rows: int
    n_nonzero: int
    n_terms: int


def prepared(draft, surveys):
    """Decide what follows from the data.

    Return the template, the first state, sampled rows, a few of them, the totals, and what a new model starts from.

    Parameters
    ----------
    draft : estimator
        What is learned from the targets is set; parameters are not changed.
    surveys : list of Survey
    """
    _check(surveys)
    sample, (classes, totals) = sampled(surveys), all_classes(surveys)
    known = Totals(*(sum(getattr(one, name) for one in surveys) for name in ("n_rows", "n_nonzero", "n_terms")))
    rows = sample.matrix, sample.y, sample.weight, sample.groups
    data = draft._data(*rows, offset=sample.offset, reset=not draft._continues, classes=classes)
    if classes is not None and draft._continues:
        draft._encode(classes, len(classes), reset=False)  # raises if there are new ones
    data.of_all = known
    draft._choose_units(data)
    decided = draft._draft()
    if getattr(draft, "class_weight", None) == "balanced" and classes is not None:
        factors = ClassWeigher("balanced", classes, np.arange(len(classes))[:, None], totals[:, 1]).factors
        decided.class_weight = dict(zip(classes.tolist(), factors.tolist()))
    decided.batch_size = draft._batch_size(known.n_rows)
    if draft.average is True:
        decided.average = known.n_rows
    network, start = draft._network(data)
    decided._trainer(network, start, data, ALONE)  # draws weights, and finds the scales and the penalty's strength
    state = take(network)
    vars(decided).pop("network_", None)
    empty = Network(network.graph, network.fit_intercept, network.scales)
    empty.keep_state = network.keep_state
    template = Template(decided, empty, _scale(decided, classes, totals, surveys), known)
    few = sampled(surveys, OF_MERGES)
    return template, state, template.data(decided, sample), template.data(decided, few), known, start


def _check(surveys):
    weighted = {one.weighted for one in surveys if one.n_rows}
    if not weighted:
        raise ValueError("There are no rows: all parts are empty.")
    kinds = {number: _kinds_of(one.sample.rows) for number, one in enumerate(surveys) if one.n_rows}
    first = next(iter(kinds))
    for number, own in kinds.items():
        for mine, others in zip(own, kinds[first]):
            if mine != others and None not in (mine, others):
                raise ValueError(f"part {number} has {mine}, but part {first} has {others}.")
    if len(weighted) > 1:
        raise ValueError("Either all parts have sample_weight or none has.")
    if True in weighted and not any(one.n_terms for one in surveys):
        raise ValueError("sample_weight must contain at least one non-zero number: all weights are zero.")


def _kinds_of(rows):
    """Return what is the same for the rows of all parts; None is anything."""
    return (
        f"{rows.matrix.shape[1]} columns",
        "sparse rows" if sparse.issparse(rows.matrix.values) else "dense rows",
        *_kinds_of_targets(rows.y),
        "no offsets" if rows.offset is None else "offsets",
    )


def _kinds_of_targets(y):
    names = tuple(y) if isinstance(y, dict) else y.dtype.names
    if names:
        return f"targets of the fields {', '.join(names)}", None
    shape = f"targets in {y.shape[1]} columns" if y.ndim > 1 else "targets in one dimension"
    kinds = {**dict.fromkeys("US", "strings as targets"), **dict.fromkeys("biuf", "numbers as targets")}
    return shape, kinds.get(y.dtype.kind)


def _scale(estimator, classes, totals, surveys):
    factors = np.ones(len(totals))
    weights = getattr(estimator, "class_weight", None)
    if weights is None and not any(one.weighted for one in surveys):
        return None
    if weights is not None and classes is not None:
        factors = np.array([weights.get(name, 1.0) for name in classes.tolist()])
    return float(totals[factors > 0, 0].sum() / (totals[:, 1] * factors).sum())
