"""Inputs of a graph: all or some columns of X."""

import numpy as np
from numpy.typing import ArrayLike

from sklearn_vectorflow.layers.base import Layer, Node
from sklearn_vectorflow.validation.types import Array


class Columns(Layer):
    """Layer of an :class:`Input`, which selects columns of X."""

    reads_rows = True

    def __init__(self, columns: slice | range | ArrayLike | None = None, *, name: str | None = None) -> None:
        self.columns = columns
        self.name = name

    def places(self, n_features: int, feature_names: ArrayLike | None = None) -> range | Array:
        """Return the numbers of the selected columns.

        Parameters
        ----------
        n_features : int
            Number of columns of X.
        feature_names : array-like of str, default=None
            Names of the columns, if X has names.

        Returns
        -------
        chosen : range or ndarray of int64
            Numbers of the columns, in the order of the features of the input.

        Raises
        ------
        TypeError, ValueError
            If they are not columns of X, if there are none, or if one occurs twice.
        """
        if self.columns is None:
            return range(n_features)
        if isinstance(self.columns, (slice, range)):
            chosen = self._range(n_features)
        else:
            chosen = self._numbers(n_features, feature_names)
        if len(chosen) == 0:
            raise ValueError(f"network: {self.label} reads no column of X, which has {n_features}.")
        return chosen

    @property
    def label(self) -> str:
        """Short form of the input for messages."""
        return super().label.replace("Columns(", "Input(", 1)

    def __repr__(self) -> str:
        return self.label

    def _range(self, n_features):
        step = 1 if self.columns.step is None else self.columns.step
        if step <= 0:
            raise ValueError(f"network: {self.label}: columns must have a positive step.")
        if isinstance(self.columns, range) and len(self.columns) and self.columns[-1] >= n_features:
            raise ValueError(f"network: {self.label} reads columns that X, with {n_features}, does not have.")
        chosen = self.columns if isinstance(self.columns, range) else range(*self.columns.indices(n_features))
        if isinstance(self.columns, slice) and (self.columns.stop or 0) > n_features:
            raise ValueError(f"network: {self.label} reads columns that X, with {n_features}, does not have.")
        return chosen if step == 1 else np.asarray(chosen)

    def _numbers(self, n_features, feature_names):
        columns = np.asarray(self.columns)
        columns = columns.astype(int) if columns.size == 0 else columns
        if columns.ndim != 1 or columns.dtype.kind not in "iuUO":
            raise TypeError(f"network: {self.label}: columns must be a slice, column numbers or names of features.")
        if columns.dtype.kind in "UO":
            columns = self._named(columns, feature_names)
        columns = columns.astype(np.int64)
        if len(columns) and (columns.min() < 0 or columns.max() >= n_features):
            raise ValueError(f"network: {self.label} reads columns that X, with {n_features}, does not have.")
        if len(np.unique(columns)) != len(columns):
            raise ValueError(f"network: {self.label} reads a column twice.")
        return columns

    def _named(self, columns, feature_names):
        if feature_names is None:
            raise ValueError(f"network: {self.label} names features, but X has no feature names.")
        known = {name: place for place, name in enumerate(feature_names)}
        unknown = [name for name in columns if name not in known]
        if unknown:
            raise ValueError(f"network: {self.label}: X has no feature named {unknown[0]!r}.")
        return np.array([known[name] for name in columns])


class Input(Node):
    """Input node of a graph: all or some columns of X.

    Parameters
    ----------
    columns : slice, range, list of int or list of str, default=None
        Numbers or names of the columns of X, in the order of the features of the input. None means all columns. X is
        not copied.
    name : str, default=None
        Name for messages and for ``transform(X, node=name)``.

    Examples
    --------
    >>> from sklearn_vectorflow.layers import Add, Input, Linear, ReLU
    >>> wide = Linear()(Input(slice(0, 1000)))
    >>> deep = Linear()(ReLU()(Linear(16)(Input(slice(1000, 1200)))))
    >>> print(Add()([wide, deep]))
      0  Input(columns=slice(0, 1000, None))
      1  Linear()                                reads 0
      2  Input(columns=slice(1000, 1200, None))
      3  Linear(n_out=16)                        reads 2
      4  ReLU()                                  reads 3
      5  Linear()                                reads 4
      6  Add()                                   reads 1, 5
    """

    def __init__(self, columns: slice | range | ArrayLike | None = None, *, name: str | None = None) -> None:
        super().__init__(Columns(columns, name=name), ())
