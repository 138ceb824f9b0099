"""Estimators from files that `save` has written, and what skops may load of them."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from scipy import sparse
from sklearn import config_context

from sklearn_vectorflow.estimators.base import BaseVectorFlow
from sklearn_vectorflow.estimators.classifier import VectorFlowClassifier
from sklearn_vectorflow.estimators.ranker import VectorFlowRanker
from sklearn_vectorflow.estimators.regressor import VectorFlowRegressor
from sklearn_vectorflow.estimators.survival import VectorFlowSurvivalEstimator
from sklearn_vectorflow.persistence.container import read
from sklearn_vectorflow.persistence.decoding import Decoder
from sklearn_vectorflow.persistence.types import OF_MODELS, OF_TRANSFORMERS, name_of, trusted_by_name
from sklearn_vectorflow.validation.errors import DAMAGED
from sklearn_vectorflow.validation.types import FilePath

ESTIMATORS = (VectorFlowClassifier, VectorFlowRanker, VectorFlowRegressor, VectorFlowSurvivalEstimator)
SPARSE = (sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.csc_array)
WRONG = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError)


def load(path: FilePath, mmap: bool = True, *, trusted: Sequence[type | Callable[..., Any]] = ()) -> Any:
    """Load an estimator from a file that its method ``save`` wrote.

    Loading runs no code from the file: it looks up names in a fixed list. It compares each array with its checksum and
    checks its contents before the engine reads them.

    Parameters
    ----------
    path : path-like
        Path of the file.
    mmap : bool, default=True
        Whether to map the weights of the file into memory instead of reading them. Processes that load the same file
        then share them. Training copies them first. While the model is in use, you may replace the file, by ``save`` or
        by renaming, but must not write to it in place.
    trusted : sequence of classes and functions, default=()
        The objects that were passed to ``save`` as `trusted`.

    Returns
    -------
    model : estimator
        The fitted estimator.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If the file is not a saved model, was truncated or changed, has a later version of the format, or names an
        object that is not in `trusted`. The message names the file.

    Examples
    --------
    >>> import os, tempfile
    >>> from scipy import sparse
    >>> import sklearn_vectorflow
    >>> X = sparse.random(100, 1000, density=0.01, format="csr", random_state=0)
    >>> model = sklearn_vectorflow.VectorFlowRegressor(random_state=0).fit(X, X.sum(axis=1).A1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     model.save(path)
    ...     again = sklearn_vectorflow.load(path, mmap=False)
    >>> bool((again.predict(X) == model.predict(X)).all())
    True
    """
    types = {**OF_MODELS, **{name_of(kind): kind for kind in ESTIMATORS}, **trusted_by_name(trusted)}
    try:
        content, arrays = read(path, mmap)
        model = Decoder(types, arrays).decode(content)
        if not isinstance(model, BaseVectorFlow) or not hasattr(model, "network_"):
            raise ValueError("it holds no fitted estimator.")
        with config_context(enable_metadata_routing=True):
            for method, requests in vars(model).pop("_requests", {}).items():
                getattr(model, f"set_{method}_request")(**requests)
    except WRONG as error:
        reason = f"{error}".removeprefix(f"{DAMAGED}: ")
        if not isinstance(error, ValueError):
            reason = f"its parts make no sense ({type(error).__name__}: {error})."
        raise ValueError(f"{os.fspath(path)} cannot be loaded as a model: {reason}") from error
    return model


def trusted_types() -> list[str]:
    """Return the names of the types in fitted models and transformers, for skops.

    The types belong to this package, apart from the sparse matrices of SciPy. None of them runs code from a file, and
    weights are checked before the engine reads them.

    Returns
    -------
    names : list of str
        For ``skops.io.load(path, trusted=names)``.

    Examples
    --------
    >>> import sklearn_vectorflow
    >>> "sklearn_vectorflow.losses.regression.HuberLoss" in sklearn_vectorflow.trusted_types()
    True
    """
    kinds = {*ESTIMATORS, *OF_MODELS.values(), *OF_TRANSFORMERS.values(), *SPARSE}
    return sorted(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
