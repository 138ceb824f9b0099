"""Signatures that users meet have types, all of them."""

import importlib
import inspect

import pytest

EXPORTING = [
    "",
    ".io",
    ".layers",
    ".losses",
    ".merging",
    ".metrics",
    ".onnx",
    ".preprocessing",
    ".search",
    ".serving",
]  # with __all__
WHOLE = [".curves", ".optimizers", ".penalties"]  # all public names of these
PACKAGE = "sklearn_vectorflow"
CALLED = ("__init__", "__call__", "__iter__")


def exported(name):
    """Public callables of a module by name."""
    module = importlib.import_module(PACKAGE + name)
    here = [one for one, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    names = module.__all__ if name in EXPORTING else [one for one in here if not one.startswith("_")]
    found = {one: getattr(module, one) for one in names}
    return {one: value for one, value in found.items() if callable(value)}


def functions_of(kind):
    """Name, function and whether it is bound, of the package's own methods that a class has for users."""
    for owner in kind.__mro__:
        if not owner.__module__.startswith(PACKAGE):
            continue
        for name, member in vars(owner).items():
            if name.startswith("_") and name not in CALLED:
                continue
            function = getattr(member, "__func__", None) or getattr(member, "fn", None) or member
            if inspect.isfunction(function):
                yield f"{owner.__qualname__}.{name}", function, not isinstance(member, staticmethod)


def untyped(label, function, bound=False):
    """What of a signature has no type."""
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[bound:]
    missing = [one.name for one in parameters if one.annotation is inspect.Parameter.empty]
    if signature.return_annotation is inspect.Signature.empty:
        missing.append("return")
    return [f"{label}: {name}" for name in missing]


@pytest.mark.parametrize("module", EXPORTING + WHOLE)
def test_all_parameters_and_returns_have_types(module):
    missing, n_functions = set(), 0
    for name, value in exported(module).items():
        functions = functions_of(value) if inspect.isclass(value) else [(name, value, False)]
        for one in functions:
            missing.update(untyped(*one))
            n_functions += 1
    assert n_functions > 0  # else the walk found nothing
    assert not missing, sorted(missing)


def test_methods_behind_conditions_are_looked_at():
    from sklearn_vectorflow import VectorFlowClassifier

    names = {name.partition(".")[2] for name, _, _ in functions_of(VectorFlowClassifier)}
    assert {"__init__", "fit", "predict_proba", "sparsify", "transform", "predict_top_k"} <= names


def test_a_missing_type_is_found():
    def one(self, x, *, y: int = 0, **more: int):
        """A parameter and the return have no type."""

    assert untyped("one", one, True) == ["one: x", "one: return"]


def test_types_name_what_is_there():
    """Names in annotations that are strings can be resolved."""
    for module in EXPORTING + WHOLE:
        for name, value in exported(module).items():
            functions = functions_of(value) if inspect.isclass(value) else [(name, value, False)]
            for _, function, _ in functions:
                inspect.get_annotations(inspect.unwrap(function), eval_str=True)
