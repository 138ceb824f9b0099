"""A net: its layers with their shapes and weights, and its form for the engine."""
import contextlib
import threading

import numpy as np
from scipy import sparse

from sklearn_vectorflow.engine import net as engine
from sklearn_vectorflow.layers import ACTIVATIONS, Activation, Constant, Dropout, Linear
from sklearn_vectorflow.parameters import Layout, LinearParameters
from sklearn_vectorflow.penalties import combine

_SETTLING = threading.Lock()
INPUT = -1  # the parent of a layer that reads rows of X


def chain(hidden_layer_sizes, activation, dropout):
    """Return the layers of a plain net: linear, activation and dropout for each size."""
    layers = []
    for size in hidden_layer_sizes:
        layers.append(Linear(int(size)))
        if ACTIVATIONS[activation] is not None:
            layers.append(ACTIVATIONS[activation]())
        if dropout > 0:
            layers.append(Dropout(dropout))
    return [*layers, Linear()]


class Network:
    """A chain of layers with its weights.

    Parameters
    ----------
    layers : list of layers
        Each reads the one before it, the first one rows of X. A Constant may follow: its
        outputs come after those of the others.
    n_features, n_outputs : int
    fit_intercept : bool
    weight_scale : float
        Typical size of outputs over the typical length of rows: the unit of step sizes.

    Attributes
    ----------
    parameters : list of LinearParameters
        Of the linear layers, in order.
    """

    def __init__(self, layers, n_features, n_outputs, fit_intercept=True, weight_scale=1.0):
        self.layers = layers
        self.n_features = n_features
        self.n_outputs = n_outputs
        self.fit_intercept = fit_intercept
        self.weight_scale = weight_scale
        self.parameters = []
        self.progress = (0, 0.0)  # steps taken, sum of their rates
        self.keep_state = False
        self._average_from = 0
        self._rules = None
        self.sparse_coef = None
        self._live = None
        self.settled = True

    def shapes(self):
        """Return (n_in, n_out) of every layer with parameters; a Constant reads nothing."""
        shapes, width = [], self.n_features
        for layer in self.layers:
            if isinstance(layer, Linear):
                n_out = self.n_outputs - self._n_constant if layer.n_out is None else layer.n_out
                shapes.append((width, n_out))
                width = n_out
            elif isinstance(layer, Constant):
                shapes.append((0, layer.n_out))
        return shapes

    @property
    def _n_constant(self):
        return sum(layer.n_out for layer in self.layers if isinstance(layer, Constant))

    @property
    def n_parameters(self):
        """Number of weights and intercepts."""
        return sum(n_in * n_out + n_out * (self.fit_intercept or n_in == 0) for n_in, n_out in self.shapes())

    @property
    def is_linear(self):
        """Whether the net is a single linear layer."""
        return sum(isinstance(layer, Linear) for layer in self.layers) == 1

    def __repr__(self):
        widths = [self.n_features, *(n_out for _, n_out in self.shapes())]
        return f"Network({' -> '.join(map(str, widths))}, {self.n_parameters} parameters)"

    # ---- weights ---------------------------------------------------------------

    def _allocate(self, layouts):
        """Set zero parameters, or move those there are into new layouts.

        Returns whether their state is fresh.
        """
        if not self.parameters:
            self.parameters = [
                LinearParameters(n_in, layout, self.fit_intercept or n_in == 0)
                for (n_in, _), layout in zip(self.shapes(), layouts)
            ]
            return True
        if [old.layout for old in self.parameters] == layouts:
            # memory-mapped weights are read-only
            self.parameters = [old if old.record.flags.writeable else old.copy() for old in self.parameters]
            return False
        self.settle()
        averaged = self._has_averages
        self.parameters = [old.moved_to(layout, averaged) for old, layout in zip(self.parameters, layouts)]
        self.progress = (0, 0.0)
        return True

    def _initialize(self, random_state, initial_raw, penalties):
        """Draw the weights and set the last intercepts.

        Weights before an activation are uniform with the variance of He or Glorot. A linear
        model starts from zero or from its prior. Every weight is drawn from its own place
        in a stream, so its value depends on nothing but the seed.
        """
        seeds = random_state.randint(0, 2**31 - 1, size=len(self.parameters))
        gains = self._gains()
        for seed, gain, (n_in, n_out), parameters, fields in zip(
            seeds, gains, self.shapes(), self.parameters, penalties
        ):
            if not self.is_linear:
                variance = gain / n_in if gain > 1 else 2.0 / (n_in + n_out)
                engine.fill_uniform(parameters.record, n_out, int(seed), float(np.sqrt(3.0 * variance)))
            if "center" in fields:
                parameters.weights()[:] = fields["center"]
            if "lower" in fields:
                np.maximum(parameters.weights(), fields["lower"], out=parameters.weights())
        self._set_last_intercepts(np.broadcast_to(initial_raw, self.n_outputs))

    def _set_last_intercepts(self, raw):
        """Let the raw outputs of a row without features be these."""
        own = self.n_outputs - self._n_constant
        last = self.parameters[-1 if self._n_constant == 0 else -2]
        if last.bias is not None:
            last.bias[0, :own] = raw[:own]
        if self._n_constant:
            self.parameters[-1].bias[0, : self._n_constant] = raw[own:]

    def _gains(self):
        gains = []
        for layer in self.layers:
            if isinstance(layer, Linear):
                gains.append(1.0)
            elif isinstance(layer, Activation):
                gains[-1] = layer.gain
        return gains

    @property
    def _has_averages(self):
        averaged = bool(self.parameters) and self.parameters[0].averaged
        return averaged and self.progress[0] > self._average_from

    def weights(self):
        """Return the weights of every linear layer, shape (n_in, n_out); views."""
        self.settle()
        if self.sparse_coef is not None:
            return [self._dense_parameters().weights(), *(own.weights() for own in self.parameters[1:])]
        return [parameters.weights(self._has_averages) for parameters in self.parameters]

    def intercepts(self):
        """Return the intercepts of every linear layer, shape (n_out,); views."""
        self.settle()
        return [parameters.intercept(self._has_averages) for parameters in self.parameters]

    def set_weights(self, weights, intercepts):
        """Replace all weights, and the intercepts where the net has them, by copies."""
        self.settle()
        for parameters, own, intercept in zip(self.parameters, weights, intercepts):
            parameters.weights(self._has_averages)[:] = own
            if parameters.bias is not None:
                parameters.intercept(self._has_averages)[:] = intercept

    def sparsify(self):
        """Keep a linear model's weights as CSR of shape (n_outputs, n_features) alone."""
        if self.sparse_coef is None:
            self.sparse_coef = sparse.csr_matrix(self.weights()[0].T)
            intercepts = self.intercepts()
            self.parameters = [
                LinearParameters(0, Layout.plan(len(own)), old.fit_intercept)
                for own, old in zip(intercepts, self.parameters)
            ]
            for own, parameters in zip(intercepts, self.parameters):
                if parameters.bias is not None:
                    parameters.bias[0, : len(own)] = own
            self.progress, self._live = (0, 0.0), None

    def densify(self):
        """Keep the weights as an array again."""
        if self.sparse_coef is not None:
            self.parameters[0], self.sparse_coef = self._dense_parameters(), None

    def _dense_parameters(self):
        """The parameters of a sparsified model; memory is taken by non-zero weights only."""
        dense = LinearParameters(self.n_features, self.parameters[0].layout, self.fit_intercept)
        coef = self.sparse_coef.tocoo()
        dense.record[coef.col, coef.row] = coef.data
        dense.bias = self.parameters[0].bias
        return dense

    # ---- the engine's form -------------------------------------------------------

    def fixed_net(self):
        """Return the engine's net of the weights as they are, for prediction."""
        self.settle()
        net = engine.Net(len(self.layers), self.n_features)
        for parent, layer, parameters in self._nodes():
            if parameters is None:
                _add_plain(net, parent, layer)
                continue
            weights, intercept = parameters.weights(self._has_averages), None
            if parameters.bias is not None:
                intercept = parameters.intercept(self._has_averages)[None, :]
            absent = Layout(parameters.layout.n_out).offsets()
            if isinstance(layer, Constant):
                net.add_constant(intercept, layer.n_out, absent, "fixed", {})
                continue
            net.add_linear(parent, weights, intercept, parameters.layout.n_out, absent, "fixed", engine.EAGER, {}, {})
        return net

    def predicting_net(self):
        """Return an engine's net and clock that give the present outputs.

        While training goes on, the training net itself reads weights as they are now, at
        the cost of the rows' non-zeros; means of weights have to be settled first.
        """
        if not self.settled and not self._has_averages:
            return self._live
        return self.fixed_net(), engine.Clock()

    def live_net(self, optimizer, penalties, l2, averaged=False, average_from=0, start=None):
        """Allocate what training keeps; return the engine's net and clock that train in it.

        Parameters
        ----------
        optimizer : Optimizer
        penalties : list of Penalty
        l2 : float
            Strength of L2, for schedules that depend on it.
        averaged : bool
            Whether running means of the weights are kept, from step `average_from` on (where
            there are some already they go on as they are).
        start : tuple of (RandomState, ndarray), default=None
            For a new net: where weights are drawn from, and the last intercepts.
        """
        self.densify()
        plans = self._plans(optimizer, penalties, averaged)
        self._settle_if_new(plans)
        fresh = self._allocate([layout for _, _, layout, _ in plans])
        if start is not None:
            self._initialize(*start, [fields for _, _, _, fields in plans])
        if fresh:
            self._average_from = average_from
        net = engine.Net(len(self.layers), self.n_features)
        own_plans = iter(plans)
        for parent, layer, parameters in self._nodes():
            if parameters is None:
                _add_plain(net, parent, layer)
                continue
            own, lazy, layout, fields = next(own_plans)
            if fresh:
                own.start_from(parameters, fields.get("center"))
            if isinstance(layer, Constant):
                net.add_constant(
                    parameters.bias, layer.n_out, layout.offsets(), own.rule, own.fields(), self._average_from
                )
                continue
            net.add_linear(
                parent, parameters.record, parameters.bias, layout.n_out, layout.offsets(), own.rule, lazy,
                own.fields(), fields, fields.get("orthogonal", 0.0), fields.get("n_draws", 0), self._average_from,
            )
        self._live = net, engine.Clock(*optimizer.rate_schedule(l2), *self.progress)
        return self._live

    def _plans(self, optimizer, penalties, averaged):
        """For every linear layer: its optimizer, laziness, layout and penalty fields."""
        plans, shapes = [], self.shapes()
        n_linear = len(shapes) - (self._n_constant > 0)
        for position, (n_in, n_out) in enumerate(shapes):
            is_output = position >= n_linear - 1
            own = optimizer.for_layer(n_out, is_output, self.is_linear, self.weight_scale)
            fields = combine(penalties, n_in, n_out, position == 0, is_output)
            lazy = _laziness(fields, averaged)
            layout = Layout.plan(
                n_out,
                per_weight=own.per_weight,
                per_feature=own.per_feature,
                clock_size=own.clock_size if lazy != engine.EAGER else 0,
                averaged=averaged,
            )
            plans.append((own, lazy, layout, fields))
        return plans

    def _settle_if_new(self, plans):
        """Let missed steps be made up for under the rules they were missed under."""
        rules = [(own.rule, own.fields(), _numbers_of(fields)) for own, _, _, fields in plans]
        if rules != self._rules:
            self.settle()
        self._rules = rules

    def _nodes(self):
        parameters = iter(self.parameters)
        if self.sparse_coef is not None:
            parameters = iter([self._dense_parameters(), *self.parameters[1:]])
        for position, layer in enumerate(self.layers):
            yield position - 1, layer, next(parameters) if isinstance(layer, (Linear, Constant)) else None

    # ---- training in progress -------------------------------------------------------

    def advance(self):
        """Say that the engine trained, and is ahead of what is stored."""
        _, clock = self._live
        self.progress = (clock.step, clock.elapsed)
        self.settled = False

    def settle(self):
        """Apply what penalties and averages have not yet caught up on.

        Returns
        -------
        n_bad : int
            Number of weights that are not finite.
        """
        with _SETTLING:  # threads that predict at once must not pay for the same steps twice
            if self.settled:
                return 0
            net, clock = self._live
            n_bad = net.settle(clock, 0, self.n_features)
            self.settled = True
            return n_bad

    def copy(self):
        """Return a copy, state and all."""
        self.settle()
        new = Network(self.layers, self.n_features, self.n_outputs, self.fit_intercept, self.weight_scale)
        new.sparse_coef = self.sparse_coef
        new.parameters = [parameters.copy() for parameters in self.parameters]
        new.progress, new.keep_state, new._average_from = self.progress, self.keep_state, self._average_from
        return new

    @contextlib.contextmanager
    def undo_on_error(self, matrix):
        """Puts the weights back if training on a matrix fails or is interrupted.

        What the matrix can touch is saved, so this costs what its non-zeros cost.
        """
        before, dense = vars(self).copy(), self.sparse_coef is None
        saved = [
            _saved(parameters, matrix.touched() if position == 0 and dense else slice(None))
            for position, parameters in enumerate(self.parameters)
        ]
        try:
            yield
        except BaseException:
            vars(self).update(before)
            for restore in saved:
                restore()
            raise

    def __getstate__(self):
        self.settle()
        state = self.__dict__.copy()
        state["_live"] = None
        if not self.keep_state:
            plain = [Layout.plan(parameters.layout.n_out) for parameters in self.parameters]
            state["parameters"] = [
                old.moved_to(layout, self._has_averages) for old, layout in zip(self.parameters, plain)
            ]
            state["progress"] = (0, 0.0)
            state["_average_from"] = 0
        return state


def _saved(parameters, touched):
    """Save some records and the intercepts; return a function that restores them."""
    record, bias = parameters.record[touched].copy(), None if parameters.bias is None else parameters.bias.copy()

    def restore():
        if not parameters.record.flags.writeable:  # memory-mapped: training worked on a copy
            return
        parameters.record[touched] = record
        if bias is not None:
            parameters.bias[:] = bias

    return restore


def _numbers_of(fields):
    """Fields of a penalty for comparison; arrays compare as different."""
    return {name: value if np.isscalar(value) else id(value) for name, value in fields.items()}


def _laziness(fields, averaged):
    if averaged or {"l1", "l1_each", "l2_each", "center", "lower"} & fields.keys():
        return engine.LAZY
    return engine.DECAYING if "l2" in fields else engine.EAGER


def _add_plain(net, parent, layer):
    """Add a layer without weights to the engine's net."""
    if isinstance(layer, Dropout):
        net.add_dropout(parent, layer.rate)
    else:
        net.add_activation(parent, layer.kernel)
