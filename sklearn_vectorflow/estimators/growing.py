"""New columns with ``grow=True``."""

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.network.growing import with_columns
from sklearn_vectorflow.validation.errors import brief


class GrowMixin:
    """Extends a draft of an estimator by new columns and classes before it checks a block."""

    def _take_in(self, X, y, classes):
        """Add new columns and classes; return the former classes, or None if there are no new ones."""
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
    """Return the number of columns of X, or 0 if it is not a matrix, which later checks report."""
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
