"""Predictions of a whole pipeline for single rows: text, dicts or frames in, predictions out."""

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
    """A method of a fitted pipeline, for rows one by one; made by :func:`make_predictor`.

    It gives what the pipeline's method gives, in the caller's thread, and may be called by several threads at once if
    the steps before the last may. It is of the pipeline at the time.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted, with an estimator of this package as its last step.
    method : str
        Name of one of its methods that take X alone.
    """

    def __init__(self, pipeline: Pipeline, method: str) -> None:
        steps = [step for _, step in pipeline.steps[:-1] if step not in (None, "passthrough")]
        self._steps = [copy.copy(step) for step in steps]  # which stay when the pipeline is fitted anew
        self._predict: Predictor = pipeline.steps[-1][1].predictor(method)
        self._wrap = _as_rows(self._steps[0]) if self._steps else _as_they_are

    def __call__(self, X: Any) -> Array:
        """Predict.

        Parameters
        ----------
        X : str, dict, or what the pipeline's first step takes
            A text or a dict is one row; all else, such as a list of texts or a data frame, holds rows. Where the
            first step was fitted on a data frame, the keys of a dict are names of columns.

        Returns
        -------
        prediction : ndarray
            What the method returns for the rows.

        Raises
        ------
        TypeError, ValueError
            If a step does not take the rows.
        """
        rows = self._wrap(X)
        with config_context(skip_parameter_validation=True):  # which took place in fit
            for step in self._steps:
                rows = step.transform(rows)
        if self._steps and not (sparse.issparse(rows) and rows.format == "csr"):
            rows = sparse.csr_matrix(rows)
        return self._predict(rows)


def make_predictor(estimator: Any, method: str = "predict") -> Predictor | PipelinePredictor:
    """Return a light form of a method of an estimator or a pipeline, for serving rows one by one.

    Parameters
    ----------
    estimator : Pipeline or estimator
        Fitted. A pipeline's last step must be an estimator of this package; the others may be any transformers.
    method : {"predict", "predict_proba", "decision_function"}, default="predict"
        One of those that the estimator has.

    Returns
    -------
    predictor : PipelinePredictor or Predictor
        Called with rows, it returns what the method does. That of a pipeline takes what its first step takes, or one
        text, or one row as a dict. It can be pickled.

    Raises
    ------
    TypeError
        If the estimator, or a pipeline's last step, is not of this package.
    ValueError
        If there is no such method.

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
