"""The shape of the house: imports run one way, and every public name is documented."""

import ast
import inspect
from pathlib import Path

import pytest
from numpydoc.validate import validate

import sklearn_tickets
from sklearn_tickets import (
    benchmark,
    datasets,
    export,
    inspection,
    metrics,
    model_selection,
    models,
    pruners,
    utils,
)

PACKAGE = Path(sklearn_tickets.__file__).parent

# What each part may import, besides itself. The benchmark and the command line may all.
ALLOWED = {
    "_module": set(),
    "_flow": {"_module"},
    "_mask_file": set(),
    "_selection": set(),
    "_trace": set(),
    "_mask": {"_module", "_flow", "_mask_file", "_selection"},
    "_reader": set(),
    "_train": {"_mask", "_module"},
    "_rewind": {"_module", "_train"},
    "_inference": {"_train", "_mask", "_module"},
    "models": set(),
    "datasets": {"models", "_train", "_trace", "_mask", "_module"},
    "pruners": {"_rewind", "_inference", "_train", "_reader", "_mask", "_flow", "_module"},
    "metrics": {"_train", "_mask", "_module"},
    "_repel": {"_module"},
    "inspection": {
        *("pruners", "metrics", "_rewind", "_inference", "_train", "_mask", "_flow", "_module"),
    },
    "export": {"datasets", "_train", "_trace", "_module"},
    "model_selection": {
        *("pruners", "datasets", "_rewind", "_train", "_trace", "_mask", "_module"),
    },
    "utils": {"pruners", "models", "_train", "_mask", "_module"},
}


def imported_parts(path):
    """The parts of the package that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn_tickets"):
            inside = node.module.split(".")[1:]
            yield from inside[:1] or [alias.name for alias in node.names]


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_run_one_way(part):
    files = [PACKAGE / f"{part}.py"] if part.startswith("_") else (PACKAGE / part).glob("*.py")
    for path in files:
        assert set(imported_parts(path)) <= ALLOWED[part] | {part}, path.name


def test_no_pruner_reads_the_truth():
    for path in (PACKAGE / "pruners").glob("*.py"):
        tree = ast.parse(path.read_text())
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        names |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert "ticket" not in names, path.name


@pytest.mark.parametrize(
    "module",
    [
        *(sklearn_tickets, benchmark, datasets, export, inspection, metrics, model_selection),
        *(models, pruners, utils),
    ],
)
def test_public_names_exist(module):
    for name in module.__all__:
        assert getattr(module, name) is not None


PUBLIC = (sklearn_tickets, benchmark, datasets, export, inspection, model_selection, models, utils)


def public_objects():
    """Every public class, method and function, by its dotted name."""
    for module in PUBLIC:
        for name in module.__all__:
            member = getattr(module, name)
            if not (inspect.isclass(member) or inspect.isfunction(member)):
                continue
            path = f"{module.__name__}.{name}"
            if not getattr(member, "_is_protocol", False):
                yield path
            if inspect.isclass(member):
                inherited = {name for base in member.__mro__[1:] for name in vars(base)}
                yield from (
                    f"{path}.{method}"
                    for method, function in vars(member).items()
                    if not method.startswith("_")
                    and inspect.isfunction(function)
                    # The docstring is where the interface is.
                    and method not in inherited
                )


# Not asked for: an extended summary, a See Also section with descriptions and an Examples
# section everywhere; names of return values are allowed, and no descriptions of
# self-explaining ones.
IGNORED = {"ES01", "SA01", "SA04", "EX01", "RT02", "RT03", "RT05"}


@pytest.mark.parametrize("path", sorted(set(public_objects())))
def test_docstrings_follow_numpydoc(path):
    errors = [error for error in validate(path)["errors"] if error[0] not in IGNORED]
    assert not errors, errors
