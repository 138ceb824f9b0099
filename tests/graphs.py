"""Random graphs, and what they compute in dense NumPy and float64.

`forward` walks over the nodes as a user wired them; nothing of the package's own shapes,
order or plan is used.
"""

import numpy as np

from sklearn_vectorflow import layers as L

import reference

N_FEATURES = 9


def columns_of(node, n_features):
    """The columns of X an Input reads."""
    columns = node.layer.columns
    return np.arange(n_features)[slice(None) if columns is None else columns]


def forward(node, X, weights, done):
    """Return a node's outputs; `weights` maps keys of nodes to (W, b)."""
    if node._key not in done:
        done[node._key] = _apply(node, [forward(one, X, weights, done) for one in node.inputs], X, weights)
    return done[node._key]


def _apply(node, inputs, X, weights):
    layer = node.layer
    if isinstance(layer, L.Columns):
        return X[:, columns_of(node, X.shape[1])]
    if isinstance(layer, L.Linear):
        W, b = weights[node._key]
        return inputs[0] @ W + b
    if isinstance(layer, L.FactorizationMachine):
        W, _ = weights[node._key]
        V = W.reshape(len(W), -1, layer.rank)
        pairs = np.einsum("ri,ick->rck", inputs[0], V) ** 2 - np.einsum("ri,ick->rck", inputs[0] ** 2, V**2)
        return pairs.sum(axis=2) / 2
    if isinstance(layer, L.FieldAwareFactorizationMachine):
        W, _ = weights[node._key]
        return _field_aware(inputs[0], W.reshape(len(W), -1, max(layer.fields) + 1, layer.rank), layer.fields)
    if isinstance(layer, L.Concat):
        return np.hstack(inputs)
    if isinstance(layer, L.Add):
        return sum(inputs)
    if isinstance(layer, L.Multiply):
        return np.prod(inputs, axis=0)
    return reference.ACTIVATIONS[layer.kernel][0](inputs[0])


def _field_aware(x, V, fields):
    """All pairs of columns, each by its embedding for the other's field; V: (n_in, n_outputs, n_fields, rank)."""
    of_pairs = V[:, :, fields]  # (n_in, n_outputs, n_in, rank)
    products = np.einsum("iojk,joik->oij", of_pairs, of_pairs)
    n_in = len(fields)
    return np.einsum("ri,rj,oij->ro", x, x, products * np.triu(np.ones((n_in, n_in)), 1))


def raw(heads, X, weights):
    """Return the outputs of heads, side by side."""
    done = {}
    return np.hstack([forward(head, X, weights, done) for head in heads])


def reads_bends(heads):
    """Whether a graph has a ReLU or SELU, whose derivatives jump."""
    return any(isinstance(node.layer, (L.ReLU, L.SELU)) for node in L.ordered(heads))


def random_graph(choose, n_outputs):
    """Return the heads of a random graph; `choose(n)` gives numbers below n.

    Every node may be read by many, and every layer with weights reads rows, dense nodes, or
    both side by side.
    """
    roots = [L.Input(_random_columns(choose)) for _ in range(1 + choose(3))]
    nodes, widths = list(roots), [len(columns_of(root, N_FEATURES)) for root in roots]
    for _ in range(1 + choose(7)):
        node, width = _random_node(choose, nodes, widths)
        nodes.append(node)
        widths.append(width)
    heads, left = [], n_outputs
    while left:
        width = 1 + choose(left)
        heads.append(_random_head(choose, nodes, width))
        left -= width
    return heads


def _random_columns(choose):
    kind = choose(3)
    if kind == 0:
        return None
    if kind == 1:
        first = choose(N_FEATURES - 1)
        return slice(first, first + 1 + choose(N_FEATURES - first))
    order = list(range(N_FEATURES))
    return [order.pop(choose(len(order))) for _ in range(1 + choose(4))]


def _some(choose, nodes, widths):
    picked = [choose(len(nodes)) for _ in range(1 + choose(3))]
    return [nodes[k] for k in picked], sum(widths[k] for k in picked)


def _random_node(choose, nodes, widths):
    kind = choose(7)
    one = choose(len(nodes))
    width = 1 + choose(4)
    if kind == 0:
        return L.Linear(width)(nodes[one]), width
    if kind == 1:
        several, _ = _some(choose, nodes, widths)
        return L.Linear(width)(L.Concat()(several)), width
    if kind == 2:
        if choose(2):
            return L.FactorizationMachine(1 + choose(3), width)(nodes[one]), width
        fields = [choose(3) for _ in range(widths[one])]
        return L.FieldAwareFactorizationMachine(fields, 1 + choose(4), width)(nodes[one]), width
    if kind == 3:
        several, total = _some(choose, nodes, widths)
        return L.Concat()(several), total
    if kind == 4:
        return [L.ReLU, L.Tanh, L.SELU, L.Logistic][choose(4)]()(nodes[one]), widths[one]
    same = [k for k in range(len(nodes)) if widths[k] == widths[one]]
    several = [nodes[same[choose(len(same))]] for _ in range(1 + choose(3))]
    return [L.Add, L.Multiply][kind - 5]()(several), widths[one]


def _random_head(choose, nodes, width):
    node = nodes[len(nodes) - 1 - choose(len(nodes))]
    if choose(3) == 0:
        return L.Add()([L.Linear(width)(node), L.FactorizationMachine(2, width)(nodes[choose(len(nodes))])])
    return L.Linear(width)(node)
