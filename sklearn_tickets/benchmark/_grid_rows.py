"""The rows of grids: products of axes, checked before any row is run."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from itertools import product
from typing import Any

import numpy as np

from sklearn_tickets.benchmark._checks import check_names
from sklearn_tickets.benchmark._grid_problems import (
    Axes,
    DataSpec,
    PlantedSpec,
    Spec,
    kind_of,
    list_problems,
    make_problem,
)
from sklearn_tickets.benchmark._pruners import DEFAULT, find_pruner
from sklearn_tickets.benchmark._runs import SeekRun
from sklearn_tickets.benchmark._searches import (
    MODES,
    REFERENCES,
    Budget,
    possible_modes,
    reference_runs,
    search_run,
)
from sklearn_tickets.benchmark._seek import numeric_densities

Grid = Mapping[str, Any] | Sequence[Mapping[str, Any]]

# Axes that all products have, and their values where a grid gives none.
_BUDGET_AXES: dict[str, Sequence[Any]] = {"rounds": (10,), "epochs": (5,), "final_epochs": (10,)}
_COMMON_AXES = _BUDGET_AXES | {"pruners": DEFAULT, "modes": MODES}
_ALL_AXES = PlantedSpec.AXES | DataSpec.AXES | _COMMON_AXES

_VERSIONS = {
    "sklearn_tickets_version": version("sklearn-tickets"),
    "torch_version": version("torch"),
}

# Parameters of pruners that other axes set.
_AXIS_OF = {
    "estimator": "tasks",
    "sparsity": "densities",
    "random_state": "seeds",
    "round_epochs": "epochs",
    "final_epochs": "final_epochs",
}


@dataclass(frozen=True)
class GridRow:
    """What is run for a row: a reference or a pruner on a problem.

    `parameters` are the pruner's own that the grid sets, and `settings` all that it has, once it
    is set up. References have neither, and no density. `metric` is the measure of quality, and
    `n_epochs` the number of training epochs.
    """

    problem: Spec
    pruner: str
    mode: str
    budget: Budget
    metric: str
    density: Any = None
    parameters: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] | None = None
    n_epochs: int = 0

    def make_run(self) -> SeekRun:
        """Make the run, which has the unfitted pruner."""
        problem = make_problem(self.problem)
        if self.mode == "given":
            references = reference_runs(problem, self.budget.final_epochs)
            return next(run for run in references if run.name == self.pruner)
        (density,) = numeric_densities([self.density], problem.data.ticket)
        make_pruner = find_pruner(self.pruner)
        run = search_run(problem, self.pruner, make_pruner, self.mode, density, self.budget)
        run.pruner.set_params(**self.parameters or {})
        return run

    @property
    def setup(self) -> dict[str, Any]:
        """All that the results depend on, as plain values."""
        budget = asdict(self.budget)
        if self.mode in ("given", "single"):
            budget |= {"n_rounds": None, "round_epochs": None}
        return {
            **self.problem.setup,
            "pruner": self.pruner,
            "mode": self.mode,
            "density": self.density,
            **budget,
            "parameters": self.parameters or {},
            "settings": self.settings or {},
            **_VERSIONS,
        }

    @property
    def key(self) -> str:
        """The hash of the setup, by which a store knows the row."""
        return sha256(json.dumps(self.setup, sort_keys=True).encode()).hexdigest()


def expand(grid: Grid) -> dict[str, GridRow]:
    """Check a grid, and return its rows by their keys."""
    blocks = grid if isinstance(grid, Sequence) else [grid]
    for block in blocks:
        if not isinstance(block, Mapping):
            raise ValueError(f"grid must be a mapping, or a sequence of mappings; got {block!r}.")
    rows = {row.key: row for block in blocks for row in _expand_block(block)}
    if not rows:
        raise ValueError("grid has no rows; give each of its axes a value.")
    return rows


def _expand_block(block: Mapping[str, Any]) -> Iterator[GridRow]:
    """Yield the rows of a product: all of the first seed, then all of the second, and so on."""
    check_names("grid", block, _ALL_AXES)
    kind = kind_of(block)
    axes = kind.AXES | _COMMON_AXES | {name: _values(value) for name, value in block.items()}
    for name, values in axes.items():
        if not values and name not in ("references", "pruners"):
            raise ValueError(
                f"{name} is empty, so that no pruner would run; give it values, or leave it out "
                "for its default."
            )
    check_names("references", axes["references"], REFERENCES)
    check_names("modes", axes["modes"], MODES)
    problems = list_problems(kind, axes)
    specimens = {problem: problem.specimen for problem in problems}
    rows = {
        specimen: [*_references(specimen, axes), *_searches(specimen, axes)]
        for specimen in dict.fromkeys(specimens.values())
    }
    for problem, specimen in specimens.items():
        yield from (replace(row, problem=problem) for row in rows[specimen])


def _references(spec: Spec, axes: Axes) -> Iterator[GridRow]:
    """Yield the references of one problem."""
    problem = make_problem(spec)
    for final_epochs in axes["final_epochs"]:
        for run in reference_runs(problem, final_epochs):
            if run.name in axes["references"]:
                budget, metric = Budget(1, 0, final_epochs), problem.data.metric
                yield GridRow(spec, run.name, "given", budget, metric, n_epochs=run.n_epochs)


def _searches(spec: Spec, axes: Axes) -> Iterator[GridRow]:
    """Yield the searches of one problem, whose pruners are set up to check them."""
    problem = make_problem(spec)
    numeric_densities(axes["densities"], problem.data.ticket)
    budgets = [Budget(*values) for values in product(*(axes[name] for name in _BUDGET_AXES))]
    for density, entry in product(axes["densities"], axes["pruners"]):
        name, parameters = _parse_pruner(entry)
        possible = possible_modes(problem, name, find_pruner(name))
        modes = [mode for mode in axes["modes"] if mode in possible]
        if not modes:
            raise ValueError(
                f"modes={axes['modes']} has none of pruner {name!r}, which are {possible}."
            )
        for mode, budget, *values in product(modes, budgets, *parameters.values()):
            default = GridRow(spec, name, mode, budget, problem.data.metric, density)
            yield _set_up(default, dict(zip(parameters, values, strict=True)))


def _set_up(default: GridRow, parameters: Mapping[str, Any]) -> GridRow:
    """Give a row the parameters that are not its pruner's own already, and check them."""
    axis_of = _AXIS_OF | ({"n_rounds": "rounds"} if default.mode == "multi" else {})
    for name in parameters:
        if name in axis_of:
            raise ValueError(f"pruners sets {name!r}; use the key {axis_of[name]!r} of the grid.")
    run = default.make_run()
    pruner = run.pruner
    known = pruner.get_params()
    check_names(f"pruner {default.pruner!r}", parameters, known)
    changed = {name: value for name, value in parameters.items() if value != known[name]}
    pruner.set_params(**changed)
    pruner._validate_params()
    settings = pruner.get_params(deep=False)
    settings = {name: value for name, value in settings.items() if name not in axis_of}
    try:
        json.dumps(settings)
    except TypeError as error:
        raise ValueError(
            f"pruner {default.pruner!r} has a parameter that is no plain value, by which its rows "
            f"could be known again ({error}): {settings}."
        ) from error
    return replace(default, parameters=changed, settings=settings, n_epochs=run.n_epochs)


def _parse_pruner(entry: Any) -> tuple[str, dict[str, list[Any]]]:
    """Split a pruner of a grid into its name and the values of its parameters."""
    if isinstance(entry, str):
        return entry, {}
    if not isinstance(entry, Mapping) or not isinstance(entry.get("pruner"), str):
        raise ValueError(
            f"pruners contains {entry!r}; give a name, or a table whose key 'pruner' is a name."
        )
    parameters = {
        # TOML has no word for None.
        name: [None if value == "None" else value for value in _values(values)]
        for name, values in entry.items()
        if name != "pruner"
    }
    for name, values in parameters.items():
        if not values:
            raise ValueError(
                f"pruners contains {entry!r}, in which {name!r} has no values; give some, or [[]] "
                "for the value []."
            )
    return entry["pruner"], parameters


def _values(axis: Any) -> list[Any]:
    """Return the values of an axis; a single one needs no list."""
    is_single = isinstance(axis, str | Mapping) or not isinstance(axis, Iterable)
    values = [axis] if is_single else axis
    return [value.item() if isinstance(value, np.generic) else value for value in values]
