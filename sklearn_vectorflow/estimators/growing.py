"""What ``grow=True`` does when a block of rows has more columns than those before."""

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.network.growing import with_columns
from sklearn_vectorflow.validation.errors import brief


class GrowMixin:
    """Lets a draft of an estimator take in what it has not seen, before it checks a block against what it has."""

    def _take_in(self, X, y, classes):
        """Take in columns and classes that are new; return the classes there were, or None if there are no others."""
        self._take_columns(X)
        return self._take_classes(y, classes)

    def _take_classes(self, y, classes):
        return None

    def _take_columns(self, X):
        n_features = _n_columns(X)
        if n_features <= self.n_features_in_:
            return
        before = getattr(self, "feature_names_in_", None)
        validate_data(self, X.header if isinstance(X, Matrix) else X, reset=True, skip_check_array=True)
        names = getattr(self, "feature_names_in_", None)
        _check_names(before, names)
        random_state = check_random_state(self.random_state)
        self.network_ = with_columns(self.network_, n_features, names, random_state)
        rows = getattr(self, "_first_rows", None)
        if rows is not None:
            self._first_rows = rows.grown(n_features)


def _n_columns(X):
    """Return the number of columns of X; 0 if it is no matrix, as later checks will say."""
    try:
        shape = X.shape if hasattr(X, "shape") else np.shape(X)
        return int(shape[1]) if len(shape) == 2 else 0
    except (TypeError, ValueError):
        return 0


def _check_names(before, names):
    if before is None and names is None:
        return
    if before is None or names is None:
        which = "has no feature names" if names is None else "has feature names"
        raise ValueError(f"X {which}, unlike earlier rows. Blocks that add columns must be alike in this.")
    moved = names[: len(before)] != before
    if np.any(moved):
        raise ValueError(
            "X must have the earlier features first, in their order, and new ones after them: "
            f"{brief(before[moved][0])} was at the place of {brief(names[: len(before)][moved][0])}."
        )
