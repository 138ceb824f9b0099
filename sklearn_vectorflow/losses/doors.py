"""From a loss object to its kernel: in Python, compiled by numba, or compiled before."""

from sklearn_vectorflow.losses.jit import NumbaKernel
from sklearn_vectorflow.losses.kernels import Kernel, PythonKernel

WAYS = ("__call__", "block", "kernel")


def second_derivatives_of(loss):
    """Return the method that gives the second derivatives of a loss; None if they are of another function than its."""
    classes = type(loss).__mro__
    owner = next(cls for cls in classes if "second_derivatives" in vars(cls))
    function = next((cls for cls in classes if any(way in vars(cls) for way in WAYS)), None)
    return loss.second_derivatives if function is not None and issubclass(owner, function) else None


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
            f"{name} has no function: define __call__(self, y, raw, sample_weight) in Python, block(y, raw, "
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
                "training would still use. Derive it from RegressionLoss or ClassificationLoss instead."
            )
        return PythonKernel(loss)
    if way == "block":
        return NumbaKernel(loss, vars(owner)["block"])
    return Kernel(loss, loss.kernel)
