"""What a release needs: one version everywhere, and bounds of dependencies that are complete."""

import ast
import re
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

import sklearn_vectorflow

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_version_is_the_same_everywhere():
    assert sklearn_vectorflow.__version__ == PROJECT["version"]
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited[1] == PROJECT["version"]


def test_what_the_package_imports_is_declared():
    named = {"sklearn": "scikit-learn"}
    declared = {re.match(r"[\w-]+", each)[0].lower() for each in PROJECT["dependencies"]}
    extras = PROJECT["optional-dependencies"]
    used = ("dask", "inference", "io", "numba", "onnx", "plot")
    declared |= {re.match(r"[\w-]+", each)[0].lower() for extra in used for each in extras[extra]}
    imported = set()
    for file in Path(sklearn_vectorflow.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            imported |= {name.partition(".")[0] for name in names}
    imported -= {"sklearn_vectorflow", *sys.stdlib_module_names}
    assert {named.get(name, name) for name in imported} <= declared


def test_floors_are_the_lower_bounds():
    path = ROOT / "tools" / "floors.py"
    spec = spec_from_file_location("floors", path)
    floors = module_from_spec(spec)
    spec.loader.exec_module(floors)
    bounds = dict(each.split("==") for each in floors.floors(["test"]))
    for requirement in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["io"]):
        name, _, version = requirement.partition(">=")
        assert bounds[name] == version


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_every_python_that_is_promised_is_tested(python):
    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]
    workflow = ROOT / ".github" / "workflows" / "tests.yml"
    if not workflow.exists():
        pytest.skip("source distributions have no workflows")
    assert f'"{python}"' in workflow.read_text(encoding="utf-8")
