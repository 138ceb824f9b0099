"""A net: a graph of layers with its weights, and its form for the engine."""

from dataclasses import replace

from sklearn_vectorflow.defaults.scales import Scales
from sklearn_vectorflow.engine.net import plan as engine
from sklearn_vectorflow.layers import Constant
from sklearn_vectorflow.network.initial_weights import initialize
from sklearn_vectorflow.network.records import side_by_side
from sklearn_vectorflow.network.restored import checked_state
from sklearn_vectorflow.network.rules import described, rate_schedule, rules_of
from sklearn_vectorflow.network.state import State, Training, begin_of_means
from sklearn_vectorflow.threads import ALONE, Turn


class Network:
    """A graph of layers with its weights.

    ``network["name"]`` is the pair of weights and intercepts of a layer.

    Any number of threads may read it beside one that writes. What changes is a `State`: who
    reads takes it once, who writes makes another, and swaps it in. Two do write in place, and
    take turns: training (see `turn`), whose steps are seen as they are taken, and whoever lets
    weights catch up on what they missed.

    Parameters
    ----------
    graph : Graph
    fit_intercept : bool
    scales : Scales, default=None
        Units of steps and penalties that follow the data; all are one if None.

    Attributes
    ----------
    keep_state : bool
        Whether pickles and copies by :func:`copy.deepcopy` hold the optimizer's state, as they do unless
        this is set to False. Without it they are smaller and predict the same, but training that goes on
        from them begins with the steps of a new model, and may at first make it worse.
    turn : Turn
        Who trains the net takes it.
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
        """Columns of X."""
        return self.graph.n_features

    @property
    def n_outputs(self):
        """Raw outputs."""
        return self.graph.n_outputs

    def shapes(self):
        """Return (n_in, n_out) of the weights of every layer that has any."""
        return [(place.n_in, place.n_weights) for place in self.graph.weighted]

    def has_bias(self, place):
        """Whether a layer has intercepts."""
        return place.layer.has_bias and (self.fit_intercept or isinstance(place.layer, Constant))

    def _count(self, place):
        return place.n_in * place.n_weights + place.n_weights * self.has_bias(place)

    def optimizers(self, optimizer):
        """Return the optimizers of the layers that are trained, where others have the one given."""
        return [place.layer.own_optimizer() or optimizer for place in self.graph.weighted if not place.layer.frozen]

    @property
    def n_parameters(self):
        """Number of weights and intercepts."""
        return sum(self._count(place) for place in self.graph.weighted)

    @property
    def n_products(self):
        """Multiplications for a non-zero of a row, about."""
        return sum(place.n_products for place in self.graph.weighted)

    @property
    def is_linear(self):
        """Whether the net is a single linear layer, with or without constants behind."""
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
        """Return the fields of the penalty that a layer was last trained under, see `penalties.combine`."""
        rules = self._state.rules
        return rules[self.graph.weighted.index(place)].penalty if rules else {}

    @property
    def rules(self):
        """By which each layer was trained last, if its optimizer's state is there; see `Rule`."""
        return self._state.rules

    @property
    def n_steps(self):
        """Steps that it was trained for, less those that have been forgotten."""
        return self._state.progress[0]

    @property
    def settled(self):
        """Whether weights have caught up on all penalties and averages."""
        return self._state.settled

    @property
    def parameters_of_rows(self):
        """Parameters of the layers that read rows of X, or all if none does."""
        parameters = self.parameters
        found = [one for place, one in zip(self.graph.weighted, parameters) if place.is_input]
        return found or parameters

    def weights(self):
        """Return the weights of every linear layer, shape (n_in, n_out); views."""
        return self._settled_state().weights(self.n_features)

    def intercepts(self):
        """Return the intercepts of every linear layer, shape (n_out,); views."""
        return self._settled_state().intercepts()

    def coef(self):
        """Return the weights of a linear model, shape (n_outputs, n_features): a view, or CSR if sparsified."""
        state = self._settled_state()
        return state.weights(self.n_features)[0].T if state.sparse_coef is None else state.sparse_coef

    def set_weights(self, weights, intercepts):
        """Replace all weights, and the intercepts where the net has them, by copies.

        Where running means stand for the weights, the weights that go on to be trained are replaced too.
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

    def start_anew(self, weights, intercepts):
        """Replace all weights and intercepts, and forget how they were trained: training goes on from them."""
        with self.turn.lock:
            plain = self._settled_state().densified(self.n_features).plain()
            for parameters, own, intercept in zip(plain.parameters, weights, intercepts, strict=True):
                parameters.weights()[:] = own
                if parameters.bias is not None:
                    parameters.intercept()[:] = intercept
            self._state = plain

    def sparsify(self):
        """Keep a linear model's weights as CSR of shape (n_outputs, n_features) alone."""
        with self.turn.lock:
            self._state = self._settled_state().sparsified(self.n_features)

    def densify(self):
        """Keep the weights as an array again."""
        with self.turn.lock:
            self._state = self._state.densified(self.n_features)

    # ---- the engine's form -------------------------------------------------------

    def fixed_net(self):
        """Return the engine's net of the weights as they are, for prediction."""
        return self._settled_state().fixed_net(self.graph)

    def predicting_net(self):
        """Return an engine's net and clock that give the present outputs.

        While training goes on, a net as the training one reads weights or their means as they
        are now, at the cost of the rows' non-zeros; outputs of which a step computes few have to
        be put in the form that gives all.
        """
        state = self._state
        if state.settled or self.graph.n_active is not None:
            return self.fixed_net(), engine.Clock()
        net = state.training_net(self.graph)
        if state.has_averages:
            net.give_means()
        return net, state.training.clock

    def live_net(self, optimizer, penalties, l2, averaged=False, average_from=0, start=None, crew=ALONE, forgets=False):
        """Allocate what training keeps; return the engine's net and clock that train in it.

        Parameters
        ----------
        optimizer : Optimizer
        penalties : callable
            Returns the list of penalties of a layer for its place in the graph.
        l2 : float
            Strength of L2, for schedules that depend on it.
        averaged : bool
            Whether running means of the weights are kept, from step `average_from` on (where
            there are some already they go on as they are).
        start : Start, default=None
            Of a new net.
        crew : Crew, default=ALONE
            The threads that draw them.
        forgets : bool, default=False
            Whether means begin anew each time that the steps have doubled, see `begin_pass`.
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

        Another penalty takes other clocks; the state beside them goes on.
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
        """Return the parameters with the records of layers that read the same columns side by side."""
        found = list(parameters)
        for places in self.graph.readers():
            for place, own in zip(places, side_by_side([parameters[place] for place in places])):
                found[place] = own
        return found

    # ---- training in progress -------------------------------------------------------

    def begin_pass(self, net, crew=ALONE):
        """Let running means begin anew if they are due, see `begin_of_means`.

        Parameters
        ----------
        net : engine.Net
            That trains.
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
        """Say that the engine trained, and is ahead of what is stored."""
        clock = self._state.training.clock
        self._state = replace(self._state, progress=(clock.step, clock.elapsed), settled=False)

    def settle(self, crew=ALONE):
        """Apply what penalties and averages have not yet caught up on.

        Parameters
        ----------
        crew : Crew, default=ALONE
            The threads that do.

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
        """Return the state once it is settled: what is read from it belongs together."""
        state = self._state
        if state.settled:
            return state
        with self.turn.lock:
            self.settle(crew)
            return self._state

    def copy(self):
        """Return a copy, state and all."""
        new = Network(self.graph, self.fit_intercept, self.scales)
        with self.turn.lock:
            new._state, new.keep_state = self._settled_state().copied(), self.keep_state
        return new

    def kept(self, keep_state):
        """Return a net of the same state and turn, whose pickles hold the optimizer's state, or do not."""
        new = object.__new__(Network)
        vars(new).update(vars(self), _state=self._settled_state(), keep_state=keep_state)
        return new

    def saved(self, matrix, n_workers):
        """Return a function that puts the weights back as they are now, after training on a matrix.

        What training can touch is saved: what the matrix can, at the cost of its non-zeros, or
        all of a small layer, whose records several workers copy and merge whole.
        """
        state, scales = self._state, self.scales
        saved = [_saved(parameters, some) for parameters, some in self._touched(matrix, n_workers)]

        def restore():
            self._state, self.scales = state, scales
            for one in saved:
                one()

        return restore

    def extent(self, matrix, n_workers):
        """Return whether all is finite that training on a matrix can have changed, and the largest of the weights.

        Everything is looked at if the matrix is None.
        """
        extents = [parameters.extent(some) for parameters, some in self._touched(matrix, n_workers)]
        return all(finite for finite, _ in extents), max(largest for _, largest in extents)

    def _touched(self, matrix, n_workers):
        """Pair the parameters of every layer with an index of the records that training can touch."""
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
    """Return the parameters of a state, such that under the rules of plans weights are what they are."""
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
