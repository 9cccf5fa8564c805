"""The code of every page of the documentation works, and the reference lists all subpackages."""

import importlib
import re
from pathlib import Path

import matplotlib
import pytest

import sklearn_tickets

matplotlib.use("agg")

DOCS = Path(__file__).parents[1] / "docs"
SOURCES = sorted(
    path
    for path in DOCS.rglob("*.md")
    if "_build" not in path.parts and "```python" in path.read_text()
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_the_code_of_a_page_works_from_the_first_line_to_the_last(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    names = {}
    try:
        for block in re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL):
            exec(block, names)
    finally:
        matplotlib.pyplot.close("all")


def test_the_reference_lists_every_subpackage():
    """And each of their pages lists all public names, which the template takes from the package."""
    listed = re.findall(
        r"^   (sklearn_tickets\.[\w.]+)$", (DOCS / "reference/index.rst").read_text(), re.M
    )
    package = Path(sklearn_tickets.__file__).parent
    doors = package.glob("[a-z]*/**/__init__.py")
    assert sorted(listed) == sorted(
        ".".join(door.parent.relative_to(package.parent).parts) for door in doors
    )


def test_the_guide_has_every_public_name():
    words = {
        word for page in DOCS.glob("guide/*.md") for word in re.findall(r"\w+", page.read_text())
    }
    package = Path(sklearn_tickets.__file__).parent
    for door in package.glob("[a-z]*/**/__init__.py"):
        room = ".".join(door.parent.relative_to(package.parent).parts)
        missing = {*importlib.import_module(room).__all__} - words
        assert not missing, f"{room}: {missing}"
