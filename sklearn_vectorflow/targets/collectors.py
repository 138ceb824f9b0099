"""Targets of rows in blocks."""

import numpy as np
from scipy import sparse

from sklearn_vectorflow.io.blocks import check_kinds, join_targets
from sklearn_vectorflow.targets.labels import (
    class_array,
    encode_known_labels,
    is_multilabel,
    learn_classes,
    look_up,
    sorted_classes,
)
from sklearn_vectorflow.targets.times import joined, parse


class TargetCollector:
    """Encodes targets block by block.

    Parameters
    ----------
    estimator : BaseVectorFlow
    reset : bool
        Whether the first block determines the kind of the targets.
    """

    def __init__(self, estimator, reset):
        self.estimator = estimator
        self.reset = reset
        self.parts = []

    def add(self, y, n_rows):
        """Encode the targets of a block."""
        if y is None:
            raise ValueError("the block has no y.")
        self.parts.append(self.estimator._encode(y, n_rows, reset=self.reset and not self.parts))

    def join(self):
        """Return all targets."""
        return join_targets(self.parts)


class ClassCollector:
    """Finds the classes of y, and the class of each row, block by block.

    Parameters
    ----------
    estimator : VectorFlowClassifier
    expected : array-like or None
        The classes, if they are known before.
    """

    def __init__(self, estimator, expected):
        self.estimator = estimator
        self.expected = None if expected is None else sorted_classes(expected)
        self.known = self.expected  # sorted, with the number each class got when it was met first
        self.numbers = None if expected is None else np.arange(len(self.known))
        self.parts = []
        self.labels = None

    def add(self, y, n_rows):
        """Add the targets of a block."""
        if y is None:
            raise ValueError("the block has no y.")
        if self.labels is None:
            self.labels = is_multilabel(y)
        if is_multilabel(y) != self.labels:
            raise ValueError("y must be an indicator matrix of labels in all blocks or in none.")
        if self.labels:
            self.parts.append(self.estimator._encode(y, n_rows, reset=not self.parts))
            return
        y = class_array(y)
        if self.known is not None:
            check_kinds([self.known, y])
        if self.expected is not None:
            encode_known_labels(y, self.expected)
        if self.known is None:
            self._learn(y, y)
        at, unknown = look_up(y, self.known)
        if np.any(unknown):
            self._learn(y, y[unknown])
            at, _ = look_up(y, self.known)
        self.parts.append(self.numbers[at].astype(np.min_scalar_type(len(self.numbers))))

    def _learn(self, y, new):
        new = learn_classes(y, new)
        if self.known is None:
            self.known, self.numbers = new, np.arange(len(new))
            return
        known = np.concatenate([self.known, new])
        order = np.argsort(known, kind="stable")
        self.numbers = np.concatenate([self.numbers, np.arange(len(self.numbers), len(known))])[order]
        self.known = known[order]

    def join(self):
        """Set the classes of the estimator; return all targets, classes as small integers of shape (n_rows, 1)."""
        if self.labels:
            return self.parts[0] if len(self.parts) == 1 else _stack(self.parts)
        with self.estimator._expecting(self.known):
            self.estimator._encode(self.known, len(self.known), reset=True)
        rank = np.argsort(self.numbers).astype(np.min_scalar_type(len(self.numbers)))
        return np.concatenate([rank[part] for part in self.parts])[:, None]


class TimesCollector:
    """Collects times block by block, and encodes them with the unit and the intervals of all blocks.

    Parameters
    ----------
    estimator : VectorFlowSurvivalEstimator
    loss : SurvivalLoss
    reset : bool
        Whether the times determine the unit and the intervals of the loss.
    """

    def __init__(self, estimator, loss, reset):
        self.estimator, self.loss, self.reset = estimator, loss, reset
        self.parts, self.first = [], None

    def add(self, y, n_rows):
        """Check the times of a block."""
        if y is None:
            raise ValueError("the block has no y.")
        y = np.asarray(y)
        self.first = y[:0] if self.first is None else self.first
        check_kinds([self.first, y])
        times = parse(y, n_rows, all_censored=True, causes=self.loss.takes_causes)
        self.loss.check_times(times)
        self.parts.append(times)

    def join(self):
        """Return all targets."""
        times = joined(self.parts)
        if self.reset:
            times.check_events()
            self.loss = self.loss.prepared(times).for_blocks()
            self.estimator._learn_times(self.loss, times)
        return self.loss.encode(times)


def _stack(parts):
    return sparse.vstack(parts, format="csr") if sparse.issparse(parts[0]) else np.concatenate(parts)
