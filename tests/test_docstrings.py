"""Docstrings: their examples run, and they describe the parameters that there are."""

import doctest
import importlib
import inspect
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

import sklearn_vectorflow
from sklearn_vectorflow import (
    VectorFlowClassifier,
    VectorFlowRanker,
    VectorFlowRegressor,
    VectorFlowSurvivalEstimator,
)

PACKAGE = Path(sklearn_vectorflow.__file__).parent
PUBLIC = (
    "sklearn_vectorflow",
    "sklearn_vectorflow.exact",
    "sklearn_vectorflow.inspection",
    "sklearn_vectorflow.io",
    "sklearn_vectorflow.layers",
    "sklearn_vectorflow.losses",
    "sklearn_vectorflow.merging",
    "sklearn_vectorflow.metrics",
    "sklearn_vectorflow.onnx",
    "sklearn_vectorflow.optimizers",
    "sklearn_vectorflow.penalties",
    "sklearn_vectorflow.preprocessing",
    "sklearn_vectorflow.search",
    "sklearn_vectorflow.serving",
)
OPTIONAL = ("matplotlib", "onnx", "pandas", "pyarrow")
SECTION = re.compile(r"^Parameters\n-+\n(?P<text>(?:.*\n)*?)(?=\n\S.*\n-+\n|\Z)", re.MULTILINE)


def with_examples():
    files = [file for file in sorted(PACKAGE.rglob("*.py")) if ">>> " in file.read_text(encoding="utf-8")]
    parts = [("sklearn_vectorflow", *file.relative_to(PACKAGE).with_suffix("").parts) for file in files]
    return [".".join(part for part in names if part != "__init__") for names in parts]


@pytest.mark.parametrize("name", with_examples())
def test_examples_run(name):
    tests = [test for test in doctest.DocTestFinder().find(importlib.import_module(name)) if test.examples]
    assert tests
    runner = doctest.DebugRunner()
    for test in tests:
        try:
            runner.run(test)
        except doctest.UnexpectedException as unexpected:
            error = unexpected.exc_info[1]
            if isinstance(error, ImportError) and any(find_spec(package) is None for package in OPTIONAL):
                pytest.skip(str(error))
            raise error from unexpected


def described(docstring):
    """The names in the section on parameters, in order; None without such a section."""
    section = SECTION.search(inspect.cleandoc(docstring) + "\n")
    if section is None:
        return None
    headers = [line.partition(" : ")[0] for line in section["text"].splitlines() if re.match(r"\S", line)]
    return [name.strip().lstrip("*") for header in headers for name in header.split(",")]


def is_ours(thing):
    return getattr(thing, "__module__", "").startswith("sklearn_vectorflow")


def callables():
    """The public functions, classes and methods that have a docstring of their own with parameters."""
    for module in PUBLIC:
        for name, thing in vars(importlib.import_module(module)).items():
            if name.startswith("_") or not is_ours(thing):
                continue
            if inspect.isclass(thing):
                for own in dir(thing):
                    method = getattr(inspect.getattr_static(thing, own), "fn", inspect.getattr_static(thing, own))
                    if not own.startswith("_") and inspect.isfunction(method) and is_ours(method):
                        yield f"{name}.{own}", method
            if inspect.isclass(thing) or inspect.isfunction(thing):
                yield name, thing


def test_all_parameters_are_described():
    """In their order; a method that takes options for another one may describe those."""
    wrong, n_described = [], 0
    for name, thing in callables():
        names = described(thing.__doc__ or "")
        if names is None:
            continue
        n_described += 1
        parameters = [one for one in inspect.signature(thing).parameters.values() if one.name not in ("self", "cls")]
        takes_options = any(one.kind is one.VAR_KEYWORD for one in parameters)
        own = [one.name for one in parameters if one.kind is not one.VAR_KEYWORD or one.name in names]
        if ([one for one in names if one in own] if takes_options else names) != own:
            wrong.append((name, names, own))
    assert not wrong
    assert n_described > 150  # else the walk found nothing


@pytest.mark.parametrize(
    "estimator", [VectorFlowClassifier, VectorFlowRegressor, VectorFlowRanker, VectorFlowSurvivalEstimator]
)
def test_each_parameter_is_listed_under_one_purpose(estimator):
    listing = estimator.__doc__.partition("The parameters by purpose:")[2].partition("Parameters\n")[0]
    assert sorted(re.findall(r"`(\w+)`", listing)) == sorted(inspect.signature(estimator).parameters)
