"""Losses that numba compiles (extra `numba`)."""

import functools
import math
import typing

import numpy as np

from sklearn_vectorflow.engine.losses.evaluate import capsule_of_address
from sklearn_vectorflow.losses.blocks import name_of, reads_of
from sklearn_vectorflow.losses.kernels import Kernel, check_rows


class NumbaKernel(Kernel):
    """A static method `block`, compiled once in a process.

    Parameters
    ----------
    loss : Loss
    block : staticmethod
    """

    def __init__(self, loss, block):
        if not isinstance(block, staticmethod):
            raise TypeError(
                f"{name_of(loss)}: block must be a @staticmethod; it is compiled without the object, whose parameters "
                "it gets from kernel_parameters."
            )
        self._compiled = _compile(block.__func__, loss.coupled, len(reads_of(loss)))
        super().__init__(loss, self._compiled.capsule)

    def evaluate(self, y, raw, weight, starts, nodes=()):
        total, gradient, of_nodes = super().evaluate(y, raw, weight, starts, nodes)
        if math.isnan(total):  # called from Python, the function raises what it raised
            weight = np.ascontiguousarray(weight, dtype=np.float64)
            before = (starts,) * self.loss.coupled + (tuple(nodes),) * bool(self.reads)
            after = (tuple(of_nodes),) * bool(self.reads)
            self._compiled.in_python(y, raw, weight, *before, gradient, *after, self.parameters)
        return total, gradient, of_nodes

    def check_first(self, block):
        check_rows(self, *block())


class Compiled(typing.NamedTuple):
    """A function compiled for Python, its capsule, and what owns the capsule's machine code."""

    in_python: typing.Callable
    capsule: object
    owner: object


@functools.lru_cache(maxsize=256)
def _compile(function, coupled, n_nodes):
    try:
        import numba
        from numba import types
    except ImportError as error:
        raise ImportError(
            "Losses with a `block` are compiled by numba, which is not installed: "
            "pip install 'sklearn-vectorflow[numba]'."
        ) from error

    # divisions by zero give what NumPy gives: NaN and infinity stop training
    block = numba.njit(function, nogil=True, error_model="numpy")
    contract, node = _structs(types)
    views = _Views(numba, node)
    starts_of, nodes_of = views.starts(coupled), views.nodes(n_nodes, "outputs")
    gradients_of = views.nodes(n_nodes, "gradient")
    array, parameters_of, nan = numba.carray, views.parameters(), np.nan

    def evaluate(n, y, raw, weight, gradient, contract):
        loss = array(contract, 1)[0]
        try:
            before = (array(y, (n, loss.n_targets)), array(raw, (n, loss.n_outputs)), array(weight, (n,)))
            written = (array(gradient, (n, loss.n_outputs)),)
            return block(
                *(before + starts_of(loss) + nodes_of(loss, n) + written + gradients_of(loss, n) + parameters_of(loss))
            )
        except Exception:
            return nan

    doubles = types.CPointer(types.float64)
    signature = types.float64(types.int64, doubles, doubles, doubles, doubles, types.CPointer(contract))
    owner = numba.cfunc(signature, error_model="numpy")(evaluate)
    return Compiled(block, capsule_of_address(owner.address), owner)


def _structs(types):
    """The structs vf_loss and vf_node of engine/kernels/contract.h for numba."""
    contract = types.Record.make_c_struct(
        [
            ("version", types.int32),
            ("n_targets", types.int32),
            ("n_outputs", types.int32),
            ("n_parameters", types.int32),
            ("parameters", types.intp),
            ("evaluate", types.intp),
            ("context", types.intp),
            ("n_groups", types.int64),
            ("starts", types.intp),
            ("n_nodes", types.int64),
            ("nodes", types.intp),
            ("owner", types.intp),
        ]
    )
    return contract, types.Record.make_c_struct(
        [
            ("width", types.int64),
            ("outputs", types.intp),
            ("gradient", types.intp),
        ]
    )


class _Views:
    """Makes compiled functions of the struct, each of which returns a tuple of arguments of `block`."""

    def __init__(self, numba, node):
        self.numba = numba
        self.node = node
        self.pointer = _pointer(numba)

    def parameters(self):
        array, pointer, float64 = self.numba.carray, self.pointer, self.numba.float64
        return self.numba.njit(lambda loss: (array(pointer(loss.parameters, float64), (loss.n_parameters,)),))

    def starts(self, coupled):
        if not coupled:
            return self.numba.njit(lambda loss: ())
        array, pointer, int64 = self.numba.carray, self.pointer, self.numba.int64
        return self.numba.njit(lambda loss: (array(pointer(loss.starts, int64), (loss.n_groups + 1,)),))

    def nodes(self, n_nodes, what):
        """Arrays of nodes' outputs or gradients, as one argument if there are any."""
        if n_nodes == 0:
            return self.numba.njit(lambda loss, n: ())
        first, array, pointer, node = self._first(n_nodes, what), self.numba.carray, self.pointer, self.node
        return self.numba.njit(lambda loss, n: (first(array(pointer(loss.nodes, node), (loss.n_nodes,)), n),))

    def _first(self, count, what):
        """Arrays of the first nodes; numba wants a tuple's length from its code."""
        if count == 0:
            return self.numba.njit(lambda nodes, n: ())
        rest, last = self._first(count - 1, what), count - 1
        array, pointer, float64 = self.numba.carray, self.pointer, self.numba.float64
        if what == "outputs":
            return self.numba.njit(
                lambda nodes, n: (
                    rest(nodes, n) + (array(pointer(nodes[last].outputs, float64), (n, nodes[last].width)),)
                )
            )
        return self.numba.njit(
            lambda nodes, n: rest(nodes, n) + (array(pointer(nodes[last].gradient, float64), (n, nodes[last].width)),)
        )


def _pointer(numba):
    """A compiled function that makes an address a pointer to a type."""

    @numba.extending.intrinsic
    def pointer(typingctx, address, like):
        def generate(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return numba.types.CPointer(like.instance_type)(address, like), generate

    return pointer
