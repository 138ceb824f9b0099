"""How bold a merge may be: sampled rows say."""

import numpy as np

from sklearn_vectorflow.cluster.narrow import Narrow
from sklearn_vectorflow.engine.places import Marks, find
from sklearn_vectorflow.merging import merge_states
from sklearn_vectorflow.threads import ALONE
from sklearn_vectorflow.training.data import Data

COUPLINGS = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)  # from bold to timid


def chosen(template, base, states, sample):
    """Return the coupling that gives sampled rows the lowest loss.

    Linear models have one minimum, so the search ends where the loss rises. Nets that moved too far may do about as
    badly with the next coupling, and well with a timid one.

    Parameters
    ----------
    template : Template
    base, states : NetState and list of NetState
        The states only of records that the sampled rows read, see `glimpsed`.
    sample : Data
        Rows that are evaluated.
    """
    read = read_by(template, sample)
    base = base.select(read)
    best, lowest, narrow = COUPLINGS[-1], np.inf, None
    is_linear = template.network.graph.is_linear
    if Narrow.fits(template, base, read):
        narrow = Narrow(template, read)
        sample = Data(narrow.matrix(sample.matrix), sample.encoded, sample.weight, sample.starts, sample.offset)
        base, states = narrow.squeezed(base), [narrow.squeezed(state) for state in states]
    for coupling in COUPLINGS:
        merged = merge_states(base, states, coupling=coupling)
        network = narrow.network_of(merged) if narrow else template.with_state(merged)
        loss = template.estimator._mean_loss(network, sample, ALONE)
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


def marked(n, *numbers):
    """Return marks on some of the numbers below n."""
    marks = Marks(n)
    for some in numbers:
        marks.add(some)
    return marks


def glimpsed(state, read):
    """Return of a state the records that rows read."""
    return state.select([_common(some, layer.index) for some, layer in zip(read, state.layers)])


def _common(some, index):
    """Return which of some records have an entry in an index; None is all."""
    if some is None or index is None:
        return index if some is None else some
    return some[find(index, some) >= 0]
