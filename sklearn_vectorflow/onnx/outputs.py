"""What methods of estimators make of raw outputs, as ONNX nodes."""

import numpy as np

from sklearn_vectorflow.estimators.classifier import VectorFlowClassifier
from sklearn_vectorflow.estimators.ranker import VectorFlowRanker
from sklearn_vectorflow.estimators.regressor import VectorFlowRegressor
from sklearn_vectorflow.losses import LogLoss, ModifiedHuber, MultinomialLoss, PoissonLoss
from sklearn_vectorflow.losses.base import Loss


def _sigmoid(writer, raw):
    return writer.add("Sigmoid", raw)


def _softmax(writer, raw):
    return writer.add("Softmax", raw, axis=1)


def _clipped(writer, raw):
    half, one = np.float32(0.5), np.float32(1)
    return writer.add("Mul", writer.add("Add", writer.add("Clip", raw, -one, one), one), half)


LINKS = {  # by the method of the loss, which others inherit
    Loss.inverse_link: lambda writer, raw: raw,
    PoissonLoss.inverse_link: lambda writer, raw: writer.add("Exp", raw),
    LogLoss.inverse_link: _sigmoid,
    ModifiedHuber.inverse_link: _clipped,
    MultinomialLoss.inverse_link: _softmax,
}


def _linked(loss, writer, raw):
    """Write a loss's inverse link."""
    link = LINKS.get(type(loss).inverse_link)
    if link is None:
        raise ValueError(f"loss={loss!r} can't be written as ONNX: its inverse_link has no such form.")
    return link(writer, raw)


def _first_if_one(network, writer, raw):
    return writer.add("Squeeze", raw, [1]) if network.n_outputs == 1 else raw


# ---- classifiers ----------------------------------------------------------------------


def _probabilities(model, writer, raw):
    loss, n_outputs = model._loss, model.network_.n_outputs
    if not model.multilabel_ and type(loss).predict_proba not in (LogLoss.predict_proba, MultinomialLoss.predict_proba):
        raise ValueError(f"loss={loss!r} can't be written as ONNX: its predict_proba has no such form.")
    positive = _linked(loss, writer, raw)
    if model.multilabel_ or isinstance(loss, MultinomialLoss):
        return positive
    if n_outputs == 1:
        return writer.add("Concat", _linked(loss, writer, writer.add("Neg", raw)), positive, axis=1)
    total = writer.add("ReduceSum", positive, [1], keepdims=1)
    share = writer.add("Div", positive, writer.add("Max", total, np.finfo(np.float32).tiny))
    some = writer.add("Greater", total, np.float32(0))
    return writer.add("Where", some, share, np.float32(1 / n_outputs))


def _decision(model, writer, raw):
    if len(model.classes_) == 2 and model.network_.n_outputs == 2 and not model.multilabel_:
        first, second = (writer.add("Gather", raw, np.int64(k), axis=1) for k in (0, 1))
        return writer.add("Sub", second, first)
    return _first_if_one(model.network_, writer, raw)


def _classes(model, writer, raw):
    positive = writer.add("Cast", writer.add("Greater", raw, np.float32(0)), to=writer.type_of(np.int64))
    if model.multilabel_:
        return positive
    best = writer.add("Squeeze", positive, [1]) if model.network_.n_outputs == 1 else None
    classes = model.classes_
    classes = classes.astype(np.int64) if classes.dtype.kind in "iu" else classes
    classes = classes.astype(object) if classes.dtype.kind == "U" else classes
    return writer.add("Gather", classes, best or writer.add("ArgMax", raw, axis=1, keepdims=0))


# ---- others ---------------------------------------------------------------------------


def _numbers(model, writer, raw):
    units = model._target_units
    if units is not None:
        scaled = writer.add("Mul", raw, np.asarray(units.scale, np.float32))
        raw = writer.add("Add", scaled, np.asarray(units.shift, np.float32))
    return _first_if_one(model.network_, writer, _linked(model._loss, writer, raw))


METHODS = {  # of each estimator, the default first
    VectorFlowClassifier: {"predict_proba": _probabilities, "predict": _classes, "decision_function": _decision},
    VectorFlowRegressor: {"predict": _numbers},
    VectorFlowRanker: {"predict": lambda model, writer, raw: _first_if_one(model.network_, writer, raw)},
}
