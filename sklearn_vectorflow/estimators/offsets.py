"""Offsets, known numbers that are added to the raw outputs of rows."""

import numpy as np

from sklearn_vectorflow.defaults.constants import MOST_CELLS, best_constant
from sklearn_vectorflow.io.sampling import sample_step, sampled_rows
from sklearn_vectorflow.losses.doors import kernel_of
from sklearn_vectorflow.training.data import Data
from sklearn_vectorflow.validation.arrays import check_offset


class OffsetMixin:
    """Offsets of an estimator's rows."""

    def _offset(self, offset, n_rows, name="offset"):
        """Return the offset of each raw output, of shape (n_rows, n_outputs), or None."""
        offset = check_offset(offset, n_rows, name)
        if offset is None:
            return None
        n_outputs = self._n_outputs()
        if offset.ndim == 2:
            if offset.shape[1] != n_outputs:
                raise ValueError(
                    f"{name} must have shape ({n_rows},) or ({n_rows}, {n_outputs}), one number for each raw output, "
                    f"got {offset.shape}."
                )
            return self._in_units_of_net(offset)
        outputs = self._loss.offset_outputs(n_outputs)
        if outputs is None:
            raise ValueError(
                f"{name} must have shape ({n_rows}, {n_outputs}), one number for each raw output, with the loss "
                f"{self._loss!r}, as one number for all of them changes nothing. Got {offset.shape}."
            )
        if outputs == slice(None):
            return self._in_units_of_net(np.broadcast_to(offset[:, None], (n_rows, n_outputs)))
        spread = np.zeros((n_rows, n_outputs))
        spread[:, outputs] = offset[:, None]
        return self._in_units_of_net(spread)

    def _in_units_of_net(self, offset):
        """Return offsets in the units of training."""
        return offset

    def _initial_beside_offset(self, data, initial):
        """Return the raw outputs of the best constant model for rows with offsets."""
        initial = np.broadcast_to(initial, self._n_outputs()).astype(np.float64)
        if not self.fit_intercept and not self._n_constant():
            return initial
        step = sample_step(data.n_terms, max(8, MOST_CELLS // len(initial)))
        rows, starts = sampled_rows(0, data.n_terms, step), None
        if data.starts is not None:
            rows, starts = data.rows_of(rows)
        weight = None if data.weight is None else data.weight[rows]
        block = Data(None, data.encoded[rows], weight, starts, data.offset[rows])
        return best_constant(kernel_of(self._loss), block, initial)
