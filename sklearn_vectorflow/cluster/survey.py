"""What is to be known of all parts before training, each of which a task looks at."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_vectorflow.cluster.parts import Rows, blocks_of, joined, joined_groups
from sklearn_vectorflow.io.blocks import join
from sklearn_vectorflow.targets.labels import class_array, is_multilabel
from sklearn_vectorflow.validation.errors import naming

SAMPLE = 1 << 12  # rows that stand for all: their scales, and whether a merge was too bold
SAMPLED_BYTES = 1 << 26  # that they take at most


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
    sample : Rows or None
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


def survey(estimator, number, n_parts, part):
    """Look at a part.

    Parameters
    ----------
    estimator : estimator
        A draft, which is changed.
    number, n_parts : int
        Which part of how many it is.
    part : SourcePart, or tuple of (X, y, weight, groups)
    """
    with naming(f"part {number}"):
        return _Survey(estimator, max(64, -(-4 * SAMPLE // n_parts))).of(part)


class _Survey:
    def __init__(self, estimator, most):
        self.estimator = estimator
        self.most = most  # sampled rows
        self.is_classifier = hasattr(estimator, "predict_top_k")

    def of(self, part):
        counts, n_nonzero, n_terms, totals, sample, weighted = [], 0, 0, {}, [], set()
        for rows in blocks_of(self.estimator, part, reset=True):
            counts.append(len(rows))
            n_nonzero += rows.matrix.rows.n_nonzero
            weighted.add(rows.weight is not None)
            weight = np.ones(len(rows)) if rows.weight is None else rows.weight
            n_terms += np.count_nonzero(weight) if rows.groups is None else _n_groups(rows.groups)
            self._add_totals(totals, rows.y, weight)
            sample.append(_sample(rows, self.most))
        if len(weighted) > 1:
            raise ValueError("either all blocks have sample_weight or none has.")
        classes = None
        if self.is_classifier and not (counts and is_multilabel(sample[0].y)):
            classes = np.array(sorted(totals))
        kept = None if not counts else _thinned(join_rows(sample), self.most)
        found = [totals[name] for name in sorted(totals)] if totals else [[0.0, 0.0]]
        return Survey(counts, n_nonzero, n_terms, classes, np.array(found), weighted.pop() if weighted else None, kept)

    def _add_totals(self, totals, y, weight):
        if not self.is_classifier or is_multilabel(y):
            own = [(0, np.count_nonzero(weight), weight.sum())]
        else:
            classes, codes = np.unique(class_array(y), return_inverse=True)
            counted, summed = np.bincount(codes, weight > 0), np.bincount(codes, weight)
            own = zip(classes.tolist(), counted, summed)
        for name, n_rows, total in own:
            before = totals.get(name, (0.0, 0.0))
            totals[name] = (before[0] + n_rows, before[1] + total)


def _n_groups(groups):
    return 1 + np.count_nonzero(groups[1:] != groups[:-1])


def _sample(rows, most):
    """Return some rows, evenly spaced; of groups some groups."""
    bytes_a_row = 12 * max(1, rows.matrix.rows.n_nonzero // len(rows))
    most = max(8, min(most, SAMPLED_BYTES // bytes_a_row))
    if rows.groups is None:
        return rows.take(np.arange(0, len(rows), -(-len(rows) // most)))
    starts = np.flatnonzero(np.concatenate([[True], rows.groups[1:] != rows.groups[:-1]]))
    step = max(1, -(-len(rows) // most))
    ends = np.append(starts, len(rows))[1:]
    return rows.take(np.concatenate([np.arange(a, b) for a, b in zip(starts[::step], ends[::step])]))


def _thinned(rows, most):
    return rows if len(rows) <= 2 * most else _sample(rows, most)


def join_rows(parts):
    """Return rows of several blocks as one."""
    if len(parts) == 1:
        return parts[0]
    matrices, y, weights, groups = zip(*((one.matrix, one.y, one.weight, one.groups) for one in parts))
    return Rows(join(matrices), joined(y), joined(weights), joined_groups(groups))


def sampled(surveys):
    """Return rows that stand for those of all parts, in proportion."""
    total = sum(one.n_rows for one in surveys)
    kept = []
    for one in surveys:
        if one.n_rows:
            wanted = max(1, round(SAMPLE * one.n_rows / total))
            kept.append(one.sample if len(one.sample) <= wanted else _sample(one.sample, wanted))
    return join_rows(kept)


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
