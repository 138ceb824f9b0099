"""States of estimators."""

from typing import Any

from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow.merging.merge import check_began_from
from sklearn_vectorflow.merging.touched import touched
from sklearn_vectorflow.network.portable import NetState, put, take


def get_state(model: Any, base: NetState | None = None) -> NetState:
    """Return a model's weights and its optimizer's state as a plain object, which pickles.

    Parameters
    ----------
    model : estimator
        Fitted, or trained by ``partial_fit``.
    base : NetState, default=None
        A state the model was trained on from: records that are as in it are left out.

    Returns
    -------
    state : NetState

    Raises
    ------
    TypeError, ValueError
        If the model has weights alone, or was not trained from the base on: give it the base by :func:`set_state`.
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
    """Give a model the weights and the optimizer's state of another, or of several that were merged.

    Training goes on from the state: ``partial_fit`` no longer begins anew as it does while the first 1,024 rows come,
    whose units the state has instead.

    Parameters
    ----------
    model : estimator
        Fitted, or trained by ``partial_fit``, of the same net: a copy or a pickle of the one that the
        state came from, say.
    state : NetState
        As :func:`get_state` and :func:`merge_states` return it.

    Returns
    -------
    model : estimator
        The model given.
    """
    check_is_fitted(model, "network_")
    with model._turn.lock:
        network = model.network_.copy()
        put(network, state)
        model.network_ = network
        for name in ("_first_rows", "_n_remembered"):  # of the training that the state takes the place of
            vars(model).pop(name, None)
    return model
