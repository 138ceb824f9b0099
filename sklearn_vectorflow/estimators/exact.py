"""What follows the stochastic epochs of ``solver="exact"``."""

import contextlib

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow.exact.inference import Inference
from sklearn_vectorflow.exact.optimum import Problem, converge
from sklearn_vectorflow.io.source import is_source
from sklearn_vectorflow.losses.blocks import name_of
from sklearn_vectorflow.losses.doors import kernel_of
from sklearn_vectorflow.threads import Crew
from sklearn_vectorflow.training.source_data import open_data
from sklearn_vectorflow.validation.errors import warn

EPOCHS = 3  # of stochastic steps before Newton's: more of them gain less than those do


class Diverged(ValueError):
    """Stochastic steps led to numbers that are not finite."""


class ExactMixin:
    """Newton steps to the optimum of linear models."""

    @property
    def _is_exact(self):
        return self.solver == "exact"

    @property
    def _most_epochs(self):
        """Epochs of stochastic steps, at most."""
        return min(self.max_iter, EPOCHS) if self._is_exact else self.max_iter

    def _check_exact(self, network, data):
        """Raise ValueError, before any step, if there is no exact optimum of what the parameters ask for."""
        if not self._is_exact:
            for name in ("optimality_", "n_passes_"):
                vars(self).pop(name, None)
            return
        loss = self._loss
        linear = network.graph.weighted[0].layer
        for wrong, what in (
            (not network.is_linear, "linear models, without hidden layers or a network of other layers"),
            (self.input_dropout > 0, "input_dropout=0"),
            (self.early_stopping, "early_stopping=False: it goes on to the optimum of the training loss"),
            (data.once, "a source that can be read more than once"),
            (getattr(linear, "frozen", False), "weights that are not frozen"),
            (loss.sampled, f"all outputs, of which {name_of(loss)} computes few"),
            (loss.coupled, f"rows with losses of their own, which {name_of(loss)} has not"),
            (bool(loss.reads), f"losses of raw outputs alone, and {name_of(loss)} reads layers"),
            (not loss.smooth, f"a loss with a continuous gradient, which {name_of(loss)} has not"),
        ):
            if wrong:
                raise ValueError(f"solver='exact' needs {what}. Use solver='sgd'.")

    @contextlib.contextmanager
    def _even_if_diverged(self, network, start):
        """Let ``solver="exact"`` go on from a constant model where stochastic steps diverged."""
        try:
            yield
        except Diverged as error:
            if start is None:
                raise ValueError(*error.args) from None
            self._fields = network.penalties_of(network.graph.weighted[0])
            initial = np.broadcast_to(start[1], network.n_outputs)
            ends = np.cumsum([place.n_weights for place in network.graph.weighted])[:-1]
            network.start_anew([0.0] * (len(ends) + 1), np.split(initial, ends))
            vars(self).update(self._attributes(network, []))

    def _finish_exactly(self, network, start, data):
        """Take a trained net to the optimum."""
        if not self._is_exact:
            return
        fields = vars(self).pop("_fields", None)
        self._penalties_of_fit = fields = fields or network.penalties_of(network.graph.weighted[0])
        initial = None if start is None else start[1]
        with Crew(self._n_workers(data, network)) as crew:
            problem = Problem(network, data, kernel_of(self._loss), fields, crew)
            report = converge(problem, initial, self.exact_tol, self.exact_max_iter, self._say_step)
        self.n_passes_ = self.n_iter_ + problem.design.n_passes
        self.n_iter_ += report.n_iter
        self.optimality_ = report.optimality
        if not report.converged:
            warn(
                f"solver='exact' ended after {report.n_iter} steps with a relative gradient of "
                f"{report.optimality:.2g}, which is above exact_tol={self.exact_tol:g}. {report.advice}",
                ConvergenceWarning,
            )

    def _say_step(self, step, value, optimality):
        if self.verbose:
            print(f"exact {step}: objective {value:.10g}, relative gradient {optimality:.2e}")

    # ---- inference ------------------------------------------------------------------

    def _inference(self, X, y, sample_weight, covariance):
        """Return what rows say of the weights of a fitted linear model."""
        check_is_fitted(self, "network_")
        if not self.network_.is_linear or not self._loss.smooth or self._loss.sampled or self._loss.coupled:
            raise ValueError("inference needs a linear model, and a loss of single rows with a continuous gradient.")
        data = (
            open_data(self, X, y, sample_weight, reset=False)
            if is_source(X)
            else self._data(X, y, sample_weight, reset=False)
        )
        network = self.network_
        linear = network.graph.weighted[0]
        with contextlib.closing(data), Crew(self._n_workers(data, network)) as crew:
            problem = Problem(network, data, kernel_of(self._loss), self._penalties_of_fit, crew)
            names = getattr(self, "feature_names_in_", None)
            names = [f"x{k}" for k in range(network.n_features)] if names is None else list(names)
            raw = np.concatenate(network.intercepts()).astype(float)
            return Inference(
                problem,
                covariance,
                names,
                self._labels_of_outputs(linear.n_weights),
                self._names_of_constants(),
                self._reported(raw[None, :]) - raw,
            )

    def _labels_of_outputs(self, n):
        """Return what the raw outputs are of."""
        return [""] if n == 1 else list(range(n))

    def _names_of_constants(self):
        """Return the names of raw outputs that are the same for all rows."""
        return [f"constant{k}" for k in range(self._n_constant())]

    def _reported(self, raw):
        """Return the raw outputs of a row without features in the unit of y."""
        return raw[0]
