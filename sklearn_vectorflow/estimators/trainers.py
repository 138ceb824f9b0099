"""Trainers of nets, from the units of the data, the penalty, the optimizer and the rows."""

from dataclasses import replace

import numpy as np
from sklearn.utils import check_random_state

from sklearn_vectorflow.defaults.batch_size import passes_in_epoch
from sklearn_vectorflow.defaults.scales import counted, scales_of
from sklearn_vectorflow.defaults.strength import (
    default_strength,
    prior_of_net,
    strengths_of_columns,
    times_of_layer,
)
from sklearn_vectorflow.defaults.units import (
    check_units,
    warn_of_dominant_columns,
    warn_of_few_units,
    warn_of_unsuitable_columns,
)
from sklearn_vectorflow.estimators.linear_start import LinearStartMixin
from sklearn_vectorflow.estimators.parameters import optimizer_of, penalties_of
from sklearn_vectorflow.estimators.strength import StrengthMixin
from sklearn_vectorflow.io.sampling import SMALL_SAMPLE
from sklearn_vectorflow.losses import MultinomialLoss
from sklearn_vectorflow.losses.blocks import name_of
from sklearn_vectorflow.losses.doors import kernel_of
from sklearn_vectorflow.penalties import L2, l2_strength
from sklearn_vectorflow.training.data import Data
from sklearn_vectorflow.training.sample import Sample


class TrainerMixin(LinearStartMixin, StrengthMixin):
    """Makes trainers of an estimator's nets."""

    _column_sizes = None  # of columns that are unlike, while a model that minds is fitted

    def _trainer(self, network, start, data, crew, more=False, scales=None):
        """Return the trainer of a net on rows.

        `more` says whether other rows may follow; `scales` are the units of a new net, if they are known.
        """
        kernel, batch_size = kernel_of(self._loss), self._batch_size(data.matrix.shape[0], more)
        read = network.graph.read_by(name_of(self._loss), kernel.reads)
        kernel.check_first(lambda: self._first_block(data, network.n_outputs, [place.width for place in read]))
        if start is not None:
            network.scales = scales or self._scales(network, start, data, batch_size, more)
            if more:
                network.scales = replace(network.scales, batch_size=batch_size)
            start = start if more else self._as_linear(network, start, data, batch_size)
        alpha = default_strength(network.scales, None if more or data.once else self._n_counted(network, data))
        trainer = self._trainer_in(network, start, data, crew, batch_size, alpha, self._column_sizes)
        trainer.starts_linear = start is not None and start.linear is not None
        if more:
            trainer.n_passes = 1
        else:
            few = self._rehearses
            trainer.n_passes = self._passes_of_few(network, data) if few else self._n_passes(data.matrix.shape[0])
        return trainer

    def _n_passes(self, n_rows):
        return passes_in_epoch(n_rows) if self.batch_size == "auto" else 1

    def _scales(self, network, start, data, batch_size, more):
        """Return the units of a new net, estimated on a sample of the rows."""
        sample, kernel = self._small_sample(data), kernel_of(self._loss)
        scales = self._scales_of(sample, network, start, data, batch_size, network.is_linear)
        check_units(scales.length, scales.output, float(np.abs(start.raw).max()), network.is_linear)
        if self.network is None and not network.is_linear and not self._loss.sampled:  # of outputs too many for others
            n_outputs = network.n_outputs - self._n_constant()
            free = n_outputs - isinstance(self._loss, MultinomialLoss)  # a sum over classes is no matter
            warn_of_few_units(self.hidden_layer_sizes, n_outputs, min(free, network.n_features))
        if self._column_sizes is None and not self._is_exact:  # Newton's steps are blind to units
            names = getattr(self, "feature_names_in_", None)
            if not warn_of_dominant_columns(sample, names):
                warn_of_unsuitable_columns(sample, names)
        validates = not (more or data.once) and self._validates_strength(kernel, batch_size, data.n_losses)
        if network.is_linear and self._column_sizes is None:
            prior = self._validated_prior(scales, start, data, batch_size) if validates else scales.prior
            return replace(scales, prior=prior)
        if not (network.is_linear or validates):
            return scales
        linear = self._scales_of(self._as_if_alike(sample), network, start, data, batch_size, True)
        prior = self._validated_prior(linear, start, data, batch_size) if validates else linear.prior
        if network.is_linear:  # steps are for columns as they are, strengths for columns alike
            return replace(scales, prior=prior)
        self._linear_units = replace(linear, prior=prior)
        return replace(scales, prior=prior_of_net(scales.prior, prior / linear.prior))

    def _small_sample(self, data):
        """Return the rows that units are read off: those that told whether columns are alike, if they are of these."""
        of, sample = vars(self).pop("_sample_of", (None, None))
        return sample if of is data else Sample.of(data, SMALL_SAMPLE)

    def _scales_of(self, sample, network, start, data, batch_size, is_linear):
        """Return the units of a model that a sample tells."""
        scales = scales_of(
            kernel_of(self._loss),
            sample,
            data.matrix.shape[0] if data.of_all is None else data.of_all.n_rows,
            counted(data.n_losses, data.weight, is_linear, self._coupled),
            start.raw,
            network.n_outputs,
            self._output_scale(data),
            batch_size,
            is_linear,
        )
        return self._adjusted(scales, is_linear)

    def _n_counted(self, network, data):
        return counted(data.n_losses, data.weight, network.is_linear, self._coupled)

    def _adjusted(self, scales, is_linear):
        """Return the units with adjustments of the estimator."""
        return scales

    def _trainer_in(self, network, start, data, crew, batch_size, alpha, sizes=None):
        """Return the trainer of a net with known units, whose strengths may depend on sizes of columns."""
        kernel, n_rows = kernel_of(self._loss), data.matrix.shape[0]
        read = network.graph.read_by(name_of(self._loss), kernel.reads)
        optimizer = optimizer_of(self, network.is_linear)

        def penalties(place):
            if sizes is not None and self.alpha is None:
                return [L2(strengths_of_columns(alpha, sizes))]
            times = times_of_layer(network.scales, place.is_convex, place.is_factors, network.n_outputs)
            return penalties_of(self, alpha if network.is_linear else times * alpha)

        average_from = (n_rows if self.average is True else int(self.average)) // batch_size
        l2 = l2_strength(penalties(network.graph.weighted[0]), *network.shapes()[0])
        forgets = self.average is True
        net, clock = network.live_net(optimizer, penalties, l2, bool(self.average), average_from, start, crew, forgets)
        net.set_loss(kernel.capsule, kernel.parameters, data.n_targets, [place.engine for place in read])
        net.set_sampler(self._sampler(data))
        random_state = check_random_state(self.random_state)
        how = self.shuffle, self.input_dropout, random_state, crew, self.deterministic
        return data.trainer(network, net, clock, kernel, batch_size, *how)

    def _sampler(self, data):
        """Return the sampler of outputs, or None if a step computes all outputs."""

    def _first_block(self, data, n_outputs, widths):
        """Return some rows as the loss gets them, whether there are weights, where groups start, and nodes."""
        n_rows = min(8, data.matrix.shape[0]) if data.starts is None else int(data.starts[1])
        y = Data(None, data.encoded, None).dense_targets(0, n_rows)
        raw, *nodes = (np.sin(np.arange(1.0, 1.0 + n_rows * k)).reshape(n_rows, k) for k in (n_outputs, *widths))
        return y, raw, data.weight is not None, None if data.starts is None else data.starts[:2], nodes
