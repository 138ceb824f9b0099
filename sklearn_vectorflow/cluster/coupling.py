"""How bold a merge may be: sampled rows say."""

from dataclasses import replace

import numpy as np

from sklearn_vectorflow.cluster.narrow import Narrow
from sklearn_vectorflow.cluster.places import marked
from sklearn_vectorflow.engine.places import find
from sklearn_vectorflow.merging import merge_states
from sklearn_vectorflow.threads import ALONE
from sklearn_vectorflow.training.data import Data

COUPLINGS = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)  # from bold to timid


class Reader:
    """Sampled rows, and which records they read.

    Parameters
    ----------
    template : Template
    state : NetState
        Any of the net.
    sample : Data
    """

    def __init__(self, template, state, sample):
        self.read, self.sample, self.narrow = read_by(template, sample), sample, None
        if Narrow.fits(template, state, self.read):
            self.narrow = Narrow(template, self.read)
            rows = self.narrow.matrix(sample.matrix)
            self.sample = Data(rows, sample.encoded, sample.weight, sample.starts, sample.offset)


def chosen(template, reader, base, states):
    """Return the coupling that gives sampled rows the lowest loss.

    Linear models have one minimum, so the search ends where the loss rises. Nets that moved too far may do about as
    badly with the next coupling, and well with a timid one.

    Parameters
    ----------
    template : Template
    reader : Reader
    base, states : NetState and list of NetState
        The states only of records that the sampled rows read, see `glimpsed`.
    """
    base, narrow = base.select(reader.read), reader.narrow
    best, lowest = COUPLINGS[-1], np.inf
    is_linear = template.network.graph.is_linear
    if narrow:
        base, states = narrow.squeezed(base), [narrow.squeezed(state) for state in states]
    for coupling in COUPLINGS:
        merged = merge_states(base, states, coupling=coupling)
        network = narrow.network_of(merged) if narrow else template.with_state(merged)
        loss = template.estimator._mean_loss(network, reader.sample, ALONE)
        if not np.isfinite(loss):
            continue
        if loss < lowest:
            best, lowest = coupling, loss
        elif is_linear:
            break
    return best


def read_by(template, sample):
    """Return which records of every layer rows read, increasing; None is all."""
    found = []
    for place in template.network.graph.weighted:
        some = template.network.graph.touched(place, sample.matrix)
        found.append(None if isinstance(some, slice) else marked(place.n_in, some).listed())
    return found


def glimpsed(state, read):
    """Return of a state the records that rows read."""
    return glimpsed_at(state, [common(some, layer.index) for some, layer in zip(read, state.layers)])


def glimpsed_at(state, found):
    """Return of a state the records of which is known where they are, see `common`."""
    layers = [
        replace(layer, index=some, record=layer.record if at is None else layer.record[at])
        for layer, (some, at) in zip(state.layers, found)
    ]
    return replace(state, layers=layers)


def common(some, index):
    """Return which of some records an index has, and where they stand in it; None is all, in both."""
    if some is None:
        return index, None
    if index is None:
        return some, some
    at = find(index, some)
    return some[at >= 0], at[at >= 0]
