"""Early stopping where rows are few: held-out rows tell the number of epochs, then a model trains on all rows."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from sklearn_vectorflow.threads import ALONE, Crew
from sklearn_vectorflow.training.data import Data
from sklearn_vectorflow.training.held_out import HeldOutCurve
from sklearn_vectorflow.training.stopping import BLOWN_UP, ENOUGH_HELD_OUT, BestWeights, Stopping, warn_if_worse
from sklearn_vectorflow.validation.errors import naming

FEW_HELD_OUT = 10_000  # rows that training misses, as a tenth of all
N_MODELS = 4  # that hold out different rows, where those of one hardly tell epochs apart
MOST_PARAMETERS = 1 << 23  # of these models together
N_BLOCKS = 16  # of all held-out rows


@dataclass
class Rehearsal:
    """A model that trains without some rows, which are held out in blocks."""

    network: Any
    start: Any
    trainer: Any
    validation: Data
    blocks: list


class RehearsalMixin:
    """Trains models without held-out rows, to find the number of epochs for a model of all rows."""

    def _splits(self, data):
        """Yield pairs of the rows without those held out, and the latter; others each time."""
        random_state = check_random_state(self.random_state)
        while True:
            with naming(f"validation_fraction={self.validation_fraction} does not split the rows"):
                pair = data.split(self.validation_fraction, self._strata(data), random_state)
            yield pair

    def _fit_rehearsed(self, data, splits, initial, task):
        """Return a net trained on all rows, for as many epochs as held-out rows recommend.

        Parameters
        ----------
        data : Data
        splits : iterator over pairs of Data
            Rows to train on, and held-out rows.
        initial : tuple
            Weights and intercepts to start from, or None.
        task : FitTask
        """
        with Crew(self._n_workers(data, self._new_network_for(data))) as crew:
            rehearsals = self._rehearsals(data, splits, initial, crew)
            scales = rehearsals[0].network.scales
            n_epochs, loss_curve = self._rehearse(rehearsals, data, crew, task)
            del rehearsals
            network, start = self._network(data)
            start = self._started_from(network, start, *initial)
            trainer = self._trainer(network, start, data, crew, scales=scales)
            if self.verbose:
                print(f"with the held-out rows: {n_epochs} epochs")
            kept = BestWeights()
            if n_epochs == 0:  # the optimizer's state is learnt all the same: later updates need it
                kept.offer(0.0, network)
            for _ in range(max(1, n_epochs)):
                self._epoch(trainer)
            kept.restore(network)
            self._raise_if_diverged(network.settle(crew) == 0)
            if self.warm_start:
                self._check_state(network, data, crew)
        vars(self).update(self._attributes(network, loss_curve))
        return network

    def _rehearsals(self, data, splits, initial, crew):
        """Return several models, with the units of the first, if rows and weights are few, else one."""
        found, scales, separates = [], None, getattr(self._loss, "separates", True)
        n_models = 1
        while len(found) < n_models:
            rest, validation = next(splits)
            network, start = self._network(rest)
            start = self._started_from(network, start, *initial)
            self._check_exact(network, rest)
            if _is_small(network, validation):
                n_models = N_MODELS
            trainer = self._trainer(network, start, rest, crew, scales=scales)
            scales = network.scales
            blocks = _blocks(validation, N_BLOCKS // n_models if separates else 1)
            found.append(Rehearsal(network, start, trainer, validation, blocks))
        return found

    def _rehearse(self, rehearsals, data, crew, task):
        """Train without the held-out rows until these say that it is enough; return how many epochs are best."""
        blocks = [block for one in rehearsals for block in one.blocks]
        curve, loss_curve, scores = HeldOutCurve([_weight(block) for block in blocks]), [], []
        first = rehearsals[0]
        typical, n_held_out = first.network.scales.loss, sum(one.validation.n_terms for one in rehearsals)
        stopping = Stopping(self.tol, self.n_iter_no_change, typical, first.trainer.n_steps, n_held_out)
        starts_linear, stop = first.trainer.starts_linear, False
        if starts_linear:
            curve.add(self._losses_of_blocks(rehearsals))
        for epoch in range(self._most_epochs):
            begun, epoch_task = time.perf_counter(), task.begin_epoch()
            loss_curve.append(float(np.mean([self._epoch(one.trainer) for one in rehearsals])))
            seconds = (time.perf_counter() - begun) / len(rehearsals)
            scores.append(-curve.add(self._losses_of_blocks(rehearsals)))
            self._note_validation([(one.network, one.validation) for one in rehearsals], crew)
            self._report(epoch, loss_curve, scores, data, seconds)
            stop = task.end_epoch(
                epoch_task,
                lambda: {**vars(self), **self._attributes(self._in_units_of_X(first.network.copy()), loss_curve)},
            )
            if stopping.should_stop(-scores[-1]) or stop:
                break
        else:
            stopping.warn_if_improving(self.max_iter)
        self.validation_scores_ = scores
        factor = 1.0 if stopping.could_stop(self.max_iter) and not stop else BLOWN_UP
        best, constant = float(curve.means().min()), self._mean_constant_loss(rehearsals)
        warn_if_worse(best, best, constant, typical, n_held_out, "validation", factor)
        return curve.n_after_first() if starts_linear else curve.n_epochs(), loss_curve

    def _losses_of_blocks(self, rehearsals):
        """Return the losses of held-out rows, block by block."""
        return [self._mean_loss(one.network, block, ALONE) for one in rehearsals for block in one.blocks]

    def _mean_constant_loss(self, rehearsals):
        """Return the mean loss of constant models of the held-out rows, if that can be compared, else None."""
        if any(one.start is None or self._comparable_loss(one.network) is None for one in rehearsals):
            return None
        losses = [self._constant_loss(one.validation, one.start.raw) for one in rehearsals]
        return float(np.average(losses, weights=[_weight(one.validation) for one in rehearsals]))


def _is_small(network, validation):
    """Whether several models are needed to tell epochs apart, and cost little."""
    return validation.n_terms < ENOUGH_HELD_OUT and network.n_parameters * N_MODELS <= MOST_PARAMETERS


def _blocks(validation, n_blocks):
    """Return held-out rows in blocks."""
    n_blocks = min(n_blocks, validation.n_terms)
    if n_blocks == 1:
        return [validation]
    return [validation.part(np.arange(k, validation.n_terms, n_blocks)) for k in range(n_blocks)]


def _weight(data):
    """Return the weight of some rows, or groups, in a mean loss."""
    return data.n_terms if data.starts is not None or data.weight is None else float(data.weight.sum())
