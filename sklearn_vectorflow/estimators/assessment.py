"""Mean losses of a net, and reports of them during and after a fit."""

import numpy as np

from sklearn_vectorflow.losses.blocks import name_of
from sklearn_vectorflow.losses.doors import kernel_of
from sklearn_vectorflow.network.forward import map_raw, outputs, raw_outputs
from sklearn_vectorflow.training.data import Data
from sklearn_vectorflow.training.stopping import warn_if_worse

FAR = 30.0  # times the loss of raw outputs of zero; a class that was thought to be absent has 19 times


class AssessmentMixin:
    """Mean losses of an estimator's net, the lines of `verbose`, and warnings of bad fits."""

    def _mean_loss(self, network, data, crew):
        kernel, n_rows = kernel_of(self._loss), data.matrix.shape[0]
        weight = np.ones(n_rows) if data.weight is None else data.weight
        read = network.graph.read_by(name_of(self._loss), kernel.reads)
        if data.starts is not None or read:
            raw = data.with_offset(raw_outputs(network, data.matrix, crew))
            nodes = [outputs(network, data.matrix, crew, place).astype(np.float64) for place in read]
            total, *_ = kernel.evaluate(data.dense_targets(0, n_rows), raw, weight, data.starts, nodes)
            return total / (weight.sum() if data.starts is None else len(data.starts) - 1)

        def of_block(raw, start, end):
            y = data.dense_targets(start, end)
            raw = data.with_offset(raw.astype(np.float64), start, end)
            return kernel.evaluate(y, raw, weight[start:end], None)[0]

        return sum(map_raw(network, data.matrix, crew, of_block)) / weight.sum()

    def _report(self, epoch, loss_curve, validation_scores, data, seconds):
        if not self.verbose:
            return
        validation = f", validation {-validation_scores[-1]:.4f}" if validation_scores else ""
        rows, nonzeros = data.matrix.shape[0] / seconds, data.matrix.rows.n_nonzero / seconds
        print(
            f"epoch {epoch + 1}: loss {loss_curve[-1]:.4f}{validation}, "
            f"{rows / 1e6:.3g} M rows/s, {nonzeros / 1e6:.3g} M non-zeros/s"
        )

    def _warn_if_worse(self, network, losses, best, data, validation, start, factor):
        """Warn if the final net is worse than that of the first epoch, or than a constant model."""
        typical, constant = network.scales.loss, self._comparable_loss(network)
        if start is None or not data.is_known:
            constant = None  # it is of other rows
        if self._stops_early:
            if constant is not None:
                constant = self._constant_loss(validation, start.raw)
            warn_if_worse(best, best, constant, typical, validation.matrix.shape[0], "validation", factor)
            return
        if constant is not None and losses[1] > constant and isinstance(data, Data):
            constant = self._constant_loss(data, start.raw)  # of all rows, not of a sample
        warn_if_worse(losses[1], losses[0], constant, typical, data.matrix.shape[0], factor=factor)

    def _comparable_loss(self, network):
        """Return the loss before training; None if training losses are of other inputs, outputs or blocks."""
        noisy = not self._stops_early and (self.input_dropout > 0 or network.graph.has_dropout)
        comparable = not (noisy or self._loss.sampled) and getattr(self._loss, "separates", True)
        return network.scales.initial if comparable else None

    def _far_from_nothing(self, data):
        """Return whether a loss is far above that of raw outputs of zero, as if the first rows had one class."""
        return lambda loss: loss > FAR * abs(self._constant_loss(data, 0.0))

    def _constant_loss(self, data, initial):
        """Return the mean loss of a constant model."""
        n_rows = data.matrix.shape[0]
        raw = data.with_offset(np.tile(np.broadcast_to(initial, self._n_outputs()).astype(np.float64), (n_rows, 1)))
        weight = np.ones(n_rows) if data.weight is None else data.weight
        total = kernel_of(self._loss).evaluate(data.dense_targets(0, n_rows), raw, weight, data.starts)[0]
        return total / (weight.sum() if data.starts is None else len(data.starts) - 1)
