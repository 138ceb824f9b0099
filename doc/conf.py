"""Sphinx configuration. The package must be installed; nothing is downloaded."""

import re
import sys
import warnings
from importlib.metadata import version as installed_version
from pathlib import Path

from sklearn.exceptions import ConvergenceWarning

warnings.filterwarnings("error", category=ConvergenceWarning)  # no example prints one

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "sklearn_vectorflow"
author = "The sklearn_vectorflow developers"
copyright = f"2026, {author}"
release = installed_version("sklearn-vectorflow")
version = ".".join(release.split(".")[:2])

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "drawing",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
default_role = "code"
nitpicky = False

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"  # the names of methods fit into the sidebar, those of their classes not

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/(plot_|quickstart|encode_frames|out_of_core)",
    "ignore_pattern": r"docstring_corpus\.py",
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("sklearn_vectorflow",),
    "reference_url": {"sklearn_vectorflow": None},
    "backreferences_dir": "gen_modules/backreferences",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_show_sourcelink = False
html_sidebars = {"changelog": [], "getting_started": [], "how_it_works": []}
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "primary_sidebar_end": [],
    "secondary_sidebar_items": {"[!a]**": ["page-toc"], "api/**": ["page-toc"]},  # not beside the code of examples
    "show_prev_next": True,
}


def leave_to_scikit_learn(app, what, name, member, skip, options):
    """Skip what scikit-learn's base classes give every estimator; their docstrings refer to its site."""
    module = getattr(getattr(member, "fget", member), "__module__", None) or ""
    return True if module.startswith("sklearn.") or re.fullmatch(r"set_\w+_request", name) else None


def setup(app):
    app.connect("autodoc-skip-member", leave_to_scikit_learn)
