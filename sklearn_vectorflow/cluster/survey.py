"""What is to be known of all parts before training, each of which a task looks at."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklearn_vectorflow.cluster.parts import blocks_of, part_of, values_of
from sklearn_vectorflow.cluster.samples import Sampler, common_step
from sklearn_vectorflow.targets.labels import class_array, is_multilabel
from sklearn_vectorflow.validation.errors import naming


@dataclass
class Survey:
    """What a task found out about a part.

    Parameters
    ----------
    counts : list of int
        Rows of each block.
    n_nonzero : int
    n_terms : int
        Rows of a weight other than zero, or groups.
    classes : ndarray or None
        Classes of y, of classifiers without labels.
    totals : ndarray of shape (n_classes or 1, 2)
        Rows of a weight other than zero, and the sum of weights: of each class, or of all.
    weighted : bool or None
        Whether rows have weights; None where there are no rows.
    sample : Sample or None
        None where there are no rows.
    """

    counts: list
    n_nonzero: int
    n_terms: int
    classes: Any
    totals: Any
    weighted: bool | None
    sample: Any

    @property
    def n_rows(self):
        """Rows of the part."""
        return sum(self.counts)


def surveys_of(executor, estimator, parts):
    """Return the Survey of every part, with the rows alone that stand for those of all parts.

    A part does not know how many rows the others have, so it draws too many, and they stay where they are.

    Parameters
    ----------
    executor : object
        Runs tasks, see `fit.Here`.
    estimator : estimator
    parts : list
        As `fit.PartsFit` takes them.
    """
    run = executor.submit
    looked = [run(survey, estimator, k, len(parts), *values_of(part)) for k, part in enumerate(parts)]
    told = executor.result([run(_without_rows, one) for one in looked])
    step = common_step(told)
    samples = executor.result([run(_thinned, one, step) for one in looked])
    return [replace(one, sample=sample) for one, sample in zip(told, samples)]


def _without_rows(survey):
    sample = survey.sample
    return replace(survey, sample=None if sample is None else replace(sample, rows=None, terms=None))


def _thinned(survey, step):
    """Return a part's sample thinned to a step, or as it is if nothing would be left."""
    thinned = None if survey.sample is None else survey.sample.thinned(step)
    return thinned if thinned is not None and len(thinned.rows) else survey.sample


def survey(estimator, number, n_parts, *values):
    """Look at a part.

    Parameters
    ----------
    estimator : estimator
    number, n_parts : int
        Which part of how many it is.
    *values : object
        Of the part.
    """
    with naming(f"part {number}"):
        return _Survey(estimator._draft(), Sampler(number, n_parts)).of(part_of(values))


class _Survey:
    def __init__(self, estimator, sampler):
        self.estimator = estimator
        self.sampler = sampler
        self.is_classifier = hasattr(estimator, "predict_top_k")

    def of(self, part):
        counts, n_nonzero, n_terms, totals, weighted, classes = [], 0, 0, {}, set(), None
        for rows in blocks_of(self.estimator, part, reset=True):
            counts.append(len(rows))
            n_nonzero += rows.matrix.rows.n_nonzero
            self.estimator._check_targets(rows.y, len(rows))
            weighted.add(rows.weight is not None)
            weight = np.ones(len(rows)) if rows.weight is None else rows.weight
            n_terms += np.count_nonzero(weight) if rows.groups is None else rows.n_terms
            has_classes = self.is_classifier and not is_multilabel(rows.y)
            self._add_totals(totals, rows.y, weight, has_classes)
            classes = np.array(sorted(totals)) if has_classes else None
            self.sampler.add(rows)
            del rows, weight
        if len(weighted) > 1:
            raise ValueError("either all blocks have sample_weight or none has.")
        found = [totals[name] for name in sorted(totals)] if totals else [[0.0, 0.0]]
        weighted, sample = weighted.pop() if weighted else None, self.sampler.sample()
        return Survey(counts, n_nonzero, n_terms, classes, np.array(found), weighted, sample)

    @staticmethod
    def _add_totals(totals, y, weight, has_classes):
        if not has_classes:
            own = [(0, np.count_nonzero(weight), weight.sum())]
        else:
            classes, codes = np.unique(class_array(y), return_inverse=True)
            counted, summed = np.bincount(codes, weight > 0), np.bincount(codes, weight)
            own = zip(classes.tolist(), counted, summed)
        for name, n_rows, total in own:
            before = totals.get(name, (0.0, 0.0))
            totals[name] = (before[0] + n_rows, before[1] + total)


def all_classes(surveys):
    """Return the classes of all parts, and the totals of each; None and the totals of all where there are none."""
    there = [one for one in surveys if one.n_rows]
    if there[0].classes is None:
        return None, sum(one.totals for one in there)
    try:
        classes = np.unique(np.concatenate([one.classes for one in there]))
    except TypeError:
        raise TypeError("y must hold classes of one type in all parts.") from None
    totals = np.zeros((len(classes), 2))
    for one in there:
        totals[np.searchsorted(classes, one.classes)] += one.totals
    return classes, totals
