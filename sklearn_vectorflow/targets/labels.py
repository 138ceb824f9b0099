"""Classes and labels as numbers."""

import contextlib

import numpy as np
from scipy import sparse
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from sklearn_vectorflow.validation.arrays import is_missing
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.sparse import checked_csr

AT_ONCE = 1_000_000  # rows counted at once, to bound memory
MANY = 10_000  # rows from which a guess at the classes is worth its check


def is_multilabel(y):
    """Return whether y is an indicator matrix of labels."""
    if sparse.issparse(y):
        return True
    y = np.asarray(y)
    with comparing(y):
        return y.ndim == 2 and y.shape[1] > 1 and type_of_target(y, input_name="y").startswith("multilabel")


def label_matrix(y, as_csr=False):
    """Return an indicator matrix as CSR, or as a float64 array if it is dense and as_csr=False.

    Raises
    ------
    TypeError, ValueError
        If it holds other values than 0 and 1, or is malformed.
    """
    if not sparse.issparse(y):
        labels = np.ascontiguousarray(y, dtype=np.float64)
        _check_indicator(labels[(labels != 0) & (labels != 1)])
        return sparse.csr_array(labels) if as_csr else labels
    y = sparse.csr_array(checked_csr(y, "y"), copy=True)
    y.sum_duplicates()
    y.eliminate_zeros()
    _check_indicator(y.data[y.data != 1])
    return y


def _check_indicator(others):
    if len(others):
        hint = " For labels of -1 and 1 pass y > 0." if np.all(others == -1) else ""
        raise ValueError(f"y as labels must be an indicator matrix, with values 0 and 1 only, got {others[0]:g}.{hint}")


def class_array(y):
    """Return classes of rows as an ndarray of shape (n_rows,).

    Raises
    ------
    TypeError, ValueError
        If y has several columns, bytes or missing values.
    """
    shape = np.asarray(y).shape
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            "y must be a 1d array of classes, or an indicator matrix of labels with values 0 and 1 only, "
            f"got the shape {shape} with other values."
        )
    classes = column_or_1d(y, warn=True)
    if isinstance(y, (list, tuple)) and classes.dtype.kind == "U":  # NumPy writes "nan" and "None" for what is missing
        _check_all_there(np.array(y, dtype=object))
    if classes.dtype.kind in "mM":
        _check_all_there(np.where(np.isnat(classes), None, 0))
    if classes.dtype.kind == "S" or classes.dtype.kind == "O" and len(classes) and isinstance(classes[0], bytes):
        raise TypeError("y holds bytes, which cannot be classes: convert them to strings or integers.")
    return classes


@contextlib.contextmanager
def comparing(y):
    """Explain errors that come from classes or labels that cannot be compared with each other."""
    try:
        yield
    except (TypeError, ValueError):
        y = np.asarray(y)
        if y.dtype.kind == "O" and y.ndim > 0:
            _check_all_there(y.ravel(), y.size // max(1, len(y)))
            y = y.ravel()
            types = sorted({type(item).__name__ for item in y})
            if len(types) > 1:
                raise TypeError(f"y must hold classes of one type, got {' and '.join(types)}.") from None
        raise


def _check_all_there(y, n_labels=1):
    missing = next((place for place, item in enumerate(y) if is_missing(item)), None)
    if missing is not None:
        what, row = "class" if n_labels == 1 else "value of each label", missing // n_labels
        raise ValueError(f"y must have a {what} for each row, but that of row {row} is missing: drop such rows.")


def check_classes(y):
    """Raise if numbers can't be classes."""
    if y.dtype.kind == "f":
        assert_all_finite(y, input_name="y")
        if np.any(y != np.round(y)):
            check_classification_targets(y)


def encode_labels(y, expected=None):
    """Return the classes of y, and the class of each row as a float64 number.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
    expected : array-like of shape (n_classes,), default=None
        The classes, if they are known before.
    """
    if expected is not None:
        classes = sorted_classes(expected)
        if classes.dtype.kind == "f":
            assert_all_finite(classes, input_name="classes")
        return classes, encode_known_labels(y, classes)
    if y.dtype.kind == "f":
        assert_all_finite(y, input_name="y")
    with comparing(y):
        return _found_labels(y)


def _found_labels(y):
    guess = _two_classes(y)
    if guess is not None:
        return guess, (y == guess[1]).astype(np.float64)
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    return classes, codes.astype(np.float64)


def _two_classes(y):
    """Return the classes of a long y if its first rows have two and all others agree, else None."""
    if len(y) < MANY or y.dtype.kind not in "iuf":
        return None
    classes = np.unique(y[: MANY // 10])
    if len(classes) != 2 or np.any(classes != np.round(classes)):
        return None
    return classes if np.all((y == classes[0]) | (y == classes[1])) else None


def encode_known_labels(y, classes):
    """Return the class of each row as a float64 number, for sorted classes."""
    y = np.asarray(y)
    codes, unknown = look_up(y, classes)
    if np.any(unknown):
        raise ValueError(f"y has classes {brief(np.unique(y[unknown]))}, which are not among {brief(classes)}.")
    return codes.astype(np.float64)


def sorted_classes(expected):
    """Return the classes that are known before, sorted."""
    expected = np.asarray(expected)
    with comparing(expected):
        return np.unique(expected)


def look_up(y, classes):
    """Return the index of each row's class in sorted classes, and which rows have another class."""
    with comparing(y):
        places = np.searchsorted(classes, y)
        places[places == len(classes)] = 0
        return places, classes[places] != y


def learn_classes(y, new):
    """Return the sorted classes in some entries of y, after checking that y can hold classes."""
    if y.dtype.kind == "f":
        assert_all_finite(y, input_name="y")
    with comparing(y):
        check_classification_targets(y)
        return np.unique(new)


def with_new_classes(known, found):
    """Return known and new classes, sorted, in the type of the known ones if it can represent them.

    Raises
    ------
    TypeError, ValueError
        If they have different types, or cannot be classes.
    """
    numbers = [one.dtype.kind in "biuf" for one in (known, found)]
    flags = [one.dtype.kind == "b" for one in (known, found)]
    if numbers[0] != numbers[1] and not (known.dtype.kind == "O" or found.dtype.kind == "O") or flags[0] != flags[1]:
        raise TypeError(f"y must hold classes of the same type as before, {brief(known)}, got {brief(found[:1])}.")
    new = found[look_up(found, known)[1]]
    if not len(new):
        return known
    new = learn_classes(new, new)
    if numbers[0] and np.array_equal(new.astype(known.dtype), new):
        new = new.astype(known.dtype)
    with comparing(np.concatenate([known.astype(object), new.astype(object)])):
        return np.union1d(known, new)


def class_totals(codes, weight, n_classes):
    """Return the sum of the weights of each class, float64 of shape (n_classes,); of ones if weight is None."""
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
    """Return the number of rows with each label or class, of shape (n_outputs,)."""
    if sparse.issparse(encoded):
        return np.bincount(encoded.indices, minlength=n_outputs)
    return class_totals(encoded[:, 0], None, n_outputs)
