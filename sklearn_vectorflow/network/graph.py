"""A layer graph with its shapes, checked and in order."""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from sklearn_vectorflow.layers import (
    Activation,
    Add,
    Columns,
    Concat,
    Constant,
    Crosses,
    Dropout,
    FieldAwareFactorizationMachine,
    Linear,
    Multiply,
    Node,
    ordered,
)
from sklearn_vectorflow.layers.diagram import as_text, drawing
from sklearn_vectorflow.layers.factorization import Factors
from sklearn_vectorflow.network.lowering import INPUT, FieldRecords, OutputRecords, Records, steps_of
from sklearn_vectorflow.validation.errors import brief, restoring


@dataclass
class Place:
    """A node of the graph in its place."""

    layer: object
    key: str
    inputs: tuple  # places
    n_in: int = 0  # columns it reads
    width: int = 0  # outputs
    sparse: bool = False  # gives sparse rows
    pure: bool = False  # which depend on no weights
    is_input: bool = False  # reads sparse rows
    reads_pure: bool = False  # and nothing else
    is_output: bool = False  # its outputs are added or put side by side to raw outputs
    gain: float = 1.0  # of the activation that follows
    engine: int = INPUT  # the engine's node
    chosen: object = None  # columns of a root
    is_whole: bool = False  # a root of all columns
    fields: object = None  # of the columns it reads, and how many there are, if it asks
    n_active: object = None  # outputs that a step computes, each on its own; None: all together

    @property
    def label(self):
        """What messages call it."""
        return self.layer.label

    @property
    def is_last(self):
        """Whether the raw outputs are linear in its weights; embeddings are like hidden layers."""
        return self.is_output and not self.is_factors

    @property
    def is_factors(self):
        """Whether it embeds what it reads, for the products of pairs."""
        return isinstance(self.layer, Factors)

    @property
    def is_convex(self):
        """Whether it is so and reads X itself."""
        return self.reads_pure and self.is_last

    @property
    def n_weights(self):
        """Weights of each of the columns it reads."""
        n_weights = self.layer.n_weights(self.width)
        return n_weights if self.fields is None else n_weights * self.fields[1]

    @property
    def n_products(self):
        """Multiplications of a step for each of the columns it reads, about."""
        return self.n_weights if self.n_active is None else self.n_active

    @property
    def records(self):
        """How its weights lie in records."""
        if self.fields is not None:
            return FieldRecords(self)
        return Records(self) if self.n_active is None else OutputRecords(self)

    @property
    def signature(self):
        """What it shares with a place of another graph whose weights can be exchanged with its own."""
        given = type(self.layer).__name__, self.inputs, self.n_in, self.width, str(self.chosen), self.n_active is None
        return given if self.fields is None else (*given, self.fields[1], sha256(self.fields[0]).hexdigest())


class Graph:
    """Layers between the columns of X and the raw outputs.

    Parameters
    ----------
    heads : list of Node
        Their outputs, side by side, are the raw outputs.
    n_features, n_outputs : int
    feature_names : ndarray of str, default=None
    n_active : int, default=None
        How many outputs of a row a step computes, about; None are all.

    Attributes
    ----------
    places : list of Place
        Each after those it reads.
    weighted : list of Place
        Those with weights.
    steps : list of tuple
        The engine's nodes, see `steps_of`.

    Raises
    ------
    TypeError, ValueError
        If the graph has a cycle, if widths do not fit, or if a layer's parameters are bad;
        the message names the layer.
    """

    def __init__(self, heads, n_features, n_outputs, feature_names=None, n_active=None):
        self.heads = heads
        self.n_features = n_features
        self.n_outputs = n_outputs
        self.feature_names = feature_names
        self.n_active = n_active
        nodes = ordered(heads)
        of_key = {node._key: place for place, node in enumerate(nodes)}
        self.places = [Place(node.layer, node._key, tuple(of_key[one._key] for one in node.inputs)) for node in nodes]
        self.ends = [of_key[head._key] for head in heads]
        self._check_layers()
        self._set_widths()
        self._set_roles()
        if n_active is not None:
            self._choose_outputs()
        self.weighted = [place for place in self.places if place.layer.has_weights]
        if not self.weighted:
            raise ValueError(f"network: {self.places[self.ends[0]].label} depends on no layer with weights.")
        self.steps = steps_of(self.places, self.ends)

    def __getstate__(self):
        names = ("heads", "n_features", "n_outputs", "feature_names", "n_active")
        given = {name: getattr(self, name) for name in names}
        if Graph(**given).signature() != self.signature():  # weights would be those of other columns or fields
            raise ValueError(
                "network: a parameter of a layer has changed since the net was made. Reset it, or call fit."
            )
        return given

    def __setstate__(self, state):
        with restoring():  # parts of a pickle may be anything
            self.__init__(**state)

    @property
    def has_dropout(self):
        """Whether training leaves units out."""
        return any(isinstance(place.layer, Dropout) for place in self.places)

    @property
    def is_linear(self):
        """Whether it is a single linear layer on all of X, with or without constants behind."""
        first, *rest = [self.places[end] for end in self.ends]
        plain = isinstance(first.layer, Linear) and self.places[first.inputs[0]].is_whole
        return plain and all(isinstance(place.layer, Constant) for place in rest)

    @property
    def takes_units(self):
        """Whether weights alone can make up for other units of columns: linear layers read X, with no own settings."""
        readers = [place for place in self.places if self._columns_of(place)]
        return all(
            isinstance(place.layer, Linear) and place.layer.is_plain and place.n_active is None for place in readers
        )

    def columns_read_by(self, place):
        """Return lists of the columns of X that a layer reads itself."""
        return [self.places[one].chosen for one in self._columns_of(place)]

    def _columns_of(self, place):
        return [one for one in place.inputs if isinstance(self.places[one].layer, Columns)]

    @property
    def needs_canonical(self):
        """Whether a column that occurs twice in a row has to be summed first."""
        return any(isinstance(place.layer, (Crosses, Factors)) for place in self.places)

    def signature(self):
        """Return what two graphs share whose weights can be exchanged."""
        return [place.signature for place in self.places]

    def find(self, node):
        """Return the place of a node, or of the layer of that name.

        Raises
        ------
        TypeError, ValueError
            If the graph has none.
        """
        if isinstance(node, Node):
            found = [place for place in self.places if place.key == node._key]
        elif isinstance(node, str):
            found = [place for place in self.places if place.layer.name == node]
        else:
            raise TypeError(f"node must be a Node or the name of a layer, got {brief(node)}.")
        if not found:
            names = sorted(place.layer.name for place in self.places if place.layer.name)
            raise ValueError(f"network has no node {brief(node)}; layers with names: {names}.")
        return found[0]

    def read_by(self, reader, names):
        """Return the places of the layers of these names, whose outputs a loss reads."""
        places = []
        for name in names:
            try:
                place = self.find(name)
            except ValueError as error:
                raise ValueError(f"{reader} reads {name!r}: {error}") from None
            if place.sparse:
                raise ValueError(
                    f"{reader} reads {name!r}, but {place.label} returns sparse rows; a loss can read only dense nodes."
                )
            places.append(place)
        return places

    # ---- checks and shapes --------------------------------------------------------

    def _check_layers(self):
        owners, names = set(), set()
        for place in self.places:
            layer = place.layer
            layer.check_parameters()
            if layer.has_weights and id(layer) in owners:
                raise ValueError(f"network: {place.label} is called twice; make a second layer, or share the node.")
            if layer.name is not None and layer.name in names:
                raise ValueError(f"network: two layers have the name {layer.name!r}.")
            if not place.inputs and not isinstance(layer, (Columns, Constant)):
                raise ValueError(f"network: {place.label} reads no node.")
            owners.add(id(layer))
            names.add(layer.name)

    def _set_widths(self):
        wanted = self._wanted(self._known())
        for position, place in enumerate(self.places):
            widths = [self.places[one].width for one in place.inputs]
            sparse = any(self.places[one].sparse for one in place.inputs)
            place.is_input = sparse and place.layer.reads_rows
            place.reads_pure = place.is_input and all(self.places[one].pure for one in place.inputs)
            place.n_in = sum(widths)
            if isinstance(place.layer, Columns):
                place.chosen = place.layer.places(self.n_features, self.feature_names)
                place.width, place.sparse, place.pure = len(place.chosen), True, True
                place.is_whole = place.chosen == range(self.n_features) if isinstance(place.chosen, range) else False
                continue
            if isinstance(place.layer, FieldAwareFactorizationMachine):
                place.fields = self._fields_of(place)
            place.sparse = isinstance(place.layer, Crosses) or isinstance(place.layer, Concat) and sparse
            place.pure = place.sparse and place.reads_pure
            if place.layer.has_weights:
                place.width = wanted[position] if place.layer.n_out is None else place.layer.n_out
                if place.width is None:
                    raise ValueError(f"network: {place.label} needs n_out, as it does not lead to the outputs alone.")
                continue
            try:
                place.width = place.layer.width(widths, sparse)
            except ValueError as error:
                raise ValueError(f"network: {place.label} {error}.") from None
        total = sum(self.places[end].width for end in self.ends)
        if total != self.n_outputs:
            labels = ", ".join(self.places[end].label for end in self.ends)
            raise ValueError(f"network: the loss needs {self.n_outputs} output(s), but {labels} have {total}.")

    def _fields_of(self, place):
        """The field of each column that a layer reads, and how many there are."""
        below, names, parts = self.places[place.inputs[0]], None, None
        if isinstance(below.layer, Concat):
            parts = [self.places[one].width for one in below.inputs]
        elif isinstance(below.layer, Columns) and self.feature_names is not None:
            names = np.asarray(self.feature_names)[below.chosen]
        return place.layer.fields_of(place.n_in, parts, names)

    def _known(self):
        """The widths that layers say themselves, None where they follow from the outputs."""
        known = []
        for place in self.places:
            widths = [known[one] for one in place.inputs]
            if isinstance(place.layer, Columns):
                known.append(len(place.layer.places(self.n_features, self.feature_names)))
            elif place.layer.has_weights:
                known.append(place.layer.n_out)
            elif isinstance(place.layer, (Add, Multiply)):
                known.append(next((width for width in widths if width is not None), None))
            elif None in widths:
                known.append(None)
            else:
                known.append(place.layer.width(widths, False))
        return known

    def _wanted(self, known):
        """The widths that the outputs, and the others of a sum, ask of a layer."""
        wanted = list(known)
        open_ends = [end for end in self.ends if known[end] is None]
        rest = self.n_outputs - sum(known[end] for end in self.ends if known[end] is not None)
        for end in open_ends:
            if rest <= 0 or rest % len(open_ends):
                raise ValueError(
                    f"network: {self.places[end].label} has no n_out, and {len(open_ends)} such head(s) can't share "
                    f"the {rest} output(s) that are left of the {self.n_outputs} the loss needs."
                )
            wanted[end] = rest // len(open_ends)
        for position in reversed(range(len(self.places))):
            if isinstance(self.places[position].layer, (Activation, Dropout, Add, Multiply)):
                for one in self.places[position].inputs:
                    wanted[one] = wanted[position] if wanted[one] is None else wanted[one]
        return wanted

    def _set_roles(self):
        for position in reversed(range(len(self.places))):
            place = self.places[position]
            place.is_output |= position in self.ends
            for one in place.inputs:
                below = self.places[one]
                if isinstance(place.layer, Activation):
                    below.gain = max(below.gain, place.layer.gain)
                if isinstance(place.layer, (Add, Concat, Dropout)):
                    below.is_output |= place.is_output
                    below.gain = max(below.gain, place.gain)

    def _choose_outputs(self):
        """Let the head compute the outputs that a step asks for."""
        heads = [self.places[end] for end in self.ends]
        if len(heads) > 1 or not isinstance(heads[0].layer, Linear):
            raise ValueError(
                "network: a loss that samples outputs needs a single head, a Linear, got "
                f"{', '.join(head.label for head in heads)}."
            )
        heads[0].n_active = self.n_active

    def readers(self):
        """Return lists of layers, as positions among those with weights, that read the same sparse rows."""
        found = {}
        for what, place, parents in self.steps:
            if what == "weighted" and place.is_input and place.n_active is None:
                found.setdefault(parents[0], []).append(self.weighted.index(place))
        return list(found.values())

    def touched(self, place, matrix):
        """Return an index of the records of a layer that rows of a matrix can touch."""
        reads_all = place.n_active is None and any(self.places[one].is_whole for one in place.inputs)
        return matrix.touched() if reads_all else slice(None)

    # ---- as text -----------------------------------------------------------------------

    def rows(self, count):
        """Return what text and drawing show; `count` gives the parameters of a place."""
        rows = []
        for place in self.places:
            n_in = place.width if isinstance(place.layer, (Add, Multiply)) else place.n_in
            shape = f"{n_in} -> {place.width}" if place.inputs else f"{place.width}"
            if place.layer.has_weights:
                shape += f", {count(place)} parameters"
            rows.append((place.label, list(place.inputs), shape))
        return rows

    def text(self, count):
        """Return a table, a line a node."""
        return as_text(self.rows(count))

    def drawing(self, count):
        """Return an SVG."""
        return drawing(self.rows(count))


def heads_of(network):
    """Return the output nodes that `network=` names.

    Raises
    ------
    TypeError
        If it is neither a node nor a list of nodes.
    """
    heads = list(network) if isinstance(network, (list, tuple)) else [network]
    if not heads or not all(isinstance(head, Node) for head in heads):
        raise TypeError(f"network must be None, a node (a called layer) or a list of nodes, got {brief(network)}.")
    if len({head._key for head in heads}) < len(heads):
        raise ValueError("network: a node is named twice among the heads.")
    return heads
