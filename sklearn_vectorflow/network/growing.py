"""Nets that read more columns than before, or have more outputs, and otherwise say the same."""

from dataclasses import replace

import numpy as np

from sklearn_vectorflow.layers import Columns, Concat, Crosses
from sklearn_vectorflow.network.graph import Graph
from sklearn_vectorflow.network.initial_weights import draw, is_drawn
from sklearn_vectorflow.network.network import Network
from sklearn_vectorflow.network.records import stamp
from sklearn_vectorflow.threads import ALONE


def with_columns(network, n_features, names, random_state, crew=ALONE):
    """Return a net that reads more columns of X, to the right of those before.

    Their weights are what those of a new net would be, and the optimizer knows nothing of them.

    Parameters
    ----------
    network : Network
    n_features : int
    names : ndarray of str or None
        Of all columns.
    random_state : RandomState
        Where weights of hidden layers and embeddings are drawn from.
    crew : Crew, default=ALONE
        The threads that draw them.

    Raises
    ------
    ValueError
        If a layer would read other columns than before, or cannot have more.
    """
    old = network.graph
    graph = Graph(old.heads, n_features, old.n_outputs, names, old.n_active)
    spans = _spans(old, graph)
    seeds = random_state.randint(0, 2**31 - 1, size=len(graph.weighted))

    def drawn(position, place, parameters):
        if place.n_in == old.weighted[position].n_in:
            return
        if place.layer.frozen:
            raise ValueError(f"network: {place.label} is frozen, so it cannot learn more columns.")
        draw(place, parameters, int(seeds[position]), crew, network.scales)

    return _grown(network, graph, spans, [None] * len(spans), drawn)


def with_outputs(network, n_active, outputs, initial_raw):
    """Return a net with more outputs, whose weights are zero.

    Parameters
    ----------
    network : Network
    n_active : int or None
        How many outputs of a row a step computes, about.
    outputs : Outputs
        What they were before.
    initial_raw : ndarray of shape (n_outputs,)
        Intercepts of the new ones.

    Raises
    ------
    ValueError
        If the net has no layer that new outputs are linear in.
    """
    old = network.graph
    if len(old.heads) > 1:
        raise ValueError(f"network: there are {len(old.heads)} output nodes, so the place of a new class is ambiguous.")
    graph = Graph(old.heads, old.n_features, len(outputs.sources), old.feature_names, n_active)
    of_layers = [_outputs_of(*places, outputs) for places in zip(old.weighted, graph.weighted)]
    waiting = [initial_raw]  # one intercept is enough, of a sum

    def started(position, place, parameters):
        if of_layers[position] is None or parameters.bias is None or not waiting:
            return
        raw = waiting.pop()
        for averaged in {False, parameters.averaged}:
            parameters.intercept(averaged)[:] = np.where(outputs.sources < 0, raw, 0.0)

    return _grown(network, graph, _spans(old, graph), of_layers, started)


def _outputs_of(before, place, outputs):
    """Return the outputs of a layer if it has more, else None."""
    if place.width == before.width:
        return None
    if not place.is_last or place.width != len(outputs.sources) or place.layer.frozen:
        raise ValueError(
            f"network: {place.label} can't have more outputs: new classes need a net that ends in Linear layers, which "
            "are not frozen. Call fit with all classes."
        )
    return outputs


def _grown(network, graph, spans, of_layers, fill):
    """Return a net of a graph with the weights and the state of another.

    `spans` and `of_layers` say what layers take over, and `fill` what they have beside it.
    """
    new = Network(graph, network.fit_intercept, network.scales)
    with network.turn.lock:
        state, new.keep_state = network._settled_state().densified(network.n_features), network.keep_state
        found, follows = [], state.follows
        for position, (place, old) in enumerate(zip(graph.weighted, state.parameters)):
            width = place.records.width
            parameters = place.records.parameters(old.layout.of_width(width), old.bias is not None)
            fill(position, place, parameters)
            outputs, taken = of_layers[position], sum(n for _, _, n in spans[position])
            lower = state.rules[position].penalty.get("lower", 0.0) if state.rules else 0.0
            drawn = place.n_in > taken and is_drawn(place)
            if drawn or lower > 0.0 and (place.n_in > taken or outputs is not None):
                _finish(parameters, lower if lower > 0.0 else -np.inf, state.progress)
            parameters.take_over(old, spans[position], outputs)
            follows = follows and outputs is None and not drawn
            found.append(parameters)
        new._state = replace(state, parameters=found, training=None, follows=follows)
    return new


def _finish(parameters, lower, progress):
    """Let new weights be within their bound, and have missed nothing; those taken over are written later."""
    weights = parameters.weights()
    np.maximum(weights, np.float32(lower), out=weights)
    if parameters.averaged:
        parameters.weights(True)[:] = weights
    stamp(parameters.record, parameters.layout, *progress)


def _spans(old, graph):
    """For every layer with weights: where the records it had are now, see `LinearParameters.take_over`."""
    found, of_layers = [], []
    for before, place in zip(old.places, graph.places):
        read = _joined([(graph.places[one].width, found[one]) for one in place.inputs])
        if isinstance(place.layer, Columns):
            found.append([(0, 0, len(before.chosen))])
            _check_columns(before, place)
        elif isinstance(place.layer, Concat) and place.sparse:
            found.append(read)
        else:
            if isinstance(place.layer, Crosses):
                _check_groups(place, old, graph)
            found.append([(0, 0, before.width)])
        if place.layer.has_weights:
            of_layers.append(read)
            _check_fields(before, place, read)
    return of_layers


def _joined(parts):
    """Put spans of inputs side by side, given the width that each has now."""
    spans, first, there = [], 0, 0
    for width, own in parts:
        for here, _, n in own:
            spans.append((first + here, there, n))
            there += n
        first += width
    return spans


def _check_columns(before, place):
    first, chosen = place.chosen[: len(before.chosen)], before.chosen
    same = first == chosen if isinstance(first, range) and isinstance(chosen, range) else np.array_equal(first, chosen)
    if not same:
        raise ValueError(
            f"network: {place.label} would read other columns than before, now that there are more: name its columns, "
            "or give their numbers."
        )


def _check_groups(place, old, graph):
    before = place.layer.groups_of(old.n_features, old.feature_names)
    now = place.layer.groups_of(graph.n_features, graph.feature_names)
    if not np.array_equal(now[: old.n_features], before):
        raise ValueError(
            f"network: groups of {place.label} would have other columns than before, now that there are more: name "
            "their columns, or give their numbers."
        )


def _check_fields(before, place, spans):
    if place.fields is None:
        return
    (now, n_now), (then, n_then) = place.fields, before.fields
    same = (np.array_equal(now[here : here + n], then[there : there + n]) for here, there, n in spans)
    if n_now != n_then or not all(same):
        raise ValueError(
            f"network: fields of {place.label} would be others than before, now that there are more columns: give open "
            "slices, or the fields of all columns to come."
        )
