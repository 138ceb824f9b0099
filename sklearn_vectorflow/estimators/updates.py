"""``partial_fit``: training block by block, undone if a block fails."""

import numpy as np

from sklearn_vectorflow.engine.crew import Undo
from sklearn_vectorflow.estimators.parameters import optimizer_of
from sklearn_vectorflow.io.cache import as_source
from sklearn_vectorflow.io.source import check_alone, is_source
from sklearn_vectorflow.network.network import Network
from sklearn_vectorflow.threads import Crew
from sklearn_vectorflow.training.first_rows import FirstRows
from sklearn_vectorflow.training.stopping import BLOWN_UP, warn_if_worse
from sklearn_vectorflow.validation.errors import brief, naming


class UpdateMixin:
    """Trains the net of an estimator on blocks of rows."""

    def _partial_fit(self, X, y, sample_weight, groups=None, classes=None, offset=None):
        if is_source(X):
            self._check_ungrouped(X, groups)
            check_alone(y=y, sample_weight=sample_weight, offset=offset)
            with as_source(X).checked() as blocks:
                for block in blocks:
                    with naming(block.where):
                        self._partial_fit(block.matrix, block.y, block.weight, None, classes, block.offset)
            return self
        with self._turn.lock:
            draft = self._draft()
            before = vars(draft).copy()
            draft._check_parameters()
            first = not hasattr(self, "network_")
            former = None if first or not draft.grow else draft._take_in(X, y, classes)
            data = draft._data(X, y, sample_weight, groups, offset=offset, reset=first, classes=classes)
            if former is not None:
                draft._grow_outputs(former, data)
            network, start, data = draft._begun(data) if first else draft._goes_on(data)
            with network.turn.lock, Crew(draft._n_workers(data, network)) as crew:
                if start is None:
                    self._forget(draft, network, crew)
                with Undo(self._undo_of(network, data.matrix, crew)):
                    draft._train_once(network, start, data, crew)
                    draft._remember(data, start is not None)
                    self._become(draft, before)
        return self

    def _begun(self, data):
        """Return a new net for the first block, its initial weights, and the rows for training."""
        network = self._new_network_for(data)
        if self._follows_units(network):
            self._first_rows = FirstRows().plus(data).begun(data)
        return network, self._start(data), data

    def _goes_on(self, data):
        """Return the same for a later block: a new net of all rows if enough of the first rows have come."""
        network, rows = self._trained_network(data), getattr(self, "_first_rows", None)
        if rows is None:
            return network, None, data
        rows = rows.plus(data)
        if not rows.is_due:
            self._first_rows = rows.kept()
            return network, None, data
        data = rows.joined()
        self._first_rows = rows.begun(data)
        new = Network(network.graph, network.fit_intercept)
        new.keep_state = network.keep_state
        return new, self._start(data), data

    def _check_first_rows(self):
        """Raise unless the first rows of a pickle fit the net and the loss."""
        rows = getattr(self, "_first_rows", None)
        if rows is None:
            return
        if not isinstance(rows, FirstRows):
            raise ValueError(f"{brief(rows)} is not the first rows of a stream.")
        for part in rows.parts:
            if part.matrix.shape[1] != self.network_.n_features:
                raise ValueError(f"the first rows have {part.matrix.shape[1]} columns.")
            raw = np.zeros((part.matrix.shape[0], self.network_.n_outputs))
            if part.offset is not None and part.offset.shape != raw.shape:
                raise ValueError(f"the first rows have offsets of shape {part.offset.shape}.")
            if isinstance(part.encoded, np.ndarray):
                self._loss.check_block(part.encoded, raw)
            elif part.encoded.shape != raw.shape:
                raise ValueError(f"the first rows have labels of shape {part.encoded.shape}.")

    def _follows_units(self, network):
        """Whether learning rates are derived from the data."""
        return any(one.follows_units for one in network.optimizers(optimizer_of(self, network.is_linear)))

    def _undo_of(self, network, matrix, crew):
        """Return a function that restores the current attributes and weights."""
        attributes, restore = vars(self), network.saved(matrix, crew.n_workers)

        def undo():
            self.__dict__ = attributes
            restore()

        return undo

    def _train_once(self, network, start, data, crew):
        loss = self._epoch(self._trainer(network, start, data, crew, more=True))
        after = self._check_state(network, data, crew, data.matrix)
        first = self.loss_curve_[0] if getattr(self, "loss_curve_", []) else loss
        constant, typical, n_rows = self._comparable_loss(network), network.scales.loss, data.matrix.shape[0]
        warn_if_worse(
            max(loss, after), first, constant, typical, n_rows, factor=BLOWN_UP, confirm=self._far_from_nothing(data)
        )
        self.loss_curve_ = [*getattr(self, "loss_curve_", []), loss]
        self.n_iter_ = getattr(self, "n_iter_", 0) + 1
        self._forget_optimum()
        self.network_ = network
