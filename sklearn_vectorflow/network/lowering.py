"""The form of a layer graph for the engine: its nodes in order, and how weights lie in records."""

import numpy as np

from sklearn_vectorflow.layers import Columns, Concat, Constant, Crosses
from sklearn_vectorflow.network.records import Layout, LinearParameters, OutputParameters

INPUT = -1  # the engine's name for whole rows of X
WIDEST_DENSE = 16_384  # columns of X that a layer may read as a dense row


# ---- nodes ------------------------------------------------------------------------


def steps_of(places, ends):
    """Return the engine's nodes for places, and tell each place which is its own.

    Parameters
    ----------
    places : list of Place
    ends : list of int
        Those whose outputs, side by side, are the raw outputs.

    Returns
    -------
    steps : list of tuple
        In order, each (what it is, place, the nodes it reads).

    Raises
    ------
    ValueError
        If the engine has no form for a place.
    """
    return _Steps(places).all(ends)


def build(graph, net, add_weighted):
    """Add the steps of a graph to an engine's net.

    Parameters
    ----------
    graph : Graph
    net : engine.Net
    add_weighted : callable
        Adds a place with weights, given its parent.
    """
    for what, place, parents in graph.steps:
        if what == "columns":
            net.add_columns(*_engine_columns(place.chosen, graph.n_features))
        elif what == "crosses":
            net.add_crosses(INPUT, place.layer.plan(graph.n_features, graph.feature_names))
        elif what == "join":
            net.add_join(parents)
        elif what == "dense":
            net.add_dense(parents[0])
        elif what == "heads":
            net.add_merged("concat", parents)
        elif what == "weighted":
            add_weighted(place, parents[0])
        else:
            place.layer.add_to(net, parents)


class _Steps:
    """The engine's nodes for places: sparse rows are made dense only for layers that need it."""

    def __init__(self, places):
        self.places = places
        self.steps = []
        self._dense, self._joined = {}, {}

    def all(self, ends):
        for place in self.places:
            if isinstance(place.layer, Columns):
                place.engine = INPUT if place.is_whole else self._add("columns", place, [INPUT])
            elif isinstance(place.layer, Crosses):
                place.engine = self._add("crosses", place, [self._whole_root(place)])
            elif isinstance(place.layer, Constant):
                place.engine = self._add("weighted", place, [INPUT])
            elif place.layer.has_weights:
                place.engine = self._add("weighted", place, [self._rows_of(place.inputs[0])])
            elif not place.sparse:
                place.engine = self._add("layer", place, [self._dense_of(place, one) for one in place.inputs])
        parents = [self._dense_of(self.places[end], end) for end in ends]
        if len(parents) > 1 or parents[0] != len(self.steps) - 1:
            self._add("heads", None, parents)
        return self.steps

    def _add(self, what, place, parents):
        self.steps.append((what, place, parents))
        return len(self.steps) - 1

    def _rows_of(self, position):
        """The node whose outputs a layer with weights reads, sparse or dense."""
        place = self.places[position]
        if not (place.sparse and isinstance(place.layer, Concat)):
            return place.engine
        if position not in self._joined:
            self._joined[position] = self._add("join", place, self._parts(position))
        return self._joined[position]

    def _parts(self, position):
        """The nodes that a concatenation is made of in the end: the engine knows none of concatenations."""
        place = self.places[position]
        if not (place.sparse and isinstance(place.layer, Concat)):
            return [place.engine]
        return [part for one in place.inputs for part in self._parts(one)]

    def _dense_of(self, reader, position):
        place = self.places[position]
        if not place.sparse:
            return place.engine
        if position not in self._dense:
            if isinstance(place.layer, Concat):
                parts = [self._dense_of(reader, one) for one in place.inputs]
                self._dense[position] = self._add("layer", place, parts)
            else:
                _check_dense(reader, place)
                self._dense[position] = self._add("dense", place, [place.engine])
        return self._dense[position]

    def _whole_root(self, place):
        root = self.places[place.inputs[0]]
        if not root.is_whole:
            raise ValueError(f"network: {place.label} reads Input() with all columns of X; choose columns by groups.")
        return INPUT


def _check_dense(reader, place):
    if place.width > WIDEST_DENSE:
        raise ValueError(
            f"network: {reader.label} reads {place.width} columns of X as a dense row, but at most {WIDEST_DENSE} "
            "are possible; insert a Linear layer."
        )


def _engine_columns(chosen, n_features):
    """Columns as the engine reads them: first, width and, unless they are a range, places."""
    if isinstance(chosen, range):
        return chosen.start, len(chosen), None
    places = np.full(n_features, -1, dtype=np.int32)
    places[chosen] = np.arange(len(chosen), dtype=np.int32)
    return 0, len(chosen), places


# ---- records ----------------------------------------------------------------------


class Records:
    """Those of a layer that computes all outputs in a step: one for each column it reads.

    Parameters
    ----------
    place : Place
        Of a layer with weights.
    """

    def __init__(self, place):
        self.place = place

    @property
    def width(self):
        """Weights of a record."""
        return self.place.n_weights

    def layout(self, **state):
        """Return their layout, with some state."""
        return Layout.plan(self.width, **state)

    def parameters(self, layout, fit_intercept):
        """Return zero parameters."""
        return LinearParameters(self.place.n_in, layout, fit_intercept)

    def in_order(self, fields):
        """Return the fields of a penalty with those of each weight in the order of the records."""
        return fields

    def add_to(self, net, parent, *arguments):
        """Add the layer to the engine's net for training."""
        self.add_fixed_to(net, parent, *arguments)

    def add_fixed_to(self, net, parent, *arguments):
        """Add the layer with all its outputs to the engine's net for prediction."""
        self.place.layer.add_to(net, parent, *arguments)


class FieldRecords(Records):
    """Those of a layer that asks for the field of each column."""

    def add_fixed_to(self, net, parent, *arguments):
        self.place.layer.add_to(net, parent, self.place.fields, *arguments)


class OutputRecords(Records):
    """Those of a layer that computes few outputs in a step: one for each weight, an output's together."""

    @property
    def width(self):
        return 1

    def parameters(self, layout, fit_intercept):
        return OutputParameters(self.place.n_in, layout, fit_intercept, n_outputs=self.place.width)

    def in_order(self, fields):
        if "center" not in fields:
            return fields
        return {**fields, "center": np.ascontiguousarray(fields["center"].T).reshape(-1, 1)}

    def add_to(self, net, parent, *arguments):
        net.add_outputs(parent, self.place.width, *arguments)
