"""What is to be known of a source's rows before training."""

import numpy as np
from scipy import sparse

from sklearn_vectorflow.io.blocks import drained, join_targets, n_bytes
from sklearn_vectorflow.io.matrix import as_matrix
from sklearn_vectorflow.io.sampling import LARGE_SAMPLE, sample_step, sampled_rows
from sklearn_vectorflow.validation.arrays import check_offset, check_sample_weight
from sklearn_vectorflow.validation.errors import naming


class Survey:
    """What is to be known of rows before training: their number, targets, weights and lengths.

    Parameters
    ----------
    estimator : BaseVectorFlow
    head : list of Checked
        Emptied, to free its rows, if the survey goes on.
    rest : iterable of Checked
        Empty if the head has to do.
    classes : array-like or None
    reset : bool
    """

    def __init__(self, estimator, head, rest, classes, reset):
        self.complete = not isinstance(rest, tuple)
        self.n_rows = self.n_nonzero = self.n_bytes = 0
        self.canonical = True
        self._rows, self.sample_step = [], 1
        targets, weights, offsets = estimator._collector(classes, reset), [], []
        for block in drained(head, rest) if self.complete else head:
            with naming(block.where):
                as_matrix(estimator, block.matrix, reset=reset and self.n_rows == 0)
                self._add(block.matrix)
                targets.add(block.y, block.matrix.shape[0])
                weights.append(check_sample_weight(block.weight, block.matrix.shape[0], some=False))
                offsets.append(check_offset(block.offset, block.matrix.shape[0]))
        self.n_features = block.matrix.shape[1]
        self.encoded = targets.join()
        weight = check_sample_weight(join_targets(weights), self.n_rows)
        self.weigh = estimator._weigher(self.encoded, weight)
        self.weight = self.weigh(self.encoded, weight)
        self.offset = estimator._offset(join_targets(offsets), self.n_rows)

    def _add(self, matrix):
        self._rows.append(matrix.sample(self.sample_step, self.n_rows))
        self.n_rows += matrix.shape[0]
        self.n_nonzero += matrix.rows.n_nonzero
        self.n_bytes += n_bytes(matrix)
        self.canonical &= bool(matrix.rows.canonical)
        self._thin()

    def _thin(self):
        step = sample_step(self.n_rows, LARGE_SAMPLE)
        if step > self.sample_step:
            self._rows = [self.sample(step)]
            self.sample_step = step

    def sample(self, step):
        """Return what `Matrix.sample` would of all rows; the step is no smaller than that of the rows kept so far."""
        rows = sparse.vstack(self._rows, format="csr")
        if step == self.sample_step:
            return rows
        kept, fewer = (sampled_rows(0, self.n_rows, each) for each in (self.sample_step, step))
        return rows[np.isin(kept, fewer)]
