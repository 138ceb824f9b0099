"""Type aliases of common arguments and results."""

from collections.abc import Sequence
from os import PathLike
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float64]

# scipy has no types of its own and data frames come from several libraries, so these are Any.
MatrixLike: TypeAlias = Any  # array-like, sparse matrix or data frame
RowsLike: TypeAlias = Any  # the same, or a source of blocks
SparseMatrix: TypeAlias = Any
TimesLike: TypeAlias = Any  # structured array, tuple, data frame or dict
TargetLike: TypeAlias = Any  # array-like, or a sparse indicator matrix of labels

FilePath: TypeAlias = str | PathLike[str]
FilePaths: TypeAlias = FilePath | Sequence[FilePath]
TextFile: TypeAlias = FilePath | Any  # what has a method read
TextFilesLike: TypeAlias = TextFile | Sequence[TextFile]
RandomState: TypeAlias = int | np.random.RandomState | None
Strength: TypeAlias = float | ArrayLike  # one for all features, or one for each
ActivationName: TypeAlias = Literal["relu", "tanh", "selu", "logistic", "identity"]
Shape: TypeAlias = Literal["constant", "linear"]
Solver: TypeAlias = Literal["auto", "sgd", "exact"]
