"""Predictions of a whole pipeline for single rows as text, dicts or frames."""

import copy
from collections.abc import Mapping
from typing import Any

from scipy import sparse
from sklearn import config_context
from sklearn.pipeline import Pipeline

from sklearn_vectorflow.preprocessing import HashingEncoder
from sklearn_vectorflow.preprocessing.encoding.frames import frame_of_rows
from sklearn_vectorflow.serving.predictor import Predictor
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.types import Array


class PipelinePredictor:
    """A fast form of a prediction method of a fitted pipeline. Create it with :func:`make_predictor`.

    It returns the same predictions as the method and runs in the caller's thread. Several threads may call it at once
    if the transformers of the pipeline allow it. Later changes of the pipeline do not affect it.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted pipeline that ends with an estimator of this package.
    method : str
        Name of the method.
    """

    def __init__(self, pipeline: Pipeline, method: str) -> None:
        steps = [step for _, step in pipeline.steps[:-1] if step not in (None, "passthrough")]
        self._steps = [copy.copy(step) for step in steps]  # which stay when the pipeline is fitted anew
        self._predict: Predictor = pipeline.steps[-1][1].predictor(method)
        self._wrap = _as_rows(self._steps[0]) if self._steps else _as_they_are

    def __call__(self, X: Any) -> Array:
        """Predict for rows.

        Parameters
        ----------
        X : str, dict, or what the pipeline's first step takes
            A text or a dict is one row. Anything else, such as a list of texts or a data frame, contains rows. If the
            first step was fitted to a data frame, the keys of a dict are column names.

        Returns
        -------
        prediction : ndarray
            What the method returns for the rows.

        Raises
        ------
        TypeError, ValueError
            If a step does not accept the rows.
        """
        rows = self._wrap(X)
        with config_context(skip_parameter_validation=True):  # which took place in fit
            for step in self._steps:
                rows = step.transform(rows)
        if self._steps and not (sparse.issparse(rows) and rows.format == "csr"):
            rows = sparse.csr_matrix(rows)
        return self._predict(rows)


def make_predictor(estimator: Any, method: str = "predict") -> Predictor | PipelinePredictor:
    """Return a fast form of a prediction method of an estimator or pipeline, for serving rows one by one.

    Parameters
    ----------
    estimator : Pipeline or estimator
        Fitted estimator of this package, or fitted pipeline of any transformers that ends with one.
    method : {"predict", "predict_proba", "decision_function"}, default="predict"
        Name of a method of the estimator.

    Returns
    -------
    predictor : PipelinePredictor or Predictor
        A callable that takes rows and returns the predictions of the method. That of a pipeline accepts the input of
        its first step, a single text, or a single row as a dict. It can be pickled.

    Raises
    ------
    TypeError
        If the estimator, or the last step of the pipeline, does not belong to this package.
    ValueError
        If the estimator does not have the method.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import HashingVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_vectorflow import VectorFlowClassifier
    >>> from sklearn_vectorflow.serving import make_predictor
    >>> texts, labels = ["a good film", "a bad film"] * 50, [1, 0] * 50
    >>> pipeline = make_pipeline(HashingVectorizer(), VectorFlowClassifier(random_state=0))
    >>> pipeline = pipeline.fit(texts, labels)
    >>> predict = make_predictor(pipeline)
    >>> predict("good fun")
    array([1])
    """
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    if not hasattr(last, "predictor"):
        raise TypeError(f"A predictor must be of an estimator of sklearn_vectorflow, or end in one, got {brief(last)}.")
    return PipelinePredictor(estimator, method) if isinstance(estimator, Pipeline) else last.predictor(method)


def _as_rows(step):
    """Return a function that makes what a step takes of one row."""
    if isinstance(step, HashingEncoder):
        return _as_frame
    return _as_pandas if hasattr(step, "feature_names_in_") else _as_list


def _as_they_are(X):
    return X


def _as_frame(X):
    return frame_of_rows([X]) if isinstance(X, Mapping) else X


def _as_pandas(X):
    if not isinstance(X, Mapping):
        return X
    import pandas as pd

    return pd.DataFrame([X])


def _as_list(X):
    return [X] if isinstance(X, (str, Mapping)) else X
