"""Classes and labels as numbers."""
import numpy as np
from scipy import sparse
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from sklearn_vectorflow.io.matrix import check_structure

MANY = 10_000  # rows from which a guess at the classes is worth its check


def is_multilabel(y):
    """Return whether y is an indicator matrix of labels."""
    if sparse.issparse(y):
        return True
    y = np.asarray(y)
    return y.ndim == 2 and y.shape[1] > 1 and type_of_target(y, input_name="y").startswith("multilabel")


def label_matrix(y):
    """Return an indicator matrix as CSR, or as a float64 array if it is dense."""
    if not sparse.issparse(y):
        return np.ascontiguousarray(y, dtype=np.float64)
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
        raise ValueError(f"y has classes {np.unique(y[unknown])!r}, which are not among {classes!r}.")
    return codes.astype(np.float64)
