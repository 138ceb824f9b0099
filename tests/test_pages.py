"""Python blocks of the README and of the pages run as they are pasted, one after the other, and print what is shown."""

import ast
import contextlib
import io
import re
import sys
import textwrap
import types
from importlib.util import find_spec
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
DOC = CHECKOUT / "doc"
GENERATED = ("auto_examples", "gen_modules", "generated", "_build")
OPTIONAL = (
    "dask",
    "distributed",
    "matplotlib",
    "numba",
    "onnx",
    "onnxruntime",
    "pandas",
    "polars",
    "pyarrow",
    "rich",
    "sklearn.callback",
    "skops",
)
RST_BLOCK = re.compile(
    r"^(?P<indent> *)\.\. code-block:: (?P<language>\w+)\n(?:(?P=indent) +:.*\n)*\n"
    r"(?P<code>(?:(?:(?P=indent)   .*)?\n)+)",
    re.MULTILINE,
)
FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<code>(?:.*\n)*?)```$", re.MULTILINE)
NUMBER = re.compile(r"\d[\d,.]*\d|\d")
COLUMN = 100  # characters that fit between the sidebars on a window of 1280 pixels
SHARE = 0.1  # by which printed numbers may differ: threads and processors round differently

pytestmark = pytest.mark.skipif(not DOC.exists(), reason="the documentation is not beside the tests")


def pages():
    """The README and the pages that have Python blocks."""
    return [page for page in written() if any(language == "python" for language, _, _ in blocks_of(page))]


def written():
    """The README and all pages that are not generated."""
    found = [CHECKOUT / "README.md", *sorted(DOC.rglob("*.rst"))]
    return [page for page in found if page.exists() and not set(page.relative_to(CHECKOUT).parts) & set(GENERATED)]


def blocks_of(page):
    """The language, the number of lines before it and the text of each block of a page."""
    text = page.read_text(encoding="utf-8") + "\n"
    for match in (FENCE if page.suffix == ".md" else RST_BLOCK).finditer(text):
        yield match["language"], text.count("\n", 0, match.start("code")), textwrap.dedent(match["code"])


def numbers_of(text):
    return [float(number.replace(",", "").rstrip(".")) for number in NUMBER.findall(text)]


@pytest.fixture
def namespace(monkeypatch, tmp_path):
    """A fresh module that is the working namespace of a page, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # n_jobs=-1 starts no processes
    page = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", page)  # so that classes defined in it can be pickled
    return vars(page)


def run(page, line, code, namespace):
    """Execute a block; return what it printed."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * line + code, str(page), "exec"), namespace)
    except ImportError as error:
        absent = [name for name in OPTIONAL if name in str(error) and find_spec(name) is None]
        if not absent:
            raise
        pytest.skip(f"line {line + 1} needs {absent[0]}")
    return printed.getvalue()


@pytest.mark.filterwarnings("error")  # a block that warns is no example
@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_blocks_run_and_print_what_is_shown(page, namespace):
    printed = ""
    for language, line, block in blocks_of(page):
        if language == "python":
            printed = run(page, line, block, namespace)
        elif language == "text" and printed:
            assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", block).split(), f"{page}:{line + 1}"
            assert numbers_of(printed) == pytest.approx(numbers_of(block), rel=SHARE), f"{page}:{line + 1}"
            printed = ""


def test_lines_of_blocks_fit_the_column():
    pages = [page for page in written() if page.suffix == ".rst"]  # a README is shown without sidebars
    lines = [(page.name, line) for page in pages for _, _, block in blocks_of(page) for line in block.splitlines()]
    assert len(lines) > 500
    assert [(name, line) for name, line in lines if len(line) > COLUMN] == []


def test_every_page_with_a_python_block_is_found():
    pattern = re.compile(r"code-block:: python|^```python", re.MULTILINE)
    counts = {page: len(pattern.findall(page.read_text(encoding="utf-8"))) for page in written()}
    found = {page: sum(language == "python" for language, _, _ in blocks_of(page)) for page in written()}
    assert found == counts
    assert sum(counts.values()) > 40  # else the walk found nothing


def strings_of_the_package():
    """The strings in the package's Python code that are not docstrings."""
    for file in (CHECKOUT / "sklearn_vectorflow").rglob("*.py"):
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        strings = [node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        yield from (node.value for node in strings if id(node) not in docstrings)


def test_troubleshooting_quotes_messages_of_the_package():
    text = (DOC / "user_guide" / "troubleshooting.rst").read_text(encoding="utf-8")
    quoted = re.findall(r"^``(.+)``$", text, re.MULTILINE)
    strings = list(strings_of_the_package())
    assert len(quoted) > 40
    assert [message for message in quoted if not any(message in string for string in strings)] == []
