"""The shape of the house: imports run one way, and every public name is documented."""

import ast
import importlib
import inspect
import io
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
from numpydoc.validate import validate

import sklearn_tickets
from sklearn_tickets.pruners.base import ScoringPruner
from sklearn_tickets.utils import all_pruners

PACKAGE = Path(sklearn_tickets.__file__).parent

# The rooms, and what each may import besides itself. The command line may import all.
ALLOWED = {
    "_cv_results": set(),
    "_estimators": set(),
    "_files": set(),
    "_fingerprint": set(),
    "_random": set(),
    "_network": set(),
    "masks": {"_files", "_network"},
    "training": {"_network", "_random", "masks"},
    "models": set(),
    "_chain_operations": {"_network", "models"},
    "_chain": {"_chain_operations", "_network", "models"},
    "_annealing": set(),
    "datasets.tasks": set(),
    "datasets": {
        "_chain",
        "_estimators",
        "_network",
        "_random",
        "datasets.tasks",
        "masks",
        "models",
    },
    "pruners.base": {"_fingerprint", "_network", "_random", "masks", "training"},
    "_curvature": {"_chain", "_network", "masks", "pruners.base", "training"},
    "pruners": {
        "_annealing",
        "_chain",
        "_curvature",
        "_network",
        "masks",
        "pruners.base",
        "training",
    },
    "metrics": {"_estimators", "_network", "masks"},
    "model_selection": {
        "_cv_results",
        "_estimators",
        "_fingerprint",
        "_network",
        "_random",
        "datasets",
        "masks",
        "pruners.base",
        "training",
    },
    "inspection": {
        "_cv_results",
        "_estimators",
        "_network",
        "_random",
        "masks",
        "metrics",
        "model_selection",
        "pruners",
        "pruners.base",
        "training",
    },
    "export": {"_estimators", "_files", "_network", "models", "pruners.base"},
    "utils": {"_network", "masks", "models", "pruners", "pruners.base"},
    "benchmark": {
        "_files",
        "_random",
        "datasets",
        "datasets.tasks",
        "inspection",
        "masks",
        "metrics",
        "model_selection",
        "models",
        "pruners",
        "pruners.base",
    },
    "_command_line": set(),
    "_grid_command": {"_command_line", "benchmark"},
}


def room_of(path):
    """The room that a file of the package is in: its folder, or itself at the root."""
    folders = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(folders[:-1]) or folders[0]


def imports(path):
    """What a file imports from the package, as (module, name)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn_tickets"):
            inside = node.module.removeprefix("sklearn_tickets").lstrip(".")
            yield from ((inside or alias.name, alias.name) for alias in node.names)


FILES = [path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem[1] != "_"]


def test_every_room_is_on_the_plan():
    assert {room_of(path) for path in FILES} == set(ALLOWED)
    assert sum((PACKAGE / room.replace(".", "/")).is_dir() for room in ALLOWED) <= 16


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way_and_through_the_door(path):
    own = room_of(path)
    for module, name in imports(path):
        is_own = module == own or module.startswith(f"{own}._")
        assert is_own or module in ALLOWED[own], f"imports {name} from {module}"


def test_the_rooms_form_no_circle():
    rooms = list(ALLOWED)
    for room, allowed in ALLOWED.items():
        assert all(rooms.index(other) < rooms.index(room) for other in allowed)


def test_no_pruner_reads_the_truth():
    for path in (PACKAGE / "pruners").rglob("*.py"):
        tree = ast.parse(path.read_text())
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        names |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert "ticket" not in names, path.name


def n_code_lines(path):
    """Count the lines of a file without docstrings, comments and blank lines."""
    text = path.read_text()
    documented = [
        node.body[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node)
    ]
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type != tokenize.COMMENT and token.string.strip()
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(lines.difference(*(range(d.lineno, d.end_lineno + 1) for d in documented)))


# Pruners that search in a way of their own have more to say.
SCORING = {
    Path(inspect.getfile(cls))
    for _, cls in all_pruners()
    if issubclass(cls, ScoringPruner) and "_search" not in vars(cls)
}


@pytest.mark.parametrize("path", sorted(SCORING), ids=lambda path: path.stem)
def test_scoring_pruners_are_as_short_as_their_formulas(path):
    is_preset = not any(
        isinstance(n, ast.FunctionDef) for n in ast.walk(ast.parse(path.read_text()))
    )
    assert n_code_lines(path) <= (15 if is_preset else 28)


PUBLIC = [
    sklearn_tickets,
    *(
        importlib.import_module(f"sklearn_tickets.{room}")
        for room in ALLOWED
        if not room.startswith("_")
    ),
]


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_public_names_exist(module):
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_subpackages_are_attributes_as_soon_as_they_are_asked_for():
    code = "import sklearn_tickets; print(sklearn_tickets.inspection.ticket_report.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "ticket_report"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        sklearn_tickets.nothing  # noqa: B018


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
            lineage = member.__mro__ if inspect.isclass(member) else ()
            # Bases that are not public have a part of the methods that are.
            for i, owner in enumerate(lineage):
                if not owner.__module__.startswith("sklearn_tickets"):
                    continue
                inherited = {name for base in lineage[i + 1 :] for name in vars(base)}
                yield from (
                    f"{owner.__module__}.{owner.__name__}.{method}"
                    for method, function in vars(owner).items()
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
