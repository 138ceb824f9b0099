"""From a loss object to the function the engine calls: in Python, compiled by numba, or compiled before.

The object stays plain; a kernel lives as long as a fit.
"""
import math

import numpy as np

from sklearn_vectorflow.engine.losses.evaluate import Block
from sklearn_vectorflow.engine.losses.python import Bridge, capsule_of_bridge

WAYS = ("__call__", "block", "kernel")


def kernel_of(loss):
    """Return the kernel of a loss: of the way that its class, or the nearest above it, gives.

    Raises
    ------
    TypeError
        If there is none, or more than one, or if `__call__` would replace a compiled
        function that training goes on using.
    ImportError
        If the compiled function keeps to another version of the contract, or numba is missing.
    """
    ways = [(cls, way) for cls in type(loss).__mro__ for way in WAYS if way in vars(cls)][:-1]  # last: Loss.__call__
    name = type(loss).__name__
    if not ways:
        raise TypeError(
            f"{name} has no arithmetic: define __call__(self, y, raw, sample_weight) in Python, block(y, raw, "
            "weight, gradient, parameters) for numba, or kernel, a PyCapsule of a compiled loss."
        )
    owner, way = ways[0]
    if any(cls is owner for cls, _ in ways[1:]):
        raise TypeError(f"{owner.__name__} must define one of __call__, block and kernel, not several.")
    if way == "__call__":
        compiled = next((f"{cls.__name__}.{below}" for cls, below in ways if below != "__call__"), None)
        if compiled:
            raise TypeError(
                f"{owner.__name__} overrides __call__ of a loss whose arithmetic is compiled ({compiled}), which "
                "training would go on using. Derive it from RegressionLoss or ClassificationLoss instead."
            )
        return PythonKernel(loss)
    if way == "block":
        from sklearn_vectorflow.losses.jit import NumbaKernel

        return NumbaKernel(loss, vars(owner)["block"])
    return Kernel(loss, loss.kernel)


class Kernel:
    """A compiled function and the parameters it is called with.

    Parameters
    ----------
    loss : Loss
    capsule : PyCapsule
        Of the loss contract.

    Attributes
    ----------
    takes_gil : bool
        Whether threads wait for each other in it.
    """

    takes_gil = False

    def __init__(self, loss, capsule):
        self.loss = loss
        self.capsule = capsule
        self.parameters = np.ascontiguousarray(loss.kernel_parameters(), dtype=np.float64)
        if self.parameters.ndim != 1:
            raise ValueError(
                f"{name_of(loss)}: kernel_parameters must return shape (n_parameters,), got {self.parameters.shape}."
            )

    def block(self, y, raw, weight, starts, gradient):
        """Return a block that can be evaluated; its gradient goes into the array given."""
        weight = np.ascontiguousarray(weight, dtype=np.float64)
        return Block(self.capsule, self.parameters, y, raw, weight, gradient, starts)

    def evaluate(self, y, raw, weight, starts):
        """Return the loss of a block and its gradient."""
        gradient = np.empty_like(raw)
        return self.block(y, raw, weight, starts, gradient).evaluate(), gradient

    def check_first(self, block):
        """Check what the function returns for rows of the data, before training starts.

        Parameters
        ----------
        block : callable
            Returns y and raw of some rows, whether weights are given, and where groups start.
        """

    def raise_fault(self, y, raw, weight, starts):
        """Raise an error if the function is to blame for a loss that is not finite."""
        y, raw = columns(y), columns(raw)
        if np.all(np.isfinite(raw)):
            check_numbers(self.loss, *self.evaluate(y, raw, np.asarray(weight), _int64(starts)), y, raw)


class PythonKernel(Kernel):
    """A loss that is called in Python, once a block, with the GIL."""

    takes_gil = True

    def __init__(self, loss):
        self.bridge = Bridge(self._call)
        super().__init__(loss, capsule_of_bridge(self.bridge))

    def _call(self, y, raw, weight, gradient, starts):
        y, raw, weight = np.asarray(y), np.asarray(raw), np.asarray(weight)[:, 0]
        starts = None if starts is None else np.asarray(starts)[:, 0]
        total, np.asarray(gradient)[...] = self.evaluate(y, raw, weight, starts)
        return total

    def evaluate(self, y, raw, weight, starts):
        extra = (starts,) if self.loss.coupled else ()
        total, gradient = as_result(self.loss, self.loss(flat(y), flat(raw), weight, *extra), raw)
        if not (math.isfinite(total) and math.isfinite(gradient.sum())):
            check_numbers(self.loss, total, gradient, y, raw)
        return total, gradient

    def check_first(self, block):
        check_rows(self, *block())

    def raise_fault(self, y, raw, weight, starts):
        if self.bridge.error is not None:
            raise self.bridge.error


def check_rows(kernel, y, raw, weighted, starts):
    """Raise if a loss written in Python forgets weights or returns predictions for gradients."""
    loss, ones = kernel.loss, np.ones(len(raw))
    total, gradient = kernel.evaluate(y, raw, ones, starts)
    check_numbers(loss, total, gradient, y, raw)
    if _equal(gradient, raw) or _equal(gradient, loss.inverse_link(raw)):
        step = 1e-4
        up, down = (kernel.evaluate(y, raw + sign * step, ones, starts)[0] for sign in (1, -1))
        if abs((up - down) / (2 * step) - gradient.sum()) > 1e-2 * max(1.0, abs(gradient.sum())):
            raise ValueError(
                f"{name_of(loss)} returned its predictions in the place of the gradient: the second value must be "
                "the derivative of the loss with respect to raw."
            )
    if weighted:
        again, doubled = (kernel.evaluate(y, raw, weight, starts) for weight in (ones, 2.0 * ones))
        deterministic = again[0] == total and np.array_equal(again[1], gradient)
        if deterministic and not (np.isclose(doubled[0], 2 * total) and np.allclose(doubled[1], 2 * gradient)):
            raise ValueError(
                f"{name_of(loss)} forgets the weights: with sample_weight doubled, loss and gradient must double. "
                "Multiply every row's loss and gradient by its weight."
            )


def as_result(loss, returned, raw):
    """Return the loss as a float and the gradient in the shape of raw, if they are such.

    Raises
    ------
    TypeError, ValueError
        Naming the loss, what it returned and what it should have.
    """
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise TypeError(f"{name_of(loss)} must return (loss, gradient), got {_brief(returned)}.")
    total, gradient = returned
    if np.ndim(total):
        raise ValueError(
            f"{name_of(loss)} must return first the sum of the losses of the block, a number, got {_brief(total)}."
        )
    if isinstance(total, (str, bytes)) or not np.isrealobj(total) or np.asarray(total).dtype.kind not in "fiu":
        raise TypeError(f"{name_of(loss)} must return first the sum of the losses, a number, got {total!r}.")
    gradient = np.asarray(gradient)
    if gradient.dtype.kind not in "fiu":
        raise TypeError(f"{name_of(loss)} must return a gradient of real numbers, got dtype {gradient.dtype}.")
    if gradient.shape != raw.shape and gradient.shape != flat(raw).shape:
        raise ValueError(
            f"{name_of(loss)} must return a gradient of the shape of raw, {flat(raw).shape}, got {gradient.shape}."
            + (" Multiply columns by sample_weight[:, None]." if gradient.ndim == 2 else "")
        )
    return float(total), gradient.reshape(raw.shape)


def check_numbers(loss, total, gradient, y, raw):
    """Raise ValueError, naming a row, if finite raw outputs gave NaN."""
    if not np.all(np.isfinite(raw)):
        return
    bad = np.isnan(gradient).any(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"{name_of(loss)} returned NaN in the gradient of row {row} of {len(raw)}: "
            f"y={flat(y)[row]}, raw={flat(raw)[row]}."
        )
    if math.isnan(total):
        raise ValueError(f"{name_of(loss)} returned NaN as the loss of {len(raw)} row(s); the first has "
                         f"y={flat(y)[0]}, raw={flat(raw)[0]}.")


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


def checked_starts(loss, starts, n_rows):
    """Return where the groups of a block start, or None for a loss that is not coupled."""
    if not loss.coupled:
        return None
    starts = np.ascontiguousarray([0, n_rows] if starts is None else starts, dtype=np.int64)
    if starts.ndim != 1 or len(starts) < 2 or starts[0] != 0 or starts[-1] != n_rows or np.any(np.diff(starts) < 0):
        raise ValueError(f"starts must rise from 0 to the number of rows, {n_rows}, got {starts!r}.")
    return starts


def _int64(starts):
    return None if starts is None else np.asarray(starts, dtype=np.int64)


def _equal(gradient, values):
    return np.shape(values) == gradient.shape and np.any(gradient) and np.array_equal(gradient, values)


def _brief(value):
    shape = f" of shape {np.shape(value)}" if isinstance(value, np.ndarray) else ""
    return f"{type(value).__name__}{shape}" + (f" of {len(value)}" if isinstance(value, tuple) else "")
