"""What the weights of each layer are trained by: optimizer, penalties, and what they have to catch up on."""

import contextlib
from dataclasses import dataclass

import numpy as np

from sklearn_vectorflow.engine.net import plan as engine
from sklearn_vectorflow.penalties import Orthogonal, combine
from sklearn_vectorflow.validation.errors import naming


@dataclass(frozen=True, eq=False)
class Rule:
    """What a layer's records are stepped by, as plain values.

    Parameters
    ----------
    name : str
        Of the engine's rule; "fixed" if the layer is frozen.
    lazy : int
        What weights have to catch up on.
    numbers : dict
        Fields of the optimizer, those of intercepts under "intercept" where they differ.
    penalty : dict
        Fields of the penalty: numbers, and arrays of which each record has an entry.
    """

    name: str
    lazy: int
    numbers: dict
    penalty: dict

    def is_like(self, other):
        """Return whether another rule takes the same steps."""
        if (self.name, self.lazy, self.numbers) != (other.name, other.lazy, other.numbers):
            return False
        mine, theirs = self.penalty, other.penalty
        return mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)


def described(plans):
    """Return the rules of layers, given what `rules_of` says of them."""
    return tuple(
        Rule("fixed" if own is None else own.rule, lazy, {} if own is None else numbers_of(own), fields)
        for own, lazy, _, fields in plans
    )


def numbers_of(own):
    """Return the fields of an optimizer, those of intercepts among them where they differ."""
    return own.fields() if own.of_intercept is None else {**own.fields(), "intercept": own.of_intercept}


def rate_schedule(graph, optimizer, l2):
    """The one schedule of a net: that of its SGD, if it has any."""
    moving = [place for place in graph.weighted if not place.layer.frozen]
    rules = [(place, place.layer.own_optimizer() or optimizer) for place in moving]
    schedules = [(place, rule.rate_schedule(l2)) for place, rule in rules if rule.rule == "sgd"]
    for place, schedule in schedules:
        if schedule != schedules[0][1]:
            raise ValueError(
                f"network: {place.label} has another schedule of SGD than {schedules[0][0].label}; "
                "all layers with SGD need the same schedule."
            )
    return schedules[0][1] if schedules else optimizer.rate_schedule(l2)


def rules_of(graph, scales, optimizer, penalties, averaged):
    """For every layer with weights: its optimizer (None: frozen), laziness, layout and penalty fields.

    `penalties` is a function of a layer's place in the graph.
    """
    return [_rules_of(place, graph.is_linear, scales, optimizer, penalties, averaged) for place in graph.weighted]


def _rules_of(place, is_linear, scales, optimizer, penalties, averaged):
    layer, records, n_out = place.layer, place.records, place.n_weights
    if layer.frozen:
        return None, engine.EAGER, records.layout(), {}
    is_convex = place.is_convex or is_linear
    own = (layer.own_optimizer() or optimizer).for_layer(n_out, place.is_last, is_convex, scales, averaged)
    if averaged and own.rule == "ftrl":
        raise ValueError(f"network: {place.label}: average is not available with optimizer FTRL.")
    own_penalties = layer.own_penalties()
    if own_penalties is None:
        given = penalties(place)
        own_penalties = given if is_linear else [one for one in given if _concerns(one, place)]
    with contextlib.nullcontext() if is_linear else naming(f"network: {place.label}"):
        fields = records.in_order(combine(own_penalties, place.n_in, n_out, place.is_input, place.is_output))
    lazy = _laziness(own.rule, fields, averaged)
    layout = records.layout(
        apart=own.rule == "ftrl" and lazy != engine.LAZY,
        per_weight=own.per_weight,
        per_feature=own.per_feature,
        clock_size=own.clock_size + (own.rule == "sgd" and averaged) if lazy != engine.EAGER else 0,
        averaged=averaged,
    )
    return own, lazy, layout, fields


def _laziness(rule, fields, averaged):
    """What weights have to catch up on when they are read (engine/kernels/optimizers/penalties.h)."""
    each = {"l1_each", "l2_each", "center", "lower", "sign"} & fields.keys()
    strengths = {"l1", "l2"} & fields.keys()
    if rule == "ftrl":  # its closed form has both strengths
        return engine.LAZY if each or "orthogonal" in fields else engine.DECAYING if strengths else engine.EAGER
    if averaged or each or "l1" in fields:
        return engine.LAZY
    return engine.DECAYING if strengths else engine.EAGER


def _concerns(penalty, place):
    """Whether a penalty of the whole net is meant for a layer: orthogonality is for hidden units."""
    return not isinstance(penalty, Orthogonal) or not (place.is_input and place.is_output)
