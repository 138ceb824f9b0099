"""What ``half_life`` does between blocks of rows."""

import numpy as np

from sklearn_vectorflow.merging.forgetting import let_forget
from sklearn_vectorflow.validation.scalars import check_integer

OFTEN = 8  # decays in a half-life, at most: each is a pass over all weights


class ForgetMixin:
    """Lets what an estimator's optimizer knows decay between two blocks.

    `_n_remembered` counts the rows that the model was trained on since it last did.
    """

    _n_remembered = 0

    def _forget(self, draft, network, crew):
        """Let a net forget, if enough rows have come; a block that then fails does not bring back what it knew."""
        if draft.half_life is None or OFTEN * self._n_remembered < draft.half_life:
            return
        share = 2.0 ** (-self._n_remembered / draft.half_life)
        draft._n_remembered = 0
        if network is self.network_:  # and not one that has grown, which a block that fails takes with it
            self._n_remembered = 0
        network.settle(crew)
        let_forget(network, share)

    def _remember(self, data, is_new):
        """Count the rows of a block that the net, which may be new, was trained on."""
        if self.half_life is None:
            vars(self).pop("_n_remembered", None)
            return
        n_rows = data.matrix.shape[0] if data.weight is None else int(np.count_nonzero(data.weight))
        self._n_remembered = n_rows + (0 if is_new else self._n_remembered)

    def _check_remembered(self):
        """Raise unless a pickle's count is one."""
        check_integer("_n_remembered", self._n_remembered, 0)
