"""What trains a net: the units, the strength of the penalty, and the optimizer, put together with the rows."""

from dataclasses import replace

import numpy as np
from sklearn.utils import check_random_state

from sklearn_vectorflow.defaults.batch_size import passes_in_epoch
from sklearn_vectorflow.defaults.scales import FEW_TELL, scales_of
from sklearn_vectorflow.defaults.strength import default_strength, times_of_layer
from sklearn_vectorflow.defaults.units import check_units, warn_of_dominant_columns
from sklearn_vectorflow.estimators.parameters import optimizer_of, penalties_of
from sklearn_vectorflow.io.sampling import LARGE_SAMPLE, SMALL_SAMPLE
from sklearn_vectorflow.losses.blocks import name_of
from sklearn_vectorflow.losses.doors import kernel_of
from sklearn_vectorflow.penalties import l2_strength
from sklearn_vectorflow.threads import ALONE, WORTH_THE_GIL
from sklearn_vectorflow.training.data import Data, n_terms
from sklearn_vectorflow.training.stopping import Stopping
from sklearn_vectorflow.training.strength import folds_of, validated

FEWEST_TELLING = 256  # rows of a sample that tell something
FEW_EPOCHS = 8  # fewer end before a penalty matters
MOST_EPOCHS, TOL, PATIENCE = 20, 5e-3, 2  # of models that tell the strength
MOST_PRODUCTS = 1 << 24  # of a sample's non-zeros and outputs


class TrainerMixin:
    """Makes trainers of an estimator's nets."""

    def _trainer(self, network, start, data, crew, more=False):
        """Return what trains a net on rows; `more` says whether others may follow."""
        kernel, batch_size = kernel_of(self._loss), self._batch_size(data.matrix.shape[0], more)
        read = network.graph.read_by(name_of(self._loss), kernel.reads)
        kernel.check_first(lambda: self._first_block(data, network.n_outputs, [place.width for place in read]))
        if start is not None:
            network.scales = self._scales(network, start, data, batch_size, more)
            if more:
                network.scales = replace(network.scales, batch_size=batch_size)
        alpha = default_strength(network.scales, n_terms(data, more))
        trainer = self._trainer_in(network, start, data, crew, batch_size, alpha)
        trainer.n_passes = 1 if more else self._n_passes(data.matrix.shape[0])
        return trainer

    def _n_passes(self, n_rows):
        return passes_in_epoch(n_rows) if self.batch_size == "auto" else 1

    def _scales(self, network, start, data, batch_size, more):
        """Return the units of a new net, read off a sample of the rows."""
        sample, kernel = data.sample(SMALL_SAMPLE), kernel_of(self._loss)
        of_all = getattr(data, "of_all", None)
        scales = scales_of(
            kernel,
            sample,
            data.matrix.shape[0] if of_all is None else of_all.n_rows,
            start[1],
            network.n_outputs,
            self._output_scale(data),
            batch_size,
            network.is_linear,
        )
        scales = self._adjusted(scales)
        check_units(scales.length, scales.output, float(np.abs(start[1]).max()), network.is_linear)
        warn_of_dominant_columns(sample, getattr(self, "feature_names_in_", None))
        if more or data.once or not self._validates_strength(kernel, batch_size):
            return scales
        return replace(scales, prior=self._validated_prior(scales, start, data, batch_size))

    def _adjusted(self, scales):
        """Return the units as an estimator wants them."""
        return scales

    def _validates_strength(self, kernel, batch_size):
        """Return whether the strength of the penalty is chosen by cross-validation on a sample.

        It is where nothing sets it, the model is linear, models of parts of a sample cost little and tell what is
        wanted (losses of ranks stand for another measure), and training is long enough for the penalty to matter.
        """
        is_open = self.alpha is None and self.penalty is None and self.max_iter >= FEW_EPOCHS
        is_linear = self.network is None and len(self.hidden_layer_sizes) == 0
        is_slow = (
            self._coupled or self._loss.sampled or kernel.reads or (kernel.takes_gil and batch_size < WORTH_THE_GIL)
        )
        return is_open and is_linear and not is_slow

    def _validated_prior(self, scales, start, data, batch_size):
        if scales.telling < FEW_TELL:
            return scales.prior
        if scales.telling * LARGE_SAMPLE < FEWEST_TELLING * data.n_terms and data.can_be_sampled_by_size:
            sample = data.sample_by(self._size_of(start), LARGE_SAMPLE)
        else:
            sample = data.sample(LARGE_SAMPLE)
        products = sample.matrix.rows.n_nonzero * self._n_outputs()
        folds = folds_of(sample, int(sample.n_terms * min(1.0, MOST_PRODUCTS / max(1, products))))
        if folds is None:
            return scales.prior

        def losses_of(prior):
            losses = []
            for train, blocks in folds:
                network = self._small_network(replace(scales, prior=prior), start, train, batch_size)
                losses += [np.inf if network is None else self._mean_loss(network, block, ALONE) for block in blocks]
            return np.array(losses)

        return validated(scales.prior * sample.noise, losses_of) / sample.noise

    def _size_of(self, start):
        """Return a function of targets and weights that gives the length of the gradients before training."""
        kernel, n_outputs = kernel_of(self._loss), self._n_outputs()

        def size_of(encoded, weight):
            y = Data(None, encoded, None).dense_targets(0, encoded.shape[0])
            raw = np.tile(np.broadcast_to(start[1], n_outputs).astype(float), (len(y), 1))
            gradient = kernel.evaluate(y, raw, np.ones(len(y)) if weight is None else weight, None)[1]
            return np.maximum(np.linalg.norm(gradient, axis=1), 1e-300)

        return size_of

    def _small_network(self, scales, start, data, batch_size):
        """Return a linear net trained on some rows; None if training diverges."""
        network = self._new_network(data.matrix.shape[1])
        n_rows = n_terms(data, False)
        network.scales = replace(scales, batch_size=scales.batch_size * n_rows / data.n_terms)
        alpha = default_strength(scales, n_rows)
        start = np.random.RandomState(0), start[1]
        trainer = self._trainer_in(network, start, data, ALONE, batch_size, alpha)
        trainer.n_passes = self._n_passes(data.matrix.shape[0])
        stopping = Stopping(TOL, PATIENCE, scales.loss, trainer.n_steps)
        for _ in range(MOST_EPOCHS):
            loss = trainer.epoch()
            if not np.isfinite(loss):
                return None
            if stopping.should_stop(loss):
                break
        return network if network.settle() == 0 else None

    def _trainer_in(self, network, start, data, crew, batch_size, alpha):
        """Return what trains a net, whose units are known, on rows."""
        kernel, n_rows = kernel_of(self._loss), data.matrix.shape[0]
        read = network.graph.read_by(name_of(self._loss), kernel.reads)
        optimizer = optimizer_of(self, network.is_linear)

        def penalties(place):
            times = times_of_layer(network.scales, place.is_convex, place.is_factors, network.n_outputs)
            return penalties_of(self, alpha if network.is_linear else times * alpha)

        average_from = (n_rows if self.average is True else int(self.average)) // batch_size
        l2 = l2_strength(penalties(network.graph.weighted[0]), *network.shapes()[0])
        forgets = self.average is True
        net, clock = network.live_net(optimizer, penalties, l2, bool(self.average), average_from, start, crew, forgets)
        net.set_loss(kernel.capsule, kernel.parameters, data.n_targets, [place.engine for place in read])
        net.set_sampler(self._sampler(data))
        random_state = check_random_state(self.random_state)
        return data.trainer(
            network, net, clock, kernel, batch_size, self.shuffle, self.input_dropout, random_state, crew
        )

    def _sampler(self, data):
        """Return what a step's outputs are drawn from; None where it computes all."""

    def _first_block(self, data, n_outputs, widths):
        """Return a few rows as a loss sees them, whether weights are given, where groups start, and nodes."""
        n_rows = min(8, data.matrix.shape[0]) if data.starts is None else int(data.starts[1])
        y = Data(None, data.encoded, None).dense_targets(0, n_rows)
        raw, *nodes = (np.sin(np.arange(1.0, 1.0 + n_rows * k)).reshape(n_rows, k) for k in (n_outputs, *widths))
        return y, raw, data.weight is not None, None if data.starts is None else data.starts[:2], nodes
