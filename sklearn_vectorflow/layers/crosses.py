"""Crosses of groups of columns, computed in engine/kernels/layers/crosses.h."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_vectorflow.engine.net.crosses import MOST_FACTORS
from sklearn_vectorflow.engine.net.crosses import Crosses as Plan
from sklearn_vectorflow.layers.base import Layer
from sklearn_vectorflow.layers.groups import group_numbers
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.scalars import check_integer
from sklearn_vectorflow.validation.types import Array


def plan_crosses(owner, crosses, groups, n_features, n_columns, feature_names=None):
    """Return the engine's plan of crosses.

    Parameters
    ----------
    owner : str
        Beginning of messages.
    crosses, groups, n_features
        As for :class:`Crosses`.
    n_columns : int
        Number of columns of X.
    feature_names : array-like of str, default=None
        Names of the columns.

    Raises
    ------
    TypeError, ValueError
        If groups or crosses are invalid for these columns. The message names them.
    """
    check_integer(f"{owner}: n_features", n_features, 1)
    if n_features > 2**31 - 1:
        raise ValueError(f"{owner}: n_features must be at most 2**31 - 1, got {n_features}.")
    names, group_of = _groups(owner, groups, n_columns, feature_names)
    starts, factors = [0], []
    for cross in _checked(owner, crosses, names):
        factors += sorted(names[group] for group in cross)
        starts.append(len(factors))
    return Plan(group_of, np.array(starts, np.int32), np.array(factors, np.int32), len(names), int(n_features))


def _checked(owner, crosses, names):
    if isinstance(crosses, str) or not isinstance(crosses, (list, tuple)) or len(crosses) == 0:
        raise TypeError(f"{owner}: crosses must be a list of tuples of groups, got {brief(crosses)}.")
    seen = set()
    for cross in crosses:
        if isinstance(cross, str) or not isinstance(cross, (list, tuple)):
            raise TypeError(f"{owner}: a cross must be a tuple of groups, got {brief(cross)}.")
        unknown = [group for group in cross if group not in names]
        if unknown:
            raise ValueError(
                f"{owner}: {brief(cross)} crosses {unknown[0]!r}, which is not among the groups {list(names)}."
            )
        if not 1 <= len(cross) <= MOST_FACTORS:
            raise ValueError(f"{owner}: a cross must have 1 to {MOST_FACTORS} groups, got {brief(cross)}.")
        key = tuple(sorted(names[group] for group in cross))
        if key in seen:
            raise ValueError(f"{owner}: {brief(cross)} occurs twice; the order of groups makes no difference.")
        seen.add(key)
    return crosses


def _groups(owner, groups, n_columns, feature_names):
    """Return the number of each group, and the group of each column."""
    if isinstance(groups, dict):
        numbers = group_numbers(owner, "group", groups, n_columns, feature_names)
        return {name: number for number, name in enumerate(groups)}, numbers
    labels = np.asarray(groups)
    if labels.shape != (n_columns,):
        raise ValueError(
            f"{owner}: groups must be a dict of columns or an array of shape ({n_columns},), a group for "
            f"each column; got {brief(groups)}."
        )
    names, codes = np.unique(labels, return_inverse=True)
    return {name: number for number, name in enumerate(names.tolist())}, codes.astype(np.int32).ravel()


class Crosses(Layer):
    """Crosses (products) of columns from different groups, hashed and computed on the fly.

    For each cross and each choice of one non-zero column from each of its groups, there is one feature. Its number is a
    hash of the columns, its value the product of their values. If a cross has a group twice, its features are the pairs
    of distinct columns of this group.

    Parameters
    ----------
    crosses : list of tuple
        Crosses, each a tuple of one to eight groups.
    groups : dict of {name: columns} or array-like of shape (n_columns,)
        Columns of X in each group, as a slice, column numbers or feature names (like
        ``ColumnTransformer.output_indices_``), or the group of each column.
    n_features : int, default=2**22
        Number of features into which crosses are hashed.
    name : str, default=None
        Name for messages.

    See Also
    --------
    sklearn_vectorflow.preprocessing.FeatureCrosser : The same features as a sparse matrix.

    Examples
    --------
    >>> from sklearn_vectorflow.layers import Add, Crosses, Input, Linear
    >>> x = Input()
    >>> groups = {"user": slice(0, 100), "item": slice(100, 150)}
    >>> crossed = Crosses([("user", "item")], groups, n_features=2**12)(x)
    >>> network = Add()([Linear()(x), Linear()(crossed)])
    """

    reads_rows = True

    def __init__(
        self,
        crosses: Sequence[Sequence[Any]],
        groups: Mapping[Any, Any] | ArrayLike,
        n_features: int = 2**22,
        *,
        name: str | None = None,
    ) -> None:
        self.crosses = crosses
        self.groups = groups
        self.n_features = n_features
        self.name = name

    def width(self, widths: Sequence[int], sparse: bool) -> int | None:
        """Return the number of hashed features."""
        check_integer("Crosses: n_features", self.n_features, 1)
        return self.n_features

    def groups_of(self, n_columns: int, feature_names: ArrayLike | None = None) -> Array:
        """Return the number of the group of each column, -1 for columns without a group."""
        return _groups(f"network: {self.label}", self.groups, n_columns, feature_names)[1]

    def plan(self, n_columns: int, feature_names: ArrayLike | None = None) -> Any:
        """Return the engine's plan."""
        owner = f"network: {self.label}"
        return plan_crosses(owner, self.crosses, self.groups, self.n_features, n_columns, feature_names)
