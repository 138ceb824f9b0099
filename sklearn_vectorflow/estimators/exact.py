"""What follows the stochastic epochs of ``solver="exact"``, and inference from the rows of a fit."""

import contextlib
from numbers import Real
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow.defaults.columns import outlying_columns, unlike_columns
from sklearn_vectorflow.estimators.strength import EPOCHS, FEW_EPOCHS
from sklearn_vectorflow.exact.inference import COVARIANCES, Inference
from sklearn_vectorflow.exact.optimum import Problem, converge
from sklearn_vectorflow.io.sampling import SMALL_SAMPLE, sample_step
from sklearn_vectorflow.io.source import is_source
from sklearn_vectorflow.losses.blocks import name_of
from sklearn_vectorflow.losses.doors import kernel_of
from sklearn_vectorflow.threads import ALONE, Crew, single_threaded_blas
from sklearn_vectorflow.training.data import Data
from sklearn_vectorflow.training.sample import Sample
from sklearn_vectorflow.training.source_data import open_data
from sklearn_vectorflow.validation.errors import warn
from sklearn_vectorflow.validation.scalars import check_choice
from sklearn_vectorflow.validation.types import RowsLike, TargetLike

FEWEST_PASSES = 16  # over the rows, which share the cost of starting threads
FEW_COLUMNS = 512  # of which Newton's steps take all second derivatives together, and are few
PRODUCTS_OF_PAIRS = 1 << 26  # the same, times the values of a row, for several steps
PRODUCTS = 1 << 20  # non-zeros times outputs, with which Newton's steps take tenths of a second
MOST_STEPS = 20  # for models of cross-validation
LOOSE_TOL = 1e-4  # relative gradient that is enough for predictions, of columns nearly collinear too


OF_OPTIMUM = ("optimality_", "duality_gap_", "n_passes_", "_penalties_of_fit")  # attributes that exact fits have


class Diverged(ValueError):
    """Stochastic steps led to numbers that are not finite."""


class ExactMixin:
    """Newton steps to the optimum of linear models."""

    @property
    def _is_exact(self):
        return self.solver == "exact" or getattr(self, "_prefers_exact", False)

    @property
    def _most_epochs(self):
        """Epochs of stochastic steps, at most."""
        return min(self.max_iter, EPOCHS) if self._is_exact else self.max_iter

    def _choose_solver(self, data, validates):
        """Let ``solver="auto"`` be "exact" where Newton's steps are few and quick, and nothing asks for other ones.

        A quadratic loss is at its optimum after one. Stochastic steps end at a distance from it that matters where
        the rows explain nearly all of ``y``, and far from it where columns are unlike, to which Newton's are blind.
        """
        steps = self.optimizer, self.batch_size, self.learning_rate, self.input_dropout
        as_they_come = steps == ("auto", "auto", None, 0.0) and self.tol is not None and self.max_iter >= FEW_EPOCHS
        strong = self.alpha is None or (isinstance(self.alpha, Real) and self.alpha > 0)
        goes_on = self.average or self.warm_start or validates
        could_be = (
            self.solver == "auto"
            and self._loss.convex
            and self._loss.smooth
            and not kernel_of(self._loss).takes_gil
            and self._is_plainly_linear
            and as_they_come
            and strong
            and self.penalty is None
            and self.l1_ratio == 0.0
            and not goes_on
            and isinstance(data, Data)
            and not self._scales_targets
        )
        is_quick = could_be and self._loss.quadratic and self._converges_quickly(data.matrix)
        self._column_sizes = self._sizes_of_unlike_columns(data, is_quick) if could_be else None
        self._prefers_exact = is_quick or self._column_sizes is not None

    def _sizes_of_unlike_columns(self, data, is_quick):
        """Return the sizes of columns that are unlike; None if they are not, or Newton's steps would take long."""
        matrix = data.matrix
        if self._takes_few_products(matrix):
            return unlike_columns(matrix.sample(sample_step(matrix.shape[0], SMALL_SAMPLE)))
        if not is_quick or matrix.shape[1] <= FEW_COLUMNS:
            return None
        sample = Sample.of(data, SMALL_SAMPLE)
        found = outlying_columns(sample.matrix.values)
        if found is None:
            return None
        sizes = np.ones(matrix.shape[1])
        sizes[sample.columns] = found
        return sizes

    def _takes_few_products(self, matrix):
        """Whether all second derivatives together take little time."""
        n_rows, n_columns = matrix.shape
        n_products = matrix.rows.n_nonzero**2 * self._n_outputs()
        return n_columns <= FEW_COLUMNS and n_products <= PRODUCTS_OF_PAIRS * n_rows

    def _converges_quickly(self, matrix):
        return matrix.rows.n_nonzero * self._n_outputs() <= PRODUCTS

    def _check_exact(self, network, data):
        """Raise ValueError, before any step, if there is no exact optimum of what the parameters ask for."""
        self._forget_optimum()
        if not self._is_exact:
            return
        loss = self._loss
        linear = network.graph.weighted[0].layer
        for wrong, what in (
            (not network.is_linear, "linear models, without hidden layers or a network of other layers"),
            (self.input_dropout > 0, "input_dropout=0"),
            (self._stops_early, "early_stopping=False: it trains to the optimum of the training loss"),
            (data.once, "a source that can be read more than once"),
            (getattr(linear, "frozen", False), "weights that are not frozen"),
            (loss.sampled, f"a loss of all outputs, but {name_of(loss)} computes only some of them"),
            (loss.coupled, f"a loss of single rows, but {name_of(loss)} is one of groups"),
            (bool(loss.reads), f"a loss of raw outputs alone, but {name_of(loss)} reads layers"),
            (not loss.smooth, f"a loss with a continuous gradient, unlike {name_of(loss)}"),
        ):
            if wrong:
                raise ValueError(f"solver='exact' needs {what}. Use solver='sgd'.")

    def _forget_optimum(self):
        """Drop what an exact fit has left, before training that does not end at an optimum."""
        for name in OF_OPTIMUM:
            vars(self).pop(name, None)

    @contextlib.contextmanager
    def _even_if_diverged(self, network, start):
        """Let ``solver="exact"`` go on from a constant model where stochastic steps diverged."""
        try:
            yield
        except Diverged as error:
            if start is None:
                raise ValueError(*error.args) from None
            self._penalties_of_fit = network.penalties_of(network.graph.weighted[0])
            initial = np.broadcast_to(start.raw, network.n_outputs)
            ends = np.cumsum([place.n_weights for place in network.graph.weighted])[:-1]
            network.start_anew([0.0] * (len(ends) + 1), np.split(initial, ends))
            vars(self).update(self._attributes(network, []))

    def _finish_exactly(self, network, start, data):
        """Take a trained net to the optimum."""
        if not self._is_exact:
            return
        if not hasattr(self, "_penalties_of_fit"):  # a net that starts anew has forgotten them
            self._penalties_of_fit = network.penalties_of(network.graph.weighted[0])
        with Crew(self._n_workers(data, network, FEWEST_PASSES)) as crew:
            self._converge(Problem.of_rows(network, data, kernel_of(self._loss), self._penalties_of_fit, crew), start)

    def _converge(self, problem, start):
        """Take the net of a problem to the optimum, and say how that went."""
        initial = None if start is None else start.raw
        tol = self.exact_tol if self.solver == "exact" else max(self.exact_tol, LOOSE_TOL)
        with single_threaded_blas:
            report = converge(problem, initial, tol, self.exact_max_iter, self._say_step, self.solver != "exact")
        self.n_passes_ = self.n_iter_ + problem.design.n_passes
        self.n_iter_ += report.n_iter
        self.optimality_ = report.optimality
        self.duality_gap_ = report.gap if self._loss.convex else np.nan
        if not report.converged:
            warn(
                f"solver='exact' ended after {report.n_iter} steps with a relative gradient of "
                f"{report.optimality:.2g}, which is above exact_tol={self.exact_tol:g}. {report.advice}",
                ConvergenceWarning,
            )

    def _converge_small(self, network, start, data):
        """Take a net of some rows, which is to be compared with others, near enough to the optimum."""
        problem = Problem.of_rows(
            network, data, kernel_of(self._loss), network.penalties_of(network.graph.weighted[0]), ALONE
        )
        with single_threaded_blas:
            converge(problem, start.raw, LOOSE_TOL, MOST_STEPS, lambda *step: None)

    def _say_step(self, step, value, optimality):
        if self.verbose:
            print(f"exact {step}: objective {value:.10g}, relative gradient {optimality:.2e}")


class InferenceMixin:
    """Standard errors, tests and likelihoods of linear models at their optimum."""

    def inference(
        self,
        X: RowsLike,
        y: TargetLike = None,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        covariance: Literal["model", "observed", "sandwich"] = "model",
    ) -> Inference:
        """Return standard errors, tests and likelihoods of a linear model at its optimum.

        Parameters
        ----------
        X, y, sample_weight, offset
            Rows that the model was fitted to, as in :meth:`fit`. Weights are frequencies of rows. Pass the logarithm of
            an exposure as an offset.
        covariance : {"model", "observed", "sandwich"}, default="model"
            "model" is the inverse of the expected (Fisher) information, "observed" that of the observed information.
            They differ for gamma and Tweedie losses. "sandwich" is robust to a wrong variance of the model (White's
            estimator, HC0), and is not available for Cox's likelihood. Penalties count as information.

        Returns
        -------
        inference : Inference
            Estimates, standard errors, tests and likelihoods.

        Raises
        ------
        ValueError
            If the model is not at its optimum: fit it with ``solver="exact"``.
        """
        self._check_rows(X)
        check_is_fitted(self, "network_")
        check_choice("covariance", covariance, COVARIANCES)
        if not hasattr(self, "_penalties_of_fit"):
            raise ValueError("inference needs a model at its optimum. Fit a linear model with solver='exact'.")
        if covariance == "sandwich" and not getattr(self._loss, "separates", True):
            raise ValueError("covariance='sandwich' needs losses of single rows, unlike Cox's likelihood.")
        data = (
            open_data(self, X, y, sample_weight, offset, reset=False)
            if is_source(X)
            else self._data(X, y, sample_weight, offset=offset, reset=False)
        )
        with contextlib.closing(data):
            if data.once:
                raise ValueError("inference needs a source that can be read more than once.")
            return self._inference(data, covariance)

    def _check_rows(self, X):
        """Raise TypeError if an estimator does not read rows of a kind."""

    def _inference(self, data, covariance):
        """Return what rows say of the weights."""
        network = self.network_
        names = getattr(self, "feature_names_in_", None)
        names = [f"x{k}" for k in range(network.n_features)] if names is None else list(names)
        raw = np.concatenate(network.intercepts()).astype(float)
        with Crew(self._n_workers(data, network)) as crew:
            return Inference(
                Problem.of_rows(network, data, kernel_of(self._loss), self._penalties_of_fit, crew),
                covariance,
                names,
                self._labels_of_outputs(network.graph.weighted[0].n_weights),
                self._names_of_constants(),
                self._reported(raw[None, :]) - raw,
            )

    def _names_of_constants(self):
        """Return the names of raw outputs that are the same for all rows."""
        return [f"constant{k}" for k in range(self._n_constant())]

    def _reported(self, raw):
        """Return the raw outputs of a row without features in the unit of y."""
        return raw[0]
