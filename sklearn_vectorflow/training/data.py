"""Rows, targets and weights of a fit, checked and encoded."""

import numpy as np
from scipy import sparse

from sklearn_vectorflow.engine.data import Targets
from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.io.sampling import sample_step, sampled_rows
from sklearn_vectorflow.training.neighbours import neighbours_are_alike
from sklearn_vectorflow.training.plan import FULL_SHUFFLE
from sklearn_vectorflow.training.trainer import Trainer

MOST_LOOKED_AT = 1 << 20  # rows that a sample by size is drawn from


class Data:
    """Rows, encoded targets and weights.

    Parameters
    ----------
    matrix : Matrix
    encoded : ndarray of shape (n_rows, n_targets) or csr_array
        float64 targets, or an indicator matrix of labels.
    weight : ndarray of shape (n_rows,) or None
    starts : ndarray of shape (n_groups + 1,) or None
        Row at which each group starts, and n_rows, if rows of a group are seen together.
    stands_for : ndarray of shape (n_rows,), default=None
        How many rows each row of a sample stands for, if they were not drawn alike.
    noise : float, default=1.0
        How many times as noisy the gradients of such a sample are as those of the rows it stands for.
    columns : ndarray or None, default=None
        The number that each column of a sample has among all.
    """

    def __init__(self, matrix, encoded, weight, starts=None, stands_for=None, noise=1.0, columns=None):
        self.matrix = matrix
        self.encoded = encoded
        self.weight = moderate(weight)
        self.starts = starts
        self.stands_for = stands_for
        self.noise = noise
        self.columns = columns

    @property
    def n_targets(self):
        return self.encoded.shape[1]

    once = False
    is_known = True  # all rows are, before training
    scale = None  # what weights are multiplied by, where these rows are a part of others
    of_all = None  # `n_rows` and `n_terms` of all rows, where these are some of them

    def close(self):
        """Nothing is open."""

    def sample(self, fewest):
        """Return rows, or whole groups, that stand for all, as `Data` with the columns alone that they have.

        Parameters
        ----------
        fewest : int
            Rows that are drawn at least, if there are as many.
        """
        step = sample_step(self.matrix.shape[0], fewest)
        terms = sampled_rows(0, self.n_terms, step)
        if len(terms) == 0:  # of a few long groups, none may have been drawn
            terms = np.arange(1)
        rows, starts = self._rows_of(terms)
        values = self.matrix.sample(step) if starts is None else self.matrix.take(rows).sample()
        return sampled(values, rows, self.encoded, self.weight, starts)

    @property
    def can_be_sampled_by_size(self):
        """Whether rows can be drawn by how large their gradients are."""
        return self.starts is None

    def sample_by(self, size_of, most):
        """Return a sample in which rows of large gradients, say the few of a rare class, are as many as can be.

        The others have larger weights in turn, so that means over the sample are those over all rows.

        Parameters
        ----------
        size_of : callable
            Returns how large the gradients of some rows are, each row being weighted as it will be.
        most : int
            About how many rows are drawn.

        References
        ----------
        Zhao and Zhang (2015), Stochastic optimization with importance sampling, ICML.
        """
        n_rows = self.matrix.shape[0]
        step = 1 << max(0, (n_rows // MOST_LOOKED_AT).bit_length() - 1)
        rows = sampled_rows(0, n_rows, step)
        size = size_of(self.encoded[rows], some(self.weight, rows))
        chance = np.minimum(1.0, size * (most / size.sum()))
        drawn = np.random.default_rng(0).random(len(rows)) < chance
        rows, size, stands_for = rows[drawn], size[drawn], 1.0 / chance[drawn]
        noise = np.sum((stands_for * size) ** 2) / np.sum(stands_for * size**2)
        weight = stands_for if self.weight is None else stands_for * self.weight[rows]
        sample = sampled(self.matrix.take(rows).sample(), rows, self.encoded, None)
        return Data(sample.matrix, sample.encoded, weight, None, step * stands_for, noise)

    @property
    def n_terms(self):
        """Rows, or groups where rows of a group are seen together."""
        return self.matrix.shape[0] if self.starts is None else len(self.starts) - 1

    def part(self, terms):
        """Return some rows, or some groups, as `Data` of their own."""
        rows, starts = self._rows_of(terms)
        weight, stands_for = some(self.weight, rows), some(self.stands_for, rows)
        return Data(self.matrix.take(rows), self.encoded[rows], weight, starts, stands_for)

    def _rows_of(self, terms):
        """Return the rows of some terms, and where groups start among them."""
        if self.starts is None:
            return terms, None
        spans = list(zip(self.starts[terms], self.starts[terms + 1]))
        starts = np.cumsum([0, *(end - start for start, end in spans)], dtype=np.int64)
        return np.concatenate([np.arange(*span) for span in spans]), starts

    def trainer(self, network, net, clock, kernel, *args):
        """Return what trains on the rows."""
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
        return Targets(encoded, self.n_targets, weight, self.starts)

    def split(self, fraction, strata, random_state):
        """Take a fraction of the rows for validation, out of training by a weight of zero.

        Those of the same `strata` are divided alike.
        """
        from sklearn.model_selection import train_test_split

        if self.starts is not None:
            return self._split_groups(
                train_test_split(np.arange(len(self.starts) - 1), test_size=fraction, random_state=random_state)[1]
            )
        rows = np.arange(self.matrix.shape[0])
        if self.weight is not None:
            rows = rows[self.weight > 0]
            strata = None if strata is None else strata[rows]
        if strata is not None:  # the only row of a class stays in training
            _, of_row, counts = np.unique(strata, return_inverse=True, return_counts=True)
            several = counts[of_row] > 1
            if not np.any(several):
                raise ValueError("every class has one row, and none can be spared.")
            rows, strata = rows[several], strata[several]
        _, taken = train_test_split(rows, test_size=fraction, stratify=strata, random_state=random_state)
        return self._take_out(taken)

    def _split_groups(self, groups):
        ends = self.starts[groups + 1]
        taken = [np.arange(start, end) for start, end in zip(self.starts[groups], ends)]
        starts = np.cumsum([0, *map(len, taken)], dtype=np.int64)
        return self._take_out(np.concatenate(taken), starts)

    def _take_out(self, taken, starts=None):
        weight = np.ones(self.matrix.shape[0]) if self.weight is None else self.weight.copy()
        validation = Data(self.matrix.take(taken), self.encoded[taken], weight[taken], starts)
        weight[taken] = 0.0
        self.weight = weight
        return validation


def sampled(values, rows, encoded, weight, starts=None):
    """Return sampled rows as `Data`, with the columns alone that have values among them.

    Parameters
    ----------
    values : csr_matrix of float64
        The sampled rows.
    rows : ndarray of int64
        Their numbers among all.
    encoded, weight : array or None
        Of all rows.
    starts : ndarray or None
        Where groups start among the sampled rows.
    """
    columns, indices = _renumbered(values.indices, values.shape[1])
    if len(columns) == 0:  # all rows are empty
        columns = np.zeros(1, dtype=np.int64)
    narrow = sparse.csr_matrix((values.data, indices, values.indptr), (len(rows), len(columns)))
    return Data(Matrix(narrow), encoded[rows], some(weight, rows), starts, columns=columns)


def _renumbered(columns, n_columns):
    """Return the different columns in ascending order, and the numbers of columns among these."""
    if n_columns > 8 * len(columns):
        different, numbers = np.unique(columns, return_inverse=True)
        return different, numbers.astype(np.int32)
    occurs = np.zeros(n_columns, dtype=bool)
    occurs[columns] = True
    return np.flatnonzero(occurs), np.cumsum(occurs, dtype=np.int32)[columns] - np.int32(1)


def some(weight, rows):
    """Return the numbers of some rows, if rows have numbers."""
    return None if weight is None else weight[rows]


def moderate(weight):
    """Return weights, scaled where their squares would leave double precision: only their ratios count."""
    if weight is None or 1e-60 < (largest := weight.max()) < 1e60:
        return weight
    return weight * 2.0 ** -np.frexp(largest)[1] if largest > 0 else weight


def n_terms(data, more):
    """Return how many terms the mean loss has, None if not all of them are known."""
    if more or data.once:
        return None
    if getattr(data, "of_all", None) is not None:
        return data.of_all.n_terms
    if data.starts is not None:
        return data.n_terms
    if getattr(data, "stands_for", None) is not None:
        return data.stands_for.sum()
    return data.matrix.shape[0] if data.weight is None else np.count_nonzero(data.weight)
