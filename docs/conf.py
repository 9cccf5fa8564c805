"""Configuration of the documentation site: ``sphinx-build -W -n docs docs/_build``."""

import importlib
from pathlib import Path
from types import GenericAlias

import sklearn_tickets

_ROOMS = [
    ".".join(door.parent.relative_to(Path(sklearn_tickets.__file__).parents[1]).parts)
    for door in Path(sklearn_tickets.__file__).parent.glob("[a-z]*/**/__init__.py")
]

project = "sklearn_tickets"
author = "the sklearn_tickets developers"
copyright = author
version = release = sklearn_tickets.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinx_gallery.gen_gallery",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_copybutton",
    "matplotlib.sphinxext.plot_directive",
]
exclude_patterns = ["_build", "**sg_execution_times.rst", "auto_examples/*.ipynb"]
# Names in single backticks are links where there is something to link to.
default_role = "autolink"
templates_path = ["_templates"]

toc_object_entries_show_parents = "hide"
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
# Names of types, which autodoc takes for functions.
autosummary_context = {
    "aliases": {
        name: str(value).replace("typing.", "")
        for room in map(importlib.import_module, _ROOMS)
        for name, value in vars(room).items()
        if name in room.__all__ and isinstance(value, GenericAlias)
    }
}
autodoc_typehints = "none"
autodoc_inherit_docstrings = False
# scikit-learn documents these, with references to pages of its own.
autodoc_default_options = {
    "exclude-members": ", ".join(
        [
            "get_metadata_routing",
            "get_params",
            "set_params",
            "set_output",
            *(f"set_{method}_request" for method in ("fit", "partial_fit", "predict", "score")),
        ]
    )
}
# Other projects' pages are not linked: the site is built without a network.
# Lower-case names without dots are parameters.
nitpick_ignore_regex = [
    (r"py:.*", r"(sklearn|skorch|torch|collections)\..*|[a-z_]+"),
    ("std:term", "classes_|fit"),
    ("std:ref", "metadata_routing|scoring_string_names"),
]
numpydoc_show_class_members = False
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3
copybutton_exclude = ".linenos, .gp, .go"

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "show_memory": False,
    "remove_config_comments": True,
    "doc_module": "sklearn_tickets",
    "backreferences_dir": "reference/backreferences",
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_tickets"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
# Pages on their own have no neighbors to list.
html_sidebars = {
    page: []
    for page in (
        "index",
        "get_started",
        "methods",
        "coming_from",
        "limits",
        "glossary",
        "changelog",
        "citing",
    )
}
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = [("svg", 100)]
