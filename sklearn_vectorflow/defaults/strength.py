"""How strong the penalty is by default."""

import math

import numpy as np

from sklearn_vectorflow.defaults.scales import RANGE

OF_UNITS = 10.0  # times the prior of linear models: hidden units and what reads them, together for all outputs
OF_LINEAR_PARTS = 4.0  # a linear part beside others, which explain some of what it would
OF_FACTORS = 12.0  # embeddings, whose products fit the noise of any pair of ids that comes once; over its size


def default_strength(scales, n_terms):
    """Return what alpha=None stands for in a linear model: a weak prior, which weighs less the more rows there are.

    Parameters
    ----------
    scales : Scales
    n_terms : float or None
        Losses in the mean, as they are counted; None if others may follow: the strength is then 0.
    """
    return 0.0 if n_terms is None else scales.prior / max(n_terms, 1)


def strengths_of_columns(alpha, sizes):
    """Return the default of every column where columns are unlike: that of a linear model of standardised ones.

    Parameters
    ----------
    alpha : float
        The default for columns of size 1.
    sizes : ndarray of shape (n_columns,)
    """
    return np.clip(alpha * sizes**2, *RANGE).astype(np.float32)


def prior_of_net(guess, ratio):
    """Return the prior of a net, given that of linear models that cross-validation found, over the guess.

    Where the rows follow a linear model clearly, nets need a weaker prior, too, although not in the same ratio: it
    also holds units that the linear model lacks. A stronger one is left to early stopping.

    Parameters
    ----------
    guess : float
        Of the net.
    ratio : float
    """
    return float(np.float32(guess * math.sqrt(min(1.0, ratio))))


def times_of_layer(scales, is_convex, is_factors, n_outputs):
    """Return by how much the default is stronger for a layer of a net than for a linear model.

    Parameters
    ----------
    scales : Scales
    is_convex : bool
        Whether the raw outputs are linear in the layer's weights, and it reads X itself.
    is_factors : bool
        Whether it embeds features, for the products of pairs.
    n_outputs : int
    """
    if is_factors:
        return OF_FACTORS / scales.noise
    return OF_LINEAR_PARTS if is_convex else OF_UNITS / n_outputs
