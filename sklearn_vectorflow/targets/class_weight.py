"""Class weights."""

import numpy as np

from sklearn_vectorflow.validation.arrays import check_sample_weight
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.scalars import check_number


def check_class_weight(class_weight):
    """Raise unless ``class_weight`` is None, 'balanced' or a dict of numbers."""
    if class_weight is None or isinstance(class_weight, str) and class_weight == "balanced":
        return
    if not isinstance(class_weight, dict):
        raise ValueError(f"class_weight must be None, 'balanced' or a dict, got {brief(class_weight)}.")
    for label, factor in class_weight.items():
        check_number("class_weight", repr(label), factor, 0, high_open=True)


class ClassWeigher:
    """Multiplies the weights of rows by the factors of their classes.

    Parameters
    ----------
    class_weight : dict or "balanced"
    classes : ndarray of shape (n_classes,)
    encoded : ndarray of shape (n_rows, 1)
        Class of each row, for the frequencies of "balanced".
    weight : ndarray of shape (n_rows,) or None
        Weights of these rows in the frequencies.
    """

    def __init__(self, class_weight, classes, encoded, weight):
        self.factors = _class_factors(class_weight, classes, encoded[:, 0].astype(np.intp), weight)

    def __call__(self, encoded, weight, some=True):
        own = self.factors[encoded[:, 0].astype(np.intp)]
        weight = own if weight is None else own * weight
        return check_sample_weight(weight, len(own), "sample_weight times class_weight", some)


def _class_factors(class_weight, classes, codes, weight):
    """Return the factor of each class."""
    if isinstance(class_weight, dict):
        unknown = [key for key in class_weight if key not in classes]
        if unknown:
            raise ValueError(f"class_weight names {brief(unknown)}, which are not among the classes {brief(classes)}.")
        factors = np.array([class_weight.get(key, 1.0) for key in classes.tolist()], dtype=np.float64)
        return check_sample_weight(factors, len(classes), "class_weight")
    share = np.full(len(codes), 1.0 / len(codes)) if weight is None else weight / weight.sum()
    shares = np.bincount(codes, share, minlength=len(classes))
    return np.divide(1.0 / len(classes), shares, out=np.zeros(len(classes)), where=shares > 0)
