"""Checks of estimators' parameters and of weights, before any work starts."""

import numbers

import numpy as np

from sklearn_vectorflow.layers import ACTIVATIONS
from sklearn_vectorflow.layers.presets import sizes_of
from sklearn_vectorflow.losses import Loss
from sklearn_vectorflow.network.graph import heads_of
from sklearn_vectorflow.optimizers import OPTIMIZERS, Optimizer, default_optimizer
from sklearn_vectorflow.penalties import ElasticNet, Penalty
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.scalars import (
    LARGEST,
    check_choice,
    check_flag,
    check_integer,
    check_number,
    check_positive,
)

SOLVERS = ("auto", "sgd", "exact")

OBJECTS = {  # examples of those that have parameters of their own
    "optimizer": "FTRL()",
    "penalty": "L2()",
    "loss": "HuberLoss()",
    "distribution": "WeibullAFT()",
}


def check_nested(estimator, names):
    """Raise if a parameter is set of what is no object: of a name, such as "auto", or of None.

    Parameters
    ----------
    estimator : estimator
        With those parameters set that are not nested.
    names : iterable of str
        Of parameters, those of objects as object__parameter.
    """
    own = estimator.get_params(deep=False)
    for name in names:
        owner, nested, _ = name.partition("__")
        if nested and owner in own and not hasattr(own[owner], "set_params"):
            example = f", such as {owner}={OBJECTS[owner]}" if owner in OBJECTS else ""
            raise ValueError(
                f"{name} can't be set: {owner} is {brief(own[owner])}, which has no parameters. "
                f"Set {owner} to an object first{example}."
            )


def resolve(name, value, choices, kind):
    """Return the object a parameter names, or the object it is.

    Raises
    ------
    ValueError, TypeError
        If it is neither a known name nor an instance of ``kind``.
    """
    if isinstance(value, str):
        check_choice(name, value, choices)
        return choices[value]()
    if not isinstance(value, kind):
        raise TypeError(
            f"{name} must be one of {sorted(choices)} or an instance of {kind.__name__}, got {brief(value)}."
        )
    value.check_parameters()
    return value


def loss_of(value, choices, kind, of_function):
    """Return the loss that a name, an object or a plain function stands for."""
    if callable(value) and not isinstance(value, (Loss, type)):
        return of_function(value)
    return resolve("loss", value, choices, kind)


def optimizer_of(estimator, is_linear):
    """Return the estimator's optimizer, with the estimator's learning rate if it has one."""
    optimizer = estimator.optimizer
    if _is_word(optimizer, "auto"):
        optimizer = default_optimizer(is_linear, bool(estimator.average))
    optimizer = resolve("optimizer", optimizer, OPTIMIZERS, Optimizer)
    if estimator.average and optimizer.rule == "ftrl":
        raise ValueError("average is not available with optimizer FTRL, whose weights are a mean already.")
    rate = estimator.learning_rate
    if rate is not None:
        check_positive(type(estimator).__name__, "learning_rate", rate)
        parameters = {**optimizer.get_params(deep=False), "learning_rate": rate}
        optimizer = type(optimizer)(**parameters)
    return optimizer


def penalties_of(estimator, default_alpha):
    """Return the estimator's penalties as a list: `penalty`, or alpha and l1_ratio."""
    if estimator.penalty is None:
        alpha = default_alpha if estimator.alpha is None else estimator.alpha
        check_number(type(estimator).__name__, "alpha", alpha, 0, LARGEST)
        check_number(type(estimator).__name__, "l1_ratio", estimator.l1_ratio, 0, 1)
        return [ElasticNet(alpha, estimator.l1_ratio)]
    penalties = estimator.penalty if isinstance(estimator.penalty, (list, tuple)) else [estimator.penalty]
    for penalty in penalties:
        if not isinstance(penalty, Penalty):
            raise TypeError(f"penalty must be None, a Penalty or a list of them, got {brief(penalty)}.")
        penalty.check_parameters()
    return [penalty.named(getattr(estimator, "feature_names_in_", None)) for penalty in penalties]


def asks_for_linear(estimator):
    """Return whether the parameters ask for a model without layers between columns and outputs.

    Those that no fit accepts ask for none.
    """
    sizes = estimator.hidden_layer_sizes
    return estimator.network is None and hasattr(sizes, "__len__") and len(sizes) == 0


def check_net_parameters(estimator):
    """Check the parameters that describe the net."""
    if estimator.network is not None:
        heads_of(estimator.network)
    sizes = sizes_of(estimator.hidden_layer_sizes)
    if not isinstance(sizes, (tuple, list, np.ndarray)):
        raise TypeError(f"hidden_layer_sizes must be an integer or a tuple of integers, got {brief(sizes)}.")
    for size in sizes:
        check_integer("hidden_layer_sizes", size, 1)
    check_choice("activation", estimator.activation, ACTIVATIONS)
    check_number(type(estimator).__name__, "dropout", estimator.dropout, 0, 1, high_open=True)
    check_number(type(estimator).__name__, "input_dropout", estimator.input_dropout, 0, 1, high_open=True)


def check_training_parameters(estimator):
    """Check the parameters that say how long and in what steps training goes."""
    owner = type(estimator).__name__
    if not _is_word(estimator.batch_size, "auto"):
        check_integer("batch_size, if not 'auto',", estimator.batch_size, 1)
    check_integer("max_iter", estimator.max_iter, 1)
    check_integer("n_iter_no_change", estimator.n_iter_no_change, 1)
    if not isinstance(estimator.verbose, (bool, np.bool_)):
        check_integer("verbose", estimator.verbose, 0)
    if estimator.tol is not None:
        check_number(owner, "tol", estimator.tol, 0, high_open=True)
    check_number(owner, "validation_fraction", estimator.validation_fraction, 0, 1, low_open=True, high_open=True)
    if not _is_word(estimator.early_stopping, "auto"):
        check_flag("early_stopping, if not 'auto',", estimator.early_stopping)
    for name in ("fit_intercept", "shuffle", "warm_start", "grow", "deterministic"):
        check_flag(name, getattr(estimator, name))
    check_choice("solver", estimator.solver, SOLVERS)
    check_number(owner, "exact_tol", estimator.exact_tol, 0, 1)
    check_integer("exact_max_iter", estimator.exact_max_iter, 1)
    if estimator.half_life is not None:
        check_number(owner, "half_life", estimator.half_life, 0, low_open=True, high_open=True)
    if not isinstance(estimator.average, (bool, np.bool_)):
        check_integer("average", estimator.average, 1)
    _check_n_jobs(estimator.n_jobs)


def _check_n_jobs(n_jobs):
    if n_jobs is None:
        return
    if isinstance(n_jobs, (bool, np.bool_)) or not isinstance(n_jobs, numbers.Integral):
        raise TypeError(f"n_jobs must be None or a non-zero integer, got {brief(n_jobs)}.")
    if n_jobs == 0:
        raise ValueError("n_jobs must be None or a non-zero integer, got 0.")


def _is_word(value, word):
    return isinstance(value, str) and value == word
