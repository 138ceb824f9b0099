"""The decay of the optimizer's state for ``half_life``."""

import numpy as np

from sklearn_vectorflow.merging.forgetting import let_forget
from sklearn_vectorflow.validation.scalars import check_integer

OFTEN = 8  # at most as many decays in a half-life, as each is a pass over all weights


class ForgetMixin:
    """Decays the state of an estimator's optimizer between two blocks.

    `_n_remembered` counts the training rows since the last decay.
    """

    _n_remembered = 0

    def _forget(self, draft, network, crew):
        """Decay the state of a net if there were enough rows. An error in the next block does not undo this."""
        if draft.half_life is None or OFTEN * self._n_remembered < draft.half_life:
            return
        share = 2.0 ** (-self._n_remembered / draft.half_life)
        draft._n_remembered = 0
        if network is self.network_:  # but not a net that has grown, which is dropped if the block fails
            self._n_remembered = 0
        network.settle(crew)
        let_forget(network, share)

    def _remember(self, data, is_new):
        """Count the rows of a block on which the net, which may be new, was trained."""
        if self.half_life is None:
            vars(self).pop("_n_remembered", None)
            return
        n_rows = data.matrix.shape[0] if data.weight is None else int(np.count_nonzero(data.weight))
        self._n_remembered = n_rows + (0 if is_new else self._n_remembered)

    def _check_remembered(self):
        """Raise unless the restored count is valid."""
        check_integer("_n_remembered", self._n_remembered, 0)
