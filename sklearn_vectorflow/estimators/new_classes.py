"""New classes and labels with ``grow=True``."""

import numpy as np
from scipy import sparse
from scipy.special import logsumexp

from sklearn_vectorflow.losses import Hinge, LogLoss, ModifiedHuber, MultinomialLoss, SquaredHinge
from sklearn_vectorflow.network.forward import raw_outputs
from sklearn_vectorflow.network.growing import with_outputs
from sklearn_vectorflow.network.outputs import Outputs
from sklearn_vectorflow.targets.labels import (
    class_array,
    class_totals,
    is_multilabel,
    sorted_classes,
    with_new_classes,
)
from sklearn_vectorflow.threads import ALONE
from sklearn_vectorflow.validation.errors import brief

ONE_BY_ONE = (LogLoss, Hinge, SquaredHinge, ModifiedHuber)  # losses of one class against the others
SEEN = 1 << 22  # at most as many raw outputs are computed
MOST_NEW = 0.5  # upper bound of the assumed share of rows of new classes
FEWEST_NEW = 0.5  # lower bound of the assumed number of rows of a new class


class NewClassesMixin:
    """Adds outputs for new classes to a classifier."""

    def _take_classes(self, y, classes):
        if y is None or is_multilabel(y) != self.multilabel_:
            return None  # later checks report it
        former = self.classes_
        if self.multilabel_:
            n_labels = (y if sparse.issparse(y) else np.asarray(y)).shape[1]
            self.classes_ = np.arange(max(len(former), n_labels))
        else:
            self.classes_ = with_new_classes(former, class_array(y))
            if classes is not None:
                self.classes_ = with_new_classes(self.classes_, sorted_classes(classes))
        return None if len(self.classes_) == len(former) else former

    def _grow_outputs(self, former, data):
        """Add outputs to the net for new classes of a block."""
        loss, network, n_outputs = self._loss, self.network_, self._n_outputs()
        softmax, rows = isinstance(loss, MultinomialLoss), getattr(self, "_first_rows", None)
        if any(one.offset is not None for one in (data, *(() if rows is None else rows.parts))):
            raise ValueError(
                f"y has classes that are not among {brief(former)}, and the rows have offsets for the outputs of these "
                "alone. Call fit with all classes."
            )
        if not softmax and not isinstance(loss, ONE_BY_ONE):
            new = np.setdiff1d(self.classes_, former)
            raise ValueError(
                f"y has classes {brief(new)}, which are not among {brief(former)}, and loss {brief(self.loss)} cannot "
                "take more of them. Call fit with all classes."
            )
        places = np.searchsorted(self.classes_, former)
        sources, factors = np.full(n_outputs, -1), np.ones(n_outputs, np.float32)
        if network.n_outputs == 1 < len(former):  # one raw output stands for the second class, against the first
            size = 0.5 if softmax else 1.0
            sources[places], factors[places] = 0, [-size, size]
            _check_bounds(network)
        else:
            sources[places] = np.arange(len(former))
        outputs = Outputs(sources, factors)
        initial_raw = self._raw_of_new(outputs, data, softmax)
        self.network_ = with_outputs(network, loss.n_active(n_outputs), outputs, initial_raw)
        if rows is not None:
            n_labels = len(self.classes_) if self.multilabel_ else None
            self._first_rows = rows.grown(data.matrix.shape[1], places, n_labels)

    def _raw_of_new(self, outputs, data, softmax):
        """Return intercepts so that new classes have about their share of all rows so far."""
        network, new = self.network_, outputs.sources < 0
        n_seen = network.n_steps * network.scales.batch_size
        weight = np.ones(data.matrix.shape[0]) if data.weight is None else data.weight
        weight = weight * (np.count_nonzero(weight) / weight.sum())
        if self.multilabel_:
            totals = data.encoded.T @ weight
        else:
            totals = class_totals(data.encoded[:, 0], weight, len(self.classes_))
        share = np.maximum(totals[new], FEWEST_NEW) / (n_seen + weight.sum())
        found = np.zeros(len(new))
        if not softmax:
            found[new] = self._loss.initial_raw(np.minimum(share, MOST_NEW))
            return found
        share *= min(1.0, MOST_NEW / share.sum())
        some = data.matrix.take(slice(0, max(1, SEEN // network.n_outputs)))
        raw = raw_outputs(network, some, ALONE)[:, outputs.sources[~new]] * outputs.factors[~new]
        found[new] = np.log(share / (1.0 - share.sum())) + np.mean(logsumexp(raw, axis=1))
        return found


def _check_bounds(network):
    """Raise if weights have a bound that those of the other class would violate."""
    if any("lower" in rule.penalty for rule in network.rules):
        raise ValueError(
            "penalty: weights with bounds cannot be extended from two classes to three. Call fit with all classes."
        )
