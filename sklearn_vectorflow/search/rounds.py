"""How many candidates are trained for how long."""

import math
import numbers

import numpy as np
from sklearn.model_selection import ParameterGrid, ParameterSampler

from sklearn_vectorflow.validation.errors import brief

SET_HERE = ("max_iter", "warm_start", "tol", "early_stopping")  # by the search itself


def candidates_of(param_distributions, n_candidates, random_state):
    """Return the candidates as dictionaries: all of a grid, or so many of distributions.

    Raises
    ------
    ValueError
        If a distribution is to be taken whole, or a parameter is one that the search sets.
    """
    try:
        grids = [param_distributions] if hasattr(param_distributions, "keys") else list(param_distributions)
        taken = sorted({name for grid in grids for name in grid} & set(SET_HERE))
    except TypeError:
        raise TypeError(
            f"param_distributions must be a dict or a list of them, got {brief(param_distributions)}."
        ) from None
    if taken:
        raise ValueError(f"param_distributions has {', '.join(taken)}, which the search sets: it counts epochs.")
    if n_candidates != "all":
        return list(ParameterSampler(param_distributions, n_candidates, random_state=random_state))
    sampled = sorted({name for grid in grids for name, values in grid.items() if hasattr(values, "rvs")})
    if sampled:
        raise ValueError(f"n_candidates must be a number for parameters with distributions: {', '.join(sampled)}.")
    return list(ParameterGrid(param_distributions))


def rounds_of(n_candidates, factor, min_epochs, max_epochs):
    """Return, for every round, how many candidates there are, and for how many epochs each was trained at its end.

    The last round ends at `max_epochs`; a candidate that is left alone goes there at once.
    """
    found, n, epochs = [], n_candidates, min(min_epochs, max_epochs)
    while True:
        if n == 1:
            epochs = max_epochs
        found.append((n, epochs))
        if epochs == max_epochs:
            return found
        n, epochs = math.ceil(n / factor), min(epochs * factor, max_epochs)


def ranks_of(scores, n_epochs):
    """Return the rank of each candidate, 1 for the best: those that were trained for longer come first, NaN last."""
    order = np.lexsort((-np.nan_to_num(scores, nan=-np.inf), -np.asarray(n_epochs)))
    order = sorted(order, key=lambda one: bool(np.isnan(scores[one])))
    ranks = np.empty(len(scores), dtype=np.int32)
    ranks[order] = np.arange(1, len(scores) + 1)
    return ranks


def check_n_candidates(n_candidates):
    """Raise unless it is "all" or a number of candidates."""
    if isinstance(n_candidates, str) and n_candidates == "all":
        return
    if isinstance(n_candidates, bool) or not isinstance(n_candidates, numbers.Integral):
        raise TypeError(f"n_candidates must be 'all' or an integer, got {brief(n_candidates)}.")
    if n_candidates < 1:
        raise ValueError(f"n_candidates must be at least 1, got {n_candidates}.")
