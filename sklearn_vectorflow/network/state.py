"""What of a net changes: its weights, and what they have yet to catch up on."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from sklearn_vectorflow.engine.net import plan as engine
from sklearn_vectorflow.network.lowering import build
from sklearn_vectorflow.network.records import Layout
from sklearn_vectorflow.network.rules import numbers_of

KEPT = 8  # of so many steps of running means one counts on, where they begin anew


def begin_of_means(step, begun):
    """Return the step that running means begin at from now on: another one if the steps have doubled since they began.

    Then they begin anew, and far-off first weights are soon forgotten: means over a suffix converge as fast as the
    weights, or faster (Rakhlin, Shamir and Sridharan, 2012, arXiv:1109.5647). What they held counts on as a few steps.
    Counted as none, it would be gone with the next step, after which the noise of the present weights is all there is.
    """
    if step < 2 * begun or step <= begun:
        return begun
    return step - max(1, (step - begun) // KEPT)


@dataclass(frozen=True, eq=False)
class Training:
    """What trains a net's weights, or has trained them.

    Parameters
    ----------
    plans : list of tuple
        For every layer with weights: optimizer, laziness, layout and penalty fields, see `rules_of`.
    clock : engine.Clock
    average_from : int
    forgets : bool
        Whether running means begin anew each time that the steps have doubled.
    """

    plans: list
    clock: engine.Clock
    average_from: int
    forgets: bool = False

    @property
    def rules(self):
        """What weights miss steps under, for comparison."""
        return [own and (own.rule, numbers_of(own), _numbers_of(fields)) for own, _, _, fields in self.plans]


@dataclass(frozen=True, eq=False)
class State:
    """A net's weights at some time; a change makes a new state, but for the steps of training.

    A net swaps its state in one assignment. Who reads takes the state once, and sees weights,
    layouts and clock that belong together, whatever other threads do meanwhile.

    Parameters
    ----------
    parameters : list of LinearParameters
        Of the layers with weights, in order.
    sparse_coef : csr_matrix of shape (n_outputs, n_features), default=None
        The weights of a sparsified linear model, whose parameters have none.
    progress : tuple of (int, float)
        Steps taken, sum of their rates.
    average_from : int
        Step from which on running means are kept.
    training : Training, default=None
        By which weights miss steps, if they are not settled.
    settled : bool
        Whether weights have caught up on all penalties and averages.
    rules : tuple of Rule, default=()
        By which each layer was trained last, if it was, and its state is there.
    follows : bool, default=False
        Whether weights are sure to be those that the optimizer's state gives under `rules`, even where they have
        yet to be worked out.
    decays : int, default=0
        How often the optimizer's sums and the steps have decayed.
    """

    parameters: list
    sparse_coef: object = None
    progress: tuple = (0, 0.0)
    average_from: int = 0
    training: Training | None = None
    settled: bool = True
    rules: tuple = ()
    follows: bool = False
    decays: int = 0

    @property
    def has_averages(self):
        """Whether running means stand for the weights."""
        averaged = any(parameters.averaged for parameters in self.parameters)
        return averaged and self.progress[0] > self.average_from

    def weights(self, n_features):
        """Return the weights of every layer, shape (n_in, n_out); views."""
        averaged = self.has_averages
        return [parameters.weights(averaged) for parameters in self.dense_parameters(n_features)]

    def intercepts(self):
        """Return the intercepts of every layer, shape (n_out,); views."""
        averaged = self.has_averages
        return [parameters.intercept(averaged) for parameters in self.parameters]

    def dense_parameters(self, n_features):
        """Return the parameters, with weights; a sparsified model's take memory by non-zero weights only."""
        if self.sparse_coef is None:
            return self.parameters
        first, *rest = self.parameters
        dense = replace(first, n_in=n_features, record=None, bias=None)
        coef = self.sparse_coef.tocoo()
        dense.weights()[coef.col, coef.row] = coef.data
        dense.bias = first.bias  # of a plain layout, see `sparsified`
        return [dense, *rest]

    def sparsified(self, n_features):
        """Return a state of a linear model with its weights as CSR alone."""
        if self.sparse_coef is not None:
            return self
        averaged = self.has_averages
        bare = [one.without_features().moved_to(Layout.plan(one.layout.n_out), averaged) for one in self.parameters]
        coef = sparse.csr_matrix(self.weights(n_features)[0].T)
        coef.sum_duplicates()  # there are none; scipy notes that now, and not when several threads read
        return State(bare, coef, average_from=self.average_from)

    def densified(self, n_features):
        """Return a state with the weights as arrays again."""
        if self.sparse_coef is None:
            return self
        return replace(self, parameters=self.dense_parameters(n_features), sparse_coef=None)

    def plain(self):
        """Return a state of the same weights, or their means, with nothing to go on from."""
        averaged = self.has_averages
        plain = [one.moved_to(Layout.plan(one.layout.n_out), averaged) for one in self.parameters]
        return State(plain, self.sparse_coef)

    def copied(self):
        """Return a state of copies of the weights."""
        return replace(self, parameters=[one.copy() for one in self.parameters], training=None)

    # ---- the engine's form ----------------------------------------------------------

    def fixed_net(self, graph):
        """Return the engine's net of the weights as they stand in memory."""
        net = engine.Net(len(graph.steps), graph.n_features)
        of_place = iter(self.dense_parameters(graph.n_features))
        averaged = self.has_averages

        def add(place, parent):
            parameters, intercept = next(of_place), None
            if parameters.layout.n_out != place.records.width:
                raise ValueError(
                    f"network: {place.label} now has {place.records.width} weights of a column, but was fitted with "
                    f"{parameters.layout.n_out}. Reset its parameters, or call fit."
                )
            weights, n_out = parameters.by_feature(averaged), place.n_weights
            absent = Layout(n_out).offsets()
            if parameters.bias is not None:
                intercept = np.ascontiguousarray(parameters.intercept(averaged))[None, :]
            place.records.add_fixed_to(net, parent, weights, intercept, n_out, absent, "fixed", engine.EAGER, {}, {})

        build(graph, net, add)
        return net

    def training_net(self, graph):
        """Return the engine's net that trains the weights, or reads them as they have caught up by now."""
        net = engine.Net(len(graph.steps), graph.n_features)
        rest = iter(zip(self.training.plans, self.parameters))

        def add(place, parent):
            (own, lazy, layout, fields), parameters = next(rest)
            rule, numbers_of_rule = ("fixed", {}) if own is None else (own.rule, numbers_of(own))
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
                # not by dict.get, at which threads queue up where there is no GIL, and forks find its lock held
                fields["orthogonal"] if "orthogonal" in fields else 0.0,
                fields["n_draws"] if "n_draws" in fields else 0,
                self.training.average_from,
                parameters.values,
                parameters.bias_values,
            )

        build(graph, net, add)
        return net


def _numbers_of(fields):
    """Fields of a penalty for comparison; arrays compare as different."""
    return {name: value if np.isscalar(value) else id(value) for name, value in fields.items()}
