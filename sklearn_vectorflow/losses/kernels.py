"""What the engine calls for a loss, and what checks it: a loss object stays plain, a kernel lives as long as a fit."""

import math

import numpy as np

from sklearn_vectorflow.engine.losses.evaluate import Block
from sklearn_vectorflow.engine.losses.python import Bridge, capsule_of_bridge
from sklearn_vectorflow.losses.blocks import as_result, check_numbers, columns, flat, name_of, read_only, reads_of


class Kernel:
    """A compiled function and the parameters it is called with.

    Parameters
    ----------
    loss : Loss
    capsule : PyCapsule
        Of the loss contract.

    Attributes
    ----------
    reads : tuple of str
        Names of the nodes that the loss reads. Where nodes are arguments they come in this order.
    takes_gil : bool
        Whether threads wait for each other in it.
    """

    takes_gil = False

    def __init__(self, loss, capsule):
        self.loss = loss
        self.capsule = capsule
        self.reads = reads_of(loss)
        self.parameters = np.ascontiguousarray(loss.kernel_parameters(), dtype=np.float64)
        if self.parameters.ndim != 1:
            raise ValueError(
                f"{name_of(loss)}: kernel_parameters must return shape (n_parameters,), got {self.parameters.shape}."
            )

    def block(self, y, raw, weight, starts, gradient, nodes=()):
        """Return a block that can be evaluated; gradients go into the arrays given.

        Nodes are pairs of outputs and gradient, which is zero.
        """
        weight = np.ascontiguousarray(weight, dtype=np.float64)
        return Block(self.capsule, self.parameters, y, raw, weight, gradient, starts, nodes)

    def evaluate(self, y, raw, weight, starts, nodes=()):
        """Return the loss of a block, its gradient, and the gradients of the nodes read."""
        gradient, of_nodes = np.empty_like(raw), [np.zeros_like(outputs) for outputs in nodes]
        total = self.block(y, raw, weight, starts, gradient, list(zip(nodes, of_nodes))).evaluate()
        return total, gradient, of_nodes

    def check_first(self, block):
        """Check what the function returns for rows of the data, before training starts.

        Parameters
        ----------
        block : callable
            Returns y and raw of some rows, whether weights are given, and where groups start.
        """

    def raise_fault(self, y, raw, weight, starts, nodes):
        """Raise an error if the function is to blame for a loss that is not finite."""
        y, raw, nodes = columns(y), columns(raw), [columns(outputs) for outputs in nodes]
        if np.all(np.isfinite(raw)):
            check_numbers(self.loss, *self.evaluate(y, raw, np.asarray(weight), _int64(starts), nodes), y, raw)


class PythonKernel(Kernel):
    """A loss that is called in Python, once a block, with the GIL."""

    takes_gil = True

    def __init__(self, loss):
        self.bridge = Bridge(self._call)
        super().__init__(loss, capsule_of_bridge(self.bridge))

    def _call(self, y, raw, weight, gradient, starts, nodes):
        y, raw, weight = np.asarray(y), np.asarray(raw), np.asarray(weight)[:, 0]
        starts = None if starts is None else np.asarray(starts)[:, 0]
        outputs = [np.asarray(values) for values, _ in nodes]
        total, np.asarray(gradient)[...], of_nodes = self.evaluate(y, raw, weight, starts, outputs)
        for (_, target), values in zip(nodes, of_nodes):
            np.asarray(target)[...] = values
        return total

    def evaluate(self, y, raw, weight, starts, nodes=()):
        extra = (starts,) if self.loss.coupled else ()
        named = {"nodes": dict(zip(self.reads, map(read_only, nodes)))} if self.reads else {}
        returned = self.loss(read_only(flat(y)), read_only(flat(raw)), read_only(weight), *extra, **named)
        total, gradient, of_nodes = as_result(self.loss, returned, raw, nodes)
        if not (math.isfinite(total) and all(math.isfinite(values.sum()) for values in (gradient, *of_nodes))):
            check_numbers(self.loss, total, gradient, of_nodes, y, raw)
        return total, gradient, of_nodes

    def check_first(self, block):
        check_rows(self, *block())

    def raise_fault(self, y, raw, weight, starts, nodes):
        if self.bridge.error is not None:
            raise self.bridge.error


def check_rows(kernel, y, raw, weighted, starts, nodes):
    """Raise if a loss written in Python forgets weights or returns predictions for gradients."""
    loss, ones = kernel.loss, np.ones(len(raw))
    total, gradient, of_nodes = kernel.evaluate(y, raw, ones, starts, nodes)
    check_numbers(loss, total, gradient, of_nodes, y, raw)
    if _equal(gradient, raw) or _equal(gradient, loss.inverse_link(raw)):
        step = 1e-4
        up, down = (kernel.evaluate(y, raw + sign * step, ones, starts, nodes)[0] for sign in (1, -1))
        if abs((up - down) / (2 * step) - gradient.sum()) > 1e-2 * max(1.0, abs(gradient.sum())):
            raise ValueError(
                f"{name_of(loss)} returned its predictions in place of the gradient: the second value must be "
                "the derivative of the loss with respect to raw."
            )
    if weighted:
        again, doubled = (kernel.evaluate(y, raw, weight, starts, nodes) for weight in (ones, 2.0 * ones))
        deterministic = again[0] == total and np.array_equal(again[1], gradient)
        pairs = zip((gradient, *of_nodes), (doubled[1], *doubled[2]))
        twice = np.isclose(doubled[0], 2 * total) and all(np.allclose(b, 2 * a) for a, b in pairs)
        if deterministic and not twice:
            raise ValueError(
                f"{name_of(loss)} ignores the weights: with sample_weight doubled, loss and gradient must double. "
                "Multiply the loss and the gradient of each row by its weight."
            )


def _int64(starts):
    return None if starts is None else np.asarray(starts, dtype=np.int64)


def _equal(gradient, values):
    return np.shape(values) == gradient.shape and np.any(gradient) and np.array_equal(gradient, values)
