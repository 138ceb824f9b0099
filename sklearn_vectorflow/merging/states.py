"""States of estimators."""

from typing import Any

from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow.merging.merge import check_began_from
from sklearn_vectorflow.merging.touched import touched
from sklearn_vectorflow.network.portable import NetState, put, take


def get_state(model: Any, base: NetState | None = None) -> NetState:
    """Return the weights and the optimizer's state of a model as an object that can be pickled.

    Parameters
    ----------
    model : estimator
        Estimator after ``fit`` or ``partial_fit``.
    base : NetState, default=None
        State from which the model was trained. The result then leaves out columns whose weights have not changed.

    Returns
    -------
    state : NetState
        Weights and state of the optimizer.

    Raises
    ------
    TypeError, ValueError
        If the model has no state of the optimizer, or was not trained from `base`: pass it the base with
        :func:`set_state` before training.
    """
    check_is_fitted(model, "network_")
    state = take(model.network_)
    if base is None:
        return state
    check_began_from(base, state, "the model")
    return since(base, state)


def since(base, state):
    """Return a state without the records that no gradient has changed since a base."""
    steps, elapsed = state.step - base.step, state.elapsed - base.elapsed
    places = []
    for layer, before in zip(state.layers, base.layers):
        own = layer.places()
        moved = touched(before.some(own), layer.record, base, steps, elapsed)
        places.append(own[moved])
    return state.select(places)


def set_state(model: Any, state: NetState) -> Any:
    """Set the weights and the optimizer's state of a model to those of another model or of merged models.

    Training then continues from the state. In particular ``partial_fit`` does not start again with all rows so far, as
    it otherwise does during the first 1,024 rows: the state has the units of the data.

    Parameters
    ----------
    model : estimator
        Estimator of the same net after ``fit`` or ``partial_fit``, such as a copy or pickle of the one that the state
        comes from.
    state : NetState
        Result of :func:`get_state` or :func:`merge_states`.

    Returns
    -------
    model : estimator
        The same estimator.
    """
    check_is_fitted(model, "network_")
    with model._turn.lock:
        network = model.network_.copy()
        put(network, state)
        model.network_ = network
        for name in ("_first_rows", "_n_remembered"):  # of the training that the state takes the place of
            vars(model).pop(name, None)
    return model
