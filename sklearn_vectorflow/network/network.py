"""A net: a graph of layers with its weights, and its form for the engine."""

import contextlib
import math
import threading
from dataclasses import replace

import numpy as np
from scipy import sparse

from sklearn_vectorflow.defaults.scales import Scales
from sklearn_vectorflow.engine.net import plan as engine
from sklearn_vectorflow.layers import Constant
from sklearn_vectorflow.network.initial_weights import initialize
from sklearn_vectorflow.network.lowering import build
from sklearn_vectorflow.network.records import Layout
from sklearn_vectorflow.network.rules import rate_schedule, rules_of
from sklearn_vectorflow.threads import ALONE
from sklearn_vectorflow.validation.sparse import checked_csr

_SETTLING = threading.Lock()


class Network:
    """A graph of layers with its weights.

    ``network["name"]`` is the pair of weights and intercepts of a layer.

    Parameters
    ----------
    graph : Graph
    fit_intercept : bool
    scales : Scales, default=None
        Units of steps and penalties that follow the data; all are one if None.

    Attributes
    ----------
    parameters : list of LinearParameters
        Of the layers with weights, in order.
    """

    def __init__(self, graph, fit_intercept=True, scales=None):
        self.graph = graph
        self.fit_intercept = fit_intercept
        self.scales = Scales() if scales is None else scales
        self.parameters = []
        self.progress = (0, 0.0)  # steps taken, sum of their rates
        self.keep_state = False
        self._average_from = 0
        self._rules = None
        self.sparse_coef = None
        self._live = None
        self.settled = True

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

    def _has_bias(self, place):
        return place.layer.has_bias and (self.fit_intercept or isinstance(place.layer, Constant))

    def _count(self, place):
        return place.n_in * place.n_weights + place.n_weights * self._has_bias(place)

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
        position = self.graph.weighted.index(place)
        return self.weights()[position].copy(), self.intercepts()[position].copy()

    # ---- weights ---------------------------------------------------------------

    def _allocate(self, layouts):
        """Set zero parameters, or move those there are into new layouts.

        Returns whether their state is fresh.
        """
        if not self.parameters:
            self.parameters = [
                place.records.parameters(layout, self._has_bias(place))
                for place, layout in zip(self.graph.weighted, layouts)
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

    @property
    def _has_averages(self):
        averaged = any(parameters.averaged for parameters in self.parameters)
        return averaged and self.progress[0] > self._average_from

    @property
    def parameters_of_rows(self):
        """Parameters of the layers that read rows of X, or all if none does."""
        found = [one for place, one in zip(self.graph.weighted, self.parameters) if place.is_input]
        return found or self.parameters

    def weights(self):
        """Return the weights of every linear layer, shape (n_in, n_out); views."""
        self.settle()
        return [parameters.weights(self._has_averages) for parameters in self._dense_parameters()]

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
            averaged = self._has_averages
            self.parameters = [
                old.without_features().moved_to(Layout.plan(old.layout.n_out), averaged) for old in self.parameters
            ]
            self.progress, self._live = (0, 0.0), None

    def densify(self):
        """Keep the weights as an array again."""
        if self.sparse_coef is not None:
            self.parameters, self.sparse_coef = self._dense_parameters(), None

    def _dense_parameters(self):
        """The parameters, with weights; a sparsified model's take memory by non-zero weights only."""
        if self.sparse_coef is None:
            return self.parameters
        first, *rest = self.parameters
        dense = replace(first, n_in=self.n_features, record=None, bias=None)
        coef = self.sparse_coef.tocoo()
        dense.weights()[coef.col, coef.row] = coef.data
        dense.bias = first.bias  # of a plain layout, see `sparsify`
        return [dense, *rest]

    # ---- the engine's form -------------------------------------------------------

    def fixed_net(self):
        """Return the engine's net of the weights as they are, for prediction."""
        self.settle()
        net = engine.Net(len(self.graph.steps), self.n_features)
        of_place = iter(self._dense_parameters())

        def add(place, parent):
            parameters, intercept = next(of_place), None
            if parameters.layout.n_out != place.records.width:
                raise ValueError(
                    f"network: {place.label} now has {place.records.width} weights of a column, but was fitted with "
                    f"{parameters.layout.n_out}. Set its parameters back, or fit anew."
                )
            weights, n_out = parameters.by_feature(self._has_averages), place.n_weights
            absent = Layout(n_out).offsets()
            if parameters.bias is not None:
                intercept = np.ascontiguousarray(parameters.intercept(self._has_averages))[None, :]
            place.layer.add_to(net, parent, weights, intercept, n_out, absent, "fixed", engine.EAGER, {}, {})

        build(self.graph, net, add)
        return net

    def predicting_net(self):
        """Return an engine's net and clock that give the present outputs.

        While training goes on, the training net itself reads weights as they are now, at
        the cost of the rows' non-zeros; means of weights have to be settled first, and
        outputs of which a step computes few put in the form that gives all.
        """
        if not self.settled and not self._has_averages and self.graph.n_active is None:
            return self._live
        return self.fixed_net(), engine.Clock()

    def live_net(self, optimizer, penalties, l2, averaged=False, average_from=0, start=None, crew=ALONE):
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
        crew : Crew, default=ALONE
            The threads that draw them.
        """
        self.densify()
        plans = rules_of(self.graph, self.scales, optimizer, penalties, averaged)
        self._settle_if_new(plans)
        fresh = self._allocate([layout for _, _, layout, _ in plans])
        if start is not None:
            initialize(self, *start, [fields for _, _, _, fields in plans], crew)
        if fresh:
            self._average_from = average_from
        net = engine.Net(len(self.graph.steps), self.n_features)
        rest = iter(zip(plans, self.parameters))

        def add(place, parent):
            (own, lazy, layout, fields), parameters = next(rest)
            rule, numbers_of_rule = "fixed", {}
            if own is not None:
                rule, numbers_of_rule = own.rule, own.fields()
                if fresh:
                    own.start_from(parameters, fields.get("center"))
            place.records.add_to(
                net,
                parent,
                parameters.record,
                parameters.bias,
                layout.n_out,
                layout.offsets(),
                rule,
                lazy,
                numbers_of_rule,
                fields,
                fields.get("orthogonal", 0.0),
                fields.get("n_draws", 0),
                self._average_from,
                parameters.values,
                parameters.bias_values,
            )

        build(self.graph, net, add)
        self._live = net, engine.Clock(*rate_schedule(self.graph, optimizer, l2), *self.progress)
        return self._live

    def _settle_if_new(self, plans):
        """Let missed steps be made up for under the rules they were missed under."""
        rules = [own and (own.rule, own.fields(), _numbers_of(fields)) for own, _, _, fields in plans]
        if rules != self._rules:
            self.settle()
        self._rules = rules

    # ---- training in progress -------------------------------------------------------

    def advance(self):
        """Say that the engine trained, and is ahead of what is stored."""
        _, clock = self._live
        self.progress = (clock.step, clock.elapsed)
        self.settled = False

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
        with _SETTLING:  # threads that predict at once must not pay for the same steps twice
            if self.settled:
                return 0
            net, clock = self._live
            n_bad = crew.map(lambda span: net.settle(clock, *span), crew.ranges(self.n_features))
            self.settled = True
            return sum(n_bad)

    def copy(self):
        """Return a copy, state and all."""
        self.settle()
        new = Network(self.graph, self.fit_intercept, self.scales)
        new.sparse_coef = self.sparse_coef
        new.parameters = [parameters.copy() for parameters in self.parameters]
        new.progress, new.keep_state, new._average_from = self.progress, self.keep_state, self._average_from
        return new

    @contextlib.contextmanager
    def undo_on_error(self, matrix, n_workers):
        """Puts the weights back if training on a matrix fails or is interrupted.

        What training can touch is saved: what the matrix can, at the cost of its non-zeros, or
        all of a small layer, whose records several workers copy and merge whole.
        """
        before = vars(self).copy()
        saved = [
            _saved(parameters, self._touched(place, parameters, matrix, n_workers))
            for place, parameters in zip(self.graph.weighted, self.parameters)
        ]
        try:
            yield
        except BaseException:
            vars(self).update(before)
            for restore in saved:
                restore()
            raise

    def _touched(self, place, parameters, matrix, n_workers):
        """Return an index of the records of a layer that training can touch."""
        whole = self.sparse_coef is not None or parameters.is_small and n_workers > 1
        return slice(None) if whole else self.graph.touched(place, matrix)

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

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._live, self.settled = None, True
        try:
            if self.parameters:
                self._check_restored()
        except (TypeError, AttributeError) as error:
            raise ValueError(f"The pickle is damaged: {error}.") from error

    def _check_restored(self):
        """Raise ValueError unless the weights of a pickle fit the graph, which built itself anew."""
        found = [(type(one), one.layout.n_out, one.fit_intercept, *one._counts) for one in self.parameters]
        wanted = []
        for place in self.graph.weighted:
            like = place.records.parameters(Layout(place.records.width, stride=0), self._has_bias(place))
            wanted.append((type(like), place.records.width, like.fit_intercept, *like._counts))
        if self.sparse_coef is not None:
            shape = (self.graph.weighted[0].n_weights, self.n_features)
            if not self.is_linear or not sparse.issparse(self.sparse_coef) or self.sparse_coef.shape != shape:
                raise ValueError(f"The pickle is damaged: sparse weights must be of shape {shape} in a linear model.")
            self.sparse_coef = checked_csr(self.sparse_coef, "sparse weights")
            wanted[0] = (*wanted[0][:3], 0, wanted[0][4])
        if found != wanted:
            raise ValueError(f"The pickle is damaged: weights {found} do not fit the layers, which need {wanted}.")
        steps, elapsed = self.progress
        if not (isinstance(steps, int) and steps >= 0 and math.isfinite(elapsed)):
            raise ValueError(f"The pickle is damaged: {self.progress} is no number of steps and sum of their rates.")


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
