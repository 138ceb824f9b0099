"""The columns with the largest weights, under their names."""

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow.validation.errors import brief

BESIDE = " | "  # between names that share a column


def largest_weights(coef, n):
    """Return the columns of the n largest weights of an output, and the weights; zeros are left out.

    Parameters
    ----------
    coef : ndarray of shape (n_features,) or sparse matrix of shape (1, n_features)
    n : int
    """
    if sparse.issparse(coef):
        columns, weights = coef.indices, coef.data
    else:
        columns, weights = None, coef
    sizes = np.abs(weights)
    first = np.argpartition(-sizes, n - 1)[:n] if n < len(sizes) else np.arange(len(sizes))
    first = first[np.lexsort((first, -sizes[first]))]
    first = first[sizes[first] > 0]
    return (first if columns is None else columns[first]), weights[first]


def named(columns, encoder, n_features, feature_names):
    """Return the names of columns, the signs that their values have, and how often rows had them.

    A name whose values have the other sign than those of the first one in its column has a minus in front. Counts are
    None if nobody counted.

    Parameters
    ----------
    columns : ndarray of int
    encoder : transformer or None
        What made the columns.
    n_features : int
        Number of all columns.
    feature_names : ndarray of str or None
        Their names, if X had any.

    Raises
    ------
    TypeError, ValueError
        If the encoder knows no names, or made another number of columns.
    """
    if encoder is None:
        names = [f"x{column}" for column in columns] if feature_names is None else list(feature_names[columns])
        return names, 1.0, None
    if hasattr(encoder, "feature_names_from"):
        check_is_fitted(encoder, "kinds_")
        if encoder._n_features_out != n_features:
            raise ValueError(_of_another_width(encoder._n_features_out, n_features))
        shown = [_shown(names, encoder._signs_of(names)) for names in encoder.feature_names_from(columns)]
        return [name for name, _ in shown], np.array([sign for _, sign in shown]), encoder._counts_from(columns)
    if not hasattr(encoder, "get_feature_names_out"):
        raise TypeError(
            "encoder must be a fitted HashingEncoder or have get_feature_names_out, as transformers of scikit-learn "
            f"do, got {brief(encoder)}."
        )
    names = np.asarray(encoder.get_feature_names_out(), dtype=object)
    if len(names) != n_features:
        raise ValueError(_of_another_width(len(names), n_features))
    return list(names[columns]), 1.0, None


def _shown(names, signs):
    """Return the names of a column in one, and the sign of the first."""
    if not names:
        return "", 1.0
    return BESIDE.join(("" if sign == signs[0] else "-") + name for name, sign in zip(names, signs)), float(signs[0])


def _of_another_width(given, n_features):
    return f"encoder makes {given} columns, but the model was fitted on {n_features}."
