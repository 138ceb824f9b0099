"""Whether rows that follow each other have alike targets, as in data sorted by class."""

import numpy as np
from scipy import sparse

FEW, MANY = 1 << 13, 1 << 16  # pairs that are looked at: many where most targets are the same
TELLING = 100  # pairs that chance would make differ, which are enough
MOST_COLUMNS = 8
MOST_VALUES = 1_000  # which are compared as they are
N_BINS = 16  # of more values, in which they count as the same
BEYOND_CHANCE = 0.05  # of what agreement by chance leaves: less is no harm
BEYOND_DOUBT = 6.0  # standard errors


def neighbours_are_alike(encoded):
    """Return whether targets of rows agree with those of the next rows beyond chance.

    Parameters
    ----------
    encoded : ndarray of shape (n_rows, n_targets) or csr_array
        Targets, or indicators of labels.
    """
    if encoded.shape[0] < 2:
        return False
    if sparse.issparse(encoded):
        return _labels_are_alike(sparse.csr_array(encoded))
    columns = np.unique(np.linspace(0, encoded.shape[1] - 1, MOST_COLUMNS).astype(int))
    return any(_column_is_alike(encoded[:, column]) for column in columns)


def _column_is_alike(values):
    for n_pairs in (FEW, MANY):
        rows = _rows(len(values), n_pairs)
        edges = np.unique(values[rows])
        edges = edges[:: 1 if len(edges) <= MOST_VALUES else len(edges) // N_BINS]
        own, following = (np.searchsorted(edges, values[at], side="right") for at in (rows, rows + 1))
        chance = float(np.sum((np.bincount(own) / n_pairs) ** 2))
        if n_pairs * (1.0 - chance) > TELLING:
            break
    return _beyond(np.mean(own == following), chance, 1.0, chance * (1.0 - chance) / n_pairs)


def _labels_are_alike(labels):
    rows = _rows(labels.shape[0], FEW)
    own, following, any_others = labels[rows], labels[rows + 1], labels[_rows(labels.shape[0], FEW, 1)]
    shared, by_chance = (np.asarray(own.multiply(other).sum(axis=1)).ravel() for other in (following, any_others))
    return _beyond(shared.mean(), by_chance.mean(), own.nnz / FEW, (shared.var() + by_chance.var()) / FEW)


def _beyond(found, chance, most, variance):
    gain = found - chance
    return bool(gain > BEYOND_CHANCE * (most - chance) and gain > BEYOND_DOUBT * np.sqrt(variance) and gain > 0)


def _rows(n_rows, n_pairs, seed=0):
    """Draw rows that have a next one; always the same ones."""
    return np.random.default_rng(seed).integers(0, n_rows - 1, n_pairs)
