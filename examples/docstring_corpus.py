"""A text data set: docstrings of the standard library and of a few installed packages.

Every Python installation has this corpus, so the examples need no download. The code parses source files and never
imports them.
"""

import ast
import re
import sysconfig
import warnings
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np

INSTALLED = ("joblib", "numpy", "scipy", "sklearn")
SKIPPED = {"idle_test", "site-packages", "test", "tests"}


def load_docstrings(min_count=150, only=None):
    """Docstrings and the package that each comes from.

    Parameters
    ----------
    min_count : int
        Packages with fewer docstrings are left out.
    only : collection of str, default=None
        Packages to load; None loads all.

    Returns
    -------
    texts : list of str
        Without duplicates, and without the names of the packages.
    packages : ndarray of str
        A top-level package of the standard library, or one of ``INSTALLED``.
    """
    folders = [path.parent for path in Path(sysconfig.get_path("stdlib")).glob("*/__init__.py")]
    folders += [Path(find_spec(name).origin).parent for name in INSTALLED]
    package_of = {}
    for folder in sorted(folders, key=lambda path: path.name):
        if only is not None and folder.name not in only:
            continue
        for file in sorted(folder.rglob("*.py")):
            if not SKIPPED.intersection(file.relative_to(folder.parent).parts):
                for text in docstrings_of(file):
                    package_of.setdefault(text, folder.name)
    counts = Counter(package_of.values())
    kept = {package for package, count in counts.items() if count >= min_count}
    names = re.compile(rf"\b({'|'.join(sorted(kept))})\b", re.IGNORECASE)
    pairs = [(names.sub(" ", text), package) for text, package in package_of.items() if package in kept]
    return [text for text, _ in pairs], np.array([package for _, package in pairs])


def docstrings_of(file):
    """Docstrings of a source file: its own, and those of its classes and functions."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old escapes, for instance
            nodes = [ast.parse(file.read_bytes())]
    except SyntaxError:
        return
    while nodes:
        node = nodes.pop()
        text = ast.get_docstring(node)
        if text:
            yield text
        nodes += [
            child for child in node.body if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        ]
