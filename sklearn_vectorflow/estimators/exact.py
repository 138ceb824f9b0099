"""What follows the stochastic epochs of ``solver="exact"``."""

from sklearn.exceptions import ConvergenceWarning

from sklearn_vectorflow.exact.optimum import Problem, converge
from sklearn_vectorflow.losses.blocks import name_of
from sklearn_vectorflow.losses.doors import kernel_of
from sklearn_vectorflow.threads import Crew
from sklearn_vectorflow.validation.errors import warn

EPOCHS = 3  # of stochastic steps before Newton's: more of them gain less than those do


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

    def _finish_exactly(self, network, start, data):
        """Take a trained net to the optimum."""
        if not self._is_exact:
            return
        fields = network.penalties_of(network.graph.weighted[0])
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
