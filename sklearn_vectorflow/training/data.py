"""Rows, targets and weights of a fit, checked and encoded."""

import copy

import numpy as np

from sklearn_vectorflow.engine.data import Targets
from sklearn_vectorflow.io.sampling import sample_step, sampled_rows
from sklearn_vectorflow.training.neighbours import neighbours_are_alike
from sklearn_vectorflow.training.plan import FULL_SHUFFLE
from sklearn_vectorflow.training.trainer import Trainer

FEW_ROWS = 100  # too few to be informative without all classes


class Data:
    """Rows, encoded targets and weights.

    Parameters
    ----------
    matrix : Matrix
    encoded : ndarray of shape (n_rows, n_targets) or csr_array
        float64 targets, or an indicator matrix of labels.
    weight : ndarray of shape (n_rows,) or None
    starts : ndarray of shape (n_groups + 1,) or None
        First row of each group, and n_rows, for losses of groups.
    offset : ndarray of shape (n_rows, n_outputs), default=None
        Added to the raw outputs. It may be a view with equal columns.
    """

    def __init__(self, matrix, encoded, weight, starts=None, offset=None):
        self.matrix = matrix
        self.encoded = encoded
        self.weight = moderate(weight)
        self.starts = starts
        self.offset = offset

    @property
    def n_targets(self):
        return self.encoded.shape[1]

    once = False
    is_known = True  # all rows are known before training
    scale = None  # factor of the weights, if these rows are a part of others
    of_all = None  # `n_rows` and `n_terms` of all rows, if these are some of them

    def close(self):
        """Do nothing, as nothing is open."""

    def drawn(self, fewest):
        """Draw a sample of rows or whole groups, of at least `fewest` rows if there are as many.

        Returns
        -------
        values : csr_matrix of float64
        rows : ndarray of int64
            Numbers of the rows.
        starts : ndarray or None
            First row of each group in the sample.
        """
        step = sample_step(self.matrix.shape[0], fewest)
        terms = sampled_rows(0, self.n_terms, step)
        if len(terms) == 0:  # with few long groups, the sample may be empty
            terms = np.arange(1)
        rows, starts = self.rows_of(terms)
        return self.matrix.sample(step) if starts is None else self.matrix.take(rows).sample(), rows, starts

    @property
    def n_terms(self):
        """Number of rows, or of groups for losses of groups."""
        return self.matrix.shape[0] if self.starts is None else len(self.starts) - 1

    @property
    def n_losses(self):
        """Number of losses in the mean, without rows of weight zero."""
        if self.of_all is not None:
            return self.of_all.n_terms
        if self.starts is not None or self.weight is None:
            return self.n_terms
        return np.count_nonzero(self.weight)

    def rows_of(self, terms):
        """Return the rows of some terms, and the first row of each group."""
        if self.starts is None:
            return terms, None
        spans = list(zip(self.starts[terms], self.starts[terms + 1]))
        starts = np.cumsum([0, *(end - start for start, end in spans)], dtype=np.int64)
        return np.concatenate([np.arange(*span) for span in spans]), starts

    def trainer(self, network, net, clock, kernel, *args):
        """Return a trainer on the rows."""
        many = self.starts is None and self.matrix.shape[0] > FULL_SHUFFLE
        alike = many and neighbours_are_alike(self.encoded)
        return Trainer(network, net, clock, self.matrix, self.targets(), kernel, self.starts, *args, alike=alike)

    def dense_targets(self, start, end):
        """Return the targets of rows [start, end) as a float64 array."""
        some = self.encoded[start:end]
        return np.ascontiguousarray(some if isinstance(some, np.ndarray) else some.toarray(), dtype=np.float64)

    def targets(self):
        """Return the targets for the engine, with weights scaled to a mean of one."""
        weight = self.weight
        if weight is not None:
            weight = weight * (np.count_nonzero(weight) / weight.sum() if self.scale is None else self.scale)
        encoded = self.encoded
        if not isinstance(encoded, np.ndarray):
            encoded = encoded.indices.astype(np.int32, copy=False), encoded.indptr.astype(np.int64, copy=False)
        return Targets(encoded, self.n_targets, weight, self.starts, self.offset)

    def with_offset(self, raw, start=0, end=None):
        """Return the raw outputs of rows [start, end) with offsets, for those of the net."""
        return raw if self.offset is None else raw + self.offset[start:end]

    def split(self, fraction, strata, random_state):
        """Return all rows, of which a fraction has weight zero, and this fraction.

        Each of the `strata` is divided alike.
        """
        from sklearn.model_selection import train_test_split

        if self.starts is not None:
            groups = train_test_split(np.arange(self.n_terms), test_size=fraction, random_state=random_state)[1]
            return self._take_out(*self.rows_of(groups))
        rows = np.arange(self.matrix.shape[0])
        if self.weight is not None:
            rows = rows[self.weight > 0]
            strata = None if strata is None else strata[rows]
        if strata is not None:  # the only row of a class stays in training
            _, first, of_row, counts = np.unique(strata, return_index=True, return_inverse=True, return_counts=True)
            several = counts[of_row] > 1
            if not np.any(several):
                raise ValueError("each class has only one row, which training needs.")
            n_smaller = min(fraction, 1.0 - fraction) * np.count_nonzero(several)
            many = FEW_ROWS < n_smaller < np.count_nonzero(counts > 1)
            if many:  # too many classes to divide each alike: one row of each stays in training
                several[first] = False
            rows, strata = rows[several], None if many else strata[several]
        _, taken = train_test_split(rows, test_size=fraction, stratify=strata, random_state=random_state)
        return self._take_out(taken)

    def _take_out(self, taken, starts=None):
        weight = np.ones(self.matrix.shape[0]) if self.weight is None else self.weight.copy()
        offset = None if self.offset is None else self.offset[taken]
        validation = Data(self.matrix.take(taken), self.encoded[taken], weight[taken], starts, offset)
        rest = copy.copy(self)
        rest.weight = weight
        rest.weight[taken] = 0.0
        return rest, validation

    def part(self, terms):
        """Return some of the rows, or of the groups."""
        rows, starts = self.rows_of(terms)
        weight = None if self.weight is None else self.weight[rows]
        offset = None if self.offset is None else self.offset[rows]
        return Data(self.matrix.take(rows), self.encoded[rows], weight, starts, offset)


def moderate(weight):
    """Return weights, scaled if their squares would exceed double precision. Only their ratios count."""
    if weight is None or 1e-60 < (largest := weight.max()) < 1e60:
        return weight
    return weight * 2.0 ** -np.frexp(largest)[1] if largest > 0 else weight
