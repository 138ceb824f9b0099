"""Rows of a source as training data."""

import contextlib
import warnings
from types import SimpleNamespace

import numpy as np

from sklearn_vectorflow.io.blocks import drained, first_blocks, join, join_targets
from sklearn_vectorflow.io.cache import as_source
from sklearn_vectorflow.io.matrix import as_matrix
from sklearn_vectorflow.io.sampling import sample_step, sampled_rows
from sklearn_vectorflow.io.source import check_alone
from sklearn_vectorflow.training.data import moderate
from sklearn_vectorflow.training.neighbours import neighbours_are_alike
from sklearn_vectorflow.training.source_survey import Survey
from sklearn_vectorflow.training.source_trainer import StreamTrainer
from sklearn_vectorflow.training.source_windows import Rows
from sklearn_vectorflow.validation.arrays import check_sample_weight
from sklearn_vectorflow.validation.errors import naming, warn

MANY_PARTS = 16  # parts in a window, which mix a sorted source well


def read_all(X, y, sample_weight, offset):
    """Return the rows of a source in memory: a Matrix, targets, weights and offsets."""
    check_alone(y=y, sample_weight=sample_weight, offset=offset)
    source = as_source(X)
    with source.checked() as blocks:
        head = list(blocks)
    _check_targets(source, head[0])
    rows = _together(head)
    source.release()
    return rows


def _together(blocks):
    return (
        join([block.matrix for block in blocks]),
        join_targets([block.y for block in blocks]),
        join_targets([block.weight for block in blocks]),
        join_targets([block.offset for block in blocks]),
    )


def open_data(estimator, X, y, sample_weight, offset, *, reset):
    """Read what training needs to know about the rows of a source.

    Parameters
    ----------
    estimator : BaseVectorFlow
        Its classes and features are set (reset=True) or checked.
    X : source
    y, sample_weight, offset : None
        They must be None, as the source has them.
    reset : bool

    Returns
    -------
    data : object
        `Data` if the buffer holds all rows, else `StreamedData`.
    """
    check_alone(y=y, sample_weight=sample_weight, offset=offset)
    source = as_source(X)
    with contextlib.ExitStack() as stack:
        blocks = stack.enter_context(source.checked())
        head, rest = first_blocks(blocks, source.buffer_bytes)
        _check_targets(source, head[0])
        if rest is None:
            source.release()
            matrix, y, weight, offset = _together(head)
            return estimator._data(matrix, y, weight, offset=offset, reset=reset, classes=source.classes)
        if source.once:
            if estimator.max_iter > 1:
                warnings.warn(
                    f"X can be read once: training makes one pass instead of max_iter={estimator.max_iter}. For more "
                    "give what can be read again, such as sklearn_vectorflow.io.BatchSource(function).",
                    UserWarning,
                    stacklevel=5,
                )
            survey = Survey(estimator, head, (), source.classes, reset)
            return StreamedData(estimator, source, survey, (head, rest, stack.pop_all()))
        survey = Survey(estimator, head, rest if source.survey else (), source.classes, reset)
        return StreamedData(estimator, source, survey, held=_whole_parts(head))


def _check_targets(source, block):
    if block.y is None:
        raise ValueError(f"{block.where or source}: rows have no y, which training requires.{source.why_no_targets}")


def _whole_parts(head):
    """Return blocks by their part of the source; the last part may lack some."""
    held = {}
    for block in head:
        held.setdefault(block.part, []).append(block)
    if head:
        del held[head[-1].part]
    return held


class StreamedData:
    """Replaces `Data` for the rows of a source.

    Parameters
    ----------
    estimator : BaseVectorFlow
    source : Source
    survey : Survey
    opened : tuple, default=None
        For a source that can be read once: the blocks read so far, an iterator over the others, and its context.
    held : dict of int to list of Checked, default=None
        Parts in memory, which the first pass takes from here.
    """

    starts = None  # sources bring no groups
    of_all = None  # nor are they a part of others

    def __init__(self, estimator, source, survey, opened=None, held=None):
        self.estimator = estimator
        self.source = source
        self.survey = survey
        self.opened = opened
        self.held = held
        self.encoded, weight = survey.encoded, survey.weight
        self.n_targets = self.encoded.shape[1]
        self.scale = None if weight is None else np.count_nonzero(weight) / weight.sum()
        self.weight = moderate(weight)
        self.offset = survey.offset
        self.has_offset = self.offset is not None
        rows = SimpleNamespace(n_nonzero=survey.n_nonzero)
        self.matrix = SimpleNamespace(
            shape=(survey.n_rows, survey.n_features),
            rows=rows,
        )

    @property
    def once(self):
        """Whether the source can be read only once."""
        return self.opened is not None

    def split(self, fraction, strata, random_state):
        """Raise ValueError, as rows to hold out must be in memory."""
        raise ValueError(
            "early_stopping on a source that exceeds its buffer_bytes needs X_val, which may be a source, too."
        )

    @property
    def is_known(self):
        """Whether all rows were read before training."""
        return self.survey.complete

    @property
    def n_terms(self):
        """Number of known rows of the source."""
        return self.survey.n_rows

    @property
    def n_losses(self):
        """Number of losses in the mean, without rows of weight zero."""
        return self.n_terms if self.weight is None else np.count_nonzero(self.weight)

    def drawn(self, fewest):
        """Draw the same sample as `Data.drawn` for rows in memory."""
        step = sample_step(self.survey.n_rows, fewest)
        return self.survey.sample(step), sampled_rows(0, self.survey.n_rows, step), None

    def close(self):
        """Stop reading."""
        self.source.release()
        if self.opened is not None:
            self.opened[2].close()

    def trainer(self, *args):
        """Return a trainer on the rows of the source. Nothing else needs the targets afterwards."""
        alike = neighbours_are_alike(self.encoded)
        self.encoded = self.weight = self.survey.encoded = self.survey.weight = self.offset = self.survey.offset = None
        trainer = StreamTrainer(self, *args, alike=alike)
        if alike and trainer.shuffle and not self._is_mixed(trainer.n_windows):
            warn(
                "Consecutive rows of the source have similar targets, as if sorted by y. Training only shuffles "
                f"rows within windows of buffer_bytes={self.source.buffer_bytes}, which may not be enough: shuffle the "
                "source, or raise buffer_bytes."
            )
        return trainer

    def _is_mixed(self, n_windows):
        """Whether each window has all rows, or rows of many parts in a new order; None windows are many."""
        n_parts = self.source.n_parts
        return n_windows == 1 or None not in (n_parts, n_windows) and n_parts >= MANY_PARTS * n_windows

    def blocks(self, order):
        """Return a context manager that yields an iterator over the checked blocks of a pass."""
        if self.opened is None:
            return self.source.checked(order, self.held)
        head, rest, _ = self.opened
        return contextlib.nullcontext(drained(head, rest))

    def prepared(self, block):
        """Return the rows, targets and weights of a block for the engine."""
        n_rows = block.matrix.shape[0]
        with naming(block.where):
            as_matrix(self.estimator, block.matrix, reset=False)
            if block.y is None:
                raise ValueError("the block has no y.")
            encoded = self.estimator._encode(block.y, n_rows, reset=False)
            weight = check_sample_weight(block.weight, n_rows, some=False)
            weight = self.survey.weigh(encoded, weight, some=False)
            if (weight is None) != (self.scale is None):
                raise ValueError("either all blocks have sample_weight or none has.")
            offset = self.estimator._offset(block.offset, n_rows)
            if (offset is not None) != self.has_offset:
                raise ValueError("either all blocks have an offset or none has.")
        if weight is not None:
            weight = weight * self.scale
        return Rows(block.matrix, encoded, weight, offset)
