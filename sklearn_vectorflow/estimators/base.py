"""The fit of all estimators: check, train in epochs, stop, store the result."""

import contextlib
import itertools
import time
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from sklearn_vectorflow.defaults.batch_size import auto_batch_size
from sklearn_vectorflow.defaults.stopping import stops_early
from sklearn_vectorflow.estimators.assessment import AssessmentMixin
from sklearn_vectorflow.estimators.callbacks import CallbackSupportMixin, FitTask
from sklearn_vectorflow.estimators.column_units import ColumnUnitsMixin
from sklearn_vectorflow.estimators.drafts import DraftMixin
from sklearn_vectorflow.estimators.exact import Diverged, ExactMixin
from sklearn_vectorflow.estimators.forgetting import ForgetMixin
from sklearn_vectorflow.estimators.growing import GrowMixin
from sklearn_vectorflow.estimators.offsets import OffsetMixin
from sklearn_vectorflow.estimators.parameters import (
    check_nested,
    check_net_parameters,
    check_training_parameters,
)
from sklearn_vectorflow.estimators.raw_outputs import FittedMixin
from sklearn_vectorflow.estimators.rehearsal import FEW_HELD_OUT, RehearsalMixin
from sklearn_vectorflow.estimators.saving import SaveMixin
from sklearn_vectorflow.estimators.trainers import TrainerMixin
from sklearn_vectorflow.estimators.updates import UpdateMixin
from sklearn_vectorflow.io.matrix import as_matrix, n_values
from sklearn_vectorflow.io.source import is_source, source_name
from sklearn_vectorflow.layers import Constant, chain
from sklearn_vectorflow.losses.doors import kernel_of
from sklearn_vectorflow.network.graph import Graph, heads_of
from sklearn_vectorflow.network.initial_weights import Start
from sklearn_vectorflow.network.network import Network
from sklearn_vectorflow.targets.collectors import TargetCollector
from sklearn_vectorflow.threads import WORTH_THE_GIL, Crew, n_workers
from sklearn_vectorflow.training.data import Data
from sklearn_vectorflow.training.source_data import open_data, read_all
from sklearn_vectorflow.training.stopping import BLOWN_UP, BestWeights, Stopping
from sklearn_vectorflow.validation.arrays import check_sample_weight, group_starts
from sklearn_vectorflow.validation.errors import brief, naming, warn
from sklearn_vectorflow.validation.scalars import check_integer

# Attributes that a fit needs for itself.
OF_A_FIT = "_prefers_exact _column_sizes _column_units _stops_early _sample_of _linear_units _rehearses".split()
SUSPICIOUS = 1e12  # weights from which on outputs may overflow, so the loss is checked


class BaseVectorFlow(
    FittedMixin,
    OffsetMixin,
    SaveMixin,
    DraftMixin,
    ForgetMixin,
    GrowMixin,
    UpdateMixin,
    TrainerMixin,
    RehearsalMixin,
    AssessmentMixin,
    ExactMixin,
    ColumnUnitsMixin,
    CallbackSupportMixin,
    BaseEstimator,
):
    """Base class of the estimators.

    Subclasses encode and check targets (`_encode`), and define the loss (`_loss`) and the raw outputs of the best
    constant model (`_initial_raw`).
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags

    @property
    def best_loss_(self) -> float:
        """Lowest training loss of an epoch."""
        return min(self.loss_curve_)

    @property
    def best_validation_score_(self) -> float:
        """Highest score on the validation rows after an epoch."""
        return max(self.validation_scores_)

    def _check_restored(self):
        """Raise unless restored attributes have valid types and values."""
        if hasattr(self, "network_"):
            if not isinstance(self.network_, Network) or not self.network_.parameters:
                raise ValueError("network_ is not a net with weights.")
            if not isinstance(self.loss_curve_, list):
                raise ValueError("loss_curve_ is not a list.")
            check_integer("n_iter_", self.n_iter_, 1)
            check_integer("n_features_in_", self.n_features_in_, 1)
            self._check_first_rows()
            self._check_remembered()

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the estimator and, as ``object__parameter``, of the objects among them.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If a parameter does not exist.
        """
        super().set_params(**{name: value for name, value in params.items() if "__" not in name})
        nested = {name: value for name, value in params.items() if "__" in name}
        check_nested(self, nested)
        return super().set_params(**nested)

    # ---- fit -------------------------------------------------------------------

    def _fit(
        self,
        X,
        y,
        sample_weight,
        X_val,
        y_val,
        sample_weight_val,
        groups=None,
        groups_val=None,
        offsets=(None, None),
        initial=(None, None),
    ):
        with self._turn.lock:
            task = FitTask(self, self._most_epochs, {"X": X, "y": y, "metadata": {"sample_weight": sample_weight}})
            draft = self._draft()
            before = vars(draft).copy()
            rows = X, y, sample_weight, X_val, y_val, sample_weight_val, groups, groups_val
            draft._fit_here(*rows, offsets, initial, task)
            self._become(draft, before)
            task.end(self._fitted_attributes)
        return self

    def _fit_here(
        self, X, y, sample_weight, X_val, y_val, sample_weight_val, groups, groups_val, offsets, initial, task
    ):
        self._check_parameters()
        if is_source(X):
            self._check_ungrouped(X, groups)
            data = open_data(self, X, y, sample_weight, offsets[0], reset=not self._continues)
        else:
            data = self._data(X, y, sample_weight, groups, offset=offsets[0], reset=not self._continues)
        with contextlib.closing(data):
            self._choose_units(data)
            can_validate = X_val is not None or isinstance(data, Data)
            graph = self._new_network_for(data).graph
            self._choose_stopping(graph, data.n_losses, can_validate, self._is_for_few(graph, data))
            validation = self._validation(data, X_val, y_val, sample_weight_val, groups_val, offsets[1])
            holds_out = validation is None and self._stops_early
            self._choose_solver(data, holds_out or validation is not None)
            data, validation = self._in_column_units(graph, data, validation, initial)
            splits = self._splits(data)
            rest, validation = next(splits) if holds_out else (data, validation)
            self._forget_validation()
            if holds_out and validation.n_terms < FEW_HELD_OUT:
                network = self._fit_rehearsed(data, itertools.chain([(rest, validation)], splits), initial, task)
            else:
                data = rest
                network = self._fit_once(data, validation, initial, task)
        self.network_ = network
        vars(self).pop("_first_rows", None)
        vars(self).pop("_n_remembered", None)
        self._finish(data)
        self._in_units_of_X(network)
        for name in OF_A_FIT:
            vars(self).pop(name, None)

    def _fit_once(self, data, validation, initial, task):
        """Return a net trained on rows, until their loss or that of validation rows ends training."""
        network, start = self._network(data)
        start = self._started_from(network, start, *initial)
        self._check_exact(network, data)
        stopped = False
        with self._even_if_diverged(network, start):
            stopped = self._train(network, start, data, validation, task)
        if not stopped:
            self._finish_exactly(network, start, data)
        return network

    @property
    def _scales_targets(self):
        return False

    _stops_early = False  # whether the validation loss ends training; set during a fit

    def _choose_stopping(self, graph, n_losses, can_validate, is_for_few=False):
        """Decide what ``early_stopping="auto"`` means for the model and its rows.

        Linear models do not stop early: they have one optimum, and cross-validation chooses their penalty.
        """
        self._stops_early = bool(self.early_stopping)
        if self.early_stopping == "auto":
            n_weights = sum(place.n_in * place.n_weights for place in graph.weighted if place.is_input)
            rule = is_for_few or stops_early(n_losses, n_weights, self.max_iter, self.tol)
            self._stops_early = can_validate and not graph.is_linear and rule
        self._rehearses = is_for_few and self._stops_early

    def _choose_units(self, data):
        """Change the units of targets that do not suit training."""

    def _finish(self, data):
        """Derive what predictions need in addition to the trained net."""

    def _check_parameters(self):
        check_net_parameters(self)
        check_training_parameters(self)

    def _data(self, X, y, sample_weight, groups=None, *, offset=None, reset, classes=None):
        """Check X, y and weights; return them in the form that the engine reads.

        Parameters
        ----------
        classes : array-like, default=None
            All classes, for classifiers. None means those of y.
        """
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        with Crew(n_workers(self.n_jobs, n_values(X))) as crew:
            matrix = as_matrix(self, X, reset=reset, run=crew.map if crew.n_workers > 1 else None)
        weight = check_sample_weight(sample_weight, matrix.shape[0])
        with self._expecting(classes):
            encoded = self._encode(y, matrix.shape[0], reset=reset)
        weight = self._weigher(encoded, weight)(encoded, weight)
        starts = self._starts(groups, matrix.shape[0], self._groups_name)
        return Data(matrix, encoded, weight, starts, self._offset(offset, matrix.shape[0]))

    def _check_targets(self, y, n_rows):
        """Raise if targets of some rows are invalid whatever those of others are."""
        self._draft()._encode(y, n_rows, reset=True)

    _groups_name = "groups"

    @property
    def _coupled(self):
        """Whether the loss depends on several rows of a group together."""
        return self._loss.coupled

    def _starts(self, groups, n_rows, name):
        """Return where groups start if the loss is one of groups, else None."""
        starts = None if groups is None else group_starts(groups, n_rows, name)
        if self._coupled and starts is None:
            raise ValueError(f"{name} must be given: the loss {self._loss!r} sees rows of a group together.")
        return starts if self._coupled else None

    def _check_ungrouped(self, X, groups):
        """Raise if X is a source but rows have groups, which sources do not support."""
        if groups is not None or self._coupled:
            raise ValueError(
                "X must be an array, a sparse matrix or a data frame where rows have groups "
                f"({self._groups_name}, or a loss that sees rows of a group together), got the source "
                f"{source_name(X)}."
            )

    @contextlib.contextmanager
    def _expecting(self, classes):
        """Tell `_encode` all classes."""
        if classes is None:
            yield
            return
        self._expected = classes
        try:
            yield
        finally:
            vars(self).pop("_expected", None)

    def _collector(self, classes, reset):
        """Return the collector that encodes targets block by block."""
        return TargetCollector(self, reset)

    def _weigher(self, encoded, weight):
        """Return a function of (encoded, weight) that computes the weights of rows, including those of classes."""
        return lambda encoded, weight, some=True: weight

    def _validation(self, data, X_val, y_val, sample_weight_val, groups_val, offset_val):
        """Return the validation rows that `fit` got, or None."""
        if X_val is not None:
            if y_val is None and not is_source(X_val):
                raise ValueError("X_val was given without y_val.")
            with naming("X_val"):
                if is_source(X_val):
                    X_val, y_val, sample_weight_val, offset_val = read_all(X_val, y_val, sample_weight_val, offset_val)
                matrix = as_matrix(self, X_val, reset=False)
            weight = check_sample_weight(sample_weight_val, matrix.shape[0], "sample_weight_val")
            if offset_val is None and data.offset is not None:
                warn("offset_val is missing: the rows of X have offsets, and those of X_val are assumed to have none.")
            with naming("y_val"):
                encoded = self._encode(y_val, matrix.shape[0], reset=False)
            starts = self._starts(groups_val, matrix.shape[0], f"{self._groups_name}_val")
            return Data(matrix, encoded, weight, starts, self._offset(offset_val, matrix.shape[0], "offset_val"))
        if y_val is not None or sample_weight_val is not None:
            raise ValueError("y_val and sample_weight_val need X_val.")
        for name, value in ((f"{self._groups_name}_val", groups_val), ("offset_val", offset_val)):
            if value is not None:
                raise ValueError(f"{name} needs X_val.")
        return None

    def _forget_validation(self):
        """Drop what validation rows told in another fit."""
        vars(self).pop("validation_scores_", None)

    def _note_validation(self, pairs, crew):
        """Compute other metrics after an epoch, given pairs of a net and its validation rows."""

    def _strata(self, data):
        return None

    def _network(self, data):
        """Return the net to train, new or (with warm_start) a copy of the fitted one, and the start of a new net."""
        new = self._new_network_for(data)
        if not self._continues:
            return new, self._start(data)
        if new.graph.signature() != self.network_.graph.signature() or new.fit_intercept != self.network_.fit_intercept:
            raise ValueError(
                f"warm_start=True continues from {self.network_!r}, but the parameters define {new!r}. "
                "Set warm_start=False to train a new model."
            )
        return self.network_.copy(), None

    def _trained_network(self, data):
        """Return the fitted net, to be trained further.

        Raises
        ------
        ValueError
            If its outputs do not fit the loss, which may have changed, or its columns do not fit the rows.
        """
        n_outputs, graph = self._n_outputs(), self.network_.graph
        if graph.n_outputs != n_outputs or (graph.n_active is None) != (self._loss.n_active(n_outputs) is None):
            raise ValueError(
                f"The loss {self._loss!r} with {n_outputs} raw output(s) cannot train the fitted net, which has "
                f"{graph.n_outputs} and was made for another loss. Reset the parameters, or call fit."
            )
        if data.matrix.shape[1] != graph.n_features:
            raise ValueError(f"X has {data.matrix.shape[1]} columns, but the net reads {graph.n_features}.")
        return self.network_

    @property
    def _continues(self):
        """Whether `fit` continues from the fitted net."""
        return self.warm_start and hasattr(self, "network_")

    def _new_network_for(self, data):
        return self._new_network(data.matrix.shape[1], getattr(self, "feature_names_in_", None))

    def _new_network(self, n_features, names=None, network=None):
        """Return a net of new layers, or of those that are given."""
        network = self.network if network is None else network
        if network is None:
            network = chain(self.hidden_layer_sizes, self.activation, self.dropout)
        heads = heads_of(network)
        if self._n_constant() > 0:
            heads.append(Constant(self._n_constant())())
        n_outputs = self._n_outputs()
        graph = Graph(heads, n_features, n_outputs, names, self._loss.n_active(n_outputs))
        return Network(graph, bool(self.fit_intercept))

    def _n_constant(self):
        """Return the number of raw outputs that are the same for all rows; they come last."""
        return 0

    def _output_scale(self, data):
        """Return the typical size of raw outputs."""
        return 1.0

    def _start(self, data):
        initial = np.asarray(self._initial_raw(data) if self.fit_intercept or self._n_constant() else 0.0)
        if initial.shape not in ((), (self._n_outputs(),)) or not np.all(np.isfinite(initial)):
            raise ValueError(
                f"initial_raw of {type(self._loss).__name__} must return {self._n_outputs()} finite number(s), "
                f"got {brief(initial)}."
            )
        if data.offset is not None:
            initial = self._initial_beside_offset(data, initial)
        return Start(check_random_state(self.random_state), initial)

    def _auto_batch_size(self, n_rows, more):
        return auto_batch_size(n_rows, more)

    def _train(self, network, start, data, validation, task):
        """Train by stochastic steps; return whether a callback asked to stop."""
        best = BestWeights()
        loss_curve, validation_scores = [], []
        with Crew(1 if self._is_exact else self._n_workers(data, network)) as crew:
            trainer = self._trainer(network, start, data, crew)
            n_held_out = validation.n_terms if self._stops_early else None
            typical, steps = network.scales.loss, trainer.n_steps
            stopping = Stopping(self.tol, self.n_iter_no_change, typical, steps, n_held_out)
            stop = False
            if trainer.starts_linear and validation is not None:
                best.offer(self._mean_loss(network, validation, crew), network)
            for epoch in range(self._most_epochs):
                begun = time.perf_counter()
                epoch_task = task.begin_epoch()
                loss_curve.append(self._epoch(trainer))
                seconds = time.perf_counter() - begun
                watched = loss_curve[-1]
                if validation is not None:
                    validation_scores.append(-self._mean_loss(network, validation, crew))
                    self._note_validation([(network, validation)], crew)
                    if self._stops_early:
                        watched = -validation_scores[-1]
                        best.offer(watched, network)
                self._report(epoch, loss_curve, validation_scores, data, seconds)
                stop = task.end_epoch(
                    epoch_task,
                    lambda: {**vars(self), **self._attributes(self._in_units_of_X(network.copy()), loss_curve)},
                )
                if stopping.should_stop(watched) or stop or data.once:
                    break
            else:
                if not self._is_exact:
                    stopping.warn_if_improving(self.max_iter)
            best.restore(network)
            self._raise_if_diverged(network.settle(crew) == 0)
            if self.warm_start:
                self._check_state(network, data, crew)
            losses = loss_curve[0], self._last_loss(network, data, loss_curve, crew)
        factor = 1.0 if stopping.could_stop(self.max_iter) and not stop else BLOWN_UP
        if not self._is_exact:
            self._warn_if_worse(network, losses, best.loss, data, validation, start, factor)
        vars(self).update(self._attributes(network, loss_curve))
        if validation is not None:
            self.validation_scores_ = validation_scores
        return stop

    def _check_state(self, network, data, crew, matrix=None):
        """Raise if training cannot continue, after a check of what a matrix can change, or of everything.

        Return the loss if it was computed because weights are large, else -inf.
        """
        finite, largest = network.extent(matrix, crew.n_workers)
        self._raise_if_diverged(finite)
        if largest <= SUSPICIOUS or not isinstance(data, Data):
            return -np.inf
        loss = self._mean_loss(network, data, crew)
        self._raise_if_diverged(np.isfinite(loss))
        return loss

    def _last_loss(self, network, data, loss_curve, crew):
        """Return the loss at the end of a fit: that of the last epoch, unless it precedes the only step."""
        n_rows = data.matrix.shape[0]
        if len(loss_curve) > 1 or not isinstance(data, Data) or self._batch_size(n_rows) < n_rows:
            return loss_curve[-1]
        return max(loss_curve[-1], self._check_state(network, data, crew))

    def _raise_if_diverged(self, fine):
        if not fine:
            raise (Diverged if self._is_exact else ValueError)(
                "Training diverged: the loss or a weight is not finite. Lower learning_rate, scale the columns of X "
                "(or y), or raise alpha. The estimator is unchanged."
            )

    def _epoch(self, trainer):
        loss = trainer.epoch()
        self._raise_if_diverged(np.isfinite(loss))
        return loss

    def _attributes(self, network, loss_curve):
        return {"network_": network, "loss_curve_": list(loss_curve), "n_iter_": len(loss_curve)}

    def _fitted_attributes(self):
        return {name: value for name, value in vars(self).items() if name.endswith("_") and not name.startswith("_")}

    def _batch_size(self, n_rows, more=False):
        """Return the number of rows in a mini-batch; `more` says whether other rows may follow."""
        return self._auto_batch_size(n_rows, more) if self.batch_size == "auto" else self.batch_size

    def _n_workers(self, data, network, n_passes=1):
        if kernel_of(self._loss).takes_gil and self._batch_size(data.matrix.shape[0]) < WORTH_THE_GIL:
            return 1
        return n_workers(self.n_jobs, data.matrix.rows.n_nonzero * network.n_products * n_passes)
