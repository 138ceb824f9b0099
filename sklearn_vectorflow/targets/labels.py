"""Classes and labels as numbers."""

import numpy as np
from scipy import sparse
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from sklearn_vectorflow.io.matrix import check_structure
from sklearn_vectorflow.validation.errors import brief

AT_ONCE = 1_000_000  # rows counted at once, to bound memory
MANY = 10_000  # rows from which a guess at the classes is worth its check


def is_multilabel(y):
    """Return whether y is an indicator matrix of labels."""
    if sparse.issparse(y):
        return True
    y = np.asarray(y)
    return y.ndim == 2 and y.shape[1] > 1 and type_of_target(y, input_name="y").startswith("multilabel")


def label_matrix(y, as_csr=False):
    """Return an indicator matrix as CSR, or as a float64 array if it is dense and as_csr=False."""
    if not sparse.issparse(y):
        labels = np.ascontiguousarray(y, dtype=np.float64)
        return sparse.csr_array(labels) if as_csr else labels
    check_structure(y, "y")
    y = sparse.csr_array(y, copy=True)
    y.sum_duplicates()
    y.eliminate_zeros()
    if np.any(y.data != 1):
        raise ValueError("y as a sparse matrix must be an indicator of labels, with values 0 and 1 only.")
    return y


def encode_labels(y, expected=None):
    """Return the classes of y and each row's class as a float64 number.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
    expected : array-like of shape (n_classes,), default=None
        The classes, if they are known beforehand.
    """
    if expected is not None:
        classes = np.unique(np.asarray(expected))
        if classes.dtype.kind == "f":
            assert_all_finite(classes, input_name="classes")
        return classes, encode_known_labels(y, classes)
    if y.dtype.kind == "f":
        assert_all_finite(y, input_name="y")
    guess = _two_classes(y)
    if guess is not None:
        return guess, (y == guess[1]).astype(np.float64)
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    return classes, codes.astype(np.float64)


def _two_classes(y):
    """The classes of a long y, if the first rows show two and all others agree."""
    if len(y) < MANY or y.dtype.kind not in "iuf":
        return None
    classes = np.unique(y[: MANY // 10])
    if len(classes) != 2 or np.any(classes != np.round(classes)):
        return None
    return classes if np.all((y == classes[0]) | (y == classes[1])) else None


def encode_known_labels(y, classes):
    """Return each row's class as a float64 number; classes are sorted."""
    y = np.asarray(y)
    codes = np.searchsorted(classes, y)
    codes[codes == len(classes)] = 0
    unknown = classes[codes] != y
    if np.any(unknown):
        raise ValueError(f"y has classes {brief(np.unique(y[unknown]))}, which are not among {brief(classes)}.")
    return codes.astype(np.float64)


def class_totals(codes, weight, n_classes):
    """Return every class's sum of weights, float64 of shape (n_classes,); of ones if weight is None."""
    if n_classes == 2:
        total, second = (len(codes), codes.sum()) if weight is None else (np.sum(weight), codes @ weight)
        return np.array([total - second, second])
    if weight is not None:
        return np.bincount(codes.astype(np.intp), weights=weight, minlength=n_classes)
    totals = np.zeros(n_classes)
    for start in range(0, len(codes), AT_ONCE):
        totals += np.bincount(codes[start : start + AT_ONCE].astype(np.intp), minlength=n_classes)
    return totals


def label_counts(encoded, n_outputs):
    """Return how many rows have each label, or are of each class, of shape (n_outputs,)."""
    if sparse.issparse(encoded):
        return np.bincount(encoded.indices, minlength=n_outputs)
    return class_totals(encoded[:, 0], None, n_outputs)
