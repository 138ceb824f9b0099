"""A net: a graph of layers with its weights, and its form for the engine."""

from dataclasses import replace

import numpy as np

from sklearn_vectorflow.defaults.scales import RANGE, Scales
from sklearn_vectorflow.engine.net import plan as engine
from sklearn_vectorflow.layers import Constant
from sklearn_vectorflow.network.initial_weights import initialize
from sklearn_vectorflow.network.linear_start import start_as_linear
from sklearn_vectorflow.network.records import side_by_side
from sklearn_vectorflow.network.restored import checked_state
from sklearn_vectorflow.network.rules import described, rate_schedule, rules_of
from sklearn_vectorflow.network.state import State, Training, begin_of_means
from sklearn_vectorflow.threads import ALONE, Turn


class Network:
    """A graph of layers with its weights.

    ``network["name"]`` is the pair of weights and intercepts of a layer.

    Any number of threads may read the net while one writes to it. The net holds a `State`. Readers get it once; writers
    make a new one and replace the old one. Two writers work in place, and take turns (see `turn`): training, whose
    steps are visible at once, and updates of weights that have missed steps of penalties or averages.

    Parameters
    ----------
    graph : Graph
        The layers.
    fit_intercept : bool
        Whether layers have intercepts.
    scales : Scales, default=None
        Units of steps and penalties, derived from the data. None means that all are 1.

    Attributes
    ----------
    keep_state : bool
        Whether pickles and copies by :func:`copy.deepcopy` include the state of the optimizer. True unless it is set to
        False. Without the state they are smaller, and predictions are the same. But training that continues from them
        takes its first steps like a new model, and may make the model worse at first.
    turn : Turn
        Lock that training holds.
    """

    def __init__(self, graph, fit_intercept=True, scales=None):
        self.graph = graph
        self.fit_intercept = fit_intercept
        self.scales = Scales() if scales is None else scales
        self.keep_state = True
        self.turn = Turn()
        self._state = State([])

    @property
    def n_features(self):
        """Number of columns of X."""
        return self.graph.n_features

    @property
    def n_outputs(self):
        """Number of raw outputs."""
        return self.graph.n_outputs

    def shapes(self):
        """Return the shape (n_in, n_out) of the weights of each layer with weights."""
        return [(place.n_in, place.n_weights) for place in self.graph.weighted]

    def has_bias(self, place):
        """Whether a layer has intercepts."""
        return place.layer.has_bias and (self.fit_intercept or isinstance(place.layer, Constant))

    def _count(self, place):
        return place.n_in * place.n_weights + place.n_weights * self.has_bias(place)

    def optimizers(self, optimizer):
        """Return the optimizers of the layers that are trained. `optimizer` is that of layers without their own."""
        return [place.layer.own_optimizer() or optimizer for place in self.graph.weighted if not place.layer.frozen]

    @property
    def n_parameters(self):
        """Number of weights and intercepts."""
        return sum(self._count(place) for place in self.graph.weighted)

    @property
    def n_products(self):
        """Approximate number of multiplications for a non-zero of a row."""
        return sum(place.n_products for place in self.graph.weighted)

    @property
    def is_linear(self):
        """Whether the net is a single linear layer, with or without constants."""
        return self.graph.is_linear

    def __repr__(self):
        title = f"Network({self.n_features} -> {self.n_outputs}, {self.n_parameters} parameters)"
        return f"{title}\n{self.graph.text(self._count)}"

    def _repr_html_(self):
        return self.graph.drawing(self._count)

    def __getitem__(self, node):
        place = self.graph.find(node)
        if not place.layer.has_weights:
            raise ValueError(f"{place.label} has no weights.")
        position, state = self.graph.weighted.index(place), self._settled_state()
        return state.weights(self.n_features)[position].copy(), state.intercepts()[position].copy()

    # ---- weights ---------------------------------------------------------------

    @property
    def parameters(self):
        """Parameters of the layers with weights, in order."""
        return self._state.parameters

    def penalties_of(self, place):
        """Return the fields of the penalty of a layer's last training, see `penalties.combine`."""
        rules = self._state.rules
        return rules[self.graph.weighted.index(place)].penalty if rules else {}

    @property
    def rules(self):
        """Rules of the last training of each layer, if the state of its optimizer exists; see `Rule`."""
        return self._state.rules

    @property
    def n_steps(self):
        """Number of training steps, without those that have decayed."""
        return self._state.progress[0]

    @property
    def settled(self):
        """Whether penalties and averages are up to date in all weights."""
        return self._state.settled

    @property
    def parameters_of_rows(self):
        """Parameters of the layers that read rows of X, or all if none does."""
        parameters = self.parameters
        found = [one for place, one in zip(self.graph.weighted, parameters) if place.is_input]
        return found or parameters

    def weights(self):
        """Return the weights of each linear layer, of shape (n_in, n_out), as views."""
        return self._settled_state().weights(self.n_features)

    def intercepts(self):
        """Return the intercepts of each linear layer, of shape (n_out,), as views."""
        return self._settled_state().intercepts()

    def coef(self):
        """Return the weights of a linear model, of shape (n_outputs, n_features), as a view, or CSR if sparsified."""
        state = self._settled_state()
        return state.weights(self.n_features)[0].T if state.sparse_coef is None else state.sparse_coef

    def set_weights(self, weights, intercepts):
        """Replace all weights and intercepts by copies of others.

        With averaging, this replaces both the running means and the weights that training continues from.
        """
        with self.turn.lock:
            state = self._settled_state()
            state = self._state = replace(state, parameters=[old.writable() for old in state.parameters])
            for parameters, own, intercept in zip(state.parameters, weights, intercepts):
                for averaged in {False, state.has_averages}:
                    parameters.weights(averaged)[:] = own
                    if parameters.bias is not None:
                        parameters.intercept(averaged)[:] = intercept
            if state.training is None:
                self._state = replace(state, rules=(), follows=False)  # what the optimizer knows is of other weights
                return
            plans = state.training.plans
            self._state = replace(state, parameters=_going_on(plans, state, [False] * len(plans)))

    def slow_down(self, of_weights, of_intercepts):
        """Let later steps of the first layer be as short as after the rows that its weights come from.

        Parameters
        ----------
        of_weights : ndarray of shape (n_in, n_weights)
            Sums over these rows of the second derivatives of the loss by each weight.
        of_intercepts : ndarray of shape (n_weights,)
        """
        with self.turn.lock:
            state = self._settled_state()
            if state.training is None:
                return
            plans = state.training.plans
            plans[0][0].slow_down(state.parameters[0], of_weights, of_intercepts)
            self._state = replace(state, parameters=_going_on(plans, state, [False] * len(plans)))

    def leave_units(self, units):
        """Let a net that was trained on columns in other units read X, with the same raw outputs.

        Parameters
        ----------
        units : ColumnUnits
        """
        with self.turn.lock:
            state = self._settled_state()
            state = self._state = replace(state, parameters=[old.writable() for old in state.parameters])
            plans = [] if state.training is None else state.training.plans
            for position, (place, parameters) in enumerate(zip(self.graph.weighted, state.parameters)):
                for chosen in self.graph.columns_read_by(place):
                    own = units.of_columns(chosen)
                    parameters.leave_units(own, state.has_averages)
                    if plans:
                        columns, changed = own.changed()
                        plans[position][0].change_units(parameters, columns, changed.square)
            weakest = self.scales.prior * float(np.min(units.size)) ** 2
            self.scales = replace(self.scales, prior=float(np.clip(weakest, *RANGE)))
            if not plans:
                self._state = replace(state, rules=(), follows=False)
                return
            self._state = replace(state, parameters=_going_on(plans, state, [False] * len(plans)))

    def start_anew(self, weights, intercepts):
        """Replace all weights and intercepts, and discard the state of the optimizer."""
        with self.turn.lock:
            plain = self._settled_state().densified(self.n_features).plain()
            for parameters, own, intercept in zip(plain.parameters, weights, intercepts, strict=True):
                parameters.weights()[:] = own
                if parameters.bias is not None:
                    parameters.intercept()[:] = intercept
            self._state = plain

    def sparsify(self):
        """Store the weights of a linear model only as CSR of shape (n_outputs, n_features)."""
        with self.turn.lock:
            self._state = self._settled_state().sparsified(self.n_features)

    def densify(self):
        """Store the weights as an array again."""
        with self.turn.lock:
            self._state = self._state.densified(self.n_features)

    # ---- the engine's form -------------------------------------------------------

    def fixed_net(self):
        """Return the engine's net of the current weights, for prediction."""
        return self._settled_state().fixed_net(self.graph)

    def predicting_net(self):
        """Return an engine's net and clock that compute the current outputs.

        During training, this is a net like that of training, which reads the current weights or their means at the cost
        of the non-zeros of the rows. Sampled outputs need the form that computes all of them.
        """
        state = self._state
        if state.settled or self.graph.n_active is not None:
            return self.fixed_net(), engine.Clock()
        net = state.training_net(self.graph)
        if state.has_averages:
            net.give_means()
        return net, state.training.clock

    def live_net(self, optimizer, penalties, l2, averaged=False, average_from=0, start=None, crew=ALONE, forgets=False):
        """Allocate the state of the optimizer; return the engine's net and clock for training.

        Parameters
        ----------
        optimizer : Optimizer
        penalties : callable
            Function of the place of a layer in the graph that returns the list of its penalties.
        l2 : float
            Strength of L2, for schedules that depend on it.
        averaged : bool
            Whether to compute running means of the weights.
        average_from : int, default=0
            Step at which the means start. Existing means continue.
        start : Start, default=None
            Initial weights of a new net.
        crew : Crew, default=ALONE
            Threads that draw the initial weights.
        forgets : bool, default=False
            Whether the means start again each time the number of steps has doubled, see `begin_pass`.
        """
        with self.turn.lock:
            self.densify()
            plans = rules_of(self.graph, self.scales, optimizer, penalties, averaged)
            state, fresh = self._allocated(plans, average_from)
            if state.settled:
                state = replace(state, parameters=self._laid_out(state.parameters))
            if start is not None:
                self._state = state
                initialize(self, start, [fields for _, _, _, fields in plans], crew)
                if start.linear is not None:
                    start_as_linear(self, *start.linear)
            clock, rules = engine.Clock(*rate_schedule(self.graph, optimizer, l2), *state.progress), described(plans)
            training = Training(plans, clock, state.average_from, forgets)
            if state.training is None or state.training.rules != training.rules:
                if not state.settled:
                    self.settle()  # under the rules that steps were missed under
                if not (state.follows and _are_alike(rules, state.rules)):
                    state = replace(state, parameters=_going_on(plans, state, fresh))
                state = replace(state, settled=True)
            self._state = replace(state, training=training, rules=rules)
            return self._state.training_net(self.graph), clock

    def _allocated(self, plans, average_from):
        """Return a state with parameters in the layouts of plans, and for each whether its optimizer has no state yet.

        Another penalty needs other clocks; the rest of the state stays.
        """
        state, layouts = self._state, [layout for _, _, layout, _ in plans]
        if not state.parameters:
            parameters = [
                place.records.parameters(layout, self.has_bias(place))
                for place, layout in zip(self.graph.weighted, layouts)
            ]
            return State(parameters, average_from=average_from), [True] * len(plans)
        if [old.layout for old in state.parameters] == layouts:
            parameters = [old.writable() for old in state.parameters]
            return replace(state, parameters=parameters), [False] * len(plans)
        state = self._settled_state()
        goes_on = [old.layout.state == layout.state for old, layout in zip(state.parameters, layouts)]
        any_goes_on = any(same and own is not None for same, (own, *_) in zip(goes_on, plans))
        progress = state.progress if any_goes_on else (0, 0.0)
        parameters = [
            old.continued_in(layout, state.has_averages, progress, same)
            for old, layout, same in zip(state.parameters, layouts, goes_on)
        ]
        new = State(parameters, progress=progress, average_from=progress[0] + average_from, decays=state.decays)
        return new, [not same for same in goes_on]

    def _laid_out(self, parameters):
        """Return the parameters, with the records of layers that read the same columns next to each other."""
        found = list(parameters)
        for places in self.graph.readers():
            for place, own in zip(places, side_by_side([parameters[place] for place in places])):
                found[place] = own
        return found

    # ---- training in progress -------------------------------------------------------

    def begin_pass(self, net, crew=ALONE):
        """Start running means again if it is time, see `begin_of_means`.

        Parameters
        ----------
        net : engine.Net
            Net of the training.
        crew : Crew, default=ALONE
        """
        state = self._state
        begin = begin_of_means(state.progress[0], state.average_from)
        if begin == state.average_from or not state.training.forgets:
            return
        with self.turn.lock:
            state = self._settled_state(crew)
            training = replace(state.training, average_from=begin)
            net.average_from(begin)
            self._state = replace(state, training=training, average_from=begin)

    def advance(self):
        """Note that the engine has trained and is ahead of the stored state."""
        clock = self._state.training.clock
        self._state = replace(self._state, progress=(clock.step, clock.elapsed), settled=False)

    def settle(self, crew=ALONE):
        """Apply missed steps of penalties and averages to all weights.

        Parameters
        ----------
        crew : Crew, default=ALONE
            Threads for this work.

        Returns
        -------
        n_bad : int
            Number of weights that are not finite.
        """
        if self._state.settled:
            return 0
        with self.turn.lock:  # threads that predict at once must not pay for the same steps twice
            state = self._state
            if state.settled:
                return 0
            net, clock = state.training_net(self.graph), state.training.clock
            n_bad = crew.map(lambda span: net.settle(clock, *span), crew.ranges(self.n_features))
            self._state = replace(state, settled=True)
            return sum(n_bad)

    def _settled_state(self, crew=ALONE):
        """Return the settled state, whose parts are consistent."""
        state = self._state
        if state.settled:
            return state
        with self.turn.lock:
            self.settle(crew)
            return self._state

    def copy(self):
        """Return a copy, including the state of the optimizer."""
        new = Network(self.graph, self.fit_intercept, self.scales)
        with self.turn.lock:
            new._state, new.keep_state = self._settled_state().copied(), self.keep_state
        return new

    def kept(self, keep_state):
        """Return a net with the same state and turn, and another `keep_state`."""
        new = object.__new__(Network)
        vars(new).update(vars(self), _state=self._settled_state(), keep_state=keep_state)
        return new

    def saved(self, matrix, n_workers):
        """Return a function that restores the current weights after training on a matrix.

        It saves what training on the matrix can change, at the cost of the non-zeros. Of small layers it saves
        everything, as several workers copy and merge all of their records.
        """
        state, scales = self._state, self.scales
        saved = [_saved(parameters, some) for parameters, some in self._touched(matrix, n_workers)]

        def restore():
            self._state, self.scales = state, scales
            for one in saved:
                one()

        return restore

    def extent(self, matrix, n_workers):
        """Return whether everything is finite that training on a matrix can change, and the largest weight.

        A matrix of None checks everything.
        """
        extents = [parameters.extent(some) for parameters, some in self._touched(matrix, n_workers)]
        return all(finite for finite, _ in extents), max(largest for _, largest in extents)

    def _touched(self, matrix, n_workers):
        """Pair the parameters of each layer with an index of the records that training can change."""
        state = self._state
        pairs = []
        for place, parameters in zip(self.graph.weighted, state.parameters):
            whole = matrix is None or state.sparse_coef is not None or parameters.is_small and n_workers > 1
            pairs.append((parameters, slice(None) if whole else self.graph.touched(place, matrix)))
        return pairs

    def __getstate__(self):
        with self.turn.lock:
            kept = self._settled_state()
            kept = replace(kept, training=None) if self.keep_state else kept.plain()
        return {**{name: value for name, value in vars(self).items() if name != "turn"}, "_state": kept}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.turn = Turn()
        self._state = checked_state(self, state.get("_state"))


def _going_on(plans, state, fresh):
    """Return the parameters of a state, changed so that the rules of plans give the same weights."""
    steps, found = state.progress[0], []
    for (own, _, _, fields), parameters, is_fresh in zip(plans, state.parameters, fresh):
        if own is not None and is_fresh:
            own.start_from(parameters, fields, steps)
        elif own is not None and not own.gives(parameters, fields, steps):
            parameters = parameters.copy()
            own.start_from(parameters, fields, steps)
        found.append(parameters)
    return found


def _are_alike(rules, others):
    return len(rules) == len(others) and all(one.is_like(other) for one, other in zip(rules, others))


def _saved(parameters, touched):
    """Save some records and the intercepts; return a function that restores them."""
    record, bias = parameters.record[touched].copy(), None if parameters.bias is None else parameters.bias.copy()

    def restore():
        if not parameters.is_writable:  # memory-mapped: training worked on a copy
            return
        parameters.record[touched] = record
        if bias is not None:
            parameters.bias[:] = bias

    return restore
