"""What the axes of a grid say of problems: planted ones, or data without a planted ticket."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from itertools import product
from typing import Any, ClassVar, Self

from sklearn_tickets.benchmark._checks import check_integer, check_names
from sklearn_tickets.benchmark._data import DATA, DataProblem
from sklearn_tickets.benchmark._problem import PlantedProblem, Problem
from sklearn_tickets.benchmark._searches import REFERENCES
from sklearn_tickets.datasets import PlantedTicketGenerator

Axes = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class PlantedSpec:
    """A planted problem: parameters of its generator, its seed, and the number of samples."""

    # With the values where a grid gives none; the first are the fields.
    AXES: ClassVar[dict[str, Sequence[Any]]] = {
        "seeds": (0,),
        "tasks": ("circle",),
        "depths": (5,),
        "widths": (100,),
        "noise": (0.01,),
        "n_noise_features": (0,),
        "scaling": ("hidden",),
        "n_samples": (10_000,),
        "references": REFERENCES,
        "densities": (0.1, 0.01, "ticket"),
    }

    seed: int
    task: str
    depth: int
    width: int
    noise: float
    n_noise_features: int
    scaling: Any
    n_samples: int

    def __post_init__(self) -> None:
        check_integer("seeds", self.seed, 0)
        check_integer("n_samples", self.n_samples, 100)
        self.generator._validate_params()

    @property
    def generator(self) -> PlantedTicketGenerator:
        """The generator of the problem."""
        parameters = asdict(self)
        del parameters["n_samples"]
        return PlantedTicketGenerator(random_state=parameters.pop("seed"), **parameters)

    @property
    def setup(self) -> dict[str, Any]:
        """The problem as plain values."""
        return asdict(self)

    @property
    def specimen(self) -> Self:
        """A problem that is as good for checks, and made fast.

        Neither the width that a ticket needs nor the references depend on the seed.
        """
        return replace(self, seed=0, n_samples=100)

    def make(self) -> Problem:
        """Generate the problem."""
        planted: Any = self.generator.generate(self.n_samples)
        return PlantedProblem(planted)


@dataclass(frozen=True)
class DataSpec:
    """Data without a planted ticket: their name, and a seed."""

    AXES: ClassVar[dict[str, Sequence[Any]]] = {
        "seeds": (0,),
        "data": (),
        "references": ("dense", "constant"),
        "densities": (0.1, 0.01),
    }

    seed: int
    task: str

    def __post_init__(self) -> None:
        check_integer("seeds", self.seed, 0)
        if self.seed >= 2**32:
            raise ValueError(f"seeds must be less than 2**32; got {self.seed}.")
        check_names("data", [self.task], DATA)

    @property
    def setup(self) -> dict[str, Any]:
        """The problem as plain values, none of them for what only planted ones have."""
        return dict.fromkeys(field.name for field in fields(PlantedSpec)) | asdict(self)

    @property
    def specimen(self) -> Self:
        """A problem that is as good for checks: nothing but the split depends on the seed."""
        return replace(self, seed=0)

    def make(self) -> Problem:
        """Load the data."""
        try:
            return DataProblem(self.task, self.seed)
        except ImportError as error:
            raise ValueError(
                f"data contains {self.task!r}, which cannot be loaded here: {error}."
            ) from error


Spec = PlantedSpec | DataSpec


@lru_cache(maxsize=2)
def make_problem(spec: Spec) -> Problem:
    """Make a problem, or take it from those that this process made last."""
    return spec.make()


def kind_of(block: Mapping[str, Any]) -> type[PlantedSpec] | type[DataSpec]:
    """Return what the problems of a product are, and refuse axes that they do not have."""
    if "data" not in block:
        return PlantedSpec
    for name in PlantedSpec.AXES:
        if name in block and name not in DataSpec.AXES:
            raise ValueError(
                f"grid has the key {name!r} beside 'data', which only planted problems have; leave "
                "it out, or move it to a [[grid]] without 'data'."
            )
    return DataSpec


def list_problems(kind: type[PlantedSpec] | type[DataSpec], axes: Axes) -> list[Spec]:
    """List the problems of a product, and refuse references and densities that they lack."""
    if kind is DataSpec:
        unknown = f"no ticket is planted in data={axes['data']}; use"
        for name in axes["references"]:
            if name not in DataSpec.AXES["references"]:
                raise ValueError(
                    f"references contains {name!r}, but {unknown} 'dense', 'constant' or, as a "
                    "control, the pruner 'random'."
                )
        if "ticket" in axes["densities"]:
            raise ValueError(f"densities contains 'ticket', but {unknown} fractions.")
    names = list(kind.AXES)[: len(fields(kind))]
    return [kind(*values) for values in product(*(axes[name] for name in names))]
