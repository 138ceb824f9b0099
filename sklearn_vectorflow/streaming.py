"""Training on rows that come from a source, a window of them in memory at a time."""
import contextlib
import dataclasses
import math
import warnings
from types import SimpleNamespace

import numpy as np

from sklearn_vectorflow import _checks
from sklearn_vectorflow._progress import Progress
from sklearn_vectorflow.io.ahead import Ahead
from sklearn_vectorflow.io.blocks import join, join_targets, n_bytes
from sklearn_vectorflow.io.cache import as_source
from sklearn_vectorflow.io.matrix import as_matrix
from sklearn_vectorflow.survey import Survey, drained
from sklearn_vectorflow.training import Plan, Trainer, mean_loss, new_seed
from sklearn_vectorflow.windows import Rows, windows_of_bytes, windows_of_rows


def check_alone(y, sample_weight):
    """Raise if targets or weights are given beside a source."""
    if y is not None or sample_weight is not None:
        raise ValueError("targets and weights must be None beside a source: its blocks are (X, y, sample_weight).")


def read_all(X, y, sample_weight):
    """Return the rows of a source in memory: a Matrix, targets and weights."""
    check_alone(y, sample_weight)
    with as_source(X).checked() as blocks:
        return _together(list(blocks))


def read_raw(estimator, X):
    """Return raw outputs, targets and weights of a source's rows."""
    with as_source(X).checked() as blocks:
        parts = [(estimator._raw(block.matrix), block.y, block.weight) for block in blocks]
    if not parts:
        raise ValueError("The source gave no rows.")
    raw, y, weight = zip(*parts)
    return RawOutputs(np.concatenate(raw), join_targets(y), join_targets(weight))


class RawOutputs:
    """Raw outputs that stand for the rows they are of.

    Parameters
    ----------
    raw : ndarray of shape (n_rows, n_outputs)
    y, weight : array-like or None
    """

    def __init__(self, raw, y, weight):
        self.raw = raw
        self.y = y
        self.weight = weight


def _together(blocks):
    if not blocks:
        raise ValueError("The source gave no rows.")
    return (
        join([block.matrix for block in blocks]), join_targets([block.y for block in blocks]),
        join_targets([block.weight for block in blocks]),
    )


def open_data(estimator, X, y, sample_weight, *, reset):
    """Read what training has to know beforehand of a source's rows.

    Parameters
    ----------
    estimator : BaseVectorFlow
        Its classes and features are set (reset=True) or compared.
    X : source
    y, sample_weight : None
        They come from the source.
    reset : bool

    Returns
    -------
    data : object
        Of rows in memory if the buffer holds all of them, else `StreamedData`.
    """
    check_alone(y, sample_weight)
    source = as_source(X)
    with contextlib.ExitStack() as stack:
        blocks = stack.enter_context(source.checked())
        head, rest = _head(blocks, source.buffer_bytes)
        if rest is None:
            return estimator._data(*_together(head), reset=reset, classes=source.classes)
        if source.once:
            if estimator.max_iter > 1:
                warnings.warn(
                    f"X can be read once: training makes one pass in place of max_iter={estimator.max_iter}. For more "
                    "give what can be read again, such as sklearn_vectorflow.io.BatchSource(function).", UserWarning,
                    stacklevel=5,
                )
            survey = Survey(estimator, head, (), source.classes, reset)
            return StreamedData(estimator, source, survey, (head, rest, stack.pop_all()))
        survey = Survey(estimator, head, rest if source.survey else (), source.classes, reset)
        return StreamedData(estimator, source, survey, held=_whole_parts(head))


def _head(blocks, most_bytes):
    """Return the blocks that a buffer holds and an iterator over the others, None if there are none."""
    head, size = [], 0
    for block in blocks:
        head.append(block)
        size += n_bytes(block.matrix)
        if size > most_bytes:
            return head, blocks
    return head, None


def _whole_parts(head):
    """Return blocks by their part of the source; the last part may lack some."""
    held = {}
    for block in head:
        held.setdefault(block.part, []).append(block)
    if head:
        del held[head[-1].part]
    return held


class StreamedData:
    """Stands for the rows of a source where training expects rows in memory.

    Parameters
    ----------
    estimator : BaseVectorFlow
    source : Source
    survey : Survey
    opened : tuple, default=None
        Of a source that can be read once: blocks read so far, an iterator over the others, and
        what closes it.
    held : dict of int to list of Checked, default=None
        Parts that have been read: the first pass takes them from here.
    """

    starts = None  # sources bring no groups

    def __init__(self, estimator, source, survey, opened=None, held=None):
        self.estimator = estimator
        self.source = source
        self.survey = survey
        self.opened = opened
        self.held = held
        self.encoded, self.weight = survey.encoded, survey.weight
        self.n_targets = self.encoded.shape[1]
        self.scale = None if self.weight is None else np.count_nonzero(self.weight) / self.weight.sum()
        rows = SimpleNamespace(n_nonzero=survey.n_nonzero)
        self.matrix = SimpleNamespace(
            shape=(survey.n_rows, survey.n_features), rows=rows, sample=survey.sample,
            sample_step=survey.sample_step,
        )

    @property
    def once(self):
        """Whether there is a single pass."""
        return self.opened is not None

    def split(self, fraction, strata, random_state):
        """Refuse: rows to hold out are drawn from rows in memory."""
        raise ValueError(
            "early_stopping on a source that exceeds its buffer_bytes needs X_val, which may be a source of its own."
        )

    def close(self):
        """Stop reading."""
        if self.opened is not None:
            self.opened[2].close()

    def trainer(self, *args):
        """Return what trains on the source's rows; nothing else asks for targets from now on."""
        self.encoded = self.weight = self.survey.encoded = self.survey.weight = None
        return StreamTrainer(self, *args)

    def blocks(self, order):
        """Return a context manager whose value iterates over the checked blocks of a pass."""
        if self.opened is None:
            return self.source.checked(order, self.held)
        head, rest, _ = self.opened
        return contextlib.nullcontext(drained(head, rest))

    def prepared(self, block):
        """Return a block's rows with targets and weights as the engine wants them."""
        n_rows = block.matrix.shape[0]
        with _checks.naming(block.where):
            as_matrix(self.estimator, block.matrix, reset=False)
            if block.y is None:
                raise ValueError("the block has no y.")
            encoded = self.estimator._encode(block.y, n_rows, reset=False)
            weight = _checks.check_sample_weight(block.weight, n_rows, some=False)
            weight = self.survey.weigh(encoded, weight, some=False)
            if (weight is None) != (self.scale is None):
                raise ValueError("either all blocks have sample_weight or none has.")
        if weight is not None:
            weight = weight * self.scale
        return Rows(block.matrix, encoded, weight)


class StreamTrainer:
    """Runs a net over the rows of a source, one pass at a time; like `Trainer`.

    One thread takes the very steps that `Trainer` would take on the same rows in memory, if
    rows are not shuffled: windows are whole slices of its plan.

    Parameters
    ----------
    data : StreamedData
    network, net, clock, kernel, batch_size, shuffle, input_dropout, random_state, crew
        See `Trainer`.
    """

    def __init__(self, data, network, net, clock, kernel, batch_size, shuffle, input_dropout, random_state, crew):
        self.data = data
        self.network = network
        self.net = net
        self.clock = clock
        self.kernel = kernel
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.input_dropout = input_dropout
        self.random_state = random_state
        self.crew = crew
        self.plans = self._plans(data.survey) if data.survey.complete else None

    def _plans(self, survey):
        work = survey.n_nonzero * self.network.n_products
        plan = Plan.of(survey.n_rows, work, survey.canonical, self.batch_size, self.crew.n_workers)
        return plan.windows(int(self.data.source.buffer_bytes * survey.n_rows / max(survey.n_bytes, 1)))

    def epoch(self):
        """Train on every row once; return the mean loss, each row's before its step."""
        order = self._order_of_parts()
        seed = new_seed(self.random_state)
        parts, n_rows, n_nonzero = [], 0, 0
        progress = Progress(self.data.estimator.verbose, self._n_rows)
        with self.data.blocks(order) as blocks, Ahead(lambda rows: rows, self._windows(blocks), n_waiting=0) as windows:
            for number, rows in enumerate(windows):
                rows.matrix.rows.first_row = n_rows
                parts += self._run(rows, number, len(parts), seed)
                if not math.isfinite(mean_loss(parts)):
                    break
                n_rows += rows.matrix.shape[0]
                n_nonzero += rows.matrix.rows.n_nonzero
                progress.tell(n_rows, n_bytes(rows.matrix))
        self.data.matrix.shape = n_rows, self.data.matrix.shape[1]
        self.data.matrix.rows.n_nonzero = n_nonzero
        return mean_loss(parts)

    @property
    def _n_rows(self):
        return self.data.survey.n_rows if self.plans else self.data.source.n_rows

    def _order_of_parts(self):
        n_parts = self.data.source.n_parts
        if n_parts is None or not self.shuffle:
            return None
        return self.random_state.permutation(n_parts).tolist()

    def _windows(self, blocks):
        rows = (self.data.prepared(block) for block in blocks)
        if self.plans:
            return windows_of_rows(rows, [plan.n_rows for plan in self.plans])
        return windows_of_bytes(rows, self.data.source.buffer_bytes)

    def _run(self, rows, number, n_slices, seed):
        """Train on a window; return the losses of its slices."""
        n_rows, found = rows.matrix.shape[0], rows.matrix.rows
        if self.plans and self.crew.n_workers == 1:
            plan = self.plans[number]
        else:
            canonical = self.data.survey.canonical and found.canonical
            work = found.n_nonzero * self.network.n_products
            plan = Plan.of(n_rows, work, canonical, min(self.batch_size, n_rows), self.crew.n_workers)
            plan = dataclasses.replace(plan, first=n_slices)
        trainer = Trainer(
            self.network, self.net, self.clock, rows.matrix, rows.targets(), self.kernel, None, self.batch_size,
            self.shuffle, self.input_dropout, self.random_state, self.crew, plan,
        )
        return trainer.run_window(seed)
