"""The raw outputs of a net as ONNX nodes."""

import numpy as np

from sklearn_vectorflow.layers import Add, Columns, Concat, Constant, Dropout, Linear, Multiply
from sklearn_vectorflow.layers.activations import SELU, Activation, Logistic, ReLU, Tanh

ACTIVATIONS = {ReLU: "Relu", Tanh: "Tanh", SELU: "Selu", Logistic: "Sigmoid"}


def raw_outputs(network, writer):
    """Write a net; return the name of its raw outputs, shape (n_rows, n_outputs).

    Raises
    ------
    ValueError
        If a layer has no form for it.
    """
    graph, found = network.graph, []
    weights = dict(zip([id(place) for place in graph.weighted], zip(network.weights(), network.intercepts())))
    for place in graph.places:
        inputs = [(graph.places[one], found[one]) for one in place.inputs]
        found.append(_output(place, inputs, weights.get(id(place)), writer))
    ends = [found[end] for end in graph.ends]
    return ends[0] if len(ends) == 1 else writer.add("Concat", *ends, axis=1)


def _output(place, inputs, weights, writer):
    layer, names = place.layer, [name for _, name in inputs]
    if isinstance(layer, Columns) and place.is_whole:
        return None  # rows of X, which are three arrays
    if type(layer) is Linear and inputs[0][0].is_whole:
        return _plus(writer.sum_rows(np.ascontiguousarray(weights[0])), weights[1], writer)
    if None not in names:
        if type(layer) is Linear:
            return _plus(writer.add("MatMul", names[0], np.ascontiguousarray(weights[0])), weights[1], writer)
        if type(layer) is Constant:
            _, n_rows = writer.row_of_value()
            shape = writer.add("Concat", n_rows, [place.width], axis=0)
            return writer.add("Expand", np.asarray(weights[1], np.float32)[None], shape)
        if isinstance(layer, Activation) and type(layer) in ACTIVATIONS:
            return writer.add(ACTIVATIONS[type(layer)], names[0])
        if isinstance(layer, Dropout):
            return names[0]
        if isinstance(layer, Concat):
            return writer.add("Concat", *names, axis=1)
        if isinstance(layer, (Add, Multiply)):
            return _merged("Add" if isinstance(layer, Add) else "Mul", names, writer)
    raise ValueError(
        f"network: {place.label} can't be written as ONNX. Nets can that have linear layers on all columns, "
        "activations, dropout, sums, products and concatenations."
    )


def _plus(name, intercepts, writer):
    return writer.add("Add", name, np.asarray(intercepts, dtype=np.float32)) if np.any(intercepts) else name


def _merged(operator, names, writer):
    merged = names[0]
    for name in names[1:]:
        merged = writer.add(operator, merged, name)
    return merged
