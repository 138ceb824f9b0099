"""Blocks of rows as losses get them, and what losses return for them, checked."""

import math
from collections.abc import Mapping

import numpy as np

from sklearn_vectorflow.validation.errors import brief


def as_result(loss, returned, raw, nodes=()):
    """Return the loss as a float, the gradient in the shape of raw, and those of nodes, if they are such.

    Parameters
    ----------
    loss : Loss
    returned : object
        What its Python function returned.
    raw : ndarray of shape (n_rows, n_outputs)
    nodes : sequence of ndarray of shape (n_rows, width)
        Outputs of the nodes that the loss reads.

    Raises
    ------
    TypeError, ValueError
        Naming the loss, what it returned and what it should have.
    """
    if not isinstance(returned, tuple) or not 2 <= len(returned) <= 2 + bool(nodes):
        wanted = "(loss, gradient) or (loss, gradient, gradients of nodes)" if nodes else "(loss, gradient)"
        raise TypeError(f"{name_of(loss)} must return {wanted}, got {_brief(returned)}.")
    total, gradient, *of_nodes = returned
    if np.ndim(total):
        raise ValueError(
            f"{name_of(loss)} must return first the sum of the losses of the block, a number, got {_brief(total)}."
        )
    if isinstance(total, (str, bytes)) or not np.isrealobj(total) or np.asarray(total).dtype.kind not in "fiu":
        raise TypeError(f"{name_of(loss)} must return first the sum of the losses, a number, got {brief(total)}.")
    gradient = np.zeros_like(raw) if gradient is None and of_nodes else np.asarray(gradient)
    if gradient.dtype.kind not in "fiu":
        raise TypeError(f"{name_of(loss)} must return a gradient of real numbers, got dtype {gradient.dtype}.")
    if gradient.shape != raw.shape and gradient.shape != flat(raw).shape:
        raise ValueError(
            f"{name_of(loss)} must return a gradient of the shape of raw, {flat(raw).shape}, got {gradient.shape}."
            + (" Multiply columns by sample_weight[:, None]." if gradient.ndim == 2 else "")
        )
    return float(total), gradient.reshape(raw.shape), _gradients_of_nodes(loss, of_nodes, nodes) if nodes else ()


def _gradients_of_nodes(loss, returned, nodes):
    """Return a gradient for each node read, zeros where none was returned."""
    given = returned[0] if returned else {}
    if not isinstance(given, Mapping) or not set(given) <= set(loss.reads):
        named = f"one for {sorted(set(given) - set(loss.reads))}" if isinstance(given, Mapping) else _brief(given)
        raise ValueError(
            f"{name_of(loss)} must return third a dict from names among {tuple(loss.reads)} to gradients, got {named}."
        )
    gradients = []
    for name, outputs in zip(loss.reads, nodes):
        gradient = np.asarray(given.get(name, np.broadcast_to(0.0, outputs.shape)))
        if gradient.dtype.kind not in "fiu" or gradient.shape != outputs.shape:
            raise ValueError(
                f"{name_of(loss)} must return a gradient of node {name!r} of its shape, {outputs.shape}, "
                f"got dtype {gradient.dtype} and shape {gradient.shape}."
            )
        gradients.append(gradient)
    return gradients


def check_numbers(loss, total, gradient, of_nodes, y, raw):
    """Raise ValueError, naming a row, if finite raw outputs gave NaN."""
    if not np.all(np.isfinite(raw)):
        return
    for name, values in zip((None, *loss.reads), (gradient, *of_nodes)):
        bad = np.isnan(values).any(axis=1)
        if bad.any():
            row = int(bad.argmax())
            place = "the gradient" if name is None else f"the gradient of node {name!r}"
            raise ValueError(
                f"{name_of(loss)} returned NaN in {place} of row {row} of {len(raw)}: "
                f"y={flat(y)[row]}, raw={flat(raw)[row]}."
            )
    if math.isnan(total):
        raise ValueError(
            f"{name_of(loss)} returned NaN as the loss of {len(raw)} row(s); the first has "
            f"y={flat(y)[0]}, raw={flat(raw)[0]}."
        )


def name_of(loss):
    """Return what to call a loss in messages."""
    return f"loss {getattr(loss, 'name', type(loss).__name__)}"


def columns(values):
    """Return numbers as the engine wants them: float64, C order, two dimensions."""
    values = np.ascontiguousarray(values, dtype=np.float64)
    return values[:, None] if values.ndim == 1 else values


def flat(values):
    """Return numbers as Python wants them: one column as one dimension."""
    return values[:, 0] if values.shape[1] == 1 else values


def read_only(values):
    """Return a window of an array, through which a user's function can't change it."""
    window = values.view()
    window.flags.writeable = False
    return window


def checked_starts(loss, starts, n_rows):
    """Return where the groups of a block start, or None for a loss that is not coupled."""
    if not loss.coupled:
        return None
    starts = np.ascontiguousarray([0, n_rows] if starts is None else starts, dtype=np.int64)
    if starts.ndim != 1 or len(starts) < 2 or starts[0] != 0 or starts[-1] != n_rows or np.any(np.diff(starts) < 0):
        raise ValueError(f"starts must rise from 0 to the number of rows, {n_rows}, got {brief(starts)}.")
    return starts


def reads_of(loss):
    """Return the names of the nodes that a loss reads."""
    reads = loss.reads
    if not isinstance(reads, (tuple, list)) or not all(isinstance(name, str) for name in reads):
        raise TypeError(
            f"{name_of(loss)}: reads must be a tuple of names of layers, as ('hidden',), got {brief(reads)}."
        )
    if len(set(reads)) < len(reads):
        raise ValueError(f"{name_of(loss)}: reads names a layer twice: {brief(reads)}.")
    return tuple(reads)


def checked_nodes(loss, nodes, n_rows):
    """Return the outputs of the nodes that a loss reads, in its order, from a dict by name."""
    reads, nodes = reads_of(loss), {} if nodes is None else nodes
    if set(nodes) != set(reads):
        raise ValueError(f"nodes must give the outputs of {reads}, which {name_of(loss)} reads, got {tuple(nodes)}.")
    outputs = [columns(nodes[name]) for name in reads]
    for name, values in zip(reads, outputs):
        if values.ndim != 2 or len(values) != n_rows:
            raise ValueError(f"nodes[{name!r}] must have shape ({n_rows}, width), got {values.shape}.")
    return outputs


def _brief(value):
    shape = f" of shape {np.shape(value)}" if isinstance(value, np.ndarray) else ""
    return f"{type(value).__name__}{shape}" + (f" of {len(value)}" if isinstance(value, tuple) else "")
