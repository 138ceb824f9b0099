"""A fit over parts: epochs of rounds, whoever runs the tasks."""

import math
import time
from types import SimpleNamespace

import numpy as np
from sklearn.utils import check_random_state

from sklearn_vectorflow.cluster import merges, tasks
from sklearn_vectorflow.cluster.coupling import Reader
from sklearn_vectorflow.cluster.optimum.problem import problem_of
from sklearn_vectorflow.cluster.parts import values_of
from sklearn_vectorflow.cluster.schedule import Schedule
from sklearn_vectorflow.cluster.shares import Shares
from sklearn_vectorflow.cluster.survey import surveys_of
from sklearn_vectorflow.cluster.template import prepared
from sklearn_vectorflow.losses.blocks import name_of
from sklearn_vectorflow.threads import ALONE
from sklearn_vectorflow.training.data import Data
from sklearn_vectorflow.training.stopping import BLOWN_UP, BestWeights, Stopping
from sklearn_vectorflow.training.trainer import new_seed

ANCHOR_AFTER = 20  # times what bringing a state here takes: less often, a lost worker costs more rounds


class Here:
    """Runs tasks at once, in this process."""

    n_workers = 1

    def submit(self, function, *arguments):
        """Return what a task gives."""
        return function(*arguments)

    def apart(self, k, function, *arguments):
        """Return what a task gives that runs rather on the k-th of the workers than on another."""
        return self.submit(function, *arguments)

    def soon(self, k, function, *arguments):
        """Return what a short task gives, which goes before others: on the k-th of the workers, if one is named."""
        return self.submit(function, *arguments)

    def send(self):
        """Let the tasks run that were submitted, which have run here."""

    def constant(self, value, k=None):
        """Return what stands for a value in tasks, which is rather on the k-th of the workers than on another."""
        return value

    def result(self, value):
        """Return the value of a task, or those of a list of them."""
        return value


class PiecePlaces:
    """What stands for the records that a piece touches.

    Parameters
    ----------
    executor : object
        Runs tasks, see `Here`.
    places : object
        Stands for Places.
    reader : object
        Stands for a Reader.
    """

    def __init__(self, executor, places, reader):
        self.places = places
        self.seen = executor.submit(merges.seen, places, reader)
        self.owned, self.spans, self._edges = [places], None, None

    @staticmethod
    def among(pieces, shares):
        """Find which records of some pieces each share has, unless that is known."""
        pieces = [one for one in pieces if one._edges is not shares.edges]
        for one in pieces:
            one.owned, one._edges = shares.owners(one.places), shares.edges
        for one, spans in zip(pieces, shares.spans([one.places for one in pieces])):
            one.spans = spans


class PartsFit:
    """A fit over parts.

    Parameters
    ----------
    draft : estimator
        Not a cluster's own: its attributes are set.
    parts : list
        Each a tuple of (X, y, weight, groups, offset), whose entries stand for values, or a SourcePart.
    executor : object
        Runs tasks, see `Here`.
    validation : Data or list, default=None
        Rows here, or parts, whose loss is told after each epoch.
    """

    def __init__(self, draft, parts, executor, validation=None):
        self.draft = draft
        self.parts = parts
        self.executor = executor
        self._told, self._merging = [], []  # of RoundInfo, and of what stands for the seconds that last merges take
        self.scores = []  # of the loss of rows for validation, negated
        plain = draft._draft()
        vars(plain).pop("network_", None)
        surveys = surveys_of(executor, plain, parts)
        template, state, sample, few, self.known, self.start = prepared(draft, surveys)
        self.template_here, self.scales = template, state.scales
        self.template, self.reader = executor.constant(template), executor.constant(Reader(template, state, few))
        self.sample_here, self._state, self._seconds_to_here, self.shares = sample, state, 0.0, None
        self._anchor()
        self.n_passes = draft._n_passes(self.known.n_rows)
        self.schedule = Schedule([one.counts for one in surveys], template.network.graph.is_linear)
        self.random_state = check_random_state(draft.random_state)
        self.validation = validation(self) if callable(validation) else validation
        draft._choose_stopping(template.network.graph, self.known.n_terms, self.validation is not None)
        self._check_solver()
        self._places = {}  # PiecePlaces of pieces

    # ---- the state -----------------------------------------------------------------

    @property
    def state(self):
        """The state by now, brought here."""
        if self._state is None:
            begun = time.perf_counter()
            self._state = self.shares.here()
            self._seconds_to_here = time.perf_counter() - begun
        return self._state

    def _anchor(self):
        """Begin anew from the state here: a lost worker then costs no more than the rounds that follow."""
        self.shares = Shares.of(self.executor, self.template, self.state, self.shares)
        self._anchored, self._state = time.perf_counter(), None  # the client has one at a time

    def _anchor_if_due(self):
        """Begin anew from the state here if it is long ago."""
        since = time.perf_counter() - self._anchored
        if self._told and since > ANCHOR_AFTER * self._seconds_to_here:
            self._anchor()

    # ---- rounds --------------------------------------------------------------------

    def epoch(self, number):
        """Run an epoch, from one state to the next one; return the mean loss of its last pass."""
        begins = number == 0 and self.start is not None
        for again in range(self.n_passes):
            loss = self._pass(number, begins and again == 0)
        return loss

    def _pass(self, number, begins):
        """Go over all rows once; `begins` says whether these are a new model's first steps."""
        seed, told = new_seed(self.random_state), []
        self._anchor_if_due()
        self._state = None
        if self.draft.average is True:
            self.shares = self.shares.with_means_begun()
        first = self.schedule.first_pieces() if begins else []
        rounds = self.schedule.rounds(number, first, self.random_state if self.draft.shuffle else None)
        rounds = [[piece] for piece in first] + [pieces for pieces in rounds if pieces]
        self._look_at([piece for pieces in rounds for piece in pieces])
        for pieces in rounds:
            told.append(self._round(pieces, seed))
        infos, merging = zip(*told)
        infos, before = self.executor.result([list(infos), self._merging])  # meanwhile the last merge goes on
        self._note(before)
        self._told += infos
        self._merging = list(merging)
        return sum(info.loss for info in infos) / max(sum(info.weight for info in infos), 1e-300)

    @property
    def history(self):
        """What is told of each round so far."""
        if self._merging:
            self._note(self.executor.result(self._merging))
        return self._told

    def _note(self, seconds):
        """Tell of the last rounds for how many seconds their shares were merged."""
        for k, own in enumerate(seconds, len(self._told) - len(seconds)):
            self._told[k] = self._told[k].with_merge(sum(own))
        self._merging = []

    def _look_at(self, pieces):
        """Ask which records pieces touch: once for all of a part, and kept where they are trained, until others are."""
        run, parts = self.executor.submit, {}
        for piece in pieces:
            if piece not in self._places:
                parts.setdefault(piece.part, []).append(piece)
        for number, own in parts.items():
            found = run(tasks.places, self.template, own, *values_of(self.parts[number]))
            for k, piece in enumerate(own):
                self._places[piece] = PiecePlaces(self.executor, run(tasks.nth, found, k), self.reader)
        self._places = {piece: self._places[piece] for piece in pieces}

    def _round(self, pieces, seed):
        """Train on pieces and merge what they gave; return what is told of it, see `merges.merged`."""
        run, gains, touched = self.executor.submit, [], [self._places[piece] for piece in pieces]
        n_shares = merges.n_shares_of(self.executor, self.template_here.n_records, len(pieces))
        self.shares = self.shares.among(n_shares, touched[0].places)
        PiecePlaces.among(touched, self.shares)
        selected = [self.shares.selected(one.owned) for one in touched]
        self.executor.send()  # these first: who has a share may train for long
        for piece, one, states in zip(pieces, touched, selected):
            part = self.parts[piece.part]
            own = int(np.random.SeedSequence([seed, piece.part, piece.start]).generate_state(1)[0] >> 1)
            gains.append(run(tasks.train, self.template, states, one.places, piece, own, *values_of(part)))
        self.shares, told = merges.merged(self.executor, self.template, self.shares, gains, touched, self.reader)
        del gains, selected, states
        self.executor.send()
        return told

    def network(self):
        """Return the net as it is by now."""
        return self.template_here.with_state(self.state)

    def validation_loss(self, network):
        """Return the mean loss of the rows for validation."""
        if isinstance(self.validation, Data):
            return self.draft._mean_loss(network, self.validation, ALONE)
        run, whole = self.executor.submit, self.shares.whole()
        parts = enumerate(self.validation)
        losses = [run(tasks.loss_of_part, self.template, whole, k, *values_of(part)) for k, part in parts]
        found = self.executor.result(losses)
        total = sum(weight for _, weight in found)
        if not total > 0:
            raise ValueError("X_val has no rows of a weight other than zero in any part.")
        return sum(loss for loss, _ in found) / total

    # ---- epochs ----------------------------------------------------------------------

    def run(self, task):
        """Train until done; set the draft's attributes."""
        draft, stopped = self.draft, False
        network = self.network() if draft._is_exact else None  # the first, should training diverge
        with draft._even_if_diverged(network, self.start):
            network, stopped = self._train(task)
        if draft._is_exact and not stopped:
            self._finish_exactly(network)
        # of another fit, and of training alone
        for name in ("_first_rows", "_n_remembered", "_stops_early", "_rehearses", "validation_scores_"):
            vars(draft).pop(name, None)
        if self.validation is not None:
            draft.validation_scores_ = self.scores
        draft._finish(self.sample_here)

    def _check_solver(self):
        """Raise ValueError if ``solver="exact"`` is asked for what it cannot do, with all rows here or spread."""
        draft = self.draft
        draft._check_exact(self.template_here.network, self.sample_here)
        if draft._is_exact and not getattr(draft._loss, "separates", True):
            raise ValueError(
                f"solver='exact' of {name_of(draft._loss)}, which compares each row with all others, needs all rows in "
                "one process, but these are spread. Use solver='sgd', or give rows that are here: a matrix or an array."
            )

    def _finish_exactly(self, network):
        """Take a trained net to the optimum."""
        draft = self.draft
        if not hasattr(draft, "_penalties_of_fit"):
            draft._penalties_of_fit = self.state.layers[0].rule.penalty
        arguments = draft._penalties_of_fit, self.template_here, self.sample_here, self.parts, self.executor
        draft._converge(problem_of(network, *arguments), self.start)

    def _train(self, task):
        """Train by stochastic steps; return the net, and whether a callback asked to stop."""
        draft = self.draft
        n_steps = self.n_passes * -(-self.known.n_rows // self.template_here.estimator.batch_size)
        n_held_out = None
        if draft._stops_early:  # rows that are spread are many
            n_held_out = self.validation.n_terms if isinstance(self.validation, Data) else math.inf
        stopping = Stopping(draft.tol, draft.n_iter_no_change, self.scales.loss, n_steps, n_held_out)
        best = BestWeights()
        loss_curve, scores, stop = [], self.scores, False
        data = SimpleNamespace(
            is_known=True,
            matrix=SimpleNamespace(
                shape=(self.known.n_rows, draft.n_features_in_), rows=SimpleNamespace(n_nonzero=self.known.n_nonzero)
            ),
        )
        for epoch in range(draft._most_epochs):
            begun, epoch_task = time.perf_counter(), task.begin_epoch()
            loss_curve.append(self.epoch(epoch))
            watched = loss_curve[-1]
            network = None
            if self.validation is not None:
                network = self.network()
                scores.append(-self.validation_loss(network))
                if draft._stops_early:
                    watched = -scores[-1]
                    best.offer(watched, network)
            draft._report(epoch, loss_curve, scores, data, time.perf_counter() - begun)
            stop = task.end_epoch(epoch_task, lambda: {**vars(draft), **draft._attributes(self.network(), loss_curve)})
            if stopping.should_stop(watched) or stop:
                break
        else:
            if not draft._is_exact:
                stopping.warn_if_improving(draft.max_iter)
        network = self.network()
        self.shares = None  # the state is here, and a net takes much more memory
        best.restore(network)
        draft._check_state(network, self.sample_here, ALONE)
        validation = self.validation if isinstance(self.validation, Data) else self.sample_here
        rows = self.sample_here if self.known.n_rows == self.sample_here.matrix.shape[0] else data
        losses = loss_curve[0], draft._last_loss(network, rows, loss_curve, ALONE)
        factor = 1.0 if stopping.could_stop(draft.max_iter) and not stop else BLOWN_UP
        if not draft._is_exact:
            draft._warn_if_worse(network, losses, best.loss, rows, validation, self.start, factor)
        vars(draft).update(draft._attributes(network, loss_curve))
        return network, stop
