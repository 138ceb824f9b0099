"""Nets of few rows: they start as the linear model of these rows; held-out rows tell how far they leave it."""

import numpy as np

from sklearn_vectorflow.defaults.stopping import FEW_EPOCHS
from sklearn_vectorflow.layers.presets import sizes_of
from sklearn_vectorflow.losses.doors import kernel_of
from sklearn_vectorflow.training.data import Data

FEWEST_ROWS = 40  # of fewer, those that are held out tell too little
MOST_ROWS = 2048  # more of them tell a net's weights well enough; an epoch over fewer has as many steps
MOST_PRODUCTS = 1 << 20  # of non-zeros and weights, in an epoch, so that training takes tenths of a second


class LinearStartMixin:
    """Starts nets of few rows as linear models."""

    _linear_units = None  # of linear models of the rows, with the strength that suits them; during a fit
    _rehearses = False  # whether the net is a small one of few rows, and held-out rows end training; during a fit

    def _is_for_few(self, graph, data):
        """Whether a net is small, and its rows are few, alike in weight, and train by default steps."""
        if not isinstance(data, Data) or graph.is_linear or self.network is not None or self._continues:
            return False
        as_they_come = (self.optimizer, self.learning_rate, self.batch_size) == ("auto", None, "auto")
        is_open = as_they_come and self.alpha is None and self.penalty is None and not self.average
        is_long = self.max_iter >= FEW_EPOCHS and self.tol is not None
        is_alike = data.weight is None or np.ptp(data.weight) == 0
        is_few = FEWEST_ROWS <= data.n_losses <= MOST_ROWS
        work = data.matrix.rows.n_nonzero * sum(place.n_products for place in graph.weighted)
        loss = self._loss
        is_odd = self._coupled or loss.sampled or kernel_of(loss).reads or kernel_of(loss).takes_gil
        is_plain = not is_odd and getattr(loss, "separates", True) and self._n_constant() == 0
        is_small = is_few and work <= MOST_PRODUCTS
        return is_open and is_long and is_alike and is_small and is_plain and self._can_be_split(data)

    def _can_be_split(self, data):
        """Whether some rows can be held out: not if each is the only one of its class."""
        try:
            next(self._splits(data))
        except ValueError:
            return False
        return True

    def _passes_of_few(self, network, data):
        """Return the number of passes in an epoch over few rows: with more steps, nets learn more from them."""
        n_rows = data.matrix.shape[0]
        work = max(1, data.matrix.rows.n_nonzero * network.n_products)
        return max(self._n_passes(n_rows), min(MOST_ROWS // n_rows, MOST_PRODUCTS // work))

    def _as_linear(self, network, start, data, batch_size):
        """Return the start of a net of few rows: a linear model of them, if the net can be one."""
        if self._linear_units is None or not self._rehearses or not self._can_be_linear(network):
            return start
        linear = self._small_network(self._linear_units, start, data, batch_size)
        if linear is None:
            return start
        return start._replace(linear=(linear.weights()[0].astype(float), linear.intercepts()[0].astype(float)))

    def _can_be_linear(self, network):
        fewest = min(sizes_of(self.hidden_layer_sizes))
        return self.activation == "relu" and fewest >= 2 * network.n_outputs
