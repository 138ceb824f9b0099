"""Some rows that stand for all: what units, and the strength of the penalty, are read off."""

import numpy as np
from scipy import sparse

from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.io.sampling import sample_step, sampled_rows
from sklearn_vectorflow.training.data import Data

MOST_CELLS = 1 << 20  # rows times outputs whose gradients are looked at, to draw rows by their size


class Sample(Data):
    """Drawn rows, with the columns alone that have values among them.

    Parameters
    ----------
    matrix, encoded, weight, starts, offset
        See `Data`.
    columns : ndarray of shape (n_columns,)
        The number that each column has among all.
    stands_for : ndarray of shape (n_rows,), default=None
        How many rows each row stands for, if they were not drawn alike.
    noise : float, default=1.0
        How many times as noisy the gradients of the sample are as those of the rows it stands for.
    """

    def __init__(self, matrix, encoded, weight, starts, columns, stands_for=None, noise=1.0, offset=None):
        super().__init__(matrix, encoded, weight, starts, offset)
        self.columns = columns
        self.stands_for = stands_for
        self.noise = noise

    @classmethod
    def of(cls, data, fewest):
        """Draw rows, or whole groups: so many rows at least, if there are as many.

        Parameters
        ----------
        data : Data or StreamedData
        fewest : int
        """
        values, rows, starts = data.drawn(fewest)
        encoded = data.encoded[rows]
        if isinstance(encoded, np.ndarray):  # of a source, small integers stand for classes
            encoded = encoded.astype(np.float64, copy=False)
        narrow = _narrow(values, encoded, _some(data.weight, rows), starts)
        return cls(*narrow, offset=_some(data.offset, rows))

    @classmethod
    def by_size(cls, data, size_of, n_outputs, most):
        """Draw rows in proportion to their gradients: as many as can be of the few of a rare class, say.

        The others have larger weights in turn, so that means over the sample are those over all rows.

        Parameters
        ----------
        data : Data
            Of rows with losses of their own.
        size_of : callable
            Returns how large the gradients of some rows are, given their targets, weights and offsets.
        n_outputs : int
            Of each row's gradient.
        most : int
            About how many rows are drawn.

        References
        ----------
        Zhao and Zhang (2015), Stochastic optimization with importance sampling, ICML.
        """
        step = sample_step(data.n_terms, max(most, MOST_CELLS // n_outputs))
        rows = sampled_rows(0, data.n_terms, step)
        size = size_of(data.encoded[rows], _some(data.weight, rows), _some(data.offset, rows))
        chance = np.minimum(1.0, size * (most / size.sum()))
        drawn = np.random.default_rng(0).random(len(rows)) < chance
        rows, size, stands_for = rows[drawn], size[drawn], 1.0 / chance[drawn]
        noise = np.sum((stands_for * size) ** 2) / np.sum(stands_for * size**2)
        weight = stands_for if data.weight is None else stands_for * data.weight[rows]
        narrow = _narrow(data.matrix.take(rows).sample(), data.encoded[rows], weight, None)
        return cls(*narrow, step * stands_for, noise, _some(data.offset, rows))

    @property
    def n_losses(self):
        """Losses in the mean over the rows that the sample stands for."""
        return super().n_losses if self.stands_for is None else self.stands_for.sum()

    def part(self, terms):
        """Return some of the rows, or of the groups."""
        rows, starts = self.rows_of(terms)
        weight, stands_for = _some(self.weight, rows), _some(self.stands_for, rows)
        offset = _some(self.offset, rows)
        return Sample(
            self.matrix.take(rows), self.encoded[rows], weight, starts, self.columns, stands_for, offset=offset
        )


def _some(numbers, rows):
    return None if numbers is None else numbers[rows]


def _narrow(values, encoded, weight, starts):
    """Return the arguments of a sample whose columns are numbered anew."""
    columns, indices = _renumbered(values.indices, values.shape[1])
    if len(columns) == 0:  # all rows are empty
        columns = np.zeros(1, dtype=np.int64)
    narrow = sparse.csr_matrix((values.data, indices, values.indptr), (values.shape[0], len(columns)))
    return Matrix(narrow), encoded, weight, starts, columns


def _renumbered(columns, n_columns):
    """Return the different columns in ascending order, and the numbers of columns among these."""
    if n_columns > 8 * len(columns):
        different, numbers = np.unique(columns, return_inverse=True)
        return different, numbers.astype(np.int32)
    occurs = np.zeros(n_columns, dtype=bool)
    occurs[columns] = True
    return np.flatnonzero(occurs), np.cumsum(occurs, dtype=np.int32)[columns] - np.int32(1)
