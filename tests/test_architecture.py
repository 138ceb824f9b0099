"""Imports run down: the map in doc/contributing/architecture.rst holds."""

import ast
import re
from pathlib import Path

import pytest

import sklearn_vectorflow

CHECKOUT = Path(__file__).parents[1]
MAP = CHECKOUT / "doc" / "contributing" / "architecture.rst"
PACKAGE = Path(sklearn_vectorflow.__file__).parent
MOST_FILES = 12  # at the root

pytestmark = pytest.mark.skipif(not MAP.exists(), reason="the documentation is not beside the tests")


@pytest.fixture(scope="module")
def levels():
    """The level of every room, the lowest first."""
    block = re.search(r"\.\. layers:: imports\n(?:   :.*\n)*\n((?:   .*\n)+)", MAP.read_text(encoding="utf-8"))[1]
    lines = [line.split() for line in block.splitlines()]
    return {room: level for level, line in enumerate(reversed(lines)) for room in line}


def room_of(path):
    """The room that a file of the package lies in; a module at the root is its own."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imports_of(path):
    """Names of the package's modules that a file imports."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.Import, ast.ImportFrom))]
        for node in nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif node.module == "sklearn_vectorflow":
                yield from (f"sklearn_vectorflow.{alias.name}" for alias in node.names)
            else:
                assert node.level == 0, f"{path}: relative import"
                yield node.module
    else:
        yield from re.findall(r"^\s*(?:from|c?import)\s+(sklearn_vectorflow[\w.]*)", text, re.MULTILINE)


def files():
    found = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".pyi", ".pyx", ".pxd")]
    return [path for path in found if path != PACKAGE / "__init__.py" and path.suffix != ".pyi"]


def test_no_arrow_runs_up(levels):
    arrows = {
        (room_of(path), name.split(".")[1], str(path.relative_to(PACKAGE)))
        for path in files()
        for name in imports_of(path)
        if name.startswith("sklearn_vectorflow.")
    }
    assert len(arrows) > 100  # else the walk found nothing
    up = [(file, there) for here, there, file in arrows if here != there and levels[there] >= levels[here]]
    assert not up


def test_the_map_names_every_room_and_no_other(levels):
    there = {room_of(path) for path in files()}
    assert there == levels.keys()


def test_the_root_holds_what_users_import():
    plain = [path.name for path in PACKAGE.iterdir() if path.is_file() and path.suffix not in (".pyc",)]
    assert len(plain) <= MOST_FILES, plain


def test_the_engine_imports_nothing_from_above():
    above = [
        (path.name, name)
        for path in files()
        if room_of(path) == "engine"
        for name in imports_of(path)
        if name.startswith("sklearn_vectorflow") and not name.startswith("sklearn_vectorflow.engine")
    ]
    assert not above
