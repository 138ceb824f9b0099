"""Losses that numba compiles (extra `numba`)."""
import functools
import math
import typing

import numpy as np

from sklearn_vectorflow.engine.losses.evaluate import capsule_of_address
from sklearn_vectorflow.losses.doors import Kernel, check_rows, name_of


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
        self._compiled = _compile(block.__func__, loss.coupled)
        super().__init__(loss, self._compiled.capsule)

    def evaluate(self, y, raw, weight, starts):
        total, gradient = super().evaluate(y, raw, weight, starts)
        if math.isnan(total):  # called from Python, the function raises what it raised
            weight = np.ascontiguousarray(weight, dtype=np.float64)
            extra = (starts,) if self.loss.coupled else ()
            self._compiled.in_python(y, raw, weight, *extra, gradient, self.parameters)
        return total, gradient

    def check_first(self, block):
        check_rows(self, *block())


class Compiled(typing.NamedTuple):
    """A function compiled for Python, its capsule, and what owns the capsule's machine code."""

    in_python: typing.Callable
    capsule: object
    owner: object


@functools.lru_cache(maxsize=256)
def _compile(function, coupled):
    try:
        import numba
        from numba import types
        from numba.extending import intrinsic
    except ImportError as error:
        raise ImportError(
            "Losses with a `block` are compiled by numba, which is not installed: "
            "pip install 'sklearn-vectorflow[numba]'."
        ) from error

    @intrinsic
    def as_pointer(typingctx, address, like):
        def generate(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(like.dtype)(address, like), generate

    # divisions by zero give what NumPy gives: NaN and infinity stop training
    block = numba.njit(function, nogil=True, error_model="numpy")
    array, float64, int64, nan = numba.carray, types.float64, types.int64, np.nan

    def evaluate(n, y, raw, weight, gradient, contract):
        loss = array(contract, 1)[0]
        try:
            return block(
                array(y, (n, loss.n_targets)), array(raw, (n, loss.n_outputs)), array(weight, (n,)),
                array(gradient, (n, loss.n_outputs)),
                array(as_pointer(loss.parameters, float64), (loss.n_parameters,)),
            )
        except Exception:
            return nan

    def evaluate_groups(n, y, raw, weight, gradient, contract):
        loss = array(contract, 1)[0]
        try:
            return block(
                array(y, (n, loss.n_targets)), array(raw, (n, loss.n_outputs)), array(weight, (n,)),
                array(as_pointer(loss.starts, int64), (loss.n_groups + 1,)),
                array(gradient, (n, loss.n_outputs)),
                array(as_pointer(loss.parameters, float64), (loss.n_parameters,)),
            )
        except Exception:
            return nan

    owner = numba.cfunc(_signature(types), error_model="numpy")(evaluate_groups if coupled else evaluate)
    return Compiled(block, capsule_of_address(owner.address), owner)


def _signature(types):
    """The type vf_loss_fn of engine/kernels/contract.h for numba."""
    contract = types.Record.make_c_struct([
        ("version", types.int32), ("n_targets", types.int32), ("n_outputs", types.int32), ("n_parameters", types.int32),
        ("parameters", types.intp), ("evaluate", types.intp), ("context", types.intp),
        ("n_groups", types.int64), ("starts", types.intp), ("owner", types.intp),
    ])
    doubles = types.CPointer(types.float64)
    return types.float64(types.int64, doubles, doubles, doubles, doubles, types.CPointer(contract))
