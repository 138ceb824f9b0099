"""Cross-validation of the strength of the penalty."""

from dataclasses import replace

import numpy as np

from sklearn_vectorflow.defaults.evidence import MOST_ROWS, likely_prior
from sklearn_vectorflow.defaults.gradients import Gradients
from sklearn_vectorflow.defaults.laplace import MOST_ROWS as MOST_OF_OTHERS
from sklearn_vectorflow.defaults.laplace import laplace_prior
from sklearn_vectorflow.defaults.scales import FEWEST_COUNTED, RANGE, copies_of, counted
from sklearn_vectorflow.defaults.strength import default_strength
from sklearn_vectorflow.estimators.parameters import asks_for_linear
from sklearn_vectorflow.io.sampling import LARGE_SAMPLE
from sklearn_vectorflow.layers import chain
from sklearn_vectorflow.losses.doors import kernel_of
from sklearn_vectorflow.network.initial_weights import Start
from sklearn_vectorflow.threads import ALONE, WORTH_THE_GIL
from sklearn_vectorflow.training.column_units import in_units
from sklearn_vectorflow.training.data import Data
from sklearn_vectorflow.training.sample import Sample
from sklearn_vectorflow.training.stopping import Stopping
from sklearn_vectorflow.training.strength import FEWEST, folds_of, validated

FEW_TELL = 8  # informative rows with which the guess stands; rows for each output of a part of the data
FEWEST_TELLING = 256  # informative rows that a sample needs
FEW_ROWS = 100_000  # of nets, which train on more without any pass over them before
FEW_EPOCHS = 8  # with fewer epochs, a penalty hardly matters
MOST_EPOCHS, TOL, PATIENCE = 20, 5e-3, 2  # of the models in cross-validation
EPOCHS = 2  # of stochastic steps before Newton's: more of them gain less than those do
MOST_PRODUCTS = 1 << 24  # non-zeros times outputs of the sample
SHORT = 1e-4  # typical raw outputs, over which second derivatives are taken


class StrengthMixin:
    """Chooses the strength of the penalty by linear models of parts of a sample."""

    def _validates_strength(self, kernel, batch_size, n_losses):
        """Return whether cross-validation of linear models on a sample chooses the strength of the penalty.

        It does so if no parameter sets the strength, the model is linear, or a chain of layers with few rows, models of
        parts of a sample are cheap and informative (losses of ranks replace another measure), and training is long
        enough for the penalty to matter.
        """
        is_open = self.alpha is None and self.penalty is None and self.max_iter >= FEW_EPOCHS
        is_open = is_open and self._column_sizes is None
        is_slow = (
            self._coupled or self._loss.sampled or kernel.reads or (kernel.takes_gil and batch_size < WORTH_THE_GIL)
        )
        return is_open and (self._is_plainly_linear or self._is_small_chain(n_losses)) and not is_slow

    def _is_small_chain(self, n_losses):
        """Whether hidden layers read X, all steps are the default ones, and rows are few."""
        steps = self.optimizer, self.learning_rate, self.batch_size
        return self.network is None and n_losses < FEW_ROWS and steps == ("auto", None, "auto")

    @property
    def _is_plainly_linear(self):
        return asks_for_linear(self)

    def _validated_prior(self, scales, start, data, batch_size):
        if self._has_enough(data) and data.n_terms <= self._most_of_likelihood:
            likely = self._likely_prior if self._loss.quadratic else self._laplace_prior
            return likely(scales, start, data)
        if scales.telling < FEW_TELL:
            return scales.prior
        few_tell = scales.telling * LARGE_SAMPLE < FEWEST_TELLING * data.n_losses
        if few_tell and isinstance(data, Data):  # the sample of a source was drawn before its targets were known
            sample = Sample.by_size(data, self._size_of(start), self._n_outputs(), LARGE_SAMPLE)
        else:
            sample = Sample.of(data, LARGE_SAMPLE)
        sample = self._as_if_alike(sample)
        products = sample.matrix.rows.n_nonzero * self._n_outputs()
        most = int(sample.n_terms * min(1.0, MOST_PRODUCTS / max(1, products)))
        if most < min(FEW_TELL * self._n_outputs(), data.n_terms):  # of a class, far fewer rows than there are
            return scales.prior
        folds = folds_of(sample, most)
        if folds is None:
            return scales.prior

        def losses_of(prior):
            losses = []
            for train, blocks in folds:
                network = self._small_network(replace(scales, prior=prior), start, train, batch_size)
                losses += [np.inf if network is None else self._mean_loss(network, block, ALONE) for block in blocks]
            return np.array(losses)

        return validated(scales.prior * sample.noise, losses_of) / sample.noise

    def _as_if_alike(self, sample):
        """Return a sample as it is, or in units in which columns are alike if each has a strength of its own."""
        sizes = self._column_sizes
        return sample if sizes is None else in_units(sample, sizes, bool(self.fit_intercept))

    @staticmethod
    def _has_enough(data):
        return copies_of(data.n_losses, data.weight) >= FEWEST_COUNTED

    _has_dispersion = False  # whether the variance of y may differ from what the loss expects, as that of amounts does

    @property
    def _most_of_likelihood(self):
        """The number of rows up to which their likelihood tells the strength."""
        loss = self._loss
        if loss.quadratic:
            return MOST_ROWS
        if not (loss.convex and loss.smooth and getattr(loss, "separates", True) and self._n_outputs() == 1):
            return 0
        return FEWEST - 1 if self._has_dispersion else MOST_OF_OTHERS

    def _few_rows(self, start, data):
        """Return gradients of all rows, and how many rows a weight of one stands for."""
        sample = self._as_if_alike(Sample.of(data, MOST_ROWS))
        some = Gradients(kernel_of(self._loss), sample, start.raw, self._n_outputs())
        return some, counted(data.n_losses, data.weight, True, False) / some.weight.sum()

    def _likely_prior(self, scales, start, data):
        some, times = self._few_rows(start, data)
        residuals = some.at_start / np.where(some.weight > 0, some.weight, 1.0)[:, None]
        half_explained = scales.length**2  # of targets; the guess expects more of few rows
        return likely_prior(some.values, residuals, some.weight * times, half_explained, self.fit_intercept)

    def _laplace_prior(self, scales, start, data):
        some, times = self._few_rows(start, data)
        # measured beside a constant model, it includes the signal
        dispersion = max(1.0, some.dispersion(some.curvature(scales.output))) if self._has_dispersion else 1.0
        step = SHORT * scales.output

        def evaluate(shift):
            raw = some.raw + shift[:, None]
            total, gradient = some.evaluate(raw)
            above, below = (some.evaluate(raw + change)[1] for change in (step, -step))
            found = total, gradient[:, 0], (above - below)[:, 0] / (2 * step)
            return tuple(value * times / dispersion for value in found)

        typical = (scales.length / scales.output) ** 2  # with raw outputs of their typical size
        likely = laplace_prior(some.values, evaluate, some.weight * times, typical, self.fit_intercept)
        return float(np.float32(np.clip(dispersion * likely, *RANGE)))

    def _size_of(self, start):
        """Return a function of targets, weights and offsets that computes the norms of gradients before training."""
        kernel, n_outputs = kernel_of(self._loss), self._n_outputs()

        def size_of(encoded, weight, offset):
            rows = Data(None, encoded, None, None, offset)
            y = rows.dense_targets(0, encoded.shape[0])
            raw = rows.with_offset(np.tile(np.broadcast_to(start.raw, n_outputs).astype(float), (len(y), 1)))
            gradient = kernel.evaluate(y, raw, np.ones(len(y)) if weight is None else weight, None)[1]
            return np.maximum(np.linalg.norm(gradient, axis=1), 1e-300)

        return size_of

    @property
    def _ends_exactly(self):
        """Whether linear models of parts of the rows, or those that nets start as, end at their optimum."""
        loss = self._loss
        return self._is_exact or (self._rehearses and loss.convex and loss.smooth)

    def _small_network(self, scales, start, data, batch_size):
        """Return a linear net trained on some rows; None if training diverges."""
        network = self._new_network(data.matrix.shape[1], network=chain((), "identity", 0.0))
        # a row that represents several counts like a step on as many rows
        network.scales = replace(scales, batch_size=scales.batch_size * data.n_losses / data.n_terms)
        alpha = default_strength(scales, data.n_losses)
        start = Start(np.random.RandomState(0), start.raw)
        trainer = self._trainer_in(network, start, data, ALONE, batch_size, alpha)
        trainer.n_passes = self._n_passes(data.matrix.shape[0])
        stopping = Stopping(TOL, PATIENCE, scales.loss, trainer.n_steps)
        is_exact = self._ends_exactly and self._takes_few_products(data.matrix)
        for _ in range(EPOCHS if is_exact else MOST_EPOCHS):
            loss = trainer.epoch()
            if not np.isfinite(loss):
                return None
            if stopping.should_stop(loss):
                break
        if network.settle() > 0:
            return None
        if is_exact:  # a weaker strength overfits at the optimum than far from it
            self._converge_small(network, start, data)
        return network
